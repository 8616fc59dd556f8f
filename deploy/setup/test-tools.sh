#!/bin/sh
# What the tests need beyond the program: nextest, a Python with the reference packages, Chromium and the
# browser tests' own packages. cargo-deny is used when it is there; the tidy test reads deny.toml either way.
. "$(dirname -- "$0")/common.sh"

NEXTEST_VERSION=0.9.143
CACHE=$(dirname "$TOOLS")

quietly() {
    log=$(mktemp)
    if ! "$@" </dev/null >"$log" 2>&1; then
        tail -n 20 "$log" >&2
        rm -f "$log"
        return 1
    fi
    rm -f "$log"
}

if ! cargo nextest --version >/dev/null 2>&1; then
    # Unoptimised: it only starts tests, and building it so takes a third of the time.
    say "building cargo-nextest $NEXTEST_VERSION (once, some minutes)"
    quietly env CARGO_TARGET_DIR="$CACHE/target-tools" \
        cargo install --locked --debug --root "$TOOLS" --version "$NEXTEST_VERSION" cargo-nextest ||
        die "cargo-nextest could not be built" "cargo install --locked cargo-nextest"
    rm -rf "$CACHE/target-tools"
fi
say "$(cargo nextest --version | head -n 1)"

# The reference packages live in a directory named after what was asked for, so that a change makes a new one.
requirements=$ROOT/tests/python/requirements.txt
have python3 || apt_install "Python, which runs the reference calculations," python3 python3-venv
version=$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')
environment=$CACHE/python/$version-$(sha256 "$requirements" | cut -c 1-16)
# A venv stands on the Python that made it, which may have gone since.
if [ ! -e "$environment/complete" ] ||
    { [ -d "$environment/venv" ] && ! "$environment/venv/bin/python" -c '' 2>/dev/null; }; then
    say "fetching the reference packages for Python $version"
    rm -rf "$environment"
    mkdir -p "$environment"
    pip="--quiet --disable-pip-version-check --prefer-binary"
    # A venv where Debian's python3-venv allows one, else a plain directory; both leave the system's Python alone.
    # shellcheck disable=SC2086
    if python3 -m venv "$environment/venv" >/dev/null 2>&1; then
        quietly "$environment/venv/bin/python" -m pip install $pip -r "$requirements" ||
            die "the reference packages could not be fetched" "make setup-test   (again, when the network is back)"
    else
        rm -rf "$environment/venv"
        python3 -m pip --version >/dev/null 2>&1 ||
            apt_install "pip, which fetches the reference packages," python3-pip
        quietly python3 -m pip install $pip --target "$environment/packages" -r "$requirements" ||
            die "the reference packages could not be fetched" "make setup-test   (again, when the network is back)"
    fi
    touch "$environment/complete"
fi
# One name for both kinds; tests get it as TAPEDECK_TEST_PYTHON.
mkdir -p "$TOOLS/bin"
if [ -d "$environment/venv" ]; then
    runner="exec \"$environment/venv/bin/python\" \"\$@\""
else
    runner="PYTHONPATH=\"$environment/packages\" exec python3 \"\$@\""
fi
printf '#!/bin/sh\n%s\n' "$runner" >"$TOOLS/bin/tapedeck-test-python.new"
chmod +x "$TOOLS/bin/tapedeck-test-python.new"
mv "$TOOLS/bin/tapedeck-test-python.new" "$TOOLS/bin/tapedeck-test-python"
say "Python $("$TOOLS/bin/tapedeck-test-python" --version | cut -d ' ' -f 2) with the reference packages"

if [ -z "${TAPEDECK_TEST_CHROMIUM:-}" ] && ! have chromium; then
    apt_install "Chromium, which the dashboard is tested in," chromium fonts-liberation
fi
say "$("${TAPEDECK_TEST_CHROMIUM:-chromium}" --version 2>/dev/null || echo Chromium)"

browser=$ROOT/tests/browser
if [ -e "$browser/package-lock.json" ]; then
    want=$(sed -n 's/.*"node": *">=\([0-9.]*\)".*/\1/p' "$browser/package.json")
    found=$(node --version | sed 's/^v//')
    version_at_least "$found" "${want:-18}" ||
        die "Node is $found, and the browser tests need $want or newer" "see https://nodejs.org/en/download for a newer one"
    if [ ! -e "$browser/node_modules/.package-lock.json" ] ||
        [ "$browser/package-lock.json" -nt "$browser/node_modules/.package-lock.json" ]; then
        say "fetching the browser tests' packages"
        (cd "$browser" && quietly env PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1 npm ci --no-audit --no-fund --ignore-scripts) ||
            die "the browser tests' packages could not be fetched" "cd tests/browser && npm ci"
    fi
fi

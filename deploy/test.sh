#!/bin/sh
# Every check, the quick ones first; each step prints how long it took. Called by `make test`.
#
# The environment that it expects (CARGO_TARGET_DIR, TAPEDECK_TOOLS) comes from the Makefile.
set -eu
cd "$(dirname -- "$0")/.."
ROOT=$(pwd)
began=$(date +%s)

step() {
    name=$1
    shift
    printf '\n==> %s\n' "$name"
    start=$(date +%s)
    "$@" </dev/null
    printf '==> %s: %s s\n' "$name" "$(($(date +%s) - start))"
}

# The shared bars; without them the tests that matter most could only be skipped, so their absence fails.
data=${TAPEDECK_TEST_DATA:-../shared/data}
TAPEDECK_TEST_DATA=$(CDPATH= cd -- "$data" 2>/dev/null && pwd) || {
    echo "test: the directory of test data $data does not exist (from $ROOT); set TAPEDECK_TEST_DATA" >&2
    exit 1
}
TAPEDECK_TEST_PYTHON=$TAPEDECK_TOOLS/bin/tapedeck-test-python
PATH=$TAPEDECK_TOOLS/bin:$PATH
export TAPEDECK_TEST_DATA TAPEDECK_TEST_PYTHON PATH

schema() {
    [ ! -x proto/check.sh ] || proto/check.sh
}
types() {
    for directory in web tests/browser; do
        (cd "$directory" && npm run --silent check)
    done
}
dependencies() {
    if cargo deny --version >/dev/null 2>&1; then
        cargo deny --locked check bans licenses sources
    else
        echo "cargo-deny is not installed; the tidy test holds the dependencies against deny.toml"
    fi
}

step "format" cargo fmt --all --check
step "schema" schema
step "types of the scripts" types
step "dependencies" dependencies

# Lints and build in one: clippy's driver is the compiler of our own crates, a warning is an error, and what comes out is
# what the tests run. `cargo clippy` beside a build would read every dependency a second time, for ten minutes on two
# cores. The second variable is how cargo-clippy hands its arguments on. What `make up` builds stands beside it.
command -v clippy-driver >/dev/null || {
    echo "test: clippy is missing; rustup component add clippy" >&2
    exit 1
}
RUSTC_WORKSPACE_WRAPPER=$ROOT/deploy/lint-and-compile.sh
CLIPPY_ARGS=-D__CLIPPY_HACKERY__warnings
export RUSTC_WORKSPACE_WRAPPER CLIPPY_ARGS
step "lints and build" cargo build --workspace --all-targets --locked --quiet --keep-going
# The ten tests that took longest, of whatever outcome: they are where the next minute can be won.
report=target/nextest/default/junit.xml
slowest() {
    [ -r "$report" ] || return 0
    printf '==> the ten slowest tests, in seconds\n'
    sed -n 's/.*<testcase name="\([^"]*\)" classname="\([^"]*\)".* time="\([0-9.]*\)".*/\3 \2 \1/p' "$report" |
        sort -rn | head -n 10
}
# One more at a time than there are cores: some wait for most of their time (`.config/nextest.toml`).
threads=$(($(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2) + 1))
tests() {
    rm -f "$report"
    outcome=0
    "$CARGO_TARGET_DIR/debug/with-servers" \
        cargo nextest run --workspace --locked --cargo-quiet --test-threads "$threads" || outcome=$?
    slowest
    return "$outcome"
}
step "tests" tests
# The only program with planted bugs in it; what is shipped was built before and stays as it is.
planted() {
    cargo build --workspace --bin tapedeck-sim-planted --features simulation/planted-bugs --locked --quiet
    "$CARGO_TARGET_DIR/debug/tapedeck-sim-planted"
}
step "planted bugs" planted
printf '\n==> all checks passed in %s s\n' "$(($(date +%s) - began))"

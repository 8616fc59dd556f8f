#!/bin/sh
# Runs the fuzz targets, SECONDS each (default 60). Needs a nightly compiler and cargo-fuzz, and says how to get them.
# What they find lies in fuzz/artifacts; put it into fuzz/corpus/<target>, where an ordinary test keeps it.
set -eu
cd "$(dirname -- "$0")/.."

seconds=${1:-60}
targets=${2:-"event json subject broker alpaca history"}
rustup toolchain list 2>/dev/null | grep -q '^nightly' || {
    echo "make fuzz: no nightly compiler, which measures coverage; run: rustup toolchain install nightly" >&2
    exit 1
}
command -v cargo-fuzz >/dev/null || {
    echo "make fuzz: no cargo-fuzz; run: cargo install cargo-fuzz" >&2
    exit 1
}
# What it builds is of no use to anybody else.
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/fuzz"
for target in $targets; do
    echo "fuzz: $target for $seconds s"
    cargo +nightly fuzz run --fuzz-dir fuzz --sanitizer none "$target" -- -max_total_time="$seconds" -max_len=16384 -timeout=20
done
echo "fuzz: nothing found"

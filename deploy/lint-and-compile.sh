#!/bin/sh
# The compiler of our own crates in `make test`: clippy's driver, so that one build lints and compiles.
#
# What holds tests or measures is built without optimisation here: the code under test is in the libraries, which are
# built as everywhere, and benchmarks are only linted (`make bench` builds them as they are meant). Optimised they took
# half of the build. Cargo has one profile for all of a package, so the level is set here; of two the compiler takes the
# last. A program that is none of a package's (cargo names those) is a benchmark.
level=
before=
for argument in "$@"; do
    case "$before $argument" in
    *" --test") level="-C opt-level=0" ;;
    "--crate-type bin") [ -n "${CARGO_BIN_NAME:-}" ] || level="-C opt-level=0" ;;
    esac
    before=$argument
done
# shellcheck disable=SC2086 # two words or none
exec clippy-driver "$@" $level

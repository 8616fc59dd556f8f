#!/bin/sh
# The compiler of our own crates in `make test`: clippy's driver, so that one build lints and compiles.
#
# What holds tests or measures is built without optimisation here: the code under test is in the libraries, which are
# built as everywhere, and benchmarks are only linted (`make bench` builds them as they are meant). Optimised they took
# half of the build. Cargo has one profile for all of a package, so the level is set here; of two the compiler takes the
# last. Cargo gives tests and benchmarks a directory of their own; a library's own tests are told by their option.
level=
[ -z "${CARGO_TARGET_TMPDIR:-}" ] || level="-C opt-level=0"
for argument in "$@"; do
    [ "$argument" != --test ] || level="-C opt-level=0"
done
# shellcheck disable=SC2086 # two words or none
exec clippy-driver "$@" $level

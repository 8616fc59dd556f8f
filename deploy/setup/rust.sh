#!/bin/sh
# Rust: the compiler that Cargo.toml asks for, and what its crates need to link.
. "$(dirname -- "$0")/common.sh"

want=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$ROOT/Cargo.toml")
mend="curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y"
have cargo || die "Rust is missing" "$mend"
found=$(cargo --version | awk '{ print $2 }')
version_at_least "${found%%-*}" "$want" || die "cargo is $found, expected $want or newer" "rustup update stable"
have cc || apt_install "a C compiler, which Rust links with," gcc libc6-dev
say "Rust $found"

#!/bin/sh
# Removes what another checkout has built into the target directory that both share; what was built of dependencies
# stays. Cargo tells what is stale by the times of files and by their paths below the checkout: where this one's files
# are older it would run the other's programs, with the other's paths in them.
. "$(dirname -- "$0")/common.sh"

target=${CARGO_TARGET_DIR:-$ROOT/target}
built_in=$(cat "$target/checkout" 2>/dev/null || true)
[ "$built_in" = "$ROOT" ] && exit 0
if [ -d "$target/debug" ]; then
    say "removing what was built in ${built_in:-another checkout}"
    cargo clean --workspace --quiet --manifest-path "$ROOT/Cargo.toml"
fi
mkdir -p "$target"
printf '%s\n' "$ROOT" >"$target/checkout"

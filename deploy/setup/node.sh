#!/bin/sh
# Node and npm, which build the dashboard's assets.
. "$(dirname -- "$0")/common.sh"

want=$(sed -n 's/.*"node": *">=\([0-9.]*\)".*/\1/p' "$ROOT/web/package.json")
want=${want:-18}
if ! have node || ! have npm; then
    apt_install "Node" nodejs npm
fi
found=$(node --version | sed 's/^v//')
version_at_least "$found" "$want" ||
    die "Node is $found, expected $want or newer" "see https://nodejs.org/en/download for a newer one"
say "Node $found, npm $(npm --version)"

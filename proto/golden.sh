#!/bin/sh
# Writes the golden bytes that are missing: for every golden/<body>.json without a golden/<body>.hex, the
# bytes as buf encodes that JSON, which is another implementation than the one under test. Bytes that exist
# are never written again: they are what a tape may hold.
set -eu
cd "$(dirname -- "$0")"
./check.sh
for json in golden/*.json; do
    hex=${json%.json}.hex
    [ ! -e "$hex" ] || continue
    node_modules/.bin/buf convert schema --type tapedeck.v1.Event --from "$json" --to -#format=binpb |
        od -An -v -tx1 | tr -d ' ' >"$hex"
    echo "proto: $hex written"
done

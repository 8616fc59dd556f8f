#!/bin/sh
# The schema's checks: its style (buf lint), and that nothing already written could become unreadable
# (buf breaking, against the image of the last released schema). Both work offline once buf is there.
#
# `proto/check.sh --release` writes the image anew; a release does that, a change of the schema never.
set -eu
cd "$(dirname -- "$0")"

if [ ! -x node_modules/.bin/buf ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
    # Not `npm ci`: it refuses a lock file that lacks platforms for which the registry has no package.
    npm install --no-save --no-audit --no-fund --ignore-scripts --loglevel=error
fi
buf=node_modules/.bin/buf

"$buf" lint schema
"$buf" breaking schema --against schema/baseline.binpb
if [ "${1-}" = --release ]; then
    "$buf" build schema --exclude-source-info --output schema/baseline.binpb
    echo "proto: schema/baseline.binpb written; commit it with the release"
fi
echo "proto: the schema is well styled and breaks nothing"

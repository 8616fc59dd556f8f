#!/bin/sh
# The dashboard's assets: npm ci and the build in web/, each only when something they read has changed.
. "$(dirname -- "$0")/common.sh"

cd "$ROOT/web"
quietly() {
    log=$(mktemp)
    if ! "$@" </dev/null >"$log" 2>&1; then
        tail -n 40 "$log" >&2
        rm -f "$log"
        die "$* failed in web/" "cd web && $*"
    fi
    rm -f "$log"
}

if [ ! -e node_modules/.package-lock.json ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
    say "fetching the dashboard's packages"
    quietly npm ci --no-audit --no-fund --ignore-scripts
fi
# The manifest is written last, so an interrupted build is done again. Templates count: the styles are made for
# the class names found in them.
stamp=dist/manifest.json
if [ ! -e "$stamp" ] || [ -n "$(find package.json package-lock.json tsconfig.json scripts client styles src templates \
    -newer "$stamp" -type f | head -n 1)" ]; then
    say "building the dashboard's assets"
    quietly npm run build
fi
say "assets in web/dist"

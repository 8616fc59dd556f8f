#!/bin/sh
# PostgreSQL 15 or newer, from the system's packages. Tapedeck runs a server of its own on a private port, so
# Debian's is installed without the cluster that it would make and start on port 5432.
. "$(dirname -- "$0")/common.sh"

MAJOR_MIN=15

# The directory with the newest initdb and postgres, in the places where the program looks too.
newest() {
    best=0
    for directory in "$(pg_config --bindir 2>/dev/null || true)" "$(dirname "$(command -v postgres || echo /none)")" \
        /usr/lib/postgresql/*/bin; do
        [ -x "$directory/postgres" ] && [ -x "$directory/initdb" ] || continue
        major=$("$directory/postgres" --version | sed -n 's/.*) \([0-9]*\).*/\1/p')
        if [ "${major:-0}" -gt "$best" ]; then
            best=$major
            place=$directory
        fi
    done
    [ "$best" -ge "$MAJOR_MIN" ]
}

if ! newest; then
    # Only where PostgreSQL was never set up: an administrator's own choice stays as it is.
    config=/etc/postgresql-common/createcluster.conf
    if can_be_root && have apt-get && [ ! -e "$config" ]; then
        as_root mkdir -p "$(dirname "$config")"
        echo "create_main_cluster = false" | as_root tee "$config" >/dev/null
    fi
    apt_install "PostgreSQL" postgresql
    newest || die "PostgreSQL $MAJOR_MIN or newer is missing; the system's packages are older" \
        "see https://www.postgresql.org/download/ for packages of a newer one"
fi

# As root the server runs as another user and gives up root through setpriv.
if [ "$(id -u)" -eq 0 ] && [ "$(uname)" = Linux ] && ! have setpriv; then
    apt_install "setpriv, which runs PostgreSQL without root's rights," util-linux
fi
say "PostgreSQL $best at $place"

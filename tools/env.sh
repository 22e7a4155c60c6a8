# shellcheck shell=bash
# Sourced by the other scripts: where things are, and who runs the servers of the tests.

set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
cd "$ROOT"

EXTENSION=pg_third_party_auth
CARGO_PGRX_VERSION=0.18.1
# The major version of PostgreSQL.
PG=${PG:-15}

# Outside the repository, because the user postgres must reach it, and with a short path, because the
# path of a socket has at most 107 bytes. One directory for each user and each checkout.
BUILD=/var/tmp/$EXTENSION-$(id -u)-$(printf '%s' "$ROOT" | cksum | cut -d ' ' -f 1)

# A copy of Debian's PostgreSQL: the extension is installed into it, and the system's server keeps out.
# PostgreSQL finds its files relative to its binaries, so the copy has Debian's directories.
PG_COPY=$BUILD/pg$PG
PG_BIN=$PG_COPY/usr/lib/postgresql/$PG/bin
PG_CONFIG_OF_COPY=$PG_BIN/pg_config

# What servers write: sockets and data. Only the user that runs them gets in: they trust everyone who
# reaches the socket.
RUN=$BUILD/run

export PG_BIN
export PGRX_HOME=$BUILD/pgrx
export PATH=$BUILD/tools/bin:$PATH
# cargo-pgrx and psql want to know who they work for; some containers do not say.
USER=${USER:-$(id -un)}
export USER
# Databases are UTF-8 and messages English, whatever the person at the keyboard prefers.
export LC_ALL=C.UTF-8

# Servers inherit it, and pgrx then puts a backtrace into the DETAIL of errors.
unset RUST_BACKTRACE RUST_LIB_BACKTRACE

# initdb refuses root, so root lets the user postgres run the servers.
if [ "$(id -u)" = 0 ]; then
    export PG_RUN_AS=postgres
else
    unset PG_RUN_AS
fi

say() { printf '== %s\n' "$*"; }

fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# Runs a command as the user that runs the servers.
as_server_user() {
    if [ -n "${PG_RUN_AS:-}" ]; then
        (cd / && exec runuser -u "$PG_RUN_AS" -- "$@")
    else
        (cd / && exec "$@")
    fi
}

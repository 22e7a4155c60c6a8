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

# Debian 12 has PostgreSQL 15. Others are compiled by tools/server.sh, for all checkouts of a user. Another
# recipe makes another server. With PG_CASSERT=1 it has its assertions, which packages leave out.
DEBIAN_PG=15
VARIANT=$PG${PG_CASSERT:+-cassert}
SERVERS=/var/tmp/$EXTENSION-$(id -u)-servers
SERVER=$SERVERS/$VARIANT-$(cksum <tools/server.sh | cut -d ' ' -f 1)

# A copy of that server: the extension is installed into it, and the system's server keeps out.
# PostgreSQL finds its files relative to its binaries, so the copy has Debian's directories.
PG_COPY=$BUILD/pg$VARIANT
PG_BIN=$PG_COPY/usr/lib/postgresql/$PG/bin
PG_CONFIG_OF_COPY=$PG_BIN/pg_config

# What servers write: sockets and data. Only the user that runs them gets in: they trust everyone who
# reaches the socket.
RUN=$BUILD/run

export PG_BIN
export PGRX_HOME=$BUILD/pgrx$VARIANT
# Before what .cargo/config.toml says for plain cargo: tests would install into the system's server.
export PGRX_PG_CONFIG_PATH=$PG_CONFIG_OF_COPY
# build.rs does it, for the library alone.
export CARGO_PGRX_DISABLE_GC_SECTIONS_WORKAROUND=1
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

# Names below /var/tmp can be guessed and everyone may write there, so that somebody else may be first.
must_be_ours() {
    if [ -L "$1" ] || [ ! -O "$1" ]; then
        fail "$1 belongs to somebody else."
    fi
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    else
        sudo "$@"
    fi
}

# The library's file is called the same whatever it was built for, and cargo may take that of another version or
# with other features for its own. Without the file it is linked anew. Before every build that is installed.
forget_library() {
    local target=${CARGO_TARGET_DIR:-target} profile
    for profile in debug release; do
        rm -f "$target/$profile/lib$EXTENSION.so" "$target/$profile/deps/lib$EXTENSION.so"
    done
}

# Runs a command as the user that runs the servers.
as_server_user() {
    if [ -n "${PG_RUN_AS:-}" ]; then
        (cd / && exec runuser -u "$PG_RUN_AS" -- "$@")
    else
        (cd / && exec "$@")
    fi
}

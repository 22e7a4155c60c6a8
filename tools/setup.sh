#!/usr/bin/env bash
# Makes a Debian with Rust, git and make ready to build and test: Debian packages, cargo-pgrx, and a
# private copy of PostgreSQL. A second run finds everything and changes nothing. With --without-server,
# only what is needed to build for a server that is there already.

. "$(dirname "${BASH_SOURCE[0]}")/env.sh"

# What is needed, and by whom:
#   gcc, libc6-dev                     the linker of Rust, and the C of the crypto library
#   libclang-dev                       the bindings to PostgreSQL's headers
#   pkg-config, libssl-dev             cargo-pgrx
#   postgresql-15, …-server-dev-15     the server, pg_regress and the headers
#   postgresql-15-pgtap                the example of a test of policies in docs/testing.md
#   postgresql-15-cron                 jobs on guarded tables (not with another PostgreSQL)
#   pgbouncer                          the pooler that tests put in front of servers of theirs
PACKAGES=(gcc libc6-dev libclang-dev libssl-dev pkg-config)
PACKAGES_OF_TESTS=("postgresql-$DEBIAN_PG" "postgresql-server-dev-$DEBIAN_PG" "postgresql-$DEBIAN_PG-pgtap"
    "postgresql-$DEBIAN_PG-cron" pgbouncer)
# To compile another PostgreSQL. Debian's is needed all the same: plain cargo uses its headers.
if [ "$PG" != "$DEBIAN_PG" ]; then
    PACKAGES_OF_TESTS+=(bison bzip2 debian-archive-keyring flex libicu-dev make patch perl zlib1g-dev)
fi
# `cargo pgrx test --runas` calls sudo, for root too.
if [ "$(id -u)" = 0 ]; then
    PACKAGES+=(sudo)
fi

main() {
    case $PG in
        15 | 17 | 18) ;;
        *) fail "PG=$PG is not supported; PG=15, 17 and 18 are." ;;
    esac
    if [ "$PG" = "$DEBIAN_PG" ] && [ -n "${PG_CASSERT:-}" ]; then
        fail "PG_CASSERT needs a PostgreSQL that is compiled here: PG=17 or PG=18."
    fi
    command -v cargo >/dev/null || fail "cargo is missing: install Rust with rustup first."
    command -v dpkg-query >/dev/null || fail "these scripts set up a Debian; this system has no dpkg."

    make_build_directory
    case ${1:-} in
        '') PACKAGES+=("${PACKAGES_OF_TESTS[@]}") ;;
        --without-server)
            install_packages
            install_cargo_pgrx
            mkdir -p "$PGRX_HOME"
            return
            ;;
        *) fail "usage: tools/setup.sh [--without-server]" ;;
    esac

    local stamp
    stamp=$BUILD/setup-$VARIANT-$(cat tools/setup.sh tools/env.sh | cksum | cut -d ' ' -f 1)
    if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$(state)" ]; then
        return
    fi
    rm -f "$BUILD/setup-$VARIANT-"[0-9]*
    install_packages
    install_cargo_pgrx
    copy_postgresql
    init_pgrx
    state >"$stamp"
}

# What the set-up was made for: another PostgreSQL, compiler or cargo-pgrx needs another one.
state() {
    dpkg-query -W -f '${Package} ${Version} ${db:Status-Status}\n' "${PACKAGES[@]}" 2>/dev/null || true
    rustc --version
    cargo pgrx --version 2>/dev/null || true
    if [ "$PG" != "$DEBIAN_PG" ]; then
        cat "$SERVER/version" 2>/dev/null || true
    fi
}

make_build_directory() {
    mkdir -p -m 755 "$BUILD"
    must_be_ours "$BUILD"
    mkdir -p "$RUN"
}

missing_packages() {
    local package
    for package in "${PACKAGES[@]}"; do
        if [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" != installed ]; then
            printf '%s\n' "$package"
        fi
    done
}

apt_install() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@"
}

# Debian's package starts a pooler, now and whenever the machine starts. Nobody asked for one here.
# invoke-rc.d asks policy-rc.d whether it may start a service, and 101 is no. A policy that the machine
# has already stays, whatever it says.
install_pgbouncer() {
    local policy=/usr/sbin/policy-rc.d
    if [ -e "$policy" ]; then
        apt_install pgbouncer
    else
        (
            trap 'as_root rm -f "$policy"' EXIT
            printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
            as_root chmod 755 "$policy"
            apt_install pgbouncer
        )
    fi
    as_root service pgbouncer stop
    as_root update-rc.d pgbouncer disable
}

install_packages() {
    local missing
    mapfile -t missing < <(missing_packages)
    if [ ${#missing[@]} -gt 0 ]; then
        if [ "$(id -u)" != 0 ] && ! command -v sudo >/dev/null; then
            fail "packages are missing, and there is no sudo. As root: apt-get install ${missing[*]}"
        fi
        say "Debian packages: ${missing[*]}"
        as_root apt-get update -q
        if [[ " ${missing[*]} " == *" pgbouncer "* ]]; then
            install_pgbouncer
        fi
        if [[ " ${missing[*]} " == *" postgresql-$DEBIAN_PG "* ]]; then
            apt_install postgresql-common
            without_main_cluster apt_install "${missing[@]}"
        else
            apt_install "${missing[@]}"
        fi
    fi
    if [ -n "${PG_RUN_AS:-}" ]; then
        chown "$PG_RUN_AS" "$RUN"
    fi
    chmod 700 "$RUN"
}

# Debian's package makes and starts a cluster. Nobody asked for a running server here.
without_main_cluster() {
    local config=/etc/postgresql-common/createcluster.conf kept=$BUILD/createcluster.conf status=0
    cp "$config" "$kept"
    as_root sed -i '$a create_main_cluster = false' "$config"
    "$@" || status=$?
    as_root cp "$kept" "$config"
    return $status
}

install_cargo_pgrx() {
    if [ "$(cargo pgrx --version 2>/dev/null)" != "cargo-pgrx $CARGO_PGRX_VERSION" ]; then
        say "cargo-pgrx $CARGO_PGRX_VERSION (some minutes)"
        # Its own target directory: it must not share one with the extension.
        CARGO_TARGET_DIR=$BUILD/cargo-pgrx-target cargo install cargo-pgrx \
            --version "$CARGO_PGRX_VERSION" --locked --quiet --force --root "$BUILD/tools"
        rm -rf "$BUILD/cargo-pgrx-target"
    fi
}

copy_postgresql() {
    if [ "$PG" = "$DEBIAN_PG" ]; then
        say "private copy of PostgreSQL $PG"
        rm -rf "$PG_COPY"
        mkdir -p "$PG_COPY/usr/lib/postgresql" "$PG_COPY/usr/share/postgresql" "$PG_COPY/usr/include"
        cp -RL "/usr/lib/postgresql/$PG" "$PG_COPY/usr/lib/postgresql/"
        cp -RL "/usr/share/postgresql/$PG" "$PG_COPY/usr/share/postgresql/"
        ln -s /usr/include/postgresql "$PG_COPY/usr/include/postgresql"
    else
        tools/server.sh
        say "private copy of PostgreSQL $PG"
        rm -rf "$PG_COPY"
        mkdir -p "$PG_COPY"
        cp -R "$SERVER/usr" "$PG_COPY/"
    fi

    local directory
    for directory in --bindir --pkglibdir --sharedir --includedir-server; do
        case $("$PG_CONFIG_OF_COPY" "$directory") in
            "$PG_COPY"/*) ;;
            *) fail "the copy of PostgreSQL in $PG_COPY does not find its own files ($directory)." ;;
        esac
    done
}

init_pgrx() {
    rm -rf "$PGRX_HOME"
    cargo pgrx init "--pg$PG" "$PG_CONFIG_OF_COPY" --no-run
}

main "$@"

#!/usr/bin/env bash
# Compiles the PostgreSQL that this Debian does not have, and pgTAP for it, from the source packages of
# a newer Debian. Once: the result lies in $SERVER, which all checkouts of a user share.
# `tools/setup.sh` calls it.

. "$(dirname "${BASH_SOURCE[0]}")/env.sh"

# Which Debian has it.
case $PG in
    17) SUITE=trixie ;;
    18) SUITE=forky ;;
    *) fail "PG=$PG: there is no recipe for that PostgreSQL." ;;
esac

# What signs every Debian, this one and newer ones.
KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg

main() {
    mkdir -p -m 755 "$SERVERS"
    must_be_ours "$SERVERS"
    # Two checkouts must not compile the same at the same time.
    exec 9>"$SERVERS/lock"
    flock 9
    if [ -f "$SERVER/version" ]; then
        return
    fi

    work=$(mktemp -d "$SERVERS/work.XXXXXX")
    chmod 755 "$work"
    trap 'rm -rf "$work"' EXIT

    say "PostgreSQL $PG from the sources of Debian $SUITE (some minutes)"
    download
    # In the background, because bash ignores errors in what stands before `||`.
    compile >"$work/compile.log" 2>&1 &
    wait $! || {
        tail -n 40 "$work/compile.log"
        fail "PostgreSQL $PG does not compile."
    }
    # In one step, so that what is there is complete.
    rm -rf "$SERVER"
    mv "$work/root$SERVER" "$SERVER"
}

# The source packages, by apt: with this machine's mirror and proxy, and with the check of signatures
# and digests that installed packages get. Only the list of sources is our own.
download() {
    local mirrors
    mapfile -t mirrors < <(mirrors_of_debian)
    if [ ${#mirrors[@]} = 0 ]; then
        as_root apt-get update -q
        mapfile -t mirrors < <(mirrors_of_debian)
    fi
    [ ${#mirrors[@]} -gt 0 ] || fail "apt knows no mirror of Debian."

    mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/source"
    local mirror
    for mirror in "${mirrors[@]}"; do
        printf 'deb-src [signed-by=%s] %s %s main\n' "$KEYRING" "$mirror" "$SUITE"
    done >"$work/sources.list"
    local options=(-q
        -o "Dir::Etc::sourcelist=$work/sources.list" -o Dir::Etc::sourceparts=-
        -o "Dir::State::Lists=$work/lists" -o "Dir::Cache=$work/cache"
        -o Acquire::AllowInsecureRepositories=false -o Acquire::AllowWeakRepositories=false
        -o APT::Get::AllowUnauthenticated=false -o APT::Update::Error-Mode=any)
    apt-get "${options[@]}" update ||
        fail "apt does not get the list of sources of Debian $SUITE. If it misses a key: upgrade debian-archive-keyring."
    (cd "$work/source" && apt-get "${options[@]}" source --download-only --tar-only \
        "postgresql-$PG" pgtap) ||
        fail "apt does not get the sources of PostgreSQL $PG and pgTAP from Debian $SUITE."
}

mirrors_of_debian() {
    local codename
    codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
    # shellcheck disable=SC2016 # the names are apt's
    apt-get indextargets --format '$(REPO_URI)' \
        'Label: Debian' "Codename: $codename" 'Component: main' 'Created-By: Packages' | sort -u
}

# PostgreSQL as released, without Debian's changes of its paths, and with what Debian's has and the
# extension may collide with: OpenSSL. What is installed lies as Debian's packages do, below a root of
# its own, and wherever it is copied to it finds the rest relative to itself.
compile() {
    cd "$work/source"
    tar -xf "postgresql-${PG}_"*.orig.tar.*
    tar -xf pgtap_*.orig.tar.*

    local prefix=$SERVER/usr/lib/postgresql/$PG
    cd "$work/source/postgresql-$PG".*/
    ./configure --prefix="$prefix" --disable-rpath --with-openssl --without-readline \
        ${PG_CASSERT:+--enable-cassert}
    # For the linker, which takes it literally.
    # shellcheck disable=SC2016
    export LD_RUN_PATH='$ORIGIN/../lib'
    # PostgreSQL generates its headers only if no other make has called this one.
    unset MAKELEVEL MAKEFLAGS MFLAGS
    make -j"$(nproc)"
    make install DESTDIR="$work/root"

    local bin=$work/root$prefix/bin
    cd "$work/source/"pgtap-*/
    make install PG_CONFIG="$bin/pg_config"
    "$bin/postgres" --version >"$work/root$SERVER/version"
}

main

#!/usr/bin/env bash
# What the benches inside a server need: the library with them, in the private copy of the server, and valgrind,
# which counts instructions. `make bench` calls it when it gets there. With --remove, the library is taken away,
# so that nothing else runs with it.

. "$(dirname "${BASH_SOURCE[0]}")/env.sh"

main() {
    case ${1:-} in
        '') install ;;
        --remove) remove ;;
        *) fail "usage: tools/bench_in_server.sh [--remove]" ;;
    esac
}

install() {
    install_valgrind ||
        say "valgrind is not there and cannot be installed (apt-get install valgrind): no instructions are counted"
    forget_library
    cargo pgrx install --release --features pg_bench --pg-config "$PG_CONFIG_OF_COPY" >"$BUILD/install.log" 2>&1 || {
        cat "$BUILD/install.log"
        fail "the extension does not build with its benches."
    }
}

install_valgrind() {
    ! command -v valgrind >/dev/null || return 0
    say "Debian package: valgrind"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends valgrind >/dev/null
}

# A library with the benches has their names in it.
remove() {
    local library
    library=$("$PG_CONFIG_OF_COPY" --pkglibdir)/$EXTENSION.so
    if [ -f "$library" ] && grep -q __pgrx_bench_run_ "$library"; then
        rm "$library"
        forget_library
    fi
}

main "$@"

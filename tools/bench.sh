#!/usr/bin/env bash
# The budgets, measured on a release build in the private copy of the server. `--help` says what can be asked for.

. "$(dirname "${BASH_SOURCE[0]}")/env.sh"

trap 'tools/bench_in_server.sh --remove' EXIT
forget_library
cargo pgrx install --release --pg-config "$PG_CONFIG_OF_COPY" >"$BUILD/install.log" 2>&1 || {
    cat "$BUILD/install.log"
    fail "the extension does not build."
}
# For release too: what is measured in its own process is this program.
cargo run --release --quiet --no-default-features --features "pg$PG" --example bench -- "$@"

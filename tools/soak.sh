#!/usr/bin/env bash
# Rotations, floods, kills, DDL and load at once, for MINUTES, on a release build in the private copy of the server.

. "$(dirname "${BASH_SOURCE[0]}")/env.sh"

forget_library
cargo pgrx install --release --pg-config "$PG_CONFIG_OF_COPY" >"$BUILD/install.log" 2>&1 || {
    cat "$BUILD/install.log"
    fail "the extension does not build."
}
exec cargo run --quiet --no-default-features --features "pg$PG" --example soak -- "$@"

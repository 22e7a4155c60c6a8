#!/usr/bin/env bash
# Installs the extension into the private copy of PostgreSQL and runs the demo there.
# The debug build is what `make test` has built already; the demo measures nothing.

. "$(dirname "${BASH_SOURCE[0]}")/env.sh"

export KEEP=${KEEP:-}
say "building (some minutes the first time)"
forget_library
cargo pgrx install --pg-config "$PG_CONFIG_OF_COPY" >"$BUILD/install.log" 2>&1 || {
    cat "$BUILD/install.log"
    fail "the extension does not build."
}
exec cargo run --quiet --no-default-features --features "pg$PG" --example demo

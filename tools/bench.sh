#!/usr/bin/env bash
# The budgets, measured on a release build in the private copy of the server.

. "$(dirname "${BASH_SOURCE[0]}")/env.sh"

trap 'tools/bench_in_server.sh --remove' EXIT
forget_library
cargo pgrx install --release --pg-config "$PG_CONFIG_OF_COPY"
cargo run --quiet --no-default-features --features "pg$PG" --example bench -- "$@"

#!/usr/bin/env bash
# Format, warnings, and the syntax of the scripts.

. "$(dirname "${BASH_SOURCE[0]}")/env.sh"

for script in tools/*.sh .ci/run; do
    bash -n "$script"
done
if command -v shellcheck >/dev/null; then
    shellcheck -x tools/*.sh .ci/run
fi
cargo fmt --check
cargo clippy --quiet --all-targets --no-default-features --features "pg$PG pg_test pg_bench" -- -D warnings
# Without the feature, as it is shipped.
cargo clippy --quiet --lib --examples --no-default-features --features "pg$PG" -- -D warnings
# No Debian at hand has PostgreSQL 16. It compiles for it, which is all that is known.
RUSTC_WRAPPER=$ROOT/tools/rustc_of_docs.sh DOCS_RS=1 \
    cargo check --quiet --lib --no-default-features --features pg16 --target-dir target/pg16

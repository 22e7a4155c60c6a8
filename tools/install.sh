#!/usr/bin/env bash
# Builds for release and installs into the server that PG_CONFIG names: the extension, and beside the
# server's programs the one that makes keys and tokens for tests of policies.

config=${PG_CONFIG:-}
. "$(dirname "${BASH_SOURCE[0]}")/env.sh"

config=${config:-/usr/lib/postgresql/$PG/bin/pg_config}
command -v "$config" >/dev/null || fail "PG_CONFIG=$config is not there."
version=$("$config" --version)
case $version in
    "PostgreSQL $PG."* | "PostgreSQL $PG "*) ;;
    *) fail "PG_CONFIG=$config is of $version; this builds for PostgreSQL $PG." ;;
esac
# The headers are those of that server.
PGRX_PG_CONFIG_PATH=$(command -v "$config")
export PGRX_PG_CONFIG_PATH

sudo=()
for directory in "$("$config" --pkglibdir)" "$("$config" --sharedir)/extension"; do
    [ -w "$directory" ] || sudo=(--sudo)
done
forget_library
cargo pgrx install --release --pg-config "$config" "${sudo[@]}"

cargo build --release --no-default-features --features "pg$PG" --example mint
bin=$("$config" --bindir)
sudo=()
[ -w "$bin" ] || sudo=(sudo)
"${sudo[@]}" install -m 755 "${CARGO_TARGET_DIR:-target}/release/examples/mint" "$bin/${EXTENSION}_mint"

cat <<END

Next:
  1. postgresql.conf: shared_preload_libraries = '$EXTENSION'  (add it to what is there), and restart.
  2. CREATE EXTENSION $EXTENSION;
Tests of policies: $bin/${EXTENSION}_mint --help
END

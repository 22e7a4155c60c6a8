#!/usr/bin/env bash
# The golden SQL tests of tests/pg_regress, on a throw-away cluster with the extension as users get it.
# With --update, what they print becomes what is expected.

. "$(dirname "${BASH_SOURCE[0]}")/env.sh"

case ${1:-} in
    '' | --update) update=${1:-} ;;
    *) fail "usage: tools/regress.sh [--update]" ;;
esac

tests=tests/pg_regress
database=${EXTENSION}_regress
data=$RUN/regress
output=$BUILD/regress
port=5432 # of the socket's name only: nothing listens on a network

names=()
[ -f $tests/sql/setup.sql ] && names+=(setup)
for file in "$tests"/sql/*.sql; do
    name=$(basename "$file" .sql)
    [ -f "$file" ] && [ "$name" != setup ] && names+=("$name")
done
if [ ${#names[@]} = 0 ]; then
    echo "golden SQL tests: 0 passed; 0 failed;"
    exit
fi

stop() {
    as_server_user "$PG_BIN/pg_ctl" -D "$data" -m immediate stop >/dev/null 2>&1 || true
    as_server_user rm -rf "$data"
}
trap stop EXIT

say "golden SQL tests"
forget_library
cargo pgrx install --pg-config "$PG_CONFIG_OF_COPY" >"$BUILD/install.log" 2>&1 || {
    cat "$BUILD/install.log"
    fail "the extension does not build."
}

stop
as_server_user "$PG_BIN/initdb" -D "$data" -U postgres -A trust -E UTF8 --no-locale -N >/dev/null
# Tests reach no identity provider: this proxy is on loopback, and no network is allowed.
as_server_user tee -a "$data/postgresql.conf" >/dev/null <<END
listen_addresses = ''
unix_socket_directories = '$RUN'
port = $port
shared_preload_libraries = '$EXTENSION'
third_party_auth.proxy = 'http://127.0.0.1:9'
fsync = off
END
as_server_user "$PG_BIN/pg_ctl" -D "$data" -w -l "$data/log" start >/dev/null || {
    as_server_user cat "$data/log"
    fail "the server did not start."
}
"$PG_BIN/psql" -h "$RUN" -p $port -U postgres -d postgres -qX -v ON_ERROR_STOP=1 \
    -c "CREATE DATABASE $database TEMPLATE template0 ENCODING 'UTF8'"

rm -rf "$output"
mkdir -p "$output"
status=0
"$(dirname "$("$PG_CONFIG_OF_COPY" --pgxs)")/../test/regress/pg_regress" \
    --use-existing --bindir="$PG_BIN" --host="$RUN" --port=$port --user=postgres \
    --dbname="$database" --inputdir="$ROOT/$tests" --outputdir="$output" \
    "${names[@]}" || status=$?

if [ -n "$update" ]; then
    mkdir -p "$tests/expected"
    for name in "${names[@]}"; do
        cp "$output/results/$name.out" "$tests/expected/$name.out"
    done
    say "accepted into $tests/expected; read the difference before you commit it"
    exit
fi

failed=0
if [ $status != 0 ]; then
    # The second form is that of PostgreSQL 16 and later.
    failed=$(grep -c -e '^test .*FAILED' -e '^not ok ' "$output/regression.out" || true)
    [ "$failed" != 0 ] || failed=${#names[@]}
    [ -f "$output/regression.diffs" ] && cat "$output/regression.diffs"
    as_server_user tail -n 20 "$data/log"
fi
echo "golden SQL tests: $((${#names[@]} - failed)) passed; $failed failed;"
exit $status

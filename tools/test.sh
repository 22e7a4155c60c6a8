#!/usr/bin/env bash
# Every test: unit tests, in-server tests and tests/*.rs in one go, then the golden SQL tests.
# With ONLY=inside those that run inside a server, and the golden ones.

. "$(dirname "${BASH_SOURCE[0]}")/env.sh"

log=$BUILD/test.log
data=$RUN/pgdata
options=(--pgdata "$data")
if [ -n "${PG_RUN_AS:-}" ]; then
    options+=(--runas "$PG_RUN_AS")
fi
case ${ONLY:-} in
    '') filter=() ;;
    inside) filter=(pg_test::) ;;
    *) fail "ONLY=$ONLY is not known; ONLY=inside is." ;;
esac
rm -rf "$data"

status=0
note=
# Would make every in-server test pass without running.
unset PGRX_TEST_SKIP
forget_library
cargo pgrx test "pg$PG" "${filter[@]}" "${options[@]}" 2>&1 | tee "$log" || {
    status=1
    note="cargo stopped at the first test program that failed; later ones did not run"
}
rm -rf "$data"
tools/regress.sh 2>&1 | tee -a "$log" || status=1

awk -v status=$status -v note="$note" '
    / passed; / { for (i = 2; i <= NF; i++) {
        if ($i == "passed;") passed += $(i - 1)
        if ($i == "failed;") failed += $(i - 1)
    } }
    END {
        if (note) print "error: " note
        if (!passed) status = 1
        printf "%d passed, %d failed\n", passed, failed
        exit status
    }' "$log"

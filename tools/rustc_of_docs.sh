#!/usr/bin/env bash
# The compiler, as RUSTC_WRAPPER: pgrx-pg-sys takes the bindings that come with it for docs.rs, and not
# those to the headers of a PostgreSQL. With DOCS_RS=1 its build script makes none.

case " $* " in
    *" --crate-name pgrx_pg_sys "*) exec "$@" --cfg docsrs ;;
    *) exec "$@" ;;
esac

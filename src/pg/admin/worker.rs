//! The view `worker`, and `restart_worker()`.

use super::super::call::{self, Call, Returned};
use super::super::columns;
use super::super::errors::{SqlError, not_preloaded};
use super::super::fetching::{self, Obstacle};
use super::super::{clock, shared};
use crate::c_function;
use crate::cache::waiters;
use pgrx::datum::TimestampWithTimeZone;
use pgrx::prelude::*;

/// The row of the view `worker`: when there is no fetcher because it found no slot, that is all it says.
#[pg_extern(schema = "third_party_auth", volatile, parallel_restricted)]
#[allow(clippy::type_complexity)]
fn fetcher_status(
    fcinfo: pg_sys::FunctionCallInfo,
) -> TableIterator<
    'static,
    (
        name!(pid, Option<i32>),
        name!(started_at, Option<TimestampWithTimeZone>),
        name!(heartbeat_age, Option<f64>),
        name!(restarts, Option<i32>),
        name!(safe_mode, Option<bool>),
        name!(providers, Option<i32>),
        name!(keys, Option<i32>),
        name!(waiters, Option<i32>),
        name!(missing_slot, bool),
    ),
> {
    // SAFETY: the call frame of this call.
    unsafe { columns::must_be(fcinfo, 9) };
    TableIterator::new(row())
}

/// What `worker_status()` of 0.1.0 answered: SQL that is not upgraded yet calls it.
#[pg_extern(
    schema = "third_party_auth",
    volatile,
    parallel_restricted,
    sql = false
)]
#[allow(clippy::type_complexity)]
fn worker_status(
    fcinfo: pg_sys::FunctionCallInfo,
) -> TableIterator<
    'static,
    (
        name!(pid, Option<i32>),
        name!(started_at, Option<TimestampWithTimeZone>),
        name!(heartbeat_age, Option<f64>),
        name!(restarts, i32),
        name!(providers, i32),
        name!(keys, i32),
        name!(waiters, i32),
        name!(missing_slot, bool),
    ),
> {
    // SAFETY: the call frame of this call.
    unsafe { columns::must_be(fcinfo, 8) };
    TableIterator::new(row().map(
        |(pid, started_at, age, restarts, _, providers, keys, waiters, missing_slot)| {
            let known = |count: Option<i32>| count.unwrap_or_default();
            (
                pid,
                started_at,
                age,
                known(restarts),
                known(providers),
                known(keys),
                known(waiters),
                missing_slot,
            )
        },
    ))
}

/// The columns of the view `worker`.
type Row = (
    Option<i32>,
    Option<TimestampWithTimeZone>,
    Option<f64>,
    Option<i32>,
    Option<bool>,
    Option<i32>,
    Option<i32>,
    Option<i32>,
    bool,
);

/// Its only row, if the library is preloaded.
fn row() -> impl Iterator<Item = Row> {
    let now = clock::ticks();
    let row = shared::locked(|state| {
        let obstacle = fetching::obstacle_in(state.header, now);
        if obstacle == Some(Obstacle::NoSlot) {
            return (None, None, None, None, None, None, None, None, true);
        }
        let fetcher = &state.header.fetcher;
        let is_there = fetcher.pid != 0;
        let sources = state.table.sources.iter().filter(|source| source.is_used());
        let keys = state.table.keys.iter().filter(|key| !key.is_free());
        (
            is_there.then_some(fetcher.pid),
            is_there.then_some(fetcher.started_at),
            is_there.then(|| now.saturating_sub(fetcher.heartbeat) as f64 / 1000.0),
            Some(fetcher.starts.saturating_sub(1) as i32),
            Some(obstacle == Some(Obstacle::SafeMode)),
            Some(sources.count() as i32),
            Some(keys.count() as i32),
            Some(waiters::count(&state.header.waiters, now) as i32),
            fetcher.missing_slot,
        )
    });
    row.into_iter().map(|mut row| {
        let started_at = row.1.take().and_then(clock::to_timestamp);
        (
            row.0, started_at, row.2, row.3, row.4, row.5, row.6, row.7, row.8,
        )
    })
}

c_function!(
    /// `restart_worker() → boolean`: the fetcher ends and PostgreSQL starts it again; a safe mode ends.
    /// False: it does not run just now, and will begin anew as soon as it does.
    third_party_auth_restart_worker, pg_finfo_third_party_auth_restart_worker, restart_worker);

fn restart_worker(_call: Call) -> Returned {
    if !shared::is_there() {
        return Err(not_preloaded());
    }
    if fetching::obstacle() == Some(Obstacle::NoSlot) {
        return Err(SqlError::from(Obstacle::NoSlot));
    }
    // Before it is woken: it may be gone right after.
    let is_alive = fetching::is_alive();
    shared::locked(|state| state.header.fetcher.shall_restart = true);
    shared::wake_fetcher();
    call::boolean(is_alive)
}

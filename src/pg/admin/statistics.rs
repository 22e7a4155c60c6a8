//! The view `stats`, and `reset_stats()`.

use super::super::call::{Call, Returned};
use super::super::{columns, stats};
use crate::c_function;
use pgrx::prelude::*;

/// The rows of the view `stats`.
#[pg_extern(schema = "third_party_auth", volatile, parallel_restricted)]
#[allow(clippy::type_complexity)]
fn decision_stats(
    fcinfo: pg_sys::FunctionCallInfo,
) -> TableIterator<
    'static,
    (
        name!(provider, Option<String>),
        name!(outcome, String),
        name!(reason, Option<String>),
        name!(count, i64),
    ),
> {
    // SAFETY: the call frame of this call.
    unsafe { columns::must_be(fcinfo, 4) };
    TableIterator::new(stats::lines().into_iter().map(|line| {
        let (outcome, reason) = line.outcome.label();
        let reason = reason.map(str::to_owned);
        (line.provider, outcome.to_owned(), reason, line.count)
    }))
}

c_function!(
    /// `reset_stats()`: what was counted in this database is forgotten.
    third_party_auth_reset_stats, pg_finfo_third_party_auth_reset_stats, reset_stats);

fn reset_stats(_call: Call) -> Returned {
    stats::reset();
    Ok(None)
}

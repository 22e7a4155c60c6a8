//! The time of a statement, and of a machine.

use crate::cache::{Ticks, UnixTime};
use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds from 1970-01-01 to PostgreSQL's epoch, 2000-01-01.
const POSTGRES_EPOCH: i64 = 946_684_800;

/// Raw declarations: the functions only read a variable, so the guard that pgrx puts around every
/// call would cost more than the call, on every row.
mod raw {
    unsafe extern "C-unwind" {
        pub fn GetCurrentStatementStartTimestamp() -> i64;
        pub fn GetCurrentTransactionStartTimestamp() -> i64;
    }
}

/// When the current statement began (PostgreSQL's microseconds).
#[inline(always)]
pub fn statement() -> i64 {
    // SAFETY: takes nothing, returns a static variable of xact.c and cannot raise.
    unsafe { raw::GetCurrentStatementStartTimestamp() }
}

/// When the current transaction began (PostgreSQL's microseconds).
#[inline(always)]
pub fn transaction() -> i64 {
    // SAFETY: as above.
    unsafe { raw::GetCurrentTransactionStartTimestamp() }
}

/// "Now" for `exp`, `nbf` and `iat`: the later of both, so that a procedure that commits sees time pass.
pub fn statement_time() -> UnixTime {
    from_timestamp(statement().max(transaction()))
}

/// The wall clock.
pub fn unix_time() -> UnixTime {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0.0, |since| since.as_secs_f64())
}

/// The monotonic clock, the same in every process of the machine.
pub fn ticks() -> Ticks {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the pointer is valid for the call, and CLOCK_MONOTONIC always exists.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    time.tv_sec as Ticks * 1_000 + time.tv_nsec as Ticks / 1_000_000
}

/// A `timestamptz` in seconds since 1970.
pub fn from_timestamp(microseconds: i64) -> UnixTime {
    microseconds as f64 / 1e6 + POSTGRES_EPOCH as f64
}

/// Seconds since 1970 as a `timestamptz`; `None` for "never".
pub fn to_timestamp(time: UnixTime) -> Option<pgrx::datum::TimestampWithTimeZone> {
    if time <= 0.0 {
        return None;
    }
    let microseconds = ((time - POSTGRES_EPOCH as f64) * 1e6) as i64;
    pgrx::datum::TimestampWithTimeZone::try_from(microseconds).ok()
}

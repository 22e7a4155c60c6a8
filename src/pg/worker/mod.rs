//! The two kinds of process beside the backends.
//!
//! - [`fetcher`]: one, for the life of the server. It talks to the network and has shared memory, but
//!   no database connection, so it can hold up nothing.
//! - [`sync`]: one at a time, a short transaction in one database, then gone. It carries rows into
//!   shared memory and keys into the table.

pub mod fetcher;
mod guard;
#[cfg(feature = "pg_test")]
mod inject;
mod outcome;
pub mod sync;

use super::{settings, version};
use pgrx::bgworkers::{
    BackgroundWorkerBuilder, BgWorkerStartTime, DynamicBackgroundWorker,
    DynamicBackgroundWorkerLoadError,
};
use pgrx::{IntoDatum, pg_sys};
use std::ffi::CString;
use std::time::Duration;

const LIBRARY: &str = "pg_third_party_auth";
const RESTART_AFTER: Duration = Duration::from_secs(5);

/// A copy of keys in a table is renewed after this long at the latest, in seconds, so that a standby can
/// judge how old the proof of them is.
fn heartbeat() -> f64 {
    const LONGEST: f64 = 1_800.0;
    (settings::max_stale().as_secs_f64() / 4.0).min(LONGEST)
}

/// Registers the fetcher, while libraries are preloaded.
pub fn register() {
    BackgroundWorkerBuilder::new("pg_third_party_auth fetcher")
        .set_type("pg_third_party_auth fetcher")
        .set_library(LIBRARY)
        .set_function("third_party_auth_fetcher")
        .enable_shmem_access(None)
        .set_start_time(BgWorkerStartTime::ConsistentState)
        .set_restart_time(Some(RESTART_AFTER))
        .load();
}

/// What `ps` shows of this process after its name.
fn set_title(title: &str) {
    // A NUL cannot be shown.
    if let Ok(title) = CString::new(title) {
        // SAFETY: the text is copied.
        unsafe { pg_sys::set_ps_display(title.as_ptr()) };
    }
}

/// Lets SIGTERM end this process at its next check for interrupts, as in a backend. pgrx's own handler
/// only sets a flag, which a process that waits for a lock never looks at.
fn die_at_sigterm() {
    // SAFETY: die() is PostgreSQL's own handler for processes with a database connection; it is set
    // before signals are unblocked.
    unsafe {
        version::handle_signal(pg_sys::SIGTERM as i32, raw::die);
        pg_sys::BackgroundWorkerUnblockSignals();
    }
}

/// As it is: a signal handler must not run through pgrx's guard.
mod raw {
    unsafe extern "C-unwind" {
        pub fn die(signal: i32);
    }
}

/// Starts a sync worker for a database; `Err` if there is no slot left.
fn start_sync(database: u32) -> Result<DynamicBackgroundWorker, DynamicBackgroundWorkerLoadError> {
    BackgroundWorkerBuilder::new("pg_third_party_auth sync")
        .set_type("pg_third_party_auth sync")
        .set_library(LIBRARY)
        .set_function("third_party_auth_sync")
        .enable_spi_access()
        .set_start_time(BgWorkerStartTime::ConsistentState)
        .set_restart_time(None)
        .set_argument(pg_sys::Oid::from(database).into_datum())
        .load_dynamic()
}

//! Where PostgreSQL calls us: at the start of each query, and at the end of each transaction.

use super::process::Process;
use super::{answers, place, registry, shared, stats};
use pgrx::{pg_guard, pg_sys};
use std::cell::Cell;

static NEXT_EXECUTOR_START: Process<Cell<pg_sys::ExecutorStart_hook_type>> =
    Process::new(Cell::new(None));
/// Something changed in this transaction that the workers should know of once it has committed. DROP
/// EXTENSION fires no trigger of ours: what it leaves behind is found at the next reconcile.
static SYNC_AT_COMMIT: Process<Cell<bool>> = Process::new(Cell::new(false));

/// Installs the hooks of this process (and of all that are forked from it).
pub fn install() {
    // SAFETY: the hook is chained; the callbacks are guarded and take no argument.
    unsafe {
        NEXT_EXECUTOR_START.get().set(pg_sys::ExecutorStart_hook);
        pg_sys::ExecutorStart_hook = Some(on_executor_start);
        pg_sys::RegisterXactCallback(Some(on_transaction), std::ptr::null_mut());
        pg_sys::RegisterSubXactCallback(Some(on_subtransaction), std::ptr::null_mut());
    }
}

/// The workers look at this database once the transaction has committed.
pub fn sync_at_commit() {
    SYNC_AT_COMMIT.get().set(true);
}

/// As it is: with pgrx's guard around it, every error of a user's query would be taken apart and put
/// together again without its finer fields.
mod raw {
    use pgrx::pg_sys::QueryDesc;
    unsafe extern "C-unwind" {
        pub fn standard_ExecutorStart(query: *mut QueryDesc, flags: i32);
    }
}

/// Not guarded: nothing in it can panic, and it holds nothing that would have to be dropped.
unsafe extern "C-unwind" fn on_executor_start(query: *mut pg_sys::QueryDesc, flags: i32) {
    // One protocol message or one function may run several queries, and set request.headers between.
    answers::advance();
    // SAFETY: what every hook of this kind does.
    unsafe {
        match NEXT_EXECUTOR_START.get().get() {
            Some(next) => next(query, flags),
            None => raw::standard_ExecutorStart(query, flags),
        }
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn on_transaction(
    event: pg_sys::XactEvent::Type,
    _argument: *mut std::ffi::c_void,
) {
    answers::advance();
    match event {
        pg_sys::XactEvent::XACT_EVENT_COMMIT => {
            stats::flush();
            registry::committed();
            if SYNC_AT_COMMIT.get().replace(false) {
                shared::request_sync();
            }
        }
        pg_sys::XactEvent::XACT_EVENT_ABORT | pg_sys::XactEvent::XACT_EVENT_PREPARE => {
            SYNC_AT_COMMIT.get().set(false);
            place::leave();
            if registry::rolled_back(true) {
                stats::discard();
            } else {
                stats::flush();
            }
        }
        pg_sys::XactEvent::XACT_EVENT_PARALLEL_COMMIT
        | pg_sys::XactEvent::XACT_EVENT_PARALLEL_ABORT => stats::flush(),
        _ => {}
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn on_subtransaction(
    event: pg_sys::SubXactEvent::Type,
    _own: pg_sys::SubTransactionId,
    _parent: pg_sys::SubTransactionId,
    _argument: *mut std::ffi::c_void,
) {
    if event == pg_sys::SubXactEvent::SUBXACT_EVENT_ABORT_SUB {
        registry::rolled_back(false);
        // Settings have their earlier values again.
        answers::advance();
    }
}

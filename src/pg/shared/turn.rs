//! In which transaction each process' `request.jwt` was set: a parallel worker asks for its leader's.

use super::AREA;
use crate::pg::version::local_transaction;
use pgrx::pg_sys;
use std::ptr;
use std::sync::atomic::{AtomicU32, Ordering};

/// Notes the transaction (its local number) in which this backend's `request.jwt` was set.
pub fn note_turn(turn: u32) {
    if let Some(slot) = own_turn_slot(|| {
        // SAFETY: MyProc is checked for NULL.
        unsafe { pg_sys::MyProc.as_ref() }
    }) {
        slot.store(turn, Ordering::Relaxed);
    }
}

/// In a parallel worker: whether the leader's `request.jwt` was set in the leader's transaction.
pub fn is_leaders_turn() -> bool {
    let leader = || {
        // SAFETY: in a parallel worker lockGroupLeader points to the leader's PGPROC, which outlives it.
        unsafe { pg_sys::MyProc.as_ref()?.lockGroupLeader.as_ref() }
    };
    let turn = own_turn_slot(leader).map(|slot| slot.load(Ordering::Relaxed));
    turn.is_some_and(|turn| turn != 0 && Some(turn) == leader().map(local_transaction))
}

fn own_turn_slot<'a>(
    process: impl FnOnce() -> Option<&'a pg_sys::PGPROC>,
) -> Option<&'a AtomicU32> {
    let area = AREA.get().get()?;
    let process = process()?;
    // SAFETY: the array of all PGPROCs begins at ProcGlobal->allProcs; backends come first in it.
    let number =
        unsafe { ptr::from_ref(process).offset_from((*pg_sys::ProcGlobal).allProcs.cast_const()) };
    let number = usize::try_from(number).ok()?;
    // SAFETY: in bounds, and the slots live as long as the server.
    (number < area.turn_count).then(|| unsafe { &*area.turns.add(number) })
}

/// The local number of this process' current transaction.
#[inline(always)]
pub fn own_transaction() -> u32 {
    // SAFETY: MyProc is set in every process that can run a function of ours.
    unsafe { pg_sys::MyProc.as_ref() }.map_or(0, local_transaction)
}

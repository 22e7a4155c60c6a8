//! The place of this process among those that wait for keys.

use super::errors::Undecided;
use super::process::Process;
use super::{clock, shared};
use crate::cache::{Ticks, waiters};
use crate::provider::Provider;
use pgrx::pg_sys;
use std::cell::Cell;

/// The place that this process holds, and for whom.
static HELD: Process<Cell<Option<(usize, i32)>>> = Process::new(Cell::new(None));

/// Gives the place back that this process still holds: a session that is terminated drops nothing.
pub fn leave() {
    if let Some((position, leader)) = HELD.get().take() {
        shared::locked(|state| waiters::leave(&mut state.header.waiters, position, leader));
    }
}

/// A place among those that wait, given back when it is dropped.
pub struct Place;

impl Place {
    /// Takes a place until the deadline at most.
    ///
    /// # Errors
    /// [`Undecided::TooManyWaiters`].
    pub fn take(provider: &Provider, source: u32, until: Ticks) -> Result<Self, Undecided> {
        // SAFETY: MyProc is set; lockGroupLeader is NULL or points into shared memory.
        let leader = unsafe {
            let own = pg_sys::MyProcPid;
            let leader = pg_sys::MyProc
                .as_ref()
                .and_then(|me| me.lockGroupLeader.as_ref());
            leader.map_or(own, |leader| leader.pid)
        };
        let now = clock::ticks();
        let position = shared::locked(|state| {
            waiters::enter(&mut state.header.waiters, leader, source, now, until)
        });
        match position.flatten() {
            Some(position) => {
                HELD.get().set(Some((position, leader)));
                Ok(Place)
            }
            None => Err(Undecided::TooManyWaiters {
                provider: provider.name.clone(),
            }),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        leave();
    }
}

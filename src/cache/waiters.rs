//! Who waits for a fetch: at most so many at a time, and so many for one address.
//!
//! Parallel workers count with their leader. An entry also ends by itself at its deadline, so that a
//! process that died without leaving does not take a place for ever.

use super::Ticks;

/// How many may wait at a time.
pub const MAX_WAITERS: usize = 16;
/// How many of them for one address.
pub const MAX_WAITERS_PER_SOURCE: usize = 4;

/// One that waits. All zeros is a free place.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Waiter {
    leader: i32,
    source: u32,
    processes: u32,
    until: Ticks,
}

impl Waiter {
    /// A free place.
    pub const EMPTY: Self = Waiter {
        leader: 0,
        source: 0,
        processes: 0,
        until: 0,
    };

    fn counts(&self, now: Ticks) -> bool {
        self.processes > 0 && now < self.until
    }
}

/// Takes a place; `None` if all are taken.
pub fn enter(
    waiters: &mut [Waiter],
    leader: i32,
    source: u32,
    now: Ticks,
    until: Ticks,
) -> Option<usize> {
    let same = |w: &Waiter| w.counts(now) && w.leader == leader && w.source == source;
    if let Some(position) = waiters.iter().position(same) {
        waiters[position].processes += 1;
        waiters[position].until = waiters[position].until.max(until);
        return Some(position);
    }
    let here = waiters
        .iter()
        .filter(|w| w.counts(now) && w.source == source);
    if here.count() >= MAX_WAITERS_PER_SOURCE {
        return None;
    }
    let position = waiters.iter().position(|w| !w.counts(now))?;
    waiters[position] = Waiter {
        leader,
        source,
        processes: 1,
        until,
    };
    Some(position)
}

/// Gives the place back.
pub fn leave(waiters: &mut [Waiter], position: usize, leader: i32) {
    if let Some(waiter) = waiters.get_mut(position)
        && waiter.leader == leader
    {
        waiter.processes = waiter.processes.saturating_sub(1);
    }
}

/// How many wait.
pub fn count(waiters: &[Waiter], now: Ticks) -> usize {
    waiters.iter().filter(|w| w.counts(now)).count()
}

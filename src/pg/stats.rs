//! How many tokens were accepted, refused and left undecided, by provider and reason.
//!
//! One decision counts once, however many rows a statement asks about it. It is counted in this process
//! and added to shared memory when the transaction ends, without a lock, in one of a few copies of each
//! counter. The lock is taken once for each provider and session, to find the row of counters. A name
//! gets there only if it is registered: nothing that a token says does.

use super::errors::Undecided;
use super::process::Process;
use super::shared::{self, COUNTERS, Counters, PARTS};
use crate::cache::tally::{self, Owner};
use crate::verify::Reason;
use pgrx::pg_sys;
use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};

/// What a decision was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Accepted: the signature was checked.
    Verified,
    /// Accepted: the signature had been found good before.
    Cached,
    /// Refused.
    Refused(Reason),
    /// Not decided, with the code of why.
    Undecided(&'static str),
}

/// The codes of [`Undecided`].
const UNDECIDED: [&str; 8] = [
    "keys_not_fetched",
    "keys_stale",
    "too_many_waiters",
    "budget_spent",
    "not_preloaded",
    "standby",
    "registry_locked",
    "registry_damaged",
];
const FIRST_UNDECIDED: usize = 2 + Reason::ALL.len();
const OUTCOMES: usize = FIRST_UNDECIDED + UNDECIDED.len();
/// The number of a row that tells how often it got another owner.
const TURN: usize = COUNTERS - 1;
const _: () = assert!(OUTCOMES <= TURN);

/// What this process has counted and not added yet.
struct Counted {
    provider: Option<String>,
    place: Option<Place>,
    numbers: [i64; OUTCOMES],
}

/// A row in shared memory, and the owner it had when it was looked up.
#[derive(Clone, Copy)]
struct Place {
    row: usize,
    turn: u64,
}

static COUNTED: Process<RefCell<Vec<Counted>>> = Process::new(RefCell::new(Vec::new()));
/// Which of its numbers were counted since they were added last, each once: a transaction has few, a session may
/// have seen many providers.
static PENDING: Process<RefCell<Vec<(usize, usize)>>> = Process::new(RefCell::new(Vec::new()));
/// Sessions that see more providers than this look their rows up again.
const MOST_REMEMBERED: usize = 256;

/// A line of the view.
pub struct Line {
    /// The provider; `None`: the token selected none.
    pub provider: Option<String>,
    /// What was decided.
    pub outcome: Outcome,
    /// How often.
    pub count: i64,
}

/// Counts a decision.
pub fn count(provider: Option<&str>, outcome: Outcome) {
    add(provider, outcome, 1);
}

/// Counts what could not be decided.
pub fn count_undecided(undecided: &Undecided) {
    count(undecided.provider(), Outcome::Undecided(undecided.code()));
}

/// What was counted as a token of no provider was an API key of this one.
pub fn was_api_key(provider: &str, outcome: Outcome) {
    add(None, Outcome::Refused(Reason::UnknownIssuer), -1);
    add(Some(provider), outcome, 1);
}

/// Adds what was counted to shared memory, at the end of a transaction. Neither raises nor allocates much.
pub fn flush() {
    let mut pending = PENDING.get().borrow_mut();
    let counters = shared::counters();
    if pending.is_empty() || counters.is_empty() {
        return;
    }
    let mut counted = COUNTED.get().borrow_mut();
    for (own, outcome) in pending.drain(..) {
        let own = &mut counted[own];
        let number = std::mem::take(&mut own.numbers[outcome]);
        let known = own
            .place
            .filter(|place| turn(counters, place.row) == place.turn);
        own.place = known.or_else(|| find(counters, own.provider.as_deref()));
        if let Some(place) = own.place
            && number != 0
        {
            // Should the row get another owner right now, a few are counted for that one.
            let part = &parts(counters, place.row)[own_part()].0;
            part[outcome].fetch_add(number as u64, Ordering::Relaxed);
        }
    }
    if counted.len() > MOST_REMEMBERED {
        counted.clear();
    }
}

/// Forgets what was counted and not added.
fn forget() {
    PENDING.get().borrow_mut().clear();
    COUNTED.get().borrow_mut().clear();
}

/// Forgets what was counted in a transaction that was rolled back and had changed the providers: their
/// names are nobody's business.
pub fn discard() {
    if shared::is_there() && !PENDING.get().borrow().is_empty() {
        forget();
    }
}

/// What was counted in this database; without shared memory, in this session.
pub fn lines() -> Vec<Line> {
    flush();
    let counters = shared::counters();
    let mut lines = Vec::new();
    if counters.is_empty() {
        for own in COUNTED.get().borrow().iter() {
            add_lines(&mut lines, own.provider.as_deref(), |number| {
                own.numbers[number]
            });
        }
        return lines;
    }
    let mut owners = vec![Owner::EMPTY; counters.len() / PARTS];
    shared::locked(|state| owners.copy_from_slice(state.owners));
    let database = own_database();
    for (row, owner) in owners.iter().enumerate() {
        if owner.is_of(database) {
            add_lines(&mut lines, owner.provider(), |number| {
                sum(counters, row, number)
            });
        }
    }
    lines
}

/// Sets what was counted in this database to zero; without shared memory, in this session.
pub fn reset() {
    let counters = shared::counters();
    forget();
    let database = own_database();
    shared::locked(|state| {
        for (row, owner) in state.owners.iter().enumerate() {
            if owner.is_of(database) {
                clear(counters, row);
            }
        }
    });
}

/// Gives back the rows of what is not kept.
pub fn retain(is_kept: impl Fn(&Owner) -> bool) {
    let counters = shared::counters();
    shared::locked(|state| {
        tally::retain(state.owners, is_kept, |row| next_turn(counters, row));
    });
}

impl Outcome {
    /// Accepted, by a signature that was recalled or checked.
    pub fn accepted(has_recalled: bool) -> Outcome {
        if has_recalled {
            Outcome::Cached
        } else {
            Outcome::Verified
        }
    }

    /// The outcome as the view names it, and the reason.
    pub fn label(self) -> (&'static str, Option<&'static str>) {
        match self {
            Outcome::Verified => ("verified", None),
            Outcome::Cached => ("cached", None),
            Outcome::Refused(reason) => ("refused", Some(reason.code())),
            Outcome::Undecided(code) => ("undecided", Some(code)),
        }
    }

    /// Its place among the counters of a row.
    fn number(self) -> Option<usize> {
        match self {
            Outcome::Verified => Some(0),
            Outcome::Cached => Some(1),
            Outcome::Refused(reason) => Some(2 + reason as usize),
            Outcome::Undecided(code) => UNDECIDED
                .iter()
                .position(|&own| own == code)
                .map(|position| FIRST_UNDECIDED + position),
        }
    }

    fn of(number: usize) -> Outcome {
        match number {
            0 => Outcome::Verified,
            1 => Outcome::Cached,
            _ if number < FIRST_UNDECIDED => Outcome::Refused(Reason::ALL[number - 2]),
            _ => Outcome::Undecided(UNDECIDED[number - FIRST_UNDECIDED]),
        }
    }
}

fn add(provider: Option<&str>, outcome: Outcome, number: i64) {
    let Some(position) = outcome.number() else {
        return;
    };
    let mut counted = COUNTED.get().borrow_mut();
    let known = counted
        .iter()
        .position(|own| own.provider.as_deref() == provider);
    let own = known.unwrap_or_else(|| {
        counted.push(Counted {
            provider: provider.map(str::to_owned),
            place: None,
            numbers: [0; OUTCOMES],
        });
        counted.len() - 1
    });
    counted[own].numbers[position] += number;
    let mut pending = PENDING.get().borrow_mut();
    if !pending.contains(&(own, position)) {
        pending.push((own, position));
    }
}

fn add_lines(lines: &mut Vec<Line>, provider: Option<&str>, number: impl Fn(usize) -> i64) {
    for (position, count) in (0..OUTCOMES).map(|position| (position, number(position))) {
        // What is below zero was set to zero between a decision and its correction.
        if count > 0 {
            lines.push(Line {
                provider: provider.map(str::to_owned),
                outcome: Outcome::of(position),
                count,
            });
        }
    }
}

/// The row of a provider, found or taken.
fn find(counters: &[Counters], provider: Option<&str>) -> Option<Place> {
    let database = own_database();
    let total = |row| {
        (0..OUTCOMES)
            .map(|number| sum(counters, row, number).max(0) as u64)
            .sum()
    };
    shared::locked(|state| {
        let row = tally::row(state.owners, database, provider, total)?;
        if row.is_new {
            clear(counters, row.position);
            next_turn(counters, row.position);
        }
        let (row, turn) = (row.position, turn(counters, row.position));
        Some(Place { row, turn })
    })
    .flatten()
}

/// The copies of a row: one beside the other, each with cache lines of its own.
fn parts(counters: &[Counters], row: usize) -> &[Counters] {
    &counters[row * PARTS..(row + 1) * PARTS]
}

/// The copy that this process counts in.
fn own_part() -> usize {
    // SAFETY: reads a variable.
    unsafe { pg_sys::MyProcPid }.unsigned_abs() as usize % PARTS
}

fn sum(counters: &[Counters], row: usize, number: usize) -> i64 {
    let copies = parts(counters, row).iter();
    copies.fold(0, |sum: i64, part| {
        sum.wrapping_add(part.0[number].load(Ordering::Relaxed) as i64)
    })
}

fn clear(counters: &[Counters], row: usize) {
    for part in parts(counters, row) {
        part.0[..OUTCOMES]
            .iter()
            .for_each(|counter| counter.store(0, Ordering::Relaxed));
    }
}

fn turn_of(counters: &[Counters], row: usize) -> &AtomicU64 {
    &parts(counters, row)[0].0[TURN]
}

fn turn(counters: &[Counters], row: usize) -> u64 {
    turn_of(counters, row).load(Ordering::Relaxed)
}

fn next_turn(counters: &[Counters], row: usize) {
    turn_of(counters, row).fetch_add(1, Ordering::Relaxed);
}

fn own_database() -> u32 {
    // SAFETY: reads a variable.
    unsafe { pg_sys::MyDatabaseId }.to_u32()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_of_what_is_undecided_is_counted() {
        let provider = || "one".to_owned();
        let all = [
            Undecided::KeysNotFetched {
                provider: provider(),
                last_error: None,
                uncommitted: false,
            },
            Undecided::KeysStale {
                provider: provider(),
                age: 1.0,
            },
            Undecided::TooManyWaiters {
                provider: provider(),
            },
            Undecided::BudgetSpent {
                provider: provider(),
            },
            Undecided::NotPreloaded {
                provider: provider(),
            },
            Undecided::Standby {
                provider: provider(),
            },
            Undecided::NotAmongKnown {
                provider: provider(),
            },
            Undecided::KeysOfApiKeys,
            Undecided::RegistryLocked,
            Undecided::RegistryDamaged,
        ];
        for undecided in &all {
            let outcome = Outcome::Undecided(undecided.code());
            assert!(outcome.number().is_some(), "{}", undecided.code());
        }
    }

    #[test]
    fn a_number_is_pending_once_however_often_it_comes_back_to_nothing() {
        for _ in 0..100 {
            count(None, Outcome::Refused(Reason::UnknownIssuer));
            was_api_key("one", Outcome::Cached);
        }
        assert_eq!(PENDING.get().borrow().len(), 2);
    }

    #[test]
    fn every_outcome_has_a_counter_of_its_own() {
        let refused = Reason::ALL.map(Outcome::Refused);
        let undecided = UNDECIDED.map(Outcome::Undecided);
        let outcomes = [Outcome::Verified, Outcome::Cached]
            .into_iter()
            .chain(refused)
            .chain(undecided);
        let mut numbers = Vec::new();
        for outcome in outcomes {
            let number = outcome.number().unwrap();
            assert_eq!(Outcome::of(number), outcome);
            numbers.push(number);
        }
        assert_eq!(numbers, (0..OUTCOMES).collect::<Vec<_>>());
    }
}

//! One key address: its schedule, its budget, its state and the protocol of a fetch.
//!
//! Backends ask, one fetcher answers. A fetch has a number; whoever misses a key asks for the first
//! fetch that has not started yet, because only such a fetch can prove that a key is absent (while
//! there are no keys at all, the one that is on its way will do). Any number of backends that ask
//! meanwhile share it, and any fetch that changes the keys sends them to look again.

use super::text::Text;
use super::{Ticks, UnixTime};
use crate::provider::KeyAddress;

/// Requests that an address gets at once, at most.
const BURST: u32 = 5;
/// After those, one in so many milliseconds.
const REFILL: Ticks = 10_000;
/// How many absent key ids are remembered, and for how long (milliseconds).
const ABSENT: usize = 32;
const ABSENT_FOR: Ticks = 15_000;
/// A provider that keeps failing is mentioned in the log this often (milliseconds).
const REMINDER: Ticks = 3_600_000;
/// After a failure, a miss does not cause another fetch for so long (milliseconds).
const MIN_SPACING_AFTER_FAILURE: Ticks = 5_000;

/// The longest address in bytes: a `jwks_uri` or an issuer.
pub const ADDRESS_BYTES: usize = crate::provider::row::MAX_URL_BYTES;

const FREE: u8 = 0;
const USED: u8 = 1;
/// No database subscribes any more; kept so that its budget is not refilled by registering again.
const RETIRED: u8 = 2;

const DIRECT: u8 = 1;
const DISCOVERY: u8 = 2;

/// One key address as plain data. All zeros is a free slot.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Source {
    state: u8,
    mode: u8,
    in_flight: u8,
    /// What the last finished fetch was: 0 none yet, 1 a success, 2 a failure.
    last_outcome: u8,
    address: Text<ADDRESS_BYTES>,
    /// Changes with every change of the keys, and never repeats; 0: no keys were fetched yet.
    pub generation: u64,
    /// The last fetch that was asked for, that has started, that has ended.
    requested: u64,
    started: u64,
    done: u64,
    /// The fetch whose budget was taken when it was asked for.
    prepaid: u64,
    tokens: u32,
    refilled_at: Ticks,
    /// When the next scheduled fetch is due.
    due_at: Ticks,
    last_attempt: Ticks,
    /// When the last fetch began.
    pub last_attempt_at: UnixTime,
    /// When keys were last fetched or confirmed.
    pub fetched_at: UnixTime,
    /// When the next scheduled fetch is due.
    pub next_refresh_at: UnixTime,
    /// Failures since the last success.
    pub failures: u32,
    /// When the first of them was.
    failing_since: Ticks,
    /// When the log mentioned them last.
    mentioned_at: Ticks,
    /// Why the last fetch failed; empty after a success.
    pub last_error: Text<200>,
    /// What to do about it.
    pub last_hint: Text<200>,
    /// The validator of the last full answer (RFC 9110 §8.8.3).
    pub etag: Text<128>,
    /// The other validator (RFC 9110 §8.8.2).
    pub last_modified: Text<64>,
    /// Which URL the validators came from.
    pub validators_of: u64,
    /// Where the keys were found: what discovery named, or the address itself.
    pub jwks_uri: Text<ADDRESS_BYTES>,
    absent: [Absent; ABSENT],
    absent_next: u32,
}

/// A key id that a fetch proved absent.
#[derive(Clone, Copy)]
#[repr(C)]
struct Absent {
    kid: u64,
    generation: u64,
    until: Ticks,
}

/// What a backend that misses a key is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply {
    /// The keys have changed since they were looked at: look again.
    Changed,
    /// A fetch that started after the question was first asked did not find this id.
    Absent,
    /// Wait until this fetch has ended.
    Wait(u64),
    /// The budget of this address is spent.
    BudgetSpent,
    /// The last fetch failed a moment ago.
    JustFailed,
}

impl Source {
    /// A free slot.
    pub const EMPTY: Self = Source {
        state: FREE,
        mode: 0,
        in_flight: 0,
        last_outcome: 0,
        address: Text::EMPTY,
        generation: 0,
        requested: 0,
        started: 0,
        done: 0,
        prepaid: 0,
        tokens: 0,
        refilled_at: 0,
        due_at: 0,
        last_attempt: 0,
        last_attempt_at: 0.0,
        fetched_at: 0.0,
        next_refresh_at: 0.0,
        failures: 0,
        failing_since: 0,
        mentioned_at: 0,
        last_error: Text::EMPTY,
        last_hint: Text::EMPTY,
        etag: Text::EMPTY,
        last_modified: Text::EMPTY,
        validators_of: 0,
        jwks_uri: Text::EMPTY,
        absent: [Absent {
            kid: 0,
            generation: 0,
            until: 0,
        }; ABSENT],
        absent_next: 0,
    };

    /// A slot for this address, due at once; `None` if the address is too long.
    pub fn new(address: &KeyAddress, now: Ticks) -> Option<Self> {
        let (mode, text) = parts(address);
        Some(Source {
            state: USED,
            mode,
            address: Text::whole(text)?,
            tokens: BURST,
            refilled_at: now,
            due_at: now,
            ..Source::EMPTY
        })
    }

    /// Whether some database subscribes to it.
    pub fn is_used(&self) -> bool {
        self.state == USED
    }

    /// Whether the slot may be given to another address.
    pub fn is_free(&self, now: Ticks) -> bool {
        match self.state {
            FREE => true,
            RETIRED => self.in_flight == 0 && self.budget(now) == BURST,
            _ => false,
        }
    }

    /// Whether the slot is for this address.
    pub fn is_for(&self, address: &KeyAddress) -> bool {
        let (mode, text) = parts(address);
        self.state != FREE && self.mode == mode && self.address.as_str() == text
    }

    /// A database subscribes (again).
    pub fn use_again(&mut self, now: Ticks) {
        if self.state == RETIRED {
            self.state = USED;
            self.due_at = now;
        }
    }

    /// No database subscribes any more.
    pub fn retire(&mut self) {
        self.state = RETIRED;
        self.generation = 0;
        self.fetched_at = 0.0;
        self.etag = Text::EMPTY;
        self.last_modified = Text::EMPTY;
    }

    /// The address.
    pub fn address(&self) -> KeyAddress {
        let text = self.address.as_str().to_owned();
        match self.mode {
            DISCOVERY => KeyAddress::Discovery { issuer: text },
            _ => KeyAddress::Direct { jwks_uri: text },
        }
    }

    /// A backend misses a key: it has looked at the keys of `seen`.
    pub fn ask(&mut self, kid: Option<u64>, seen: u64, now: Ticks) -> Reply {
        if self.has_other_keys(seen) {
            return Reply::Changed;
        }
        let known_absent = |absent: &Absent| {
            Some(absent.kid) == kid && absent.generation == self.generation && now < absent.until
        };
        if self.absent.iter().any(known_absent) {
            return Reply::Absent;
        }
        if seen == 0 && self.in_flight != 0 {
            // There are no keys yet: whatever the first fetch brings is an answer.
            return Reply::Wait(self.started);
        }
        self.request(now)
    }

    /// Whether there are keys, and not those of this generation.
    pub fn has_other_keys(&self, seen: u64) -> bool {
        self.generation != 0 && self.generation != seen
    }

    /// A fetch has just changed the keys: those that asked for the next one look at them first.
    pub fn cancel_follow_up(&mut self) {
        self.requested = self.started;
    }

    /// Asks for a fetch that has not started yet.
    pub fn request(&mut self, now: Ticks) -> Reply {
        let need = self.started + 1;
        if self.requested >= need {
            return Reply::Wait(need);
        }
        let failing = self.last_outcome == 2 && self.in_flight == 0;
        if failing && now < self.last_attempt + MIN_SPACING_AFTER_FAILURE {
            return Reply::JustFailed;
        }
        // What a cancelled follow-up has paid pays for this one.
        if self.prepaid < need && !self.spend(now) {
            return Reply::BudgetSpent;
        }
        self.requested = need;
        self.prepaid = need;
        Reply::Wait(need)
    }

    /// Whether that fetch has ended; `Some(true)`: with the keys as they are now published.
    pub fn ended(&self, fetch: u64) -> Option<bool> {
        (self.done >= fetch).then_some(self.last_outcome == 1)
    }

    /// A fetch that started after the question did not find this id.
    pub fn remember_absent(&mut self, kid: u64, now: Ticks) {
        let slot = self.absent_next as usize % ABSENT;
        self.absent[slot] = Absent {
            kid,
            generation: self.generation,
            until: now + ABSENT_FOR,
        };
        self.absent_next = self.absent_next.wrapping_add(1);
    }

    /// Whether the fetcher should begin a fetch now.
    pub fn is_due(&self, now: Ticks) -> bool {
        self.state == USED
            && self.in_flight == 0
            && (self.requested > self.started
                || (now >= self.due_at && (self.prepaid > self.started || self.budget(now) > 0)))
    }

    /// Which of several due fetches goes first: one that somebody waits for, then the longest unattended.
    pub fn urgency(&self) -> (bool, Ticks) {
        (self.requested <= self.started, self.last_attempt)
    }

    /// Begins a fetch. The budget is taken before the request, and a failure costs as much.
    pub fn begin(&mut self, now: Ticks, unix: UnixTime) {
        self.started += 1;
        if self.prepaid < self.started {
            self.spend(now);
        }
        self.requested = self.requested.max(self.started);
        self.in_flight = 1;
        self.last_attempt = now;
        self.last_attempt_at = unix;
    }

    /// Ends a fetch that brought or confirmed keys.
    pub fn succeed(&mut self, now: Ticks, unix: UnixTime, next: Ticks) {
        self.end(now, unix, next, 1);
        self.failures = 0;
        self.last_error = Text::EMPTY;
        self.last_hint = Text::EMPTY;
        self.fetched_at = unix;
    }

    /// Ends a fetch that failed: the keys stay as they are.
    pub fn fail(&mut self, now: Ticks, unix: UnixTime, next: Ticks, why: &str, hint: &str) {
        self.end(now, unix, next, 2);
        if self.failures == 0 {
            self.failing_since = now;
        }
        self.failures = self.failures.saturating_add(1);
        self.last_error = Text::cut(why);
        self.last_hint = Text::cut(hint);
    }

    /// Whether the log should mention the failure that was just noted: the first, and then one an hour.
    pub fn mention_failure(&mut self, now: Ticks) -> bool {
        let is_due = self.failures == 1 || now >= self.mentioned_at + REMINDER;
        if is_due {
            self.mentioned_at = now;
        }
        is_due
    }

    /// For how long it has been failing, in milliseconds; 0: the last fetch succeeded.
    pub fn failing_for(&self, now: Ticks) -> Ticks {
        if self.failures == 0 {
            0
        } else {
            now.saturating_sub(self.failing_since)
        }
    }

    /// The interval may have become shorter: keys that are confirmed are fetched again after `longest` at
    /// the latest.
    pub fn hasten(&mut self, now: Ticks, unix: UnixTime, longest: Ticks) {
        if self.last_outcome == 1 && self.due_at > now + longest {
            self.due_at = now + longest;
            self.next_refresh_at = unix + longest as f64 / 1000.0;
        }
    }

    /// Ends a fetch that confirmed keys which were given up meanwhile, with the last who wanted them: it proves
    /// nothing. Who waits for it waits for the next one, which is due at once.
    pub fn end_in_vain(&mut self, now: Ticks) {
        self.in_flight = 0;
        self.due_at = now;
    }

    /// A fetcher that died left its fetches behind: they count as failed, without a change of plan.
    pub fn abandon(&mut self, now: Ticks) {
        if self.in_flight != 0 {
            self.in_flight = 0;
            self.done = self.started;
            self.last_outcome = 2;
            self.due_at = self.due_at.max(now + MIN_SPACING_AFTER_FAILURE);
        }
    }

    fn end(&mut self, now: Ticks, unix: UnixTime, next: Ticks, outcome: u8) {
        self.in_flight = 0;
        self.done = self.started;
        self.last_outcome = outcome;
        self.due_at = now + next;
        self.next_refresh_at = unix + next as f64 / 1000.0;
    }

    /// Requests that may be made now.
    fn budget(&self, now: Ticks) -> u32 {
        let gained = now.saturating_sub(self.refilled_at) / REFILL;
        self.tokens
            .saturating_add(u32::try_from(gained).unwrap_or(BURST))
            .min(BURST)
    }

    fn spend(&mut self, now: Ticks) -> bool {
        let budget = self.budget(now);
        let gained = now.saturating_sub(self.refilled_at) / REFILL;
        // A full bucket starts to fill again when something is taken out of it.
        self.refilled_at = if budget == BURST {
            now
        } else {
            self.refilled_at + gained * REFILL
        };
        self.tokens = budget.saturating_sub(1);
        budget > 0
    }
}

fn parts(address: &KeyAddress) -> (u8, &str) {
    match address {
        KeyAddress::Direct { jwks_uri } => (DIRECT, jwks_uri),
        KeyAddress::Discovery { issuer } => (DISCOVERY, issuer),
    }
}

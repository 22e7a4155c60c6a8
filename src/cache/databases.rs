//! Which databases have the extension, and when each is synchronised with the table of keys.

use super::Ticks;

/// How often a database that has the extension is looked at although nothing is known to have changed.
pub const RECONCILE: Ticks = 600_000;
/// A synchronisation that has not ended after so long is ended and started again.
pub const RUN_LIMIT: Ticks = 30_000;
const FIRST_RETRY: Ticks = 1_000;
const LAST_RETRY: Ticks = 300_000;

/// The list of databases itself is brought up to date by a run without a database.
pub const CATALOG: u32 = 0;

/// One database as plain data. All zeros is a free slot.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Database {
    used: u8,
    /// Something changed: synchronise as soon as possible.
    requested: u8,
    running: u8,
    has_extension: u8,
    /// A provider of it found no slot.
    is_crowded: u8,
    oid: u32,
    failures: u32,
    started_at: Ticks,
    not_before: Ticks,
    due_at: Ticks,
    /// A digest of what PostgREST was told of last; 0: nothing yet.
    announced: u64,
}

impl Database {
    /// A free slot.
    pub const EMPTY: Self = Database {
        used: 0,
        requested: 0,
        running: 0,
        has_extension: 0,
        is_crowded: 0,
        oid: 0,
        failures: 0,
        started_at: 0,
        not_before: 0,
        due_at: 0,
        announced: 0,
    };

    fn is(&self, oid: u32) -> bool {
        self.used != 0 && self.oid == oid
    }
}

/// Something changed in a database, or it was just seen for the first time. Answers whether there is
/// room for it: one that was found to be without the extension makes room.
pub fn request(databases: &mut [Database], oid: u32) -> bool {
    let position = databases
        .iter()
        .position(|d| d.is(oid))
        .or_else(|| databases.iter().position(|d| d.used == 0))
        .or_else(|| idle(databases));
    let Some(position) = position else {
        return false;
    };
    let database = &mut databases[position];
    if !database.is(oid) {
        *database = Database {
            used: 1,
            oid,
            ..Database::EMPTY
        };
    }
    database.requested = 1;
    true
}

/// The database without the extension that was looked at longest ago.
fn idle(databases: &[Database]) -> Option<usize> {
    let is_idle = |d: &Database| d.has_extension == 0 && d.running == 0 && d.requested == 0;
    (0..databases.len())
        .filter(|&position| is_idle(&databases[position]))
        .min_by_key(|&position| databases[position].started_at)
}

/// A provider of a database found no slot, because all were taken.
pub fn crowd_out(databases: &mut [Database], oid: u32) {
    if let Some(database) = databases.iter_mut().find(|d| d.is(oid)) {
        database.is_crowded = 1;
    }
}

/// There is a slot again: who found none before is looked at again.
pub fn request_crowded(databases: &mut [Database]) {
    for database in databases.iter_mut().filter(|d| d.is_crowded != 0) {
        database.is_crowded = 0;
        database.requested = 1;
    }
}

/// Everything that is known is looked at again.
pub fn request_all(databases: &mut [Database]) {
    for database in databases.iter_mut().filter(|d| d.used != 0) {
        database.requested = 1;
    }
}

/// Whether this database was seen before.
pub fn is_known(databases: &[Database], oid: u32) -> bool {
    databases.iter().any(|d| d.is(oid))
}

/// A database that is not in `present` is gone.
pub fn retain(databases: &mut [Database], present: &[u32]) {
    for database in databases.iter_mut() {
        let gone =
            database.used != 0 && database.oid != CATALOG && !present.contains(&database.oid);
        // One that was requested meanwhile may be newer than the list; one that failed is not.
        let is_new = database.requested != 0 && database.failures == 0;
        if gone && database.running == 0 && !is_new {
            *database = Database::EMPTY;
        }
    }
}

/// The database to be synchronised now, if one is due and none is running.
pub fn next(databases: &[Database], now: Ticks) -> Option<u32> {
    let running = |d: &Database| d.running != 0 && now < d.started_at + RUN_LIMIT;
    if databases.iter().any(running) {
        return None;
    }
    databases
        .iter()
        .filter(|d| d.used != 0 && now >= d.not_before)
        .filter(|d| d.requested != 0 || (d.has_extension != 0 && now >= d.due_at))
        .min_by_key(|d| (d.started_at, d.oid))
        .map(|d| d.oid)
}

/// A synchronisation begins. What is requested from now on is not part of it.
pub fn begin(databases: &mut [Database], oid: u32, now: Ticks) {
    if let Some(database) = databases.iter_mut().find(|d| d.is(oid)) {
        database.running = 1;
        database.requested = 0;
        database.started_at = now;
    }
}

/// It ended well.
pub fn succeed(databases: &mut [Database], oid: u32, has_extension: bool, now: Ticks) {
    if let Some(database) = databases.iter_mut().find(|d| d.is(oid)) {
        database.running = 0;
        database.failures = 0;
        database.not_before = 0;
        database.has_extension = u8::from(has_extension || oid == CATALOG);
        database.due_at = now + RECONCILE;
    }
}

/// Whether this digest is another one than the last that was [`announced`].
pub fn is_news(databases: &[Database], oid: u32, digest: u64) -> bool {
    let database = databases.iter().find(|d| d.is(oid));
    database.is_some_and(|d| d.announced != digest)
}

/// Keeps the digest of what was announced, after the commit that announced it.
pub fn announced(databases: &mut [Database], oid: u32, digest: u64) {
    if let Some(database) = databases.iter_mut().find(|d| d.is(oid)) {
        database.announced = digest;
    }
}

/// It failed, or could not be started: again later, ever more patiently. Does nothing if it ended well.
pub fn fail(databases: &mut [Database], oid: u32, now: Ticks) {
    if let Some(database) = databases.iter_mut().find(|d| d.is(oid) && d.running != 0) {
        database.running = 0;
        database.requested = 1;
        let wait = FIRST_RETRY.saturating_mul(1 << database.failures.min(9));
        database.not_before = now + wait.min(LAST_RETRY);
        database.failures = database.failures.saturating_add(1);
    }
}

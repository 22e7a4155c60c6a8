//! The shared memory that holds `cache`: where it lies, its one lock, and waiting for it to change.
//!
//! Steady state takes no lock: a backend keeps parsed keys and compares one atomic number
//! ([`changes`]) when it decides about a token. Signatures that another process has checked ([`verified`]) are
//! looked up without one too.

mod turn;

use super::clock;
use super::settings;
use super::wait_event::WaitEvent;
use crate::cache::Ticks;
use crate::cache::databases::{self, Database};
use crate::cache::source::Source;
use crate::cache::table::{KeySlot, Subscription, Table};
use crate::cache::tally::Owner;
use crate::cache::verified::{self, Entry};
use crate::cache::waiters::{MAX_WAITERS, Waiter};
use crate::pg::process::Process;
use pgrx::{pg_guard, pg_sys};
use std::cell::Cell;
use std::ffi::CStr;
use std::mem::size_of;
use std::ptr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

pub use turn::{is_leaders_turn, note_turn, own_transaction};

const NAME: &CStr = c"pg_third_party_auth";
/// How many databases are known at a time.
const DATABASES: usize = 2048;
/// Position of AddinShmemInitLock among the main locks (storage/lwlocknames.h).
const ADDIN_SHMEM_INIT_LOCK: usize = 21;

/// How many numbers a row of counters has.
pub const COUNTERS: usize = 40;
/// Each row of counters is there so many times, so that sessions seldom meet on a cache line.
pub const PARTS: usize = 4;

/// A part of a row of counters. All zeros has counted nothing.
#[repr(C, align(64))]
pub struct Counters(pub [AtomicU64; COUNTERS]);

/// What is there once. Plain data, valid when zeroed.
#[repr(C)]
pub struct Header {
    last_generation: u64,
    changes: AtomicU64,
    /// When this memory was made.
    pub made_at: Ticks,
    /// The fetcher, if one runs.
    pub fetcher: Fetcher,
    /// Who waits.
    pub waiters: [Waiter; MAX_WAITERS],
    /// Which databases are synchronised.
    pub databases: [Database; DATABASES],
    /// How many databases found no room in that list.
    pub left_out: u32,
    /// Broadcast when anything was published or a fetch has ended.
    published: pg_sys::ConditionVariable,
}

/// What is known of the fetcher.
#[repr(C)]
pub struct Fetcher {
    /// Its process id; 0: none.
    pub pid: i32,
    /// Its latch, which lies in shared memory itself.
    latch: *mut pg_sys::Latch,
    /// When it last reported.
    pub heartbeat: Ticks,
    /// When it started, in seconds since 1970.
    pub started_at: f64,
    /// How often it started.
    pub starts: u32,
    /// Whether a sync worker could not be started for want of a slot.
    pub missing_slot: bool,
    /// Until when it fetches nothing, because it crashed again and again; 0: it fetches.
    pub safe_until: Ticks,
    /// Whether it shall end and come back.
    pub shall_restart: bool,
}

/// Where everything lies in this process.
#[derive(Clone, Copy)]
struct Area {
    header: *mut Header,
    lock: *mut pg_sys::LWLock,
    sources: *mut Source,
    keys: *mut KeySlot,
    subscriptions: *mut Subscription,
    turns: *mut AtomicU32,
    turn_count: usize,
    owners: *mut Owner,
    counters: *mut Counters,
    verified: *mut Entry,
}

static AREA: Process<Cell<Option<Area>>> = Process::new(Cell::new(None));
static NEXT_REQUEST_HOOK: Process<Cell<pg_sys::shmem_request_hook_type>> =
    Process::new(Cell::new(None));
static NEXT_STARTUP_HOOK: Process<Cell<pg_sys::shmem_startup_hook_type>> =
    Process::new(Cell::new(None));

/// Everything, while the lock is held.
pub struct State<'a> {
    /// The part that is there once.
    pub header: &'a mut Header,
    /// Sources, keys and subscriptions.
    pub table: Table<'a>,
    /// Whose each row of counters is.
    pub owners: &'a mut [Owner],
}

/// Whether the library is being preloaded by a server that will run.
pub fn may_preload() -> bool {
    // SAFETY: reads two variables.
    unsafe { pg_sys::process_shared_preload_libraries_in_progress && !pg_sys::IsBinaryUpgrade }
}

/// Whether there is shared memory, that is: whether the library was preloaded.
pub fn is_there() -> bool {
    AREA.get().get().is_some()
}

/// Asks for the memory.
pub fn request() {
    // SAFETY: while libraries are preloaded the postmaster is single-threaded; both hooks are chained.
    unsafe {
        NEXT_REQUEST_HOOK.get().set(pg_sys::shmem_request_hook);
        pg_sys::shmem_request_hook = Some(on_request);
        NEXT_STARTUP_HOOK.get().set(pg_sys::shmem_startup_hook);
        pg_sys::shmem_startup_hook = Some(on_startup);
    }
}

fn aligned(size: usize) -> usize {
    size.next_multiple_of(64)
}

/// Processes that can set `request.jwt`: the auxiliary ones cannot.
fn turn_count() -> usize {
    // SAFETY: reads a variable that is set before the request hook runs.
    unsafe { pg_sys::MaxBackends.max(0) as usize }
}

/// Rows of counters: providers of several databases may share a slot, and each database has one of none.
fn counter_rows() -> usize {
    2 * settings::max_providers() + 16
}

/// Entries for signatures that were found good.
fn verified_entries() -> usize {
    verified::entries(settings::verified_tokens())
}

fn total_size() -> usize {
    aligned(size_of::<Header>())
        + aligned(size_of::<Source>() * settings::max_providers())
        + aligned(size_of::<Subscription>() * settings::max_providers())
        + aligned(size_of::<KeySlot>() * settings::max_keys())
        + aligned(size_of::<AtomicU32>() * turn_count())
        + aligned(size_of::<Owner>() * counter_rows())
        + aligned(size_of::<Counters>() * PARTS * counter_rows())
        + aligned(size_of::<Entry>() * verified_entries())
}

#[pg_guard]
unsafe extern "C-unwind" fn on_request() {
    // SAFETY: called by PostgreSQL when memory may be asked for.
    unsafe {
        if let Some(next) = NEXT_REQUEST_HOOK.get().get() {
            next();
        }
        pg_sys::RequestAddinShmemSpace(total_size());
        pg_sys::RequestNamedLWLockTranche(NAME.as_ptr(), 1);
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn on_startup() {
    // SAFETY: called by PostgreSQL when shared memory exists; AddinShmemInitLock serialises processes
    // that attach (EXEC_BACKEND). The memory is zeroed in place, never built on the stack, and every
    // slot type is plain data for which zeros are valid.
    unsafe {
        if let Some(next) = NEXT_STARTUP_HOOK.get().get() {
            next();
        }
        let init_lock = &raw mut (*pg_sys::MainLWLockArray.add(ADDIN_SHMEM_INIT_LOCK)).lock;
        pg_sys::LWLockAcquire(init_lock, pg_sys::LWLockMode::LW_EXCLUSIVE);
        let mut found = false;
        let start = pg_sys::ShmemInitStruct(NAME.as_ptr(), total_size(), &mut found).cast::<u8>();
        let mut offset = 0;
        let mut place = |size: usize| {
            let here = start.add(offset);
            offset += aligned(size);
            here
        };
        let area = Area {
            header: place(size_of::<Header>()).cast(),
            lock: &raw mut (*pg_sys::GetNamedLWLockTranche(NAME.as_ptr())).lock,
            sources: place(size_of::<Source>() * settings::max_providers()).cast(),
            subscriptions: place(size_of::<Subscription>() * settings::max_providers()).cast(),
            keys: place(size_of::<KeySlot>() * settings::max_keys()).cast(),
            turns: place(size_of::<AtomicU32>() * turn_count()).cast(),
            turn_count: turn_count(),
            owners: place(size_of::<Owner>() * counter_rows()).cast(),
            counters: place(size_of::<Counters>() * PARTS * counter_rows()).cast(),
            verified: place(size_of::<Entry>() * verified_entries()).cast(),
        };
        if !found {
            ptr::write_bytes(start, 0, total_size());
            // A generation never repeats, also not after a crash: it starts at the time of the start.
            let boot = (clock::unix_time() * 1e6) as u64;
            (*area.header).last_generation = boot;
            (*area.header).changes.store(boot, Ordering::Relaxed);
            (*area.header).made_at = clock::ticks();
            pg_sys::ConditionVariableInit(&raw mut (*area.header).published);
        }
        pg_sys::LWLockRelease(init_lock);
        AREA.get().set(Some(area));
    }
}

/// Runs `work` while nobody else looks at the table; `None` if there is none.
///
/// `work` may only copy: it must not call PostgreSQL, allocate or panic.
pub fn locked<R>(work: impl FnOnce(&mut State<'_>) -> R) -> Option<R> {
    /// Releases the lock also when `work` panics against the rule.
    struct Held(*mut pg_sys::LWLock);
    impl Drop for Held {
        fn drop(&mut self) {
            // SAFETY: acquired below, by this process.
            unsafe { pg_sys::LWLockRelease(self.0) };
        }
    }

    let area = AREA.get().get()?;
    // SAFETY: the lock lies in shared memory for the life of the server.
    unsafe { pg_sys::LWLockAcquire(area.lock, pg_sys::LWLockMode::LW_EXCLUSIVE) };
    let held = Held(area.lock);
    // SAFETY: the pointers were laid out by on_startup over memory of that many zeroed or written
    // slots; the exclusive lock makes these references the only ones, and they end before it does.
    let (result, generation) = unsafe {
        let header = &mut *area.header;
        let mut generation = header.last_generation;
        let mut state = State {
            header,
            table: Table {
                last_generation: &mut generation,
                sources: std::slice::from_raw_parts_mut(area.sources, settings::max_providers()),
                keys: std::slice::from_raw_parts_mut(area.keys, settings::max_keys()),
                subscriptions: std::slice::from_raw_parts_mut(
                    area.subscriptions,
                    settings::max_providers(),
                ),
            },
            owners: std::slice::from_raw_parts_mut(area.owners, counter_rows()),
        };
        (work(&mut state), generation)
    };
    // SAFETY: still under the lock; `changes` is atomic because it is read without it.
    unsafe {
        (*area.header).last_generation = generation;
        (*area.header).changes.store(generation, Ordering::Release);
    }
    drop(held);
    Some(result)
}

/// A number that moves whenever any key changes; 0 without shared memory.
#[inline]
pub fn changes() -> u64 {
    // SAFETY: the header lies in shared memory for the life of the server, the field is atomic.
    AREA.get().get().map_or(0, |area| unsafe {
        (*area.header).changes.load(Ordering::Acquire)
    })
}

/// All parts of all rows of counters, part by part; none without shared memory.
pub fn counters() -> &'static [Counters] {
    AREA.get().get().map_or(&[], |area| {
        // SAFETY: laid out by on_startup for the life of the server, aligned because PostgreSQL aligns
        // what it hands out to 128 bytes and every part before is a multiple of 64; only atomics.
        unsafe { std::slice::from_raw_parts(area.counters, PARTS * counter_rows()) }
    })
}

/// The signatures that were found good; none without shared memory.
pub fn verified() -> &'static [Entry] {
    AREA.get().get().map_or(&[], |area| {
        // SAFETY: laid out by on_startup for the life of the server, zeroed before anyone saw it, and
        // aligned as counters are; only atomics.
        unsafe { std::slice::from_raw_parts(area.verified, verified_entries()) }
    })
}

/// Whether one more provider would get a slot.
pub fn has_free_slot() -> bool {
    let now = clock::ticks();
    locked(|state| state.table.has_room(now)).unwrap_or(false)
}

/// Wakes the fetcher, if one runs.
pub fn wake_fetcher() {
    let latch = locked(|state| state.header.fetcher.latch).unwrap_or(ptr::null_mut());
    if !latch.is_null() {
        // SAFETY: latches lie in PGPROC, in shared memory, for the life of the server; setting the latch
        // of a process that has just gone wakes its slot's next owner once for nothing.
        unsafe { pg_sys::SetLatch(latch) };
    }
}

/// The fetcher says that it is there.
pub fn enrol_fetcher(now: Ticks, started_at: f64) {
    // SAFETY: MyProcPid and MyLatch are set before a worker's main function runs.
    let (pid, latch) = unsafe { (pg_sys::MyProcPid, pg_sys::MyLatch) };
    locked(|state| {
        let fetcher = &mut state.header.fetcher;
        fetcher.pid = pid;
        fetcher.latch = latch;
        fetcher.heartbeat = now;
        fetcher.started_at = started_at;
        fetcher.starts = fetcher.starts.saturating_add(1);
    });
}

/// The fetcher says that it goes.
pub fn dismiss_fetcher() {
    // SAFETY: reads a variable.
    let pid = unsafe { pg_sys::MyProcPid };
    locked(|state| {
        if state.header.fetcher.pid == pid {
            state.header.fetcher.pid = 0;
            state.header.fetcher.latch = ptr::null_mut();
        }
    });
}

/// Wakes everyone that waits.
pub fn announce() {
    if let Some(area) = AREA.get().get() {
        // SAFETY: initialised by on_startup.
        unsafe { pg_sys::ConditionVariableBroadcast(&raw mut (*area.header).published) };
    }
}

/// The workers shall look at this database.
pub fn request_sync() {
    // SAFETY: reads a variable.
    let database = unsafe { pg_sys::MyDatabaseId }.to_u32();
    locked(|state| databases::request(&mut state.header.databases, database));
    wake_fetcher();
}

/// Waits until `ready` has an answer or the time is over. Can be cancelled; raises then.
pub fn wait_until<R>(deadline: Ticks, mut ready: impl FnMut() -> Option<R>) -> Option<R> {
    let area = AREA.get().get()?;
    let wait_event = WaitEvent::Keys.number();
    // SAFETY: initialised by on_startup. Prepared before the condition is looked at, so that no
    // broadcast is missed; the transaction's end cancels the sleep too, should an error leave here.
    let variable = unsafe { &raw mut (*area.header).published };
    unsafe { pg_sys::ConditionVariablePrepareToSleep(variable) };
    let answer = loop {
        if let Some(answer) = ready() {
            break Some(answer);
        }
        let now = clock::ticks();
        if now >= deadline {
            break None;
        }
        // SAFETY: as above.
        unsafe {
            pg_sys::ConditionVariableTimedSleep(variable, (deadline - now) as i64, wait_event)
        };
    };
    // SAFETY: ends what was prepared.
    unsafe { pg_sys::ConditionVariableCancelSleep() };
    answer
}

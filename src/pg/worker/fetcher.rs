//! The process that talks to the network: schedules, budgets, publishes, wakes.
//!
//! Its main thread never blocks on the network: HTTP runs in at most four threads, with all signals
//! blocked and no call into PostgreSQL. It always exits with status 1, because 0 would mean "never
//! again" and anything else a crash of the whole server.

use super::super::{clock, settings, shared};
use super::{heartbeat, start_sync};
use crate::cache::Ticks;
use crate::cache::databases::{self, CATALOG};
use crate::cache::record::Record;
use crate::cache::source::Source;
use crate::cache::text::Text;
use crate::fetch::{self, FetchError, Outcome, Validators, schedule};
use crate::provider::KeyAddress;
use parking_lot::Mutex;
use pgrx::bgworkers::{
    BackgroundWorker, BackgroundWorkerStatus, DynamicBackgroundWorker, SignalWakeFlags,
};
use pgrx::{log, pg_guard, pg_sys, warning};
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

/// How many fetches run at a time.
const THREADS: usize = 4;
/// The longest pause between two looks at everything, in milliseconds.
const TICK: i64 = 1_000;
/// While a sync worker runs it is looked after more often.
const BUSY_TICK: i64 = 50;
/// A provider that keeps failing is mentioned in the log every so many failures.
const REMINDER: u32 = 12;

/// A fetch that has ended.
struct Finished {
    address: KeyAddress,
    outcome: Result<Outcome, FetchError>,
}

/// What the threads share with the main thread.
struct Mailbox {
    finished: Mutex<Vec<Finished>>,
    bell: UnixStream,
}

/// The sync worker that runs.
struct Sync {
    database: u32,
    worker: DynamicBackgroundWorker,
    /// When it is ended if it has not ended itself.
    end_after: Ticks,
}

struct Fetcher {
    mailbox: Arc<Mailbox>,
    bell: UnixStream,
    in_flight: usize,
    sync: Option<Sync>,
    was_in_recovery: bool,
    random: u64,
}

/// The main function of the fetcher.
#[pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn third_party_auth_fetcher(_argument: pg_sys::Datum) {
    BackgroundWorker::attach_signal_handlers(SignalWakeFlags::SIGHUP | SignalWakeFlags::SIGTERM);
    // SAFETY: the callback is guarded and takes no argument.
    unsafe { pg_sys::before_shmem_exit(Some(on_exit), pg_sys::Datum::null()) };
    let now = clock::ticks();
    shared::enrol_fetcher(now, clock::unix_time());
    shared::locked(|state| {
        for source in state.table.sources.iter_mut() {
            source.abandon(now);
        }
        databases::request(&mut state.header.databases, CATALOG);
    });
    match UnixStream::pair() {
        Ok((ours, theirs)) => Fetcher::new(ours, theirs).run(),
        Err(error) => warning!("pg_third_party_auth: the fetcher cannot start: {error}"),
    }
    // SAFETY: ends this process in PostgreSQL's way; nothing here has to be dropped.
    unsafe { pg_sys::proc_exit(1) };
}

#[pg_guard]
unsafe extern "C-unwind" fn on_exit(_code: i32, _argument: pg_sys::Datum) {
    shared::dismiss_fetcher();
}

impl Fetcher {
    fn new(ours: UnixStream, theirs: UnixStream) -> Self {
        // A bell that cannot ring for being full has rung.
        let _ = ours.set_nonblocking(true);
        let _ = theirs.set_nonblocking(true);
        Fetcher {
            mailbox: Arc::new(Mailbox {
                finished: Mutex::new(Vec::new()),
                bell: theirs,
            }),
            bell: ours,
            in_flight: 0,
            sync: None,
            // SAFETY: reads shared state.
            was_in_recovery: unsafe { pg_sys::RecoveryInProgress() },
            random: clock::ticks() | 1,
        }
    }

    fn run(mut self) {
        while !BackgroundWorker::sigterm_received() {
            #[cfg(feature = "pg_test")]
            super::inject::fault();
            if BackgroundWorker::sighup_received() {
                // SAFETY: on the main thread, outside any transaction.
                unsafe { pg_sys::ProcessConfigFile(pg_sys::GucContext::PGC_SIGHUP) };
                hasten(clock::ticks());
            }
            let now = clock::ticks();
            shared::locked(|state| state.header.fetcher.heartbeat = now);
            self.look_after_sync(now);
            self.collect(now);
            // SAFETY: reads shared state.
            let in_recovery = unsafe { pg_sys::RecoveryInProgress() };
            if self.was_in_recovery && !in_recovery {
                // Promoted: every database is looked at again.
                self.was_in_recovery = false;
                shared::locked(|state| {
                    databases::request_all(&mut state.header.databases);
                    databases::request(&mut state.header.databases, CATALOG);
                });
            }
            if !in_recovery || settings::fetch_on_standby() {
                if shared::locked(|state| state.table.drop_gone(now)) == Some(true) {
                    shared::announce();
                }
                self.start_fetches(now);
                self.start_sync(now, in_recovery);
            }
            self.wait();
        }
    }

    fn wait(&mut self) {
        let events = pg_sys::WL_LATCH_SET
            | pg_sys::WL_SOCKET_READABLE
            | pg_sys::WL_TIMEOUT
            | pg_sys::WL_EXIT_ON_PM_DEATH;
        let tick = if self.sync.is_some() { BUSY_TICK } else { TICK };
        // SAFETY: the descriptor is open as long as self is.
        unsafe {
            pg_sys::WaitLatchOrSocket(
                pg_sys::MyLatch,
                events as i32,
                self.bell.as_raw_fd(),
                tick,
                pg_sys::PG_WAIT_EXTENSION,
            );
            pg_sys::ResetLatch(pg_sys::MyLatch);
            pg_sys::check_for_interrupts!();
        }
        let mut rung = [0; 64];
        while matches!(self.bell.read(&mut rung), Ok(count) if count > 0) {}
    }

    fn start_fetches(&mut self, now: Ticks) {
        while self.in_flight < THREADS {
            let unix = clock::unix_time();
            let begun = shared::locked(|state| {
                let sources = &state.table.sources;
                let due = (0..sources.len()).filter(|&one| sources[one].is_due(now));
                let position = due.min_by_key(|&one| sources[one].urgency())?;
                state.table.sources[position].begin(now, unix);
                Some(state.table.sources[position])
            });
            let Some(source) = begun.flatten() else {
                return;
            };
            self.start_fetch(&source, now);
        }
    }

    fn start_fetch(&mut self, source: &Source, now: Ticks) {
        let address = source.address();
        let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let validators = Validators {
            etag: given(source.etag.as_str()),
            last_modified: given(source.last_modified.as_str()),
            source: source.validators_of,
        };
        let rules = settings::fetch_rules();
        let mailbox = Arc::clone(&self.mailbox);
        let job = {
            let address = address.clone();
            move || {
                let outcome = fetch::fetch(&address, &validators, &rules);
                mailbox.finished.lock().push(Finished { address, outcome });
                let _ = (&mailbox.bell).write(&[1]);
            }
        };
        match spawn_without_signals(job) {
            Ok(()) => self.in_flight += 1,
            Err(error) => {
                let why = format!("no thread could be started: {error}");
                let hint = "Look at the limits of processes and threads of the server's user.";
                self.failed(&address, now, &why, hint);
            }
        }
    }

    fn collect(&mut self, now: Ticks) {
        let finished = std::mem::take(&mut *self.mailbox.finished.lock());
        for Finished { address, outcome } in finished {
            self.in_flight = self.in_flight.saturating_sub(1);
            shared::locked(|state| {
                if state.table.find(&address).is_none() {
                    state.table.end_unwanted(&address, now);
                }
            });
            match outcome {
                Ok(outcome) => self.succeeded(&address, now, outcome),
                Err(error) => self.failed(&address, now, &error.to_string(), error.hint()),
            }
        }
    }

    fn succeeded(&mut self, address: &KeyAddress, now: Ticks, outcome: Outcome) {
        let jitter = self.jitter();
        let interval = interval();
        let next = |max_age| ticks(schedule::next_refresh(interval, max_age, jitter));
        let unix = clock::unix_time();
        let published = match outcome {
            Outcome::NotModified { max_age } => {
                let next = next(max_age);
                shared::locked(|state| {
                    let position = state.table.find(address)?;
                    let source = &mut state.table.sources[position];
                    let recovered = source.failures;
                    source.succeed(now, unix, next);
                    Some((Ok(false), recovered))
                })
            }
            Outcome::Keys {
                reading,
                validators,
                max_age,
                jwks_uri,
            } => {
                let next = next(max_age);
                let records: Vec<Record> = reading
                    .keys
                    .keys
                    .iter()
                    .filter_map(|key| Record::of(key))
                    .collect();
                let grace = ticks(settings::removed_key_grace());
                let etag = Text::cut(validators.etag.as_deref().unwrap_or_default());
                let last_modified =
                    Text::cut(validators.last_modified.as_deref().unwrap_or_default());
                let jwks_uri = Text::cut(&jwks_uri);
                shared::locked(|state| {
                    let position = state.table.find(address)?;
                    let published = state.table.publish(position, &records, now, grace);
                    let source = &mut state.table.sources[position];
                    let recovered = source.failures;
                    if published.is_ok() {
                        if published == Ok(true) {
                            source.cancel_follow_up();
                        }
                        source.succeed(now, unix, next);
                        source.etag = etag;
                        source.last_modified = last_modified;
                        source.validators_of = validators.source;
                        source.jwks_uri = jwks_uri;
                    }
                    Some((published, recovered))
                })
            }
        };
        match published.flatten() {
            Some((Ok(changed), failures)) => {
                let url = address.url();
                if failures > 0 {
                    log!("pg_third_party_auth: {url} answers again after {failures} failures");
                }
                if changed {
                    log!("pg_third_party_auth: the keys of {url} have changed");
                }
                shared::announce();
            }
            Some((Err(_), _)) => {
                let why = "no room: third_party_auth.max_keys is reached";
                self.failed(address, now, why, "Raise it and restart the server.");
            }
            // Unsubscribed meanwhile.
            None => {}
        }
    }

    fn failed(&mut self, address: &KeyAddress, now: Ticks, why: &str, hint: &str) {
        let jitter = self.jitter();
        let unix = clock::unix_time();
        let failures = shared::locked(|state| {
            let position = state.table.find(address)?;
            let source = &mut state.table.sources[position];
            let next = ticks(schedule::back_off(source.failures + 1, jitter));
            source.fail(now, unix, next, why, hint);
            Some(source.failures)
        });
        if let Some(failures) = failures.flatten()
            && (failures == 1 || failures % REMINDER == 0)
        {
            warning!(
                "pg_third_party_auth: the keys of {} cannot be fetched ({failures}): {why}. {hint}",
                address.url()
            );
        }
        shared::announce();
    }

    fn start_sync(&mut self, now: Ticks, in_recovery: bool) {
        if self.sync.is_some() {
            return;
        }
        let heartbeat = heartbeat();
        let due = shared::locked(|state| {
            let mut after = 0;
            // A standby cannot write into its tables.
            while let Some(database) = state.table.next_database(after).filter(|_| !in_recovery) {
                if state.table.is_unpersisted(database, heartbeat, now) {
                    databases::request(&mut state.header.databases, database);
                }
                after = database;
            }
            let next = databases::next(&state.header.databases, now)?;
            databases::begin(&mut state.header.databases, next, now);
            Some(next)
        });
        let Some(database) = due.flatten() else {
            return;
        };
        let started = start_sync(database);
        let missing = started.is_err();
        match started {
            Ok(worker) => {
                self.sync = Some(Sync {
                    database,
                    worker,
                    end_after: now + databases::RUN_LIMIT,
                });
            }
            Err(_) => {
                shared::locked(|state| databases::fail(&mut state.header.databases, database, now));
            }
        }
        let was_missing = shared::locked(|state| {
            std::mem::replace(&mut state.header.fetcher.missing_slot, missing)
        });
        if missing && was_missing == Some(false) {
            warning!(
                "pg_third_party_auth: no worker slot is left, keys are not stored; raise \
                 max_worker_processes"
            );
        }
    }

    /// A sync worker says itself that it ended well; one that is gone without doing so has failed. One
    /// that is stuck, behind a lock on its database say, is ended, so that the others get their turn.
    fn look_after_sync(&mut self, now: Ticks) {
        let Some(sync) = self.sync.take() else {
            return;
        };
        let is_gone = matches!(sync.worker.pid(), Err(BackgroundWorkerStatus::Stopped));
        if !is_gone && now < sync.end_after {
            self.sync = Some(sync);
            return;
        }
        shared::locked(|state| databases::fail(&mut state.header.databases, sync.database, now));
        if !is_gone {
            sync.worker.terminate();
        }
    }

    /// A number from 0 to 1 that need not be a secret: it spreads requests.
    fn jitter(&mut self) -> f64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// The longest time between two fetches: keys have to be confirmed well before they are too old to be
/// trusted.
fn interval() -> Duration {
    settings::refresh_interval().min(settings::max_stale() / 2)
}

/// A changed interval counts for the fetches that are planned already.
fn hasten(now: Ticks) {
    let (unix, longest) = (clock::unix_time(), ticks(interval()));
    shared::locked(|state| {
        for source in state.table.sources.iter_mut() {
            source.hasten(now, unix, longest);
        }
    });
}

fn ticks(duration: Duration) -> Ticks {
    duration.as_millis() as Ticks
}

/// Starts a thread in which no signal handler of PostgreSQL can run, nor in any thread it starts.
fn spawn_without_signals(work: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
    // SAFETY: both sets are initialised before they are read; the mask of this thread is restored.
    unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        let mut before: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &all, &mut before);
        let started = std::thread::Builder::new()
            .name("jwks".to_owned())
            .spawn(work);
        libc::pthread_sigmask(libc::SIG_SETMASK, &before, std::ptr::null_mut());
        started.map(drop)
    }
}

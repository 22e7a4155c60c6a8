//! The process that talks to the network: schedules, budgets, publishes, wakes.
//!
//! Its main thread never blocks on the network: HTTP runs in at most four threads, with all signals
//! blocked and no call into PostgreSQL. It always exits with status 1, because 0 would mean "never
//! again" and anything else a crash of the whole server.

use super::super::wait_event::WaitEvent;
use super::super::{clock, settings, shared};
use super::guard::{self, Guard};
use super::outcome::{self, interval, ticks};
use super::{heartbeat, set_title, start_sync};
use crate::cache::Ticks;
use crate::cache::databases::{self, CATALOG};
use crate::cache::source::Source;
use crate::fetch::{self, FetchError, Outcome, Validators};
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
    guard: Guard,
    /// Until when nothing is fetched; 0: no safe mode.
    safe_until: Ticks,
    asked: Vec<KeyAddress>,
    title: String,
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
    let (mut guard, rest) = Guard::start();
    let shall_restart = shared::locked(|state| state.header.fetcher.shall_restart);
    let safe_until = match rest {
        // Asked for while there was no fetcher.
        Some(_) if shall_restart == Some(true) => {
            guard.forget();
            0
        }
        Some(rest) => now + ticks(Duration::from_secs_f64(rest)),
        None => 0,
    };
    shared::locked(|state| {
        state.header.fetcher.shall_restart = false;
        state.header.fetcher.safe_until = safe_until;
        for source in state.table.sources.iter_mut() {
            source.abandon(now);
        }
        databases::request(&mut state.header.databases, CATALOG);
    });
    match UnixStream::pair() {
        Ok((ours, theirs)) => Fetcher::new(ours, theirs, guard, safe_until).run(),
        Err(error) => warning!("pg_third_party_auth: the fetcher cannot start: {error}"),
    }
    // SAFETY: ends this process in PostgreSQL's way; nothing here has to be dropped.
    unsafe { pg_sys::proc_exit(1) };
}

#[pg_guard]
unsafe extern "C-unwind" fn on_exit(_code: i32, _argument: pg_sys::Datum) {
    guard::unmark();
    shared::dismiss_fetcher();
}

impl Fetcher {
    fn new(ours: UnixStream, theirs: UnixStream, guard: Guard, safe_until: Ticks) -> Self {
        // A bell that cannot ring for being full has rung.
        let _ = ours.set_nonblocking(true);
        let _ = theirs.set_nonblocking(true);
        Fetcher {
            mailbox: Arc::new(Mailbox {
                finished: Mutex::new(Vec::new()),
                bell: theirs,
            }),
            bell: ours,
            guard,
            safe_until,
            asked: Vec::new(),
            title: String::new(),
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
            let shall_restart = shared::locked(|state| {
                state.header.fetcher.heartbeat = now;
                state.header.fetcher.shall_restart
            });
            if shall_restart == Some(true) {
                log!(
                    "pg_third_party_auth: the fetcher ends and comes back, as restart_worker() asks"
                );
                self.guard.forget();
                shared::locked(|state| state.header.fetcher.shall_restart = false);
                return;
            }
            self.look_after_sync(now);
            self.collect(now);
            self.leave_safe_mode(now);
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
                if self.safe_until == 0 {
                    self.start_fetches(now);
                }
                self.start_sync(now, in_recovery);
            }
            self.show();
            self.wait();
        }
    }

    fn leave_safe_mode(&mut self, now: Ticks) {
        if self.safe_until != 0 && now >= self.safe_until {
            self.safe_until = 0;
            shared::locked(|state| state.header.fetcher.safe_until = 0);
            log!("pg_third_party_auth: the safe mode is over, keys are fetched again");
        }
    }

    /// What `ps` shows.
    fn show(&mut self) {
        let title = match self.asked.len() {
            0 if self.safe_until != 0 => "in safe mode".to_owned(),
            0 => "idle".to_owned(),
            count => format!("fetching {count}"),
        };
        if title != self.title {
            set_title(&title);
            self.title = title;
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
                WaitEvent::Fetcher.number(),
            );
            pg_sys::ResetLatch(pg_sys::MyLatch);
            pg_sys::check_for_interrupts!();
        }
        let mut rung = [0; 64];
        while matches!(self.bell.read(&mut rung), Ok(count) if count > 0) {}
    }

    fn start_fetches(&mut self, now: Ticks) {
        while self.asked.len() < THREADS {
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
        // Before anything is read that somebody else has written.
        self.asked.push(address.clone());
        self.guard.mark(&self.asked);
        match spawn_without_signals(job) {
            Ok(()) => {}
            Err(error) => {
                self.answered(&address);
                let why = format!("no thread could be started: {error}");
                let hint = "Look at the limits of processes and threads of the server's user.";
                outcome::failed(&address, now, self.jitter(), &why, hint);
            }
        }
    }

    /// Nothing of this address' answer is left to be read.
    fn answered(&mut self, address: &KeyAddress) {
        if let Some(position) = self.asked.iter().position(|asked| asked == address) {
            self.asked.swap_remove(position);
        }
        self.guard.mark(&self.asked);
    }

    fn collect(&mut self, now: Ticks) {
        let finished = std::mem::take(&mut *self.mailbox.finished.lock());
        for Finished { address, outcome } in finished {
            shared::locked(|state| {
                if state.table.find(&address).is_none() {
                    state.table.end_unwanted(&address, now);
                }
            });
            match outcome {
                Ok(outcome) => outcome::succeeded(&address, now, self.jitter(), outcome),
                Err(error) => {
                    let (why, hint) = (error.to_string(), error.hint());
                    outcome::failed(&address, now, self.jitter(), &why, hint);
                }
            }
            self.answered(&address);
        }
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
            if state.table.has_room(now) {
                databases::request_crowded(&mut state.header.databases);
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

/// A changed interval counts for the fetches that are planned already.
fn hasten(now: Ticks) {
    let (unix, longest) = (clock::unix_time(), ticks(interval()));
    shared::locked(|state| {
        for source in state.table.sources.iter_mut() {
            source.hasten(now, unix, longest);
        }
    });
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

//! The files of the guard against a loop of crashes (`fetch::guard` has its logic), and the signal at which
//! nobody may blame the fetcher.
//!
//! They lie in `pg_stat_tmp`, which survives a crash and is in no base backup. A file that cannot be
//! written stops nothing: the guard is then not there, and the log says so.

use crate::fetch::guard::{self, History, MAX_TEXT_BYTES, Start};
use crate::pg::{clock, version};
use crate::provider::KeyAddress;
use pgrx::{log, pg_sys, warning};
use std::ffi::CStr;
use std::fs::{self, File};
use std::io::{self, Read};

/// Relative to the data directory, where every process of the server is.
const HISTORY: &str = "pg_stat_tmp/pg_third_party_auth.guard";
const MARK: &CStr = c"pg_stat_tmp/pg_third_party_auth.fetching";
const NEW: &str = "pg_stat_tmp/pg_third_party_auth.new";
/// Changes when the machine starts.
const BOOT: &str = "/proc/sys/kernel/random/boot_id";

/// The guard of this fetcher.
pub struct Guard {
    boot: String,
    is_marked: bool,
    is_broken: bool,
}

impl Guard {
    /// Looks at what the last fetcher left behind. The second value is for how many seconds nothing may be
    /// fetched, if so.
    pub fn start() -> (Guard, Option<f64>) {
        die_without_blame();
        let boot = read(BOOT).unwrap_or_default().trim().to_owned();
        let mut guard = Guard {
            boot,
            is_marked: false,
            is_broken: false,
        };
        let mark = read(mark_path()).and_then(|text| guard::read_mark(&text, &guard.boot));
        unmark();
        let text = read(HISTORY).unwrap_or_default();
        let mut history = History::read(&text, &guard.boot);
        let start = history.start(mark.as_ref(), clock::unix_time());
        if start != Start::Normal {
            let text = history.to_text(&guard.boot);
            guard.write(HISTORY, &text);
        }
        let asked = mark.map_or_else(String::new, |mark| mark.asked.join(", "));
        (guard, say(start, &asked))
    }

    /// Leaves a mark while these addresses are asked; none: takes it away.
    pub fn mark(&mut self, asked: &[KeyAddress]) {
        if !asked.is_empty() {
            let text = guard::mark(asked, &self.boot, clock::unix_time());
            self.write(mark_path(), &text);
            self.is_marked = true;
        } else if std::mem::take(&mut self.is_marked) {
            unmark();
        }
    }

    /// What happened before does not count any more.
    pub fn forget(&mut self) {
        unmark();
        let _ = fs::remove_file(HISTORY);
    }

    /// In one piece: whoever reads it finds the old text or the new one.
    fn write(&mut self, path: &str, text: &str) {
        let written = fs::write(NEW, text).and_then(|()| fs::rename(NEW, path));
        match written {
            Ok(()) => self.is_broken = false,
            Err(error) if !self.is_broken => {
                self.is_broken = true;
                warning!(
                    "pg_third_party_auth: {path} cannot be written ({error}): should the fetcher crash again and \
                     again, nothing stops it"
                );
            }
            Err(_) => {}
        }
    }
}

/// The fetcher ends in order: it was fetching, but did not die of it.
pub fn unmark() {
    let _ = fs::remove_file(mark_path());
}

fn mark_path() -> &'static str {
    MARK.to_str().unwrap_or_default()
}

/// A whole file, if it is no longer than a text of ours.
fn read(path: &str) -> Option<String> {
    let read = || -> io::Result<String> {
        let mut text = String::new();
        File::open(path)?
            .take(MAX_TEXT_BYTES)
            .read_to_string(&mut text)?;
        Ok(text)
    };
    read().ok()
}

fn say(start: Start, asked: &str) -> Option<f64> {
    match start {
        Start::Normal => None,
        Start::AfterUncleanEnd => {
            warning!("pg_third_party_auth: the fetcher crashed while it asked {asked}");
            None
        }
        Start::SafeModeBegins(rest) => {
            warning!(
                "pg_third_party_auth: the fetcher crashed {} times within {} s, the last time while it asked \
                 {asked}: safe mode, nothing is fetched for {rest:.0} s. Known keys stay usable; \
                 third_party_auth.restart_worker() ends the safe mode.",
                guard::UNCLEAN_ENDS,
                guard::WINDOW
            );
            Some(rest)
        }
        Start::SafeModeGoesOn(rest) => {
            log!("pg_third_party_auth: safe mode, nothing is fetched for {rest:.0} s");
            Some(rest)
        }
    }
}

/// When another process crashes, or the server is stopped at once, the postmaster ends this one with
/// SIGQUIT: it did not crash itself.
fn die_without_blame() {
    // SAFETY: the handler calls only what a signal handler may.
    unsafe { version::handle_signal(pg_sys::SIGQUIT as i32, on_quit) };
}

/// As PostgreSQL's own handler for this signal, after the mark is gone. Not guarded: nothing in it panics.
unsafe extern "C-unwind" fn on_quit(_signal: i32) {
    // SAFETY: both are async-signal-safe (POSIX.1-2017 §2.4.3).
    unsafe {
        libc::unlink(MARK.as_ptr());
        libc::_exit(2);
    }
}

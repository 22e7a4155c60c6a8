//! How long a top-level statement may still wait.
//!
//! `key_wait` is a limit for the whole statement: one that judges a thousand tokens with unknown keys
//! waits no longer than one that judges a single one.

use super::process::Process;
use super::{clock, settings};
use crate::cache::Ticks;
use std::cell::Cell;

/// The statement (by the time it began), and how long it has waited, in milliseconds.
static WAITED: Process<Cell<(i64, Ticks)>> = Process::new(Cell::new((0, 0)));

/// A wait of the current statement; it counts from now until it is dropped.
pub struct Wait {
    began: Ticks,
    /// When it has to end.
    pub deadline: Ticks,
}

impl Wait {
    /// Begins to wait. The deadline may have passed already.
    pub fn begin() -> Self {
        let statement = clock::statement();
        let (of, waited) = WAITED.get().get();
        let waited = if of == statement { waited } else { 0 };
        WAITED.get().set((statement, waited));
        let limit = settings::key_wait().as_millis() as Ticks;
        let began = clock::ticks();
        Wait {
            began,
            deadline: began + limit.saturating_sub(waited),
        }
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        let (statement, waited) = WAITED.get().get();
        let now = clock::ticks().saturating_sub(self.began);
        WAITED.get().set((statement, waited + now));
    }
}

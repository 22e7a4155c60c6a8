//! Whether the fetcher can be expected to fetch anything, and if not, why.

use super::clock;
use super::errors::SqlError;
use super::shared::{self, Header};
use crate::cache::Ticks;
use pgrx::PgSqlErrorCode;

/// A fetcher that has not reported for so long is not there (milliseconds).
const HEARTBEAT_LIMIT: Ticks = 5_000;
/// PostgreSQL starts it right away. If none has come for so long there was no slot for it: the postmaster
/// then only writes a line to the log (milliseconds).
const START_LIMIT: Ticks = 5_000;

/// Why nothing is fetched, whatever is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Obstacle {
    /// It crashed again and again.
    SafeMode,
    /// There was no worker slot for it.
    NoSlot,
}

/// What keeps the fetcher from fetching; `None`: nothing, or nothing that would last.
pub fn obstacle() -> Option<Obstacle> {
    let now = clock::ticks();
    shared::locked(|state| obstacle_in(state.header, now)).flatten()
}

/// As [`obstacle`], for those who hold the lock.
pub fn obstacle_in(header: &Header, now: Ticks) -> Option<Obstacle> {
    let fetcher = &header.fetcher;
    if now < fetcher.safe_until {
        Some(Obstacle::SafeMode)
    } else if fetcher.starts == 0 && now > header.made_at + START_LIMIT {
        Some(Obstacle::NoSlot)
    } else {
        None
    }
}

/// Whether the fetcher runs.
pub fn is_alive() -> bool {
    let now = clock::ticks();
    shared::locked(|state| {
        let fetcher = &state.header.fetcher;
        fetcher.pid != 0 && now < fetcher.heartbeat + HEARTBEAT_LIMIT
    })
    .unwrap_or(false)
}

/// Whether the last sync worker could not be started for want of a slot.
pub fn is_sync_without_slot() -> bool {
    shared::locked(|state| state.header.fetcher.missing_slot).unwrap_or(false)
}

impl Obstacle {
    /// What is the case, in a few words.
    pub fn message(self) -> &'static str {
        match self {
            Obstacle::SafeMode => "the fetcher crashed again and again and is in safe mode",
            Obstacle::NoSlot => "there was no worker slot for the fetcher",
        }
    }

    /// What to do about it.
    pub fn hint(self) -> &'static str {
        match self {
            Obstacle::SafeMode => {
                "The server's log says what it asked when it crashed. It fetches again after 10 minutes, or as \
                 soon as somebody calls third_party_auth.restart_worker()."
            }
            Obstacle::NoSlot => "Raise max_worker_processes and restart the server.",
        }
    }
}

impl From<Obstacle> for SqlError {
    fn from(obstacle: Obstacle) -> Self {
        SqlError::new(
            PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
            format!("keys are not fetched: {}", obstacle.message()),
        )
        .hint(obstacle.hint())
    }
}

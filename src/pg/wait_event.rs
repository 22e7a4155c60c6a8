//! What `pg_stat_activity` says of a process that waits here: its `wait_event`. From PostgreSQL 17 on
//! these have names; before, all of them are `Extension`.

use pgrx::pg_sys;

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitEvent {
    /// A backend waits for keys that are being fetched.
    Keys,
    /// A backend waits for a lock on the registry.
    Registry,
    /// The fetcher has nothing to do.
    Fetcher,
}

impl WaitEvent {
    /// As PostgreSQL's waits take it. Not while an LWLock is held.
    #[cfg(any(feature = "pg13", feature = "pg14", feature = "pg15", feature = "pg16"))]
    pub fn number(self) -> u32 {
        pg_sys::PG_WAIT_EXTENSION
    }

    /// As PostgreSQL's waits take it. Not while an LWLock is held.
    #[cfg(not(any(feature = "pg13", feature = "pg14", feature = "pg15", feature = "pg16")))]
    pub fn number(self) -> u32 {
        let name = match self {
            WaitEvent::Keys => c"ThirdPartyAuthKeys",
            WaitEvent::Registry => c"ThirdPartyAuthRegistry",
            WaitEvent::Fetcher => c"ThirdPartyAuthFetcher",
        };
        // SAFETY: a static string. The same name gets the same number in every process; what is known
        // already is looked up under a shared lock, which costs nothing beside a wait.
        unsafe { pg_sys::WaitEventExtensionNew(name.as_ptr()) }
    }
}

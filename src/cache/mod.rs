//! The shared table of keys as an algorithm: it does not know who owns its memory.
//!
//! # Layout
//! - [`text`]: a bounded text as plain data
//! - [`record`]: a key as a record of fixed size
//! - [`source`]: one key address: its schedule, budget, state and the protocol of a fetch
//! - [`table`]: all sources, their keys, and which databases subscribe to them
//! - [`databases`]: which databases have the extension, and when each is synchronised
//! - [`waiters`]: who waits for a fetch
//! - [`tally`]: whose the counters of decisions are
//! - [`verified`]: signatures that were found good
//!
//! Every slot is plain data and valid when it is all zeros, so that zeroed shared memory is an empty
//! table. Methods neither allocate nor fail half-way: they run under a lock that must only be held
//! for copying, those of [`verified`] without any. Moments are milliseconds of a monotonic clock ([`Ticks`]); what is shown or stored is
//! in seconds since 1970 ([`UnixTime`]); both are arguments.
#![forbid(unsafe_code)]

pub mod databases;
pub mod record;
pub mod source;
pub mod sync;
pub mod table;
pub mod tally;
pub mod text;
pub mod verified;
pub mod waiters;

/// Milliseconds of a monotonic clock that all processes of the machine share.
pub type Ticks = u64;
/// Seconds since 1970-01-01 UTC; 0 stands for "never".
pub type UnixTime = f64;

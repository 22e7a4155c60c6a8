//! The boundary to PostgreSQL: the only folder with pgrx, `unsafe`, SPI and `ereport`.
//!
//! # Layout
//! - [`settings`]: the settings of `third_party_auth.*`, and `request.jwt`
//! - [`errors`]: what is raised, with which SQLSTATE, DETAIL and HINT; the one place that maps
//! - [`call`]: how a C function of ours is entered and left
//! - [`clock`]: the time of a statement, and of a machine; [`patience`]: how long it may wait
//! - [`shared`]: the shared memory that holds `cache`, its lock, its waits
//! - [`fetching`]: whether anything is fetched at all; [`stats`]: what was decided, in numbers
//! - [`catalog`], [`registry`]: the tables, read with a fresh snapshot; when what was read is void
//! - [`known_keys`]: the keys that are there; [`keyring`]: how a decision looks them up, and when it waits for a
//!   fetch; [`place`]: its place among those that wait
//! - [`request`]: the token of the current request; [`session`]: what was decided about it;
//!   [`answers`]: what was answered per row; [`recent`]: the last tokens
//! - [`api_key`]: requests of an application and of nobody
//! - [`claims`]: claims as `jsonb`
//! - [`functions`]: what policies call; [`planner`]: what the planner is told of it; [`explain`]: what a person calls when a policy says no
//! - [`enforcement`]: what stops a request before its statement; [`roles`]: who asks
//! - [`parameters`]: settings for the rest of the transaction
//! - [`postgrest`]: keys for PostgREST
//! - [`version`]: what differs between versions of PostgreSQL; [`wait_event`]: what it says of who waits
//! - [`admin`]: registration, revocation, refresh and the views
//! - [`hooks`]: where PostgreSQL calls us; [`worker`]: the two kinds of process
//!
//! # Rules of the fence
//! - Nothing longjmps over a frame that has a destructor: bodies return `Result`, and
//!   [`call::enter`] raises when everything else has been dropped.
//! - While the lock of [`shared`] is held: no PostgreSQL, no allocation, no panic.
//! - No PostgreSQL call from any thread but the main one.

pub mod admin;
pub mod answers;
pub mod api_key;
pub mod asked;
pub mod call;
pub mod catalog;
pub mod claims;
pub mod clock;
pub mod columns;
pub mod ddl;
pub mod enforcement;
pub mod errors;
pub mod explain;
pub mod fetching;
pub mod functions;
pub mod hooks;
pub mod keyring;
pub mod known_keys;
pub mod parameters;
pub mod patience;
pub mod place;
pub mod planner;
pub mod postgrest;
pub mod process;
pub mod recent;
pub mod registry;
pub mod request;
pub mod roles;
pub mod session;
pub mod settings;
pub mod shared;
pub mod stats;
pub mod version;
pub mod wait_event;
pub mod worker;

/// What the library does when PostgreSQL loads it. It never raises: a server that preloads it, and
/// `pg_upgrade`, must start whatever is wrong.
pub fn init() {
    settings::define();
    hooks::install();
    if shared::may_preload() {
        shared::request();
        worker::register();
    }
}

//! Verifies the JWTs of third-party auth providers inside PostgreSQL, for Row Level Security.
//!
//! # Layout
//! Pure, without pgrx, I/O or a clock:
//! - [`json`]: strict JSON
//! - [`token`]: bytes to parts; nothing is trusted yet
//! - [`keys`]: a JWKS to usable keys, key by key
//! - [`provider`]: who may sign for us, and by which rules; the presets are data
//! - [`verify`]: the only maker of a `Verified`
//! - [`policy`]: what a policy asks of a `Verified`
//! - [`cache`]: the shared table of keys as an algorithm
//!
//! With I/O, without PostgreSQL:
//! - [`fetch`]: the only folder that talks to the network
//!
//! The boundary:
//! - [`pg`]: the only folder with pgrx, `unsafe`, SPI and `ereport`
//!
//! # What is absent
//! - The query path never opens a socket; the refresh path never sees a token.
//! - No pure function reads a clock or a setting: `now` and limits are arguments.
//! - No error, log line or view holds a token, a claim value or key material; `explain()` alone shows
//!   claim values, of the token it is given.
//!
//! `tests/architecture.rs` enforces the directions and the absences that can be read off the source.

pub mod json;

pub mod token;

pub mod keys;

pub mod provider;

pub mod verify;

pub mod policy;

pub mod cache;

pub mod fetch;

pub mod pg;

#[cfg(any(test, feature = "pg_test"))]
#[path = "../pg_test/mod.rs"]
pub mod pg_test;

#[cfg(feature = "pg_bench")]
#[path = "../benches/in_server/mod.rs"]
pub mod in_server;

use pgrx::{extension_sql_file, pg_guard};

pgrx::pg_module_magic!();

/// The schema for administrators, for the functions that name it; `schema.sql` creates it.
#[pgrx::pg_schema]
mod third_party_auth {}

extension_sql_file!("../sql/install/schema.sql", name = "schema", bootstrap);
extension_sql_file!("../sql/install/functions.sql", name = "functions");
extension_sql_file!(
    "../sql/install/views.sql",
    name = "views",
    requires = [
        pg::admin::status::provider_status,
        pg::admin::status::known_keys,
        pg::admin::worker::fetcher_status,
        pg::admin::statistics::decision_stats
    ]
);
extension_sql_file!(
    "../sql/install/registration.sql",
    name = "registration",
    requires = ["views"]
);
extension_sql_file!("../sql/install/enforcement.sql", name = "enforcement");
extension_sql_file!(
    "../sql/install/guard_parts.sql",
    name = "guard_parts",
    requires = ["enforcement"]
);
extension_sql_file!(
    "../sql/install/guard_checks.sql",
    name = "guard_checks",
    requires = ["guard_parts"]
);
extension_sql_file!(
    "../sql/install/guard_status.sql",
    name = "guard_status",
    requires = ["guard_checks"]
);
extension_sql_file!(
    "../sql/install/guards.sql",
    name = "guards",
    requires = ["guard_status"]
);
extension_sql_file!(
    "../sql/install/guard_events.sql",
    name = "guard_events",
    requires = ["guards"]
);
extension_sql_file!(
    "../sql/install/privileges.sql",
    name = "privileges",
    finalize
);

/// Called by PostgreSQL when the library is loaded.
#[pg_guard]
pub extern "C-unwind" fn _PG_init() {
    pg::init();
}

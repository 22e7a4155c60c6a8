//! In-server tests: what one call answers, and what only a server can say. Everything is rolled back; the
//! tests run as a superuser, each in a session and a transaction of its own.
//!
//! - `support`: providers whose keys are made here, and statements
//! - `answers`: values as PostgreSQL sees them; what the catalog declares
//! - `decisions`: which token and which registry an answer is about
//! - `errors`: SQLSTATE, DETAIL and HINT
//! - `freshness`: how long ago something was, with tokens of now
//! - `memory`: what many calls leave behind
//! - `pages`: the pages of `docs/providers` as they stand
//! - `settings`: what the settings take and mean

mod answers;
mod decisions;
mod errors;
mod freshness;
mod memory;
#[allow(dead_code)]
#[path = "../tests/common/mint.rs"]
mod mint;
mod pages;
mod planner;
mod settings;
mod support;

/// Called by the harness of `cargo pgrx test`.
#[cfg(test)]
pub fn setup(_options: Vec<&str>) {}

/// The settings of the test server. Tests reach no identity provider: this proxy is on loopback.
#[cfg(test)]
pub fn postgresql_conf_options() -> Vec<&'static str> {
    vec![
        "shared_preload_libraries = 'pg_third_party_auth'",
        "third_party_auth.proxy = 'http://127.0.0.1:9'",
    ]
}

//! In-server tests: what one call answers. Everything is rolled back; the tests run as a superuser.

/// Called by the harness of `cargo pgrx test`.
#[cfg(test)]
pub fn setup(_options: Vec<&str>) {}

/// The settings of the test server.
#[cfg(test)]
pub fn postgresql_conf_options() -> Vec<&'static str> {
    vec!["shared_preload_libraries = 'pg_third_party_auth'"]
}

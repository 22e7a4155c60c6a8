//! Failures that tests ask for. Only in the build of the tests, never in what is installed.

use std::fs;

/// Where a test says what shall fail, in the data directory, which is the directory of every process.
const FILE: &str = "third_party_auth.fault";

/// Fails as the file says, once: it is taken away first.
pub fn fault() {
    let Ok(what) = fs::read_to_string(FILE) else {
        return;
    };
    if fs::remove_file(FILE).is_err() {
        return;
    }
    match what.trim() {
        "panic" => panic!("a test asked for a panic"),
        "error" => pgrx::error!("a test asked for an error"),
        _ => {}
    }
}

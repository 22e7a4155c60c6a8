//! Keeps everything in the library that PostgreSQL loads: what cargo-pgrx writes SQL from lies in a section
//! that nothing refers to, and linkers may drop it.
//!
//! cargo-pgrx sees to that by flags for the whole build, which no program can be linked with, so that
//! every dependency would be compiled twice; `tools/env.sh` tells it not to.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let is_macos = env::var("CARGO_CFG_TARGET_OS").is_ok_and(|system| system == "macos");
    if env::var_os("CARGO_CFG_UNIX").is_some() && !is_macos {
        println!("cargo::rustc-link-arg-cdylib=-Wl,--no-gc-sections");
    }
}

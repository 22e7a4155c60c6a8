//! Keeps the section in the library that cargo-pgrx writes SQL from: nothing refers to it, and linkers drop what
//! nothing refers to.
//!
//! cargo-pgrx sees to that by telling the linker to drop nothing, in the whole build: the library would be
//! almost twice as large, and every dependency compiled twice. `tools/env.sh` tells it not to. Whoever builds
//! without that gets the same library: the last word is ours.

use std::path::PathBuf;
use std::{env, fs};

/// Adds to what the linker does by itself.
const LINKER_SCRIPT: &str = "SECTIONS { .pgrxsc : { KEEP(*(.pgrxsc)) } }\nINSERT AFTER .rodata;\n";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let is_macos = env::var("CARGO_CFG_TARGET_OS").is_ok_and(|system| system == "macos");
    if env::var_os("CARGO_CFG_UNIX").is_none() || is_macos {
        return;
    }
    let script = PathBuf::from(env::var_os("OUT_DIR").expect("cargo names a directory"))
        .join("keep_pgrx_section.ld");
    fs::write(&script, LINKER_SCRIPT).expect("the linker's script can be written");
    println!("cargo::rustc-link-arg-cdylib=-Wl,-T,{}", script.display());
    println!("cargo::rustc-link-arg-cdylib=-Wl,--gc-sections");
}

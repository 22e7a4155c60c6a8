//! Any text as a `config.toml`: no panic, an error lies in the text, and what is registered is a provider
//! that is then as the file says.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../src/json/mod.rs"]
#[allow(dead_code, unused_imports)]
mod json;
#[path = "../../src/keys/mod.rs"]
#[allow(dead_code, unused_imports)]
mod keys;
#[path = "../../src/provider/mod.rs"]
#[allow(dead_code, unused_imports)]
mod provider;
#[path = "../../src/token/mod.rs"]
#[allow(dead_code, unused_imports)]
mod token;

use provider::import::{self, Action};

fuzz_target!(|text: &str| {
    let entries = match import::read(text) {
        Ok(entries) => entries,
        Err(error) => {
            let text = text.strip_prefix('\u{feff}').unwrap_or(text);
            let line = text.split('\n').nth(error.line - 1).expect("a line");
            assert!(error.column <= line.chars().count() + 1);
            return;
        }
    };
    for entry in &entries {
        if let Some(row) = entry.apply(None).row {
            row.clone().judge().expect("a provider");
            assert_eq!(entry.apply(Some(&row)).action, Action::Unchanged);
        }
    }
});

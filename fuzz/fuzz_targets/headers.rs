//! Any text as the headers of a request: no panic, and a token is one that the text has in it.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../src/json/mod.rs"]
#[allow(dead_code, unused_imports)]
mod json;
#[path = "../../src/token/mod.rs"]
#[allow(dead_code, unused_imports)]
mod token;

fuzz_target!(|headers: &str| {
    if let Some(token) = token::bearer(headers, "authorization") {
        assert!(!token.is_empty() && token.len() < headers.len());
        assert_eq!(token, token.trim());
    }
});

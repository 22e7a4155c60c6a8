//! Any text as a key set: no panic, and every key survives being written and read again.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../src/json/mod.rs"]
#[allow(dead_code, unused_imports)]
mod json;
#[path = "../../src/keys/mod.rs"]
#[allow(dead_code, unused_imports)]
mod keys;
#[path = "../../src/token/mod.rs"]
#[allow(dead_code, unused_imports)]
mod token;

fuzz_target!(|text: &str| {
    let Ok(reading) = keys::read(text) else {
        return;
    };
    assert!(!reading.keys.keys.is_empty());
    for key in &reading.keys.keys {
        let stored = serde_json::json!({ "keys": [key.to_jwk()] }).to_string();
        let again = keys::read_stored(&stored).expect("a stored key");
        assert_eq!(again.keys.keys[0].thumbprint, key.thumbprint);
        assert_eq!(again.keys.keys[0].kid, key.kid);
    }
});

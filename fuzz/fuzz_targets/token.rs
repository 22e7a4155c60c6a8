//! Any text as a token: no panic, and what is accepted is what was written.
#![no_main]

use libfuzzer_sys::fuzz_target;

// The modules themselves rather than the crate: they need no PostgreSQL.
#[path = "../../src/json/mod.rs"]
#[allow(dead_code, unused_imports)]
mod json;
#[path = "../../src/token/mod.rs"]
#[allow(dead_code, unused_imports)]
mod token;

fuzz_target!(|text: &str| {
    if let Ok(parsed) = token::Unverified::parse(text, 16 * 1024) {
        assert_eq!(parsed.text(), text);
        let (input, signature) = (parsed.signing_input(), parsed.encoded_signature());
        assert_eq!(format!("{input}.{signature}"), text);
        assert_eq!(token::base64url::encode(parsed.signature()), signature);
    }
    if let Ok(claims) = token::Claims::parse(text.to_owned()) {
        let other: serde_json::Value = serde_json::from_str(text).expect("JSON");
        let own = serde_json::to_value(claims.members()).expect("JSON");
        assert_eq!(own, other);
        for name in other.as_object().expect("an object").keys() {
            assert!(claims.members().contains_key(name));
        }
    }
});

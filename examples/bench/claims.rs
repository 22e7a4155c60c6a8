//! Claims of a given length, in bytes, as the providers' tokens have them.

use crate::setting::now;
use serde_json::{Value, json};

/// The issuer of Clerk's tokens.
pub const CLERK: &str = "https://clerk.example.com";

/// The issuer of Firebase's tokens.
pub const FIREBASE: &str = "https://securetoken.google.com/bench";

/// The short ones: hardly more than what the policies ask for.
pub const SHORT: usize = 112;

/// The long ones: a session token with an organisation or a profile.
pub const LONG: usize = 610;

/// What Clerk's token says. The short one has only what hand-written policies look at.
pub fn clerk(bytes: usize) -> String {
    let short = json!({
        "iss": CLERK, "sub": "", "exp": expiry(), "fva": [1, 2], "o": {"id": "org_a", "rol": "admin"},
    });
    if bytes == SHORT {
        return filled(short, "sub", bytes);
    }
    let mut long = short;
    long["sub"] = json!("user_2ZtAvE4wUFqPj5mHb9XoYrLc7dK");
    long["sid"] = json!("sess_2aBcD3eFgH4iJkL5mNoP6qRsT7u");
    long["iat"] = json!(now());
    long["nbf"] = json!(now() - 5);
    long["v"] = json!(2);
    long["role"] = json!("authenticated");
    long["azp"] = json!("https://app.example.com");
    long["email"] = json!("ada@example.com");
    filled(long, "picture", bytes)
}

/// What Firebase's token says.
pub fn firebase(bytes: usize) -> String {
    let short = json!({"iss": FIREBASE, "aud": "bench", "sub": "", "exp": expiry()});
    if bytes == SHORT {
        return filled(short, "sub", bytes);
    }
    let mut long = short;
    long["sub"] = json!("sW5bJ0kqQxVbN3uHc8LrTzYpE2f1");
    long["user_id"] = long["sub"].clone();
    long["iat"] = json!(now());
    long["auth_time"] = json!(now());
    long["role"] = json!("authenticated");
    long["email"] = json!("ada@example.com");
    long["email_verified"] = json!(true);
    long["firebase"] = json!({
        "identities": {"email": ["ada@example.com"], "google.com": ["104857600000000000001"]},
        "sign_in_provider": "google.com",
    });
    filled(long, "picture", bytes)
}

/// As many bytes as wanted, by the length of one member.
fn filled(mut claims: Value, member: &str, bytes: usize) -> String {
    claims[member] = json!("");
    let missing = bytes.checked_sub(claims.to_string().len());
    let missing = missing.expect("the claims are not too long without it");
    claims[member] = json!("x".repeat(missing));
    let text = claims.to_string();
    assert_eq!(text.len(), bytes, "{text}");
    text
}

/// Late enough for every run.
fn expiry() -> u64 {
    now() + 36_000
}

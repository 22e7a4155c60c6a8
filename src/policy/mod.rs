//! What a policy asks of a verified token.
//!
//! # Layout
//! - [`organization`]: the organisation and the role in it, one answer for every claim layout
//! - [`second_factor`]: whether a second factor was really used, and how long ago
//! - [`reverification`]: Clerk's reverification levels
//! - [`minutes`]: Clerk's `fva`, read once for both
//!
//! Missing or malformed evidence is always "no": nothing here returns an unknown.
#![forbid(unsafe_code)]

pub mod minutes;
pub mod organization;
pub mod reverification;
pub mod second_factor;

use crate::verify::Verified;
use serde_json::Value;

/// The subject: unique only within its provider (RFC 7519 §4.1.2).
pub fn subject(token: &Verified) -> Option<&str> {
    claim_text(token, "sub")
}

/// The issuer that the token names (RFC 7519 §4.1.1).
pub fn issuer(token: &Verified) -> Option<&str> {
    claim_text(token, "iss")
}

/// The session's id, where the kind of provider has one.
pub fn session_id(token: &Verified) -> Option<&str> {
    claim_text(token, token.provider().preset.session_claim?)
}

/// Whether `aud`, a string or an array of strings, names this audience (RFC 7519 §4.1.3).
pub fn has_audience(token: &Verified, audience: &str) -> bool {
    match token.claims().members().get("aud") {
        Some(Value::String(one)) => one == audience,
        Some(Value::Array(several)) => several.iter().any(|one| one.as_str() == Some(audience)),
        _ => false,
    }
}

/// Whether the token is of a provider of this kind.
pub fn is_of_kind(token: &Verified, kind: &str) -> bool {
    token.provider().preset.kind == kind
}

pub(crate) fn claim_text<'a>(token: &'a Verified, name: &str) -> Option<&'a str> {
    match token.claims().members().get(name)? {
        Value::String(text) if !text.is_empty() => Some(text),
        _ => None,
    }
}

/// The token's own age in seconds, from `iat`; `None` without a usable `iat`.
pub(crate) fn age(token: &Verified, now: f64) -> Option<f64> {
    seconds_since(token, token.claims().members().get("iat")?.as_f64()?, now)
}

/// Seconds since a moment, at least 0; `None` if the moment is in the future beyond the clock skew,
/// or no number of seconds.
pub(crate) fn seconds_since(token: &Verified, moment: f64, now: f64) -> Option<f64> {
    let skew = token.provider().clock_skew.as_secs_f64();
    let age = now - moment;
    (age.is_finite() && age >= -skew && moment > 0.0).then(|| age.max(0.0))
}

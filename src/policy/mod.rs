//! What a policy asks of a verified token.
//!
//! # Layout
//! - [`organization`]: the organisation and the role in it, one answer for every claim layout
//! - [`permissions`]: what the user may do in it
//! - `clerk`: which version of Clerk's claims a token has, so that they are never mixed
//! - `clerk_features`: Clerk's permissions of version 2, by feature and bit mask
//! - [`scope`]: what the token's client may do (OAuth 2.0)
//! - [`authentication`]: how long ago the user signed in
//! - [`second_factor`]: whether a second factor was really used, and how long ago
//! - [`reverification`]: Clerk's reverification levels
//! - [`minutes`]: Clerk's `fva`, read once for these three
//! - `methods`: Supabase's `amr`, read once for the two before it
//! - [`email`]: whether the e-mail address was verified
//!
//! From which claim each kind of provider answers is the preset's data. Missing or malformed evidence is
//! always "no": nothing here returns an unknown.
#![forbid(unsafe_code)]

pub mod authentication;
mod clerk;
mod clerk_features;
pub mod email;
mod methods;
pub mod minutes;
pub mod organization;
pub mod permissions;
pub mod reverification;
pub mod scope;
pub mod second_factor;

use crate::json::{Object, Value};
use crate::verify::Verified;

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
    claim_text(token, "aud") == Some(audience) || lists(token, "aud", audience)
}

/// Whether the token is of a provider of this kind.
pub fn is_of_kind(token: &Verified, kind: &str) -> bool {
    token.provider().preset.kind == kind
}

/// A claim that is a string and not empty.
pub(crate) fn claim_text<'a>(token: &'a Verified, name: &str) -> Option<&'a str> {
    text(token.claims().members(), name)
}

/// A member that is a string and not empty.
pub(crate) fn text<'a>(object: Object<'a>, name: &str) -> Option<&'a str> {
    object.get(name)?.as_str().filter(|text| !text.is_empty())
}

/// A claim that is an array of strings and of nothing else.
pub(crate) fn texts<'a>(token: &'a Verified, name: &str) -> Option<Vec<&'a str>> {
    let elements = token.claims().members().get(name)?.as_array()?;
    elements.iter().map(Value::as_str).collect()
}

/// Whether a claim is an array of strings and this is one of them. The empty text never is.
pub(crate) fn lists(token: &Verified, name: &str, text: &str) -> bool {
    !text.is_empty() && texts(token, name).is_some_and(|texts| texts.contains(&text))
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

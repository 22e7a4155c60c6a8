//! How long ago the user signed in.

use super::methods::{SIGN_INS, newest};
use super::minutes::factor_ages;
use super::{age, seconds_since};
use crate::provider::presets::AuthenticationTime;
use crate::verify::Verified;

/// Whether the user signed in at most so many seconds ago (RFC 9470 §5). A token that does not say when,
/// or names a time in the future beyond the clock skew, is "no"; so is a negative `max_age`.
pub fn is_within(token: &Verified, max_age: f64, now: f64) -> bool {
    seconds_ago(token, now).is_some_and(|age| age <= max_age)
}

fn seconds_ago(token: &Verified, now: f64) -> Option<f64> {
    match token.provider().preset.authenticated {
        AuthenticationTime::AuthTime => since_auth_time(token, now),
        AuthenticationTime::ClerkFva => {
            let ages = factor_ages(token.claims().members())?;
            Some(ages.first.or(ages.second)? * 60.0 + age(token, now)?)
        }
        AuthenticationTime::SupabaseAmr => newest(token, &SIGN_INS, now),
    }
}

/// Seconds since `auth_time` (OpenID Connect Core 1.0 §2).
pub(super) fn since_auth_time(token: &Verified, now: f64) -> Option<f64> {
    let moment = token.claims().members().get("auth_time")?.as_f64()?;
    seconds_since(token, moment, now)
}

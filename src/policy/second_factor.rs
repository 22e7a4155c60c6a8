//! Whether a second factor was really used, and how long ago.

use super::minutes::factor_ages;
use super::{age, seconds_since};
use crate::provider::presets::SecondFactorClaims;
use crate::verify::Verified;
use serde_json::{Map, Value};

/// Supabase's methods that are second factors (its page on multi-factor authentication).
const SUPABASE_METHODS: [&str; 3] = ["totp", "mfa/phone", "mfa/webauthn"];

/// Whether the session passed a second factor, at any time.
pub fn is_verified(token: &Verified, now: f64) -> bool {
    evidence(token, now).is_some()
}

/// Whether the session passed a second factor at most so many seconds ago. Where a token does not say
/// when, the answer is no.
pub fn is_verified_within(token: &Verified, max_age: f64, now: f64) -> bool {
    matches!(evidence(token, now), Some(Some(age)) if age <= max_age)
}

/// `None`: no second factor. `Some(None)`: one, at an unknown time. `Some(Some(s))`: `s` seconds ago.
fn evidence(token: &Verified, now: f64) -> Option<Option<f64>> {
    let claims = token.claims().members();
    match token.provider().preset.second_factor {
        SecondFactorClaims::ClerkFva => {
            let minutes = factor_ages(claims)?.second?;
            Some(age(token, now).map(|own| minutes * 60.0 + own))
        }
        SecondFactorClaims::SupabaseAmr => {
            if claims.get("aal")?.as_str()? != "aal2" {
                return None;
            }
            // A custom access token hook may leave method names without times.
            let methods = claims.get("amr").and_then(Value::as_array);
            let times = methods.into_iter().flatten().filter_map(|entry| {
                let method = entry.get("method")?.as_str()?;
                SUPABASE_METHODS
                    .contains(&method)
                    .then(|| entry.get("timestamp")?.as_f64())?
            });
            let ages = times.filter_map(|time| seconds_since(token, time, now));
            Some(ages.reduce(f64::min))
        }
        SecondFactorClaims::Firebase => {
            let factor = claims
                .get("firebase")?
                .get("sign_in_second_factor")?
                .as_str()?;
            (!factor.is_empty()).then(|| authenticated_at(token, now))
        }
        SecondFactorClaims::AmrMfa => is_mfa_in_amr(claims).then(|| authenticated_at(token, now)),
        SecondFactorClaims::AmrMfaOrAcr(context) => {
            let in_acr = claims.get("acr").and_then(Value::as_str) == Some(context);
            (in_acr || is_mfa_in_amr(claims)).then(|| authenticated_at(token, now))
        }
        SecondFactorClaims::None => None,
    }
}

/// RFC 8176 §2: several methods of different kinds were used.
fn is_mfa_in_amr(claims: &Map<String, Value>) -> bool {
    let methods = claims.get("amr").and_then(Value::as_array);
    methods.is_some_and(|methods| methods.iter().any(|method| method.as_str() == Some("mfa")))
}

/// Seconds since `auth_time` (OpenID Connect Core 1.0 §2).
fn authenticated_at(token: &Verified, now: f64) -> Option<f64> {
    let moment = token.claims().members().get("auth_time")?.as_f64()?;
    seconds_since(token, moment, now)
}

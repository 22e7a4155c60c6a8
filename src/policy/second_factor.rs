//! Whether a second factor was really used, and how long ago.

use super::authentication::since_auth_time;
use super::methods::{SECOND_FACTORS, newest};
use super::minutes::factor_ages;
use super::{age, claim_text, lists};
use crate::provider::presets::SecondFactorClaims;
use crate::verify::Verified;

/// Whether the session passed a second factor, at any time: the answer is the same whenever it is asked.
pub fn is_verified(token: &Verified) -> bool {
    let at_no_time = f64::NAN;
    evidence(token, at_no_time).is_some()
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
        SecondFactorClaims::None => None,
        SecondFactorClaims::ClerkFva => {
            let minutes = factor_ages(claims)?.second?;
            Some(age(token, now).map(|own| minutes * 60.0 + own))
        }
        SecondFactorClaims::SupabaseAmr => {
            let is_second_level = claim_text(token, "aal") == Some("aal2");
            is_second_level.then(|| newest(token, &SECOND_FACTORS, now))
        }
        SecondFactorClaims::Firebase => {
            let factor = claims
                .get("firebase")?
                .get("sign_in_second_factor")?
                .as_str()?;
            (!factor.is_empty()).then(|| since_auth_time(token, now))
        }
        SecondFactorClaims::AmrMfa => is_mfa_in_amr(token).then(|| since_auth_time(token, now)),
        SecondFactorClaims::AmrMfaOrAcr(context) => {
            let in_acr = claim_text(token, "acr") == Some(context);
            (in_acr || is_mfa_in_amr(token)).then(|| since_auth_time(token, now))
        }
    }
}

/// RFC 8176 §2: several methods of different kinds were used.
fn is_mfa_in_amr(token: &Verified) -> bool {
    lists(token, "amr", "mfa")
}

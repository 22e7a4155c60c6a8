//! Supabase's `amr`: by which methods somebody signed in, each with its time (Supabase's page on JWT
//! fields, and GoTrue's list of methods).

use super::seconds_since;
use crate::verify::Verified;

/// Methods that are second factors.
pub const SECOND_FACTORS: [&str; 3] = ["totp", "mfa/phone", "mfa/webauthn"];

/// Methods by which somebody proves who they are, second factors among them. Left out are
/// `token_refresh` and `anonymous`, which prove nothing, and `oauth_provider/authorization_code`: whoever
/// consents to an application was signed in already, perhaps for long.
pub const SIGN_INS: [&str; 14] = [
    "email/signup",
    "email_change",
    "invite",
    "magiclink",
    "mfa/phone",
    "mfa/webauthn",
    "oauth",
    "otp",
    "passkey",
    "password",
    "recovery",
    "sso/saml",
    "totp",
    "web3",
];

/// Seconds since the newest use of one of these methods. A custom access token hook may leave names
/// of methods without times: they do not count.
pub fn newest(token: &Verified, methods: &[&str], now: f64) -> Option<f64> {
    let entries = token.claims().members().get("amr")?.as_array()?;
    let times = entries.iter().filter_map(|entry| {
        let method = entry.get("method")?.as_str()?;
        let time = entry.get("timestamp")?.as_f64()?;
        methods.contains(&method).then_some(time)
    });
    times
        .filter_map(|time| seconds_since(token, time, now))
        .reduce(f64::min)
}

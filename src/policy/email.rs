//! Whether the e-mail address was verified.

use crate::json::Value;
use crate::provider::presets::EmailClaim;
use crate::verify::Verified;

/// Whether the provider says that it verified the user's e-mail address. Only the claim at the top
/// counts: users of Supabase can write to `user_metadata`. Entra's `email_verified`, if there is one, is a
/// custom claim, and its `email` can be any text.
pub fn is_verified(token: &Verified) -> bool {
    let claim = match token.provider().preset.email {
        EmailClaim::EmailVerified => "email_verified",
        EmailClaim::XmsEdov => "xms_edov",
    };
    let claims = token.claims().members();
    claims.get(claim).is_some_and(says_yes)
}

/// A boolean (OpenID Connect Core 1.0 §5.1), a text as Apple writes it, or `"1"` as Entra does.
fn says_yes(value: Value<'_>) -> bool {
    match value {
        Value::Bool(verified) => verified,
        Value::String(text) => text == "true" || text == "1",
        _ => false,
    }
}

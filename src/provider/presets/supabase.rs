//! Supabase Auth (GoTrue), hosted or self-hosted. Rules from Supabase's pages on signing keys and
//! JWT fields.

use super::{
    DefaultAudience, Discriminator, OptionError, Options, OrganizationClaims, Preset,
    SecondFactorClaims,
};
use crate::keys::Algorithm;
use crate::provider::KeyAddress;

pub(super) static PRESET: Preset = Preset {
    kind: "supabase",
    own_arguments: &["jwt_issuer"],
    issuer,
    key_address: |issuer| KeyAddress::Direct {
        jwks_uri: format!(
            "{}/.well-known/jwks.json",
            issuer.strip_suffix('/').unwrap_or(issuer)
        ),
    },
    algorithms: &[Algorithm::ES256, Algorithm::RS256, Algorithm::EdDSA],
    audience: DefaultAudience::Value("authenticated"),
    foreign_types: &["at+jwt"],
    // ID tokens of the OAuth server share issuer and keys, and have no session.
    discriminators: &[
        Discriminator::NonEmptyString("session_id"),
        Discriminator::PastDate("iat"),
    ],
    allowed_roles: &["anon", "authenticated", "service_role"],
    may_allow_service_role: true,
    wants_authorized_parties: false,
    session_claim: Some("session_id"),
    organization: OrganizationClaims::None,
    second_factor: SecondFactorClaims::SupabaseAmr,
};

fn issuer(options: &Options<'_>) -> Result<String, OptionError> {
    let hint = "Give the iss of your tokens: 'https://<project-ref>.supabase.co/auth/v1' when hosted, \
                what auth.jwt_issuer (GOTRUE_JWT_ISSUER) says when self-hosted.";
    let issuer = options.required("jwt_issuer", hint)?;
    if !(issuer.starts_with("https://") || issuer.starts_with("http://")) {
        return Err(OptionError {
            argument: "jwt_issuer",
            problem: format!("\"{:.100}\" is not a URL", issuer),
            hint: hint.to_owned(),
        });
    }
    Ok(issuer.to_owned())
}

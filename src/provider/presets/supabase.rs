//! Supabase Auth (GoTrue), hosted or self-hosted. Rules from Supabase's pages on signing keys, JWT
//! fields and API keys.

use super::{
    AuthenticationTime, DefaultAudience, Discriminator, Identity, OptionError, Options, Preset,
    SecondFactorClaims,
};
use crate::keys::Algorithm;
use crate::provider::KeyAddress;

pub(super) static PRESET: Preset = Preset {
    kind: "supabase",
    own_arguments: &["jwt_issuer", "api_key_issuers"],
    // What anon and service keys name as their issuer, hosted and in the defaults of the CLI.
    default_options: &[("api_key_issuers", r#"["supabase", "supabase-demo"]"#)],
    identity,
    algorithms: &[Algorithm::ES256, Algorithm::RS256, Algorithm::EdDSA],
    may_have_secret: true,
    audience: DefaultAudience::Value("authenticated"),
    party_claims: &["client_id"],
    foreign_types: &["at+jwt"],
    // ID tokens of the OAuth server share issuer and keys, and have no session.
    discriminators: &[
        Discriminator::NonEmptyString("session_id"),
        Discriminator::PastDate("iat"),
    ],
    allowed_roles: &["anon", "authenticated", "service_role"],
    may_allow_service_role: true,
    session_claim: Some("session_id"),
    second_factor: SecondFactorClaims::SupabaseAmr,
    authenticated: AuthenticationTime::SupabaseAmr,
    ..Preset::PLAIN
};

fn identity(options: &Options<'_>) -> Result<Identity, OptionError> {
    let hint = "Give the iss of your tokens: 'https://<project-ref>.supabase.co/auth/v1' when hosted, \
                what auth.jwt_issuer (GOTRUE_JWT_ISSUER) says when self-hosted.";
    let issuer = options.required("jwt_issuer", hint)?;
    let rest = issuer
        .strip_prefix("https://")
        .or_else(|| issuer.strip_prefix("http://"));
    if rest.is_none_or(|rest| rest.is_empty() || rest.starts_with('/')) {
        return Err(OptionError::new(
            "jwt_issuer",
            format!("\"{issuer:.100}\" is not a URL"),
            hint,
        ));
    }
    let base = issuer.strip_suffix('/').unwrap_or(issuer);
    let keys = KeyAddress::Direct {
        jwks_uri: format!("{base}/.well-known/jwks.json"),
    };
    let api_key_issuers = options.texts(
        "api_key_issuers",
        "Give the iss of the anon and service keys: 'supabase' when hosted, 'supabase-demo' in the \
         defaults of the CLI, '{}' for none.",
    )?;
    Ok(Identity {
        api_key_issuers,
        ..Identity::new(issuer, keys)
    })
}

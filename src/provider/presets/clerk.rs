//! Clerk. Rules from Clerk's session token reference and the verification in its backend SDK.

use super::options::host;
use super::{
    AuthenticationTime, DefaultAudience, Discriminator, Identity, OptionError, Options,
    OrganizationClaims, PermissionClaims, Preset, SecondFactorClaims,
};
use crate::provider::KeyAddress;

pub(super) static PRESET: Preset = Preset {
    kind: "clerk",
    own_arguments: &["domain"],
    identity,
    audience: DefaultAudience::NotUsed,
    party_claims: &["azp"],
    wants_authorized_parties: true,
    // OAuth access tokens of the same instance, signed by the same key.
    foreign_types: &["at+jwt"],
    // JWT-template tokens and machine tokens.
    foreign_categories: &["cl_B7d4PD222AAA", "cl_B7d4PD333AAA"],
    // JWT-template tokens, machine tokens and OIDC ID tokens have no sid, or another kind of sub.
    discriminators: &[
        Discriminator::StartsWith("sub", "user_"),
        Discriminator::NonEmptyString("sid"),
        Discriminator::NotPending("sts", "pending"),
    ],
    session_claim: Some("sid"),
    organization: OrganizationClaims::Clerk,
    permissions: PermissionClaims::Clerk,
    second_factor: SecondFactorClaims::ClerkFva,
    authenticated: AuthenticationTime::ClerkFva,
    ..Preset::PLAIN
};

/// The Frontend API URL without a slash. `https://` and one trailing slash are taken off what was
/// given, because that is how the dashboard shows it; a port may stay.
fn identity(options: &Options<'_>) -> Result<Identity, OptionError> {
    let hint = "Give the Frontend API host that Clerk's dashboard shows under API keys, for example \
                'clerk.example.com' or 'example.clerk.accounts.dev'.";
    let host = host("domain", options.required("domain", hint)?, hint)?;
    let issuer = format!("https://{host}");
    let keys = KeyAddress::Direct {
        jwks_uri: format!("{issuer}/.well-known/jwks.json"),
    };
    Ok(Identity::new(issuer, keys))
}

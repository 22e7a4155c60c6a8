//! Clerk. Rules from Clerk's session token reference and the verification in its backend SDK.

use super::{
    DefaultAudience, Discriminator, OptionError, Options, OrganizationClaims, Preset,
    SecondFactorClaims,
};
use crate::keys::Algorithm;
use crate::provider::KeyAddress;

pub(super) static PRESET: Preset = Preset {
    kind: "clerk",
    own_arguments: &["domain"],
    issuer,
    key_address: |issuer| KeyAddress::Direct {
        jwks_uri: format!("{issuer}/.well-known/jwks.json"),
    },
    algorithms: &[Algorithm::RS256],
    audience: DefaultAudience::NotUsed,
    // OAuth access tokens of the same instance, signed by the same key.
    foreign_types: &["at+jwt"],
    // JWT-template tokens, machine tokens and OIDC ID tokens have no sid, or another kind of sub.
    discriminators: &[
        Discriminator::StartsWith("sub", "user_"),
        Discriminator::NonEmptyString("sid"),
        Discriminator::NotPending("sts", "pending"),
    ],
    allowed_roles: &["authenticated"],
    may_allow_service_role: false,
    wants_authorized_parties: true,
    session_claim: Some("sid"),
    organization: OrganizationClaims::Clerk,
    second_factor: SecondFactorClaims::ClerkFva,
};

/// The Frontend API URL without a slash. `https://` and one trailing slash are taken off what was
/// given, because that is how the dashboard shows it; a port may stay.
fn issuer(options: &Options<'_>) -> Result<String, OptionError> {
    let hint = "Give the Frontend API host that Clerk's dashboard shows under API keys, for example \
                'clerk.example.com' or 'example.clerk.accounts.dev'.";
    let given = options.required("domain", hint)?;
    let host = given.strip_prefix("https://").unwrap_or(given);
    let host = host.strip_suffix('/').unwrap_or(host);
    if !is_host_and_port(host) {
        return Err(OptionError {
            argument: "domain",
            problem: format!("\"{:.100}\" is not a host name", given),
            hint: hint.to_owned(),
        });
    }
    Ok(format!("https://{host}"))
}

/// Lower-case host name labels, and a port at most: exactly what can stand in an issuer.
fn is_host_and_port(text: &str) -> bool {
    let (host, port) = text
        .split_once(':')
        .map_or((text, None), |(h, p)| (h, Some(p)));
    let label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    host.split('.').all(label)
        && port.is_none_or(|port| {
            port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok()
        })
}

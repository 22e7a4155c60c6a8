//! Firebase Authentication. Rules from Google's page on verifying ID tokens and its admin SDKs.

use super::{
    DefaultAudience, Discriminator, OptionError, Options, OrganizationClaims, Preset,
    SecondFactorClaims,
};
use crate::keys::Algorithm;
use crate::provider::KeyAddress;

/// One key set for the tokens of every Firebase project: only `iss` and `aud` tell them apart.
const KEYS: &str =
    "https://www.googleapis.com/service_accounts/v1/jwk/securetoken@system.gserviceaccount.com";

pub(super) static PRESET: Preset = Preset {
    kind: "firebase",
    own_arguments: &["project_id"],
    issuer,
    key_address: |_| KeyAddress::Direct {
        jwks_uri: KEYS.to_owned(),
    },
    algorithms: &[Algorithm::RS256],
    audience: DefaultAudience::OwnArgument("project_id"),
    foreign_types: &["at+jwt"],
    discriminators: &[
        Discriminator::AtMostCharacters("sub", 128),
        Discriminator::PastDate("iat"),
        Discriminator::PastDate("auth_time"),
    ],
    allowed_roles: &["authenticated"],
    may_allow_service_role: false,
    wants_authorized_parties: false,
    session_claim: None,
    organization: OrganizationClaims::None,
    second_factor: SecondFactorClaims::Firebase,
};

fn issuer(options: &Options<'_>) -> Result<String, OptionError> {
    let hint = "Give the Project ID that the Firebase console shows in the project settings, for \
                example 'my-project-1a2b3'.";
    let project = options.required("project_id", hint)?;
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.:".contains(&b);
    if !project.bytes().all(allowed) {
        return Err(OptionError {
            argument: "project_id",
            problem: format!("\"{:.100}\" is not a Firebase project id", project),
            hint: hint.to_owned(),
        });
    }
    Ok(format!("https://securetoken.google.com/{project}"))
}

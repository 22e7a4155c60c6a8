//! Firebase Authentication. Rules from Google's page on verifying ID tokens and its admin SDKs.

use super::{
    DefaultAudience, Discriminator, Identity, OptionError, Options, Preset, SecondFactorClaims,
};
use crate::provider::KeyAddress;

/// One key set for the tokens of every Firebase project: only `iss` and `aud` tell them apart.
const KEYS: &str =
    "https://www.googleapis.com/service_accounts/v1/jwk/securetoken@system.gserviceaccount.com";

pub(super) static PRESET: Preset = Preset {
    kind: "firebase",
    own_arguments: &["project_id"],
    identity,
    audience: DefaultAudience::OwnArgument("project_id"),
    foreign_types: &["at+jwt"],
    needs_kid: true,
    discriminators: &[
        Discriminator::AtMostCharacters("sub", 128),
        Discriminator::PastDate("iat"),
        Discriminator::PastDate("auth_time"),
    ],
    second_factor: SecondFactorClaims::Firebase,
    ..Preset::PLAIN
};

fn identity(options: &Options<'_>) -> Result<Identity, OptionError> {
    let hint = "Give the Project ID that the Firebase console shows in the project settings, for \
                example 'my-project-1a2b3'.";
    let project = options.required("project_id", hint)?;
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.:".contains(&b);
    if !project.bytes().all(allowed) {
        return Err(OptionError::new(
            "project_id",
            format!("\"{project:.100}\" is not a Firebase project id"),
            hint,
        ));
    }
    let keys = KeyAddress::Direct {
        jwks_uri: KEYS.to_owned(),
    };
    let issuer = format!("https://securetoken.google.com/{project}");
    Ok(Identity::new(issuer, keys))
}

//! Sign in with Apple. Rules from Apple's page on verifying a user, and from GoTrue's experience.

use super::{Identity, OptionError, Options, Preset};
use crate::provider::KeyAddress;

/// What tokens say. The discovery document has named another issuer since June 2025, so that neither
/// the issuer nor the keys are taken from it.
const ISSUER: &str = "https://appleid.apple.com";

/// Several keys at a time, without a fixed number.
const KEYS: &str = "https://appleid.apple.com/auth/keys";

pub(super) static PRESET: Preset = Preset {
    kind: "apple",
    own_arguments: &["client_ids"],
    identity,
    // The proof of one sign-in, not of a session.
    for_requests: false,
    ..Preset::PLAIN
};

fn identity(options: &Options<'_>) -> Result<Identity, OptionError> {
    let keys = KeyAddress::Direct {
        jwks_uri: KEYS.to_owned(),
    };
    let mut identity = Identity::new(ISSUER, keys);
    identity.client_ids = options.texts(
        "client_ids",
        "Give bundle ids of native apps and Services IDs of web sites, for example \
         '{com.example.app,com.example.web}'.",
    )?;
    Ok(identity)
}

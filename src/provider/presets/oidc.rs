//! Any OpenID Connect issuer (OpenID Connect Core 1.0 §2, RFC 9068).

use super::{Discriminator, Identity, OptionError, Options, Preset, SecondFactorClaims};
use crate::keys::Algorithm;
use crate::provider::KeyAddress;

pub(super) static PRESET: Preset = Preset {
    kind: "oidc",
    own_arguments: &["issuer"],
    identity,
    algorithms: &Algorithm::ALL,
    // Logout tokens, signed by the same keys (OpenID Connect Back-Channel Logout 1.0 §2.4).
    discriminators: &[Discriminator::Without("events")],
    session_claim: Some("sid"),
    second_factor: SecondFactorClaims::AmrMfa,
    ..Preset::PLAIN
};

fn identity(options: &Options<'_>) -> Result<Identity, OptionError> {
    let hint = "Give the iss of your tokens byte for byte, with or without the trailing slash, as the \
                provider's discovery document shows it.";
    let issuer = options.required("issuer", hint)?.to_owned();
    // Behind a scheme alone the path of the discovery document would become a host.
    if matches!(issuer.as_str(), "https://" | "http://") {
        let problem = format!("\"{issuer}\" names no host");
        return Err(OptionError::new("issuer", problem, hint));
    }
    let keys = KeyAddress::Discovery {
        issuer: issuer.clone(),
    };
    Ok(Identity::new(issuer, keys))
}

//! Any OpenID Connect issuer (OpenID Connect Core 1.0 §2, RFC 9068).

use super::{
    DefaultAudience, OptionError, Options, OrganizationClaims, Preset, SecondFactorClaims,
};
use crate::keys::Algorithm;
use crate::provider::KeyAddress;

pub(super) static PRESET: Preset = Preset {
    kind: "oidc",
    own_arguments: &["issuer"],
    issuer,
    key_address: |issuer| KeyAddress::Discovery {
        issuer: issuer.to_owned(),
    },
    algorithms: &Algorithm::ALL,
    audience: DefaultAudience::Required,
    foreign_types: &[],
    discriminators: &[],
    allowed_roles: &["authenticated"],
    may_allow_service_role: false,
    wants_authorized_parties: false,
    session_claim: Some("sid"),
    organization: OrganizationClaims::None,
    second_factor: SecondFactorClaims::AmrMfa,
};

fn issuer(options: &Options<'_>) -> Result<String, OptionError> {
    let hint = "Give the iss of your tokens byte for byte, with or without the trailing slash, as the \
                provider's discovery document shows it.";
    options.required("issuer", hint).map(str::to_owned)
}

//! Amazon Cognito user pools. Rules from AWS's pages on verifying tokens and on issuer types, and from
//! its verification library.

use super::{
    AudienceClaim, Discriminator, Identity, OptionError, Options, OrganizationClaims,
    PermissionClaims, Preset, SecondFactorClaims,
};
use crate::provider::{Issuer, KeyAddress};

pub(super) static PRESET: Preset = Preset {
    kind: "aws_cognito",
    own_arguments: &[
        "user_pool_id",
        "user_pool_region",
        "client_ids",
        "token_use",
    ],
    default_options: &[("token_use", r#""any""#)],
    identity,
    audience_claim: AudienceClaim::CognitoTokenUse,
    discriminators: &[Discriminator::OneOf("token_use", &["access", "id"])],
    // Names what all tokens of one sign-in have in common.
    session_claim: Some("origin_jti"),
    organization: OrganizationClaims::CognitoGroups,
    permissions: PermissionClaims::CognitoGroups,
    second_factor: SecondFactorClaims::AmrMfa,
    ..Preset::PLAIN
};

/// A pool uses one of two issuers, as its issuer configuration says; an administrator can change it
/// while tokens of the other one are still in use.
fn identity(options: &Options<'_>) -> Result<Identity, OptionError> {
    let hint = "Give the user pool id that the Cognito console shows, for example \
                'us-east-1_AbCdEfGhI', and its region, 'us-east-1'.";
    let pool = options.required("user_pool_id", hint)?;
    let region = options.required("user_pool_region", hint)?;
    if !is_region(region) {
        let problem = format!("\"{region:.100}\" is not an AWS region");
        return Err(OptionError::new("user_pool_region", problem, hint));
    }
    let is_of_region = pool.split_once('_').is_some_and(|(prefix, id)| {
        prefix == region && !id.is_empty() && id.bytes().all(|b| b.is_ascii_alphanumeric())
    });
    if !is_of_region {
        let problem = format!("\"{pool:.100}\" is not the id of a user pool in {region}");
        return Err(OptionError::new("user_pool_id", problem, hint));
    }
    let suffix = match region.starts_with("cn-") {
        true => ".cn",
        false => "",
    };
    let issuer = format!("https://cognito-idp.{region}.amazonaws.com{suffix}/{pool}");
    let updated = format!("https://issuer-cognito-idp.{region}.amazonaws.com{suffix}/{pool}");
    let keys = KeyAddress::Direct {
        jwks_uri: format!("{issuer}/.well-known/jwks.json"),
    };
    let mut identity = Identity::new(issuer, keys);
    identity.issuers.push(Issuer::exact(updated));
    identity.client_ids = options.texts("client_ids", "Give the app client ids of the pool.")?;
    let hint = "Give token_use => 'access', 'id' or 'any'.";
    match options.optional("token_use", hint)? {
        None | Some("any") => {}
        Some(one @ ("access" | "id")) => {
            identity.required_claims = vec![("token_use", one.to_owned())];
        }
        Some(other) => {
            let problem = format!("\"{other:.100}\" is not a token_use");
            return Err(OptionError::new("token_use", problem, hint));
        }
    }
    Ok(identity)
}

/// `us-east-1`, `us-gov-west-1`, `cn-north-1`.
fn is_region(text: &str) -> bool {
    let parts: Vec<_> = text.split('-').collect();
    let letters = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase());
    match parts.as_slice() {
        [area, middle @ .., number] => {
            area.len() == 2
                && letters(area)
                && matches!(middle.len(), 1 | 2)
                && middle.iter().all(|part| letters(part))
                && matches!(number.as_bytes(), [b'1'..=b'9'])
        }
        _ => false,
    }
}

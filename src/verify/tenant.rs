//! The tenant of a token, and of the key that signed it: Microsoft Entra ID, where the same keys sign
//! for all tenants. Rules from Microsoft's page on validating tokens in multi-tenant applications.

use super::Reason;
use super::refusal::Problem;
use super::rules::{invalid, list, missing, shown};
use crate::keys::Key;
use crate::provider::Provider;
use crate::provider::issuer::{TENANT, is_guid};
use crate::provider::presets::TenantClaims;
use crate::token::{Claim, Claims};

/// The tenant is one of those registered, and the issuer is the one of this tenant.
pub(super) fn tenant(claims: &Claims, provider: &Provider) -> Result<(), Problem> {
    let hint = "Send a token of a registered tenant, or add its Directory (tenant) ID to the provider's \
                tenants.";
    if provider.preset.tenant == TenantClaims::None {
        return Ok(());
    }
    // Whoever compares names in any case would read another tenant.
    let is_variant = |name: &str| name.eq_ignore_ascii_case("tid") && name != "tid";
    if claims.members().keys().any(is_variant) {
        return Err(invalid("tid", hint).found("tid in another spelling"));
    }
    let Claim::Present(iss) = claims.issuer() else {
        return Err(missing("iss", hint));
    };
    let is_own = is_entras_own(iss);
    let tenant = match claims.string("tid") {
        Claim::Present(tenant) if is_guid(tenant) => tenant,
        Claim::Present(other) => return Err(invalid("tid", hint).found(shown(other))),
        Claim::Invalid => return Err(invalid("tid", hint)),
        // Other issuers, registered beside the kind's own, need not name a tenant.
        Claim::Absent if !is_own && tenant_in(provider, iss).is_none() => return Ok(()),
        Claim::Absent => return Err(missing("tid", hint)),
    };
    let is_of_tenant = match is_own {
        true => iss == version_2(tenant) || iss == version_1(tenant),
        false => tenant_in(provider, iss).is_none_or(|in_issuer| in_issuer == tenant),
    };
    if !is_of_tenant || !provider.tenants.iter().any(|own| own == tenant) {
        return Err(Problem::new(
            Reason::TenantNotAllowed,
            "the token was issued for another tenant",
            hint,
        )
        .expected(list(provider.tenants.iter().map(String::as_str)))
        .found(format!("tid {}, iss {}", shown(tenant), shown(iss))));
    }
    let version = match iss {
        iss if iss == version_2(tenant) => "2.0",
        iss if iss == version_1(tenant) => "1.0",
        _ => return Ok(()),
    };
    match claims.string("ver") {
        Claim::Absent => Ok(()),
        Claim::Present(own) if own == version => Ok(()),
        Claim::Present(other) => Err(invalid("ver", hint).found(shown(other))),
        Claim::Invalid => Err(invalid("ver", hint)),
    }
}

/// Whether a key may sign tokens of this issuer. A key that names an issuer is for it alone: keys of the
/// addresses for several tenants do, and a token of version 1.0 is judged by the issuer that version 2.0
/// would have.
pub(super) fn key_serves(key: &Key, claims: &Claims, provider: &Provider) -> bool {
    let Some(own) = key
        .issuer
        .as_deref()
        .filter(|_| provider.preset.tenant == TenantClaims::Entra)
    else {
        return true;
    };
    let Claim::Present(iss) = claims.issuer() else {
        return false;
    };
    let Claim::Present(tenant) = claims.string("tid") else {
        return own == iss;
    };
    let own = own.replace(TENANT, tenant);
    own == iss || (iss == version_1(tenant) && own == version_2(tenant))
}

fn tenant_in<'a>(provider: &Provider, iss: &'a str) -> Option<&'a str> {
    provider.issuers.iter().find_map(|own| own.tenant_in(iss))
}

/// Whether an issuer is one of Entra's tenants, whichever: not of a directory for customers (B2C, say).
fn is_entras_own(iss: &str) -> bool {
    let version_2 = iss
        .strip_prefix("https://login.microsoftonline.com/")
        .and_then(|rest| rest.strip_suffix("/v2.0"));
    let version_1 = iss
        .strip_prefix("https://sts.windows.net/")
        .and_then(|rest| rest.strip_suffix('/'));
    version_2.or(version_1).is_some_and(is_guid)
}

fn version_2(tenant: &str) -> String {
    format!("https://login.microsoftonline.com/{tenant}/v2.0")
}

fn version_1(tenant: &str) -> String {
    format!("https://sts.windows.net/{tenant}/")
}

//! Auth0. Rules from Auth0's pages on access tokens, ID tokens, custom domains and organisations, and
//! from the verification in its SDKs.

use super::options::{host, is_label};
use super::{
    Discriminator, Identity, OptionError, Options, OrganizationClaims, PermissionClaims, Preset,
    SecondFactorClaims,
};
use crate::provider::{Issuer, KeyAddress};

pub(super) static PRESET: Preset = Preset {
    kind: "auth0",
    own_arguments: &["tenant", "tenant_region", "custom_domain"],
    identity,
    // Logout tokens, signed by the same keys.
    discriminators: &[Discriminator::Without("events")],
    session_claim: Some("sid"),
    organization: OrganizationClaims::OrgId,
    permissions: PermissionClaims::Permissions,
    second_factor: SecondFactorClaims::AmrMfaOrAcr(
        "http://schemas.openid.net/pape/policies/2007/06/multi-factor",
    ),
    ..Preset::PLAIN
};

/// The tenant's domain and its custom domain issue tokens at the same time, each under its own name,
/// always with the slash, and sign them with the same keys.
fn identity(options: &Options<'_>) -> Result<Identity, OptionError> {
    let hint = "Give the tenant's name as it begins the domain that Auth0's dashboard shows: tenant => \
                'my-tenant', tenant_region => 'us' for my-tenant.us.auth0.com.";
    let label = |argument: &'static str, given: &str| {
        let fits = is_label(given);
        fits.then_some(()).ok_or_else(|| {
            OptionError::new(
                argument,
                format!("\"{given:.100}\" is not a {argument}"),
                hint,
            )
        })
    };
    let tenant = options.required("tenant", hint)?;
    label("tenant", tenant)?;
    let domain = match options.optional("tenant_region", hint)? {
        None => format!("{tenant}.auth0.com"),
        Some(region) => {
            label("tenant_region", region)?;
            format!("{tenant}.{region}.auth0.com")
        }
    };
    let keys = KeyAddress::Direct {
        jwks_uri: format!("https://{domain}/.well-known/jwks.json"),
    };
    let mut identity = Identity::new(format!("https://{domain}/"), keys);
    let hint = "Give the host of the custom domain, for example 'login.example.com'; more of them go to \
                issuers => '{https://login.example.org/}'.";
    if let Some(custom) = options.optional("custom_domain", hint)? {
        let custom = host("custom_domain", custom, hint)?;
        identity
            .issuers
            .push(Issuer::exact(format!("https://{custom}/")));
    }
    Ok(identity)
}

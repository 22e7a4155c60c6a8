//! Microsoft Entra ID (Azure Active Directory). Rules from Microsoft's pages on access tokens and on
//! validating them in applications for several tenants.

use super::{
    Identity, OptionError, Options, Preset, SecondFactorClaims, TenantClaims, evidence::EmailClaim,
};
use crate::provider::issuer::is_guid;
use crate::provider::{Issuer, KeyAddress};

/// The tenant of personal accounts.
const CONSUMERS: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";

pub(super) static PRESET: Preset = Preset {
    kind: "azure",
    own_arguments: &["tenant", "client_ids", "tenants"],
    identity,
    party_claims: &["azp", "appid"],
    tenant: TenantClaims::Entra,
    session_claim: Some("sid"),
    second_factor: SecondFactorClaims::AmrMfa,
    email: EmailClaim::XmsEdov,
    ..Preset::PLAIN
};

/// Tokens of version 2.0 and of version 1.0 have different issuers for the same tenant, and keys of
/// the same address.
fn identity(options: &Options<'_>) -> Result<Identity, OptionError> {
    let hint = "Give the Directory (tenant) ID that Entra's admin center shows, or 'consumers', or \
                'common' or 'organizations' together with tenants => '{…}'.";
    let tenant = options.required("tenant", hint)?.to_ascii_lowercase();
    let tenants = tenants(options)?;
    let (tenants, segment) = match tenant.as_str() {
        "common" | "organizations" if tenants.is_empty() => {
            return Err(OptionError::new(
                "tenants",
                format!("tenant '{tenant}' needs tenants: otherwise every tenant could sign in"),
                "Give tenants => '{<Directory (tenant) ID>, …}', the tenants whose users may sign in.",
            ));
        }
        "common" | "organizations" => (tenants, tenant),
        _ if !tenants.is_empty() => {
            return Err(OptionError::new(
                "tenants",
                "tenants goes with tenant 'common' or 'organizations' only",
                "Leave tenants out, or give tenant => 'organizations'.",
            ));
        }
        "consumers" => (vec![CONSUMERS.to_owned()], tenant),
        guid if is_guid(guid) => (vec![tenant.clone()], tenant),
        _ => {
            let problem = format!("\"{tenant:.100}\" is not a tenant");
            return Err(OptionError::new("tenant", problem, hint));
        }
    };
    let in_issuer = match segment.as_str() {
        "common" | "organizations" => crate::provider::issuer::TENANT,
        _ => tenants[0].as_str(),
    };
    let issuers = vec![
        Issuer::template(format!(
            "https://login.microsoftonline.com/{in_issuer}/v2.0"
        )),
        Issuer::template(format!("https://sts.windows.net/{in_issuer}/")),
    ];
    let keys = KeyAddress::Direct {
        jwks_uri: format!("https://login.microsoftonline.com/{segment}/discovery/v2.0/keys"),
    };
    let client_ids = options.texts(
        "client_ids",
        "Give the Application (client) IDs of your applications; an Application ID URI (api://…) goes \
         to audiences.",
    )?;
    Ok(Identity {
        issuers,
        client_ids,
        tenants,
        ..Identity::new("", keys)
    })
}

/// The tenants whose tokens count; `consumers` stands for personal accounts.
fn tenants(options: &Options<'_>) -> Result<Vec<String>, OptionError> {
    let hint = "Give Directory (tenant) IDs, and 'consumers' for personal accounts.";
    let given = options.texts("tenants", hint)?;
    given
        .iter()
        .map(|tenant| match tenant.to_ascii_lowercase().as_str() {
            "consumers" => Ok(CONSUMERS.to_owned()),
            guid if is_guid(guid) => Ok(guid.to_owned()),
            _ => {
                let problem = format!("\"{tenant:.100}\" is not a tenant's GUID");
                Err(OptionError::new("tenants", problem, hint))
            }
        })
        .collect()
}

//! WorkOS AuthKit. Rules from WorkOS's pages on sessions and its SDKs.

use super::options::host;
use super::{
    DefaultAudience, Discriminator, Identity, OptionError, Options, OrganizationClaims, OtherRoles,
    PermissionClaims, Preset,
};
use crate::provider::KeyAddress;

pub(super) static PRESET: Preset = Preset {
    kind: "workos",
    own_arguments: &["issuer_url", "client_id"],
    identity,
    audience: DefaultAudience::NotUsed,
    foreign_types: &["at+jwt"],
    // Agents' credentials and machine tokens are signed by the same keys and have no session.
    discriminators: &[
        Discriminator::StartsWith("sub", "user_"),
        Discriminator::StartsWith("sid", "session_"),
    ],
    // `role` is the user's role in the organisation, unless a JWT template says otherwise.
    other_roles: OtherRoles::NoRole,
    session_claim: Some("sid"),
    organization: OrganizationClaims::WorkOs,
    permissions: PermissionClaims::Permissions,
    ..Preset::PLAIN
};

/// The issuer is taken as it is. Keys are published for each client id; a bare or custom domain does
/// not name it, and with a bare one only these keys tell one customer's tokens from another's.
fn identity(options: &Options<'_>) -> Result<Identity, OptionError> {
    let hint = "Give the iss of your tokens byte for byte: \
                'https://api.workos.com/user_management/<client id>', 'https://api.workos.com' in older \
                environments, or your custom authentication domain.";
    let issuer = options.required("issuer_url", hint)?;
    let rest = issuer.strip_prefix("https://").ok_or_else(|| {
        let problem = format!("\"{issuer:.100}\" is not an https:// address");
        OptionError::new("issuer_url", problem, hint)
    })?;
    let (domain, path) = rest.split_once('/').unwrap_or((rest, ""));
    host("issuer_url", domain, hint)?;
    let named = path.strip_prefix("user_management/");
    let named = named.map(|id| id.strip_suffix('/').unwrap_or(id));
    let hint = "Give client_id => 'client_…', as WorkOS's dashboard shows it under API keys.";
    let given = options.optional("client_id", hint)?;
    let client_id = match (named, given) {
        (Some(named), Some(given)) if named != given => {
            return Err(OptionError::new(
                "client_id",
                "client_id is another one than issuer_url names",
                hint,
            ));
        }
        (Some(id), _) | (None, Some(id)) => id,
        (None, None) => {
            return Err(OptionError::new(
                "client_id",
                "issuer_url does not name a client id, and client_id is missing",
                hint,
            ));
        }
    };
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    if client_id.is_empty() || !client_id.bytes().all(allowed) {
        let problem = format!("\"{client_id:.100}\" is not a client id");
        return Err(OptionError::new("client_id", problem, hint));
    }
    let keys = KeyAddress::Direct {
        jwks_uri: format!("https://api.workos.com/sso/jwks/{client_id}"),
    };
    Ok(Identity::new(issuer, keys))
}

//! What the user may do in the organisation, one answer for every claim layout.

use super::clerk::{Version, version};
use super::organization::{bare, organization};
use super::{clerk_features, lists, texts};
use crate::provider::presets::PermissionClaims;
use crate::verify::Verified;

/// Whether the token grants this permission. Clerk's count in the active organisation only, written
/// `org:feature:name` or `feature:name`; those of Auth0 and WorkOS by their exact text, with or without an
/// organisation; a group of Cognito by its exact name.
pub fn has(token: &Verified, permission: &str) -> bool {
    match token.provider().preset.permissions {
        PermissionClaims::None => false,
        PermissionClaims::Clerk => clerk(token, permission).unwrap_or(false),
        PermissionClaims::Permissions => lists(token, "permissions", permission),
        PermissionClaims::CognitoGroups => lists(token, "cognito:groups", permission),
    }
}

/// As [`has`], and the active organisation is this one.
pub fn has_in(token: &Verified, permission: &str, id: &str) -> bool {
    organization(token).is_some_and(|organization| organization.id == id) && has(token, permission)
}

fn clerk(token: &Verified, permission: &str) -> Option<bool> {
    organization(token)?;
    let permission = bare(permission)?;
    let claims = token.claims().members();
    match version(claims)? {
        Version::Two(active) => clerk_features::grants(claims, active, permission),
        Version::One => {
            let own = texts(token, "org_permissions")?;
            Some(own.into_iter().any(|own| bare(own) == Some(permission)))
        }
    }
}

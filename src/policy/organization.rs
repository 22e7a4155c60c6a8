//! The organisation and the role in it, one answer for every claim layout.

use super::clerk::{Version, version};
use super::{claim_text, lists, text, texts};
use crate::provider::presets::OrganizationClaims;
use crate::verify::Verified;

/// The organisation that is active in the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Organization<'a> {
    /// Its id: unique only within its provider.
    pub id: &'a str,
    /// The user's role in it, without `org:`.
    pub role: Option<&'a str>,
}

/// The active organisation, if there is one that can be relied on.
pub fn organization(token: &Verified) -> Option<Organization<'_>> {
    match token.provider().preset.organization {
        OrganizationClaims::None | OrganizationClaims::CognitoGroups => None,
        OrganizationClaims::Clerk => clerk(token),
        OrganizationClaims::OrgId => Some(Organization {
            id: claim_text(token, "org_id")?,
            role: None,
        }),
        OrganizationClaims::WorkOs => Some(Organization {
            id: claim_text(token, "org_id")?,
            role: work_os_role(token).and_then(bare),
        }),
    }
}

/// Whether the user has this role (with or without `org:`) in the active organisation. A group of
/// Cognito, by its exact name, is a role without an organisation.
pub fn has_role(token: &Verified, role: &str) -> bool {
    match token.provider().preset.organization {
        OrganizationClaims::None => false,
        OrganizationClaims::CognitoGroups => lists(token, "cognito:groups", role),
        OrganizationClaims::Clerk | OrganizationClaims::OrgId => has_one_role(token, role),
        OrganizationClaims::WorkOs => has_one_role(token, role) || has_one_of_roles(token, role),
    }
}

/// As [`has_role`], and the active organisation is this one.
pub fn has_role_in(token: &Verified, role: &str, id: &str) -> bool {
    organization(token).is_some_and(|organization| organization.id == id) && has_role(token, role)
}

/// A role or permission without Clerk's `org:`; `None` if nothing is left.
pub(super) fn bare(name: &str) -> Option<&str> {
    let bare = name.strip_prefix("org:").unwrap_or(name);
    (!bare.is_empty()).then_some(bare)
}

fn clerk(token: &Verified) -> Option<Organization<'_>> {
    let members = token.claims().members();
    let (id, role) = match version(members)? {
        Version::Two(active) => (text(active, "id")?, text(active, "rol")),
        Version::One => (text(members, "org_id")?, text(members, "org_role")),
    };
    Some(Organization {
        id,
        role: role.and_then(bare),
    })
}

/// WorkOS writes the role in the organisation to `role`. A JWT template may put the database role
/// there, and the organisation's then to `user_role`. `roles` is of one mind with them only if it
/// names a single one.
fn work_os_role(token: &Verified) -> Option<&str> {
    let own = |name| claim_text(token, name).filter(|_| !is_database_role(token, name));
    own("role").or_else(|| own("user_role")).or_else(|| {
        let [only] = texts(token, "roles")?[..] else {
            return None;
        };
        Some(only)
    })
}

/// Whether the database role was taken from this claim.
fn is_database_role(token: &Verified, name: &str) -> bool {
    let members = token.claims().members();
    let provider = token.provider();
    let (Some(claim), Some(role)) = (members.get(name), provider.role_claim.find(members)) else {
        return false;
    };
    // The path of the role claim has several spellings: what it leads to is compared, not how.
    let is_allowed = |role| provider.allowed_roles.iter().any(|own| own == role);
    claim.is_same_text(role) && role.as_str().is_some_and(is_allowed)
}

fn has_one_role(token: &Verified, role: &str) -> bool {
    let own = organization(token).and_then(|organization| organization.role);
    own.is_some() && own == bare(role)
}

fn has_one_of_roles(token: &Verified, role: &str) -> bool {
    let (Some(_), Some(roles)) = (organization(token), texts(token, "roles")) else {
        return false;
    };
    bare(role).is_some_and(|role| roles.into_iter().any(|own| bare(own) == Some(role)))
}

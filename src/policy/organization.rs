//! The organisation and the role in it, one answer for every claim layout.

use super::claim_text;
use crate::provider::presets::OrganizationClaims;
use crate::verify::Verified;
use serde_json::{Map, Value};

/// The organisation that is active in the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Organization<'a> {
    /// Its id: unique only within its provider.
    pub id: &'a str,
    /// The user's role in it, without Clerk's `org:`.
    pub role: Option<&'a str>,
}

/// The active organisation, if there is one that can be relied on.
pub fn organization(token: &Verified) -> Option<Organization<'_>> {
    match token.provider().preset.organization {
        OrganizationClaims::None
        | OrganizationClaims::OrgId
        | OrganizationClaims::WorkOs
        | OrganizationClaims::CognitoGroups => None,
        OrganizationClaims::Clerk => clerk(token),
    }
}

/// Whether the user has this role (with or without `org:`) in the active organisation.
pub fn has_role(token: &Verified, role: &str) -> bool {
    organization(token)
        .and_then(|organization| organization.role)
        .is_some_and(|own| !own.is_empty() && own == bare(role))
}

/// As [`has_role`], and the active organisation is this one.
pub fn has_role_in(token: &Verified, role: &str, id: &str) -> bool {
    has_role(token, role) && organization(token).is_some_and(|organization| organization.id == id)
}

/// Clerk's claims. Version 2 (`v` is 2) has `o.id` and `o.rol`; version 1 has no `v`, and `org_id`
/// and `org_role`. The claims of the other version are custom claims then, and mean nothing: a
/// token that has both without saying its version has no organisation.
fn clerk(token: &Verified) -> Option<Organization<'_>> {
    let members = token.claims().members();
    match members.get("v") {
        Some(version) if version.as_f64() == Some(2.0) => {
            let active = members.get("o")?.as_object()?;
            Some(Organization {
                id: text(active, "id")?,
                role: text(active, "rol").map(bare),
            })
        }
        None if !members.contains_key("o") => Some(Organization {
            id: claim_text(token, "org_id")?,
            role: claim_text(token, "org_role").map(bare),
        }),
        _ => None,
    }
}

fn text<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    object.get(name)?.as_str().filter(|text| !text.is_empty())
}

fn bare(role: &str) -> &str {
    role.strip_prefix("org:").unwrap_or(role)
}

//! Which version of Clerk's session claims a token has (Clerk's session token reference).

use crate::json::Object;

/// A version, with what only it has.
#[derive(Debug, Clone, Copy)]
pub enum Version<'a> {
    /// `org_id`, `org_role` and `org_permissions` at the top.
    One,
    /// The active organisation's members in `o`.
    Two(Object<'a>),
}

/// The version whose organisation claims count. In version 2 `v` is 2 and an active organisation is
/// in `o`; version 1 has neither. The claims of the other version are custom claims then, and mean
/// nothing: a token that has both without saying its version has no organisation.
pub fn version(claims: Object<'_>) -> Option<Version<'_>> {
    match claims.get("v") {
        Some(version) if version.as_f64() == Some(2.0) => {
            claims.get("o")?.as_object().map(Version::Two)
        }
        None if !claims.contains_key("o") => Some(Version::One),
        _ => None,
    }
}

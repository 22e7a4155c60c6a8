//! What the token's client may do: OAuth 2.0 scopes.

use super::{claim_text, lists};
use crate::verify::Verified;

/// Where scopes are found: `scope` (RFC 8693 §4.2, RFC 9068 §2.2.3), and `scp` as Microsoft Entra ID
/// and others name it.
const CLAIMS: [&str; 2] = ["scope", "scp"];

/// Whether the token has this scope: one of those that a claim lists, separated by spaces, or one element
/// of an array of strings. Scopes are compared exactly (RFC 6749 §3.3). What is empty or has a
/// space is not one scope.
pub fn has_scope(token: &Verified, scope: &str) -> bool {
    let is_one = !scope.is_empty() && !scope.contains(' ');
    is_one
        && CLAIMS.iter().any(|name| {
            let in_text =
                claim_text(token, name).is_some_and(|list| list.split(' ').any(|own| own == scope));
            in_text || lists(token, name, scope)
        })
}

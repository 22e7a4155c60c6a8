//! Where in the claims a value is looked for.

use crate::json::{Object, Value};

/// A path to one claim, as `role_claim` takes it.
///
/// Three spellings, told apart when the provider is registered and never by what a token contains:
/// - a text that begins with `/` is a JSON Pointer (RFC 6901): `/app_metadata/role`
/// - a text that contains `://` is one member name, for namespaced claims: `https://example.com/role`
/// - any other text is a member name, or several joined by dots: `role`, `app_metadata.role`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimPath {
    text: String,
    members: Vec<String>,
}

/// The text names no claim: it is empty, has an empty member name, or a bad RFC 6901 escape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidClaimPath;

impl ClaimPath {
    /// Reads a path; see [`ClaimPath`] for the spellings.
    ///
    /// # Errors
    /// [`InvalidClaimPath`] if it names no claim.
    pub fn parse(text: &str) -> Result<Self, InvalidClaimPath> {
        let members = if let Some(pointer) = text.strip_prefix('/') {
            pointer
                .split('/')
                .map(unescape)
                .collect::<Result<Vec<_>, _>>()?
        } else if text.contains("://") {
            vec![text.to_owned()]
        } else {
            text.split('.').map(str::to_owned).collect()
        };
        if members.iter().any(String::is_empty) {
            return Err(InvalidClaimPath);
        }
        Ok(ClaimPath {
            text: text.to_owned(),
            members,
        })
    }

    /// The path as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The value at the path; only objects are descended into.
    pub fn find<'a>(&self, claims: Object<'a>) -> Option<Value<'a>> {
        let (first, rest) = self.members.split_first()?;
        rest.iter().try_fold(claims.get(first)?, |value, member| {
            value.as_object()?.get(member)
        })
    }
}

/// RFC 6901 §4: `~1` is a slash, `~0` a tilde, and no other escape exists.
fn unescape(token: &str) -> Result<String, InvalidClaimPath> {
    let mut name = String::with_capacity(token.len());
    let mut characters = token.chars();
    while let Some(character) = characters.next() {
        name.push(match character {
            '~' => match characters.next() {
                Some('0') => '~',
                Some('1') => '/',
                _ => return Err(InvalidClaimPath),
            },
            other => other,
        });
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::parse_object;
    use serde_json::json;

    fn found(path: &str, claims: serde_json::Value) -> Option<serde_json::Value> {
        let claims = parse_object(claims.to_string(), 8).unwrap();
        let value = ClaimPath::parse(path).unwrap().find(claims.object())?;
        Some(serde_json::to_value(value).unwrap())
    }

    #[test]
    fn the_three_spellings_reach_their_claims() {
        let claims =
            json!({"role": "a", "app": {"role": "b", "x/y": "c"}, "https://e.com/role": "d"});
        assert_eq!(found("role", claims.clone()), Some(json!("a")));
        assert_eq!(found("app.role", claims.clone()), Some(json!("b")));
        assert_eq!(found("/app/x~1y", claims.clone()), Some(json!("c")));
        assert_eq!(found("https://e.com/role", claims), Some(json!("d")));
    }

    #[test]
    fn a_literal_dotted_member_is_not_mistaken_for_a_path() {
        assert_eq!(found("app.role", json!({"app.role": "forged"})), None);
        assert_eq!(
            found("/app.role", json!({"app.role": "x"})),
            Some(json!("x"))
        );
    }

    #[test]
    fn paths_that_name_no_claim_are_refused() {
        for text in ["", ".", "a.", ".a", "a..b", "/", "/a//b", "/a~2"] {
            assert_eq!(ClaimPath::parse(text), Err(InvalidClaimPath), "{text}");
        }
    }
}

//! What a discovery document may say (OpenID Connect Discovery 1.0 §3, §4.3).

use super::url::{Target, judge_url};
use super::{FetchError, Rules};
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde_json::Value;
use std::fmt;

/// The deepest nesting that is read; the document itself is depth 1.
const MAX_DEPTH: usize = 16;

/// The place of the keys that a discovery document names, judged.
///
/// The document's `issuer` must equal the registered one byte for byte, and `jwks_uri` must lie at
/// the scheme, host and port of the document: whoever can change that one member could otherwise
/// point to keys of their own.
pub(super) fn jwks_target(
    text: &str,
    issuer: &str,
    document: &Target,
    rules: &Rules,
) -> Result<Target, FetchError> {
    let members = read(text)?;
    if members.issuer != issuer {
        return Err(FetchError::IssuerMismatch {
            difference: difference(&members.issuer, issuer),
        });
    }
    let problem = match judge_url(&members.jwks_uri, rules) {
        Ok(target) if target.has_same_origin(document) => return Ok(target),
        Ok(_) => "it is not at the issuer's scheme, host and port",
        Err(FetchError::UrlRefused { problem }) => problem,
        Err(FetchError::AddressRefused { refused, .. }) => refused.problem,
        Err(_) => "it is not https",
    };
    Err(FetchError::JwksUriRefused { problem })
}

/// The two members that count.
struct Members {
    issuer: String,
    jwks_uri: String,
}

fn read(text: &str) -> Result<Members, FetchError> {
    let refused = |problem| FetchError::NotJson { problem };
    if is_deeper(text, MAX_DEPTH) {
        return Err(refused("it is nested too deeply"));
    }
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let found = serde::Deserializer::deserialize_map(&mut deserializer, MembersVisitor)
        .and_then(|found| deserializer.end().map(|()| found))
        .map_err(|_| refused("it is not one JSON object"))?;
    if found.is_ambiguous {
        return Err(refused("it has a member twice"));
    }
    match (found.issuer, found.jwks_uri) {
        (Some(Value::String(issuer)), Some(Value::String(jwks_uri))) => {
            Ok(Members { issuer, jwks_uri })
        }
        (Some(Value::String(_)), _) => Err(refused("jwks_uri is missing or no string")),
        _ => Err(refused("issuer is missing or no string")),
    }
}

#[derive(Default)]
struct Found {
    issuer: Option<Value>,
    jwks_uri: Option<Value>,
    is_ambiguous: bool,
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Found;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Found, A::Error> {
        let mut found = Found::default();
        while let Some(name) = map.next_key::<String>()? {
            let place = match name.as_str() {
                "issuer" => &mut found.issuer,
                "jwks_uri" => &mut found.jwks_uri,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            found.is_ambiguous |= place.replace(map.next_value()?).is_some();
        }
        Ok(found)
    }
}

/// Whether brackets outside strings nest deeper than that. Whether they match is for the parser.
fn is_deeper(text: &str, limit: usize) -> bool {
    let mut depth = 0_usize;
    let mut in_string = false;
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' if in_string => {
                bytes.next();
            }
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => depth += 1,
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > limit {
            return true;
        }
    }
    false
}

/// In what way two issuers differ, without showing what the document says.
fn difference(found: &str, registered: &str) -> &'static str {
    let plain = |text: &str| text.trim_end_matches('/').to_ascii_lowercase();
    if found.trim_end_matches('/') == registered.trim_end_matches('/') {
        "only the slash at the end differs"
    } else if plain(found) == plain(registered) {
        "upper and lower case differ"
    } else {
        "it is not the registered one"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ISSUER: &str = "https://idp.example/realm";

    fn judged(text: &str) -> Result<String, FetchError> {
        let rules = Rules::default();
        let document = judge_url(
            "https://idp.example/realm/.well-known/openid-configuration",
            &rules,
        )
        .unwrap();
        jwks_target(text, ISSUER, &document, &rules).map(|target| target.as_str().to_owned())
    }

    fn class(text: &str) -> &'static str {
        judged(text).map_or_else(|error| error.class(), |_| "ok")
    }

    #[test]
    fn the_jwks_uri_of_the_own_issuer_is_taken() {
        let text = r#"{"scopes":["a","{"],"issuer":"https://idp.example/realm","x":{"y":[1]},"jwks_uri":"https://idp.example:443/keys"}"#;
        assert_eq!(judged(text).unwrap(), "https://idp.example:443/keys");
    }

    #[test]
    fn an_issuer_that_differs_in_one_byte_is_a_mismatch() {
        for (issuer, difference) in [
            ("https://idp.example/realm/", "slash"),
            ("https://idp.example/Realm", "case"),
            ("https://idp.example/realm ", "registered"),
            ("https://evil.example/realm", "registered"),
            ("", "registered"),
        ] {
            let text = format!(r#"{{"issuer":"{issuer}","jwks_uri":"https://idp.example/keys"}}"#);
            let error = judged(&text).unwrap_err();
            assert_eq!(error.class(), "issuer_mismatch", "{issuer}");
            assert!(error.to_string().contains(difference), "{issuer}: {error}");
            assert!(!error.to_string().contains("evil"), "{error}");
        }
    }

    #[test]
    fn a_jwks_uri_elsewhere_is_refused() {
        for uri in [
            "https://keys.idp.example/keys",
            "https://idp.example.evil.example/keys",
            "https://idp.example:8443/keys",
            "http://idp.example/keys",
            "https://user@idp.example/keys",
            "https://idp.example@evil.example/keys",
            "https://10.0.0.1/keys",
            "//idp.example/keys",
            "/keys",
            "file:///etc/passwd",
            "",
        ] {
            let text = format!(r#"{{"issuer":"{ISSUER}","jwks_uri":"{uri}"}}"#);
            assert_eq!(class(&text), "jwks_uri_refused", "{uri}");
        }
    }

    #[test]
    fn a_document_that_is_not_one_plain_object_is_refused() {
        let nested = |depth: usize| {
            format!(
                r#"{{"issuer":"{ISSUER}","jwks_uri":"https://idp.example/k","x":{}{}}}"#,
                "[".repeat(depth - 1),
                "]".repeat(depth - 1)
            )
        };
        assert_eq!(class(&nested(16)), "ok");
        assert_eq!(class(&nested(17)), "not_json");
        assert_eq!(class(&nested(100_000)), "not_json");
        for text in [
            "",
            "null",
            "[]",
            "<html></html>",
            r#"{"issuer":"https://idp.example/realm"}"#,
            r#"{"jwks_uri":"https://idp.example/keys"}"#,
            r#"{"issuer":["https://idp.example/realm"],"jwks_uri":"https://idp.example/keys"}"#,
            r#"{"issuer":"https://idp.example/realm","jwks_uri":7}"#,
            r#"{"issuer":"https://idp.example/realm","jwks_uri":"https://idp.example/keys"} x"#,
            r#"{"issuer":"https://idp.example/realm","jwks_uri":"https://idp.example/keys""#,
            r#"{"issuer":"x","issuer":"https://idp.example/realm","jwks_uri":"https://idp.example/keys"}"#,
            r#"{"issuer":"https://idp.example/realm","jwks_uri":null,"jwks_\u0075ri":"https://idp.example/keys"}"#,
        ] {
            assert_eq!(class(text), "not_json", "{text}");
        }
    }
}

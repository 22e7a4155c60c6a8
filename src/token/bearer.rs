//! The token in the headers of a request, as gateways hand them to SQL: one JSON object.

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;

/// The bearer token (RFC 6750 §2.1) that the header of this name (lower case) carries, if the text is a JSON
/// object with such a member. Of a member that is there twice the last one counts, as for `jsonb`.
///
/// The scheme is in any case (RFC 9110 §11.1), and any white space ends it, because that is how gateways
/// find the token. Of the other members nothing is kept.
pub fn bearer(headers: &str, name: &str) -> Option<String> {
    let mut reader = serde_json::Deserializer::from_str(headers);
    let value = reader.deserialize_map(Member(name)).ok()?;
    reader.end().ok()?;
    let value = String::deserialize(&mut serde_json::Deserializer::from_str(value?.get())).ok()?;
    let (scheme, token) = value.trim().split_once(char::is_whitespace)?;
    let token = token.trim_start();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then(|| token.to_owned())
}

/// Finds the member of this name.
struct Member<'n>(&'n str);

impl<'de> Visitor<'de> for Member<'_> {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of headers")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(name) = members.next_key::<String>()? {
            if name == self.0 {
                found = Some(members.next_value()?);
            } else {
                members.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

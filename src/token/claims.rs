//! The claims set (RFC 7519 §4).

use super::{Part, TokenError};
use crate::json::{self, Document, JsonError, Object, Value};

/// The last NumericDate that is taken for one: the end of the year 9999, in seconds since 1970.
/// Larger numbers are milliseconds or mistakes.
pub const MAX_NUMERIC_DATE: f64 = 253_402_300_799.0;

/// Levels of nesting that claims may have.
const MAX_DEPTH: usize = 64;

/// A claims set that was read and not yet believed.
#[derive(Clone)]
pub struct Claims {
    document: Document,
}

/// What stands under the name of a registered claim.
#[derive(Debug, Clone, PartialEq)]
pub enum Claim<T> {
    /// There is no such member.
    Absent,
    /// It has another JSON type than its definition says, is null, or is empty; or it is a
    /// NumericDate later than [`MAX_NUMERIC_DATE`].
    Invalid,
    /// The value.
    Present(T),
}

impl Claims {
    /// Reads a claims set from its JSON text.
    ///
    /// # Errors
    /// [`TokenError::DuplicateMember`] and [`TokenError::Malformed`] as [`json::parse_object`] says.
    pub fn parse(payload: String) -> Result<Claims, TokenError> {
        let document = json::parse_object(payload, MAX_DEPTH).map_err(|error| match error {
            JsonError::DuplicateMember => TokenError::DuplicateMember(Part::Payload),
            JsonError::Malformed(why) => TokenError::Malformed(Part::Payload, why),
        })?;
        Ok(Claims { document })
    }

    /// The JSON text, byte for byte as it was signed. Numbers are exact here only.
    pub fn payload(&self) -> &str {
        self.document.text()
    }

    /// The claims by name.
    pub fn members(&self) -> Object<'_> {
        self.document.object()
    }

    /// `iss` (RFC 7519 §4.1.1): one string, never an array.
    pub fn issuer(&self) -> Claim<&str> {
        self.string("iss")
    }

    /// `sub` (RFC 7519 §4.1.2).
    pub fn subject(&self) -> Claim<&str> {
        self.string("sub")
    }

    /// `exp` (RFC 7519 §4.1.4), in seconds since 1970.
    pub fn expires_at(&self) -> Claim<f64> {
        self.date("exp")
    }

    /// `nbf` (RFC 7519 §4.1.5), in seconds since 1970.
    pub fn not_before(&self) -> Claim<f64> {
        self.date("nbf")
    }

    /// `iat` (RFC 7519 §4.1.6), in seconds since 1970.
    pub fn issued_at(&self) -> Claim<f64> {
        self.date("iat")
    }

    /// `aud` (RFC 7519 §4.1.3): a string or an array of strings. An empty array, an empty string
    /// and an array with anything but strings are invalid.
    pub fn audience(&self) -> Claim<Vec<&str>> {
        match self.members().get("aud") {
            None => Claim::Absent,
            Some(Value::String(one)) if !one.is_empty() => Claim::Present(vec![one]),
            Some(Value::Array(items)) if !items.is_empty() => items
                .iter()
                .map(|item| item.as_str().filter(|text| !text.is_empty()))
                .collect::<Option<Vec<_>>>()
                .map_or(Claim::Invalid, Claim::Present),
            Some(_) => Claim::Invalid,
        }
    }

    /// A claim that has to be a string that is not empty.
    pub fn string(&self, name: &str) -> Claim<&str> {
        match self.members().get(name) {
            None => Claim::Absent,
            Some(Value::String(text)) if !text.is_empty() => Claim::Present(text),
            Some(_) => Claim::Invalid,
        }
    }

    /// A claim that has to be a NumericDate (RFC 7519 §2): a JSON number, in seconds since 1970,
    /// fractions allowed. Zero and negative numbers are dates before or in 1970.
    pub fn date(&self, name: &str) -> Claim<f64> {
        match self.members().get(name) {
            None => Claim::Absent,
            Some(Value::Number(number)) => match number.as_f64() {
                date if date.is_finite() && date <= MAX_NUMERIC_DATE => Claim::Present(date),
                _ => Claim::Invalid,
            },
            Some(_) => Claim::Invalid,
        }
    }
}

/// Says how many claims there are: claim values do not belong in logs.
impl std::fmt::Debug for Claims {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Claims({} members)", self.members().len())
    }
}

//! A JWK Set (RFC 7517 §5).

use super::kid::shorten;
use super::{Algorithm, Key, KeyProblem, jwk};
use crate::json::{self, JsonError};
use serde::de::{Deserializer as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

/// The most keys that a set may have. Providers publish two or three.
pub const MAX_KEYS: usize = 64;

/// Levels of nesting that a set may have.
const MAX_DEPTH: usize = 16;

/// How many keys of one id are tried: ids are to be unique (RFC 7517 §4.5), and a few providers
/// publish the same id for two types of key.
const MAX_TRIES_WITH_KID: usize = 4;

/// How many keys are tried for a token that names none.
const MAX_TRIES_WITHOUT_KID: usize = 16;

/// How many characters of a skipped key's id are shown.
const MAX_SHOWN_CHARACTERS: usize = 60;

/// What is said of a set without any entry: what a project publishes that signs with a secret alone.
pub const EMPTY_SET: &str = "the key set is empty";

/// The usable keys of a provider.
#[derive(Debug, Clone, Default)]
pub struct KeySet {
    /// The keys, in the order of the set.
    pub keys: Vec<Arc<Key>>,
}

/// What a JWKS contains.
#[derive(Debug, Clone)]
pub struct Reading {
    /// The usable keys; at least one.
    pub keys: KeySet,
    /// The entries that are not used.
    pub skipped: Vec<Skipped>,
}

/// An entry of a set that is not used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// Its place in `keys`, from 0.
    pub index: usize,
    /// Its id, cut after 60 characters; control characters are replaced.
    pub kid: Option<String>,
    /// Why it is not used.
    pub problem: KeyProblem,
}

/// Why a text gives no keys at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SetError {
    /// It is not strict JSON.
    Malformed(&'static str),
    /// A member name occurs twice in the set itself. (In a single key, only that key is skipped.)
    DuplicateMember,
    /// It has more than [`MAX_KEYS`] entries.
    TooManyKeys,
    /// It is JSON and not a JWK Set; the text says what it seems to be and what is wanted.
    NotAKeySet(&'static str),
    /// None of its entries can be used.
    NoUsableKey {
        /// Every entry, and why not.
        skipped: Vec<Skipped>,
    },
}

/// Reads the text of a JWK Set: `{"keys": [...]}`, key by key.
///
/// # Errors
/// [`SetError`], if there is no usable key in it.
pub fn read(text: &str) -> Result<Reading, SetError> {
    read_entries(text, false)
}

/// Reads a set of keys that [`Key::to_jwk`] wrote: ids that were cut keep their digest.
///
/// # Errors
/// As [`read`].
pub fn read_stored(text: &str) -> Result<Reading, SetError> {
    read_entries(text, true)
}

impl KeySet {
    /// The keys to try for a token with this `kid` and algorithm, in the order of the set.
    ///
    /// With an id: the keys of exactly this id, at most 4, and never a key without one. Without:
    /// every key that fits the algorithm (RFC 7515 appendix D), at most 16.
    pub fn candidates(&self, kid: Option<&str>, algorithm: Algorithm) -> Vec<&Arc<Key>> {
        let limit = if kid.is_some() {
            MAX_TRIES_WITH_KID
        } else {
            MAX_TRIES_WITHOUT_KID
        };
        self.keys
            .iter()
            .filter(|key| kid.is_none_or(|kid| key.has_id(kid)))
            .filter(|key| key.allows(algorithm))
            .take(limit)
            .collect()
    }

    /// Whether any key has exactly this id.
    pub fn knows_kid(&self, kid: &str) -> bool {
        self.keys.iter().any(|key| key.has_id(kid))
    }
}

impl fmt::Display for SetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SetError::Malformed(why) => write!(f, "the key set cannot be read: {why}"),
            SetError::DuplicateMember => f.write_str("a member name of the key set occurs twice"),
            SetError::TooManyKeys => write!(f, "the key set has more than {MAX_KEYS} keys"),
            SetError::NotAKeySet(what) => f.write_str(what),
            SetError::NoUsableKey { skipped } => match skipped.first() {
                None => f.write_str(EMPTY_SET),
                Some(first) => write!(
                    f,
                    "no key of the set can be used ({} in all); key {}: {}",
                    skipped.len(),
                    first.index + 1,
                    first.problem
                ),
            },
        }
    }
}

impl std::error::Error for SetError {}

impl From<JsonError> for SetError {
    fn from(error: JsonError) -> SetError {
        match error {
            JsonError::DuplicateMember => SetError::DuplicateMember,
            JsonError::Malformed(why) => SetError::Malformed(why),
        }
    }
}

fn read_entries(text: &str, stored: bool) -> Result<Reading, SetError> {
    let mut keys = Vec::new();
    let mut skipped = Vec::new();
    for (index, entry) in entries(text)?.into_iter().enumerate() {
        let document = json::parse_object(entry.get().to_owned(), MAX_DEPTH);
        let object = document.as_ref().map(|document| document.object());
        let kid = object.ok().and_then(|jwk| jwk.get("kid")?.as_str());
        let kid = kid.map(printable);
        let key = match object {
            Ok(jwk) => jwk::admit(jwk, stored),
            Err(JsonError::DuplicateMember) => Err(KeyProblem::DuplicateMember),
            Err(JsonError::Malformed(_)) => Err(KeyProblem::Unreadable),
        };
        match key {
            Ok(key) => keys.push(Arc::new(key)),
            Err(problem) => skipped.push(Skipped {
                index,
                kid,
                problem,
            }),
        }
    }
    if keys.is_empty() {
        return Err(SetError::NoUsableKey { skipped });
    }
    Ok(Reading {
        keys: KeySet { keys },
        skipped,
    })
}

/// The texts of the entries, so that each is judged alone.
fn entries(text: &str) -> Result<Vec<&RawValue>, SetError> {
    json::check_lexically(text, MAX_DEPTH).map_err(SetError::Malformed)?;
    if text.trim_start().starts_with('[') {
        return Err(SetError::NotAKeySet(
            "this is an array; a JWK Set is an object: {\"keys\": [...]}",
        ));
    }
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let document = deserializer
        .deserialize_map(DocumentVisitor)
        .map_err(|_| SetError::Malformed("it is not a JSON object"))?;
    deserializer
        .end()
        .map_err(|_| SetError::Malformed("text follows the JSON object"))?;
    if document.duplicate {
        return Err(SetError::DuplicateMember);
    }
    let Some(keys) = document.keys else {
        return Err(SetError::NotAKeySet(document.what_it_seems()));
    };
    let entries = serde_json::from_str::<Vec<&RawValue>>(keys.get())
        .map_err(|_| SetError::NotAKeySet("the member \"keys\" is not an array"))?;
    if entries.len() > MAX_KEYS {
        return Err(SetError::TooManyKeys);
    }
    Ok(entries)
}

/// The members of the outermost object.
#[derive(Default)]
struct Document<'a> {
    keys: Option<&'a RawValue>,
    names: BTreeSet<String>,
    duplicate: bool,
}

impl Document<'_> {
    fn what_it_seems(&self) -> &'static str {
        if self.names.contains("kty") {
            "this is a single JWK; put it into a set: {\"keys\": [...]}"
        } else if self.names.contains("jwks_uri") {
            "this is a discovery document; what is wanted is what its jwks_uri returns"
        } else {
            "there is no member \"keys\"; a JWK Set is wanted, not certificates: {\"keys\": [...]}"
        }
    }
}

struct DocumentVisitor;

impl<'de> Visitor<'de> for DocumentVisitor {
    type Value = Document<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Document<'de>, A::Error> {
        let mut document = Document::default();
        while let Some(name) = entries.next_key::<String>()? {
            if name == "keys" {
                document.keys = Some(entries.next_value()?);
            } else {
                entries.next_value::<IgnoredAny>()?;
            }
            document.duplicate |= !document.names.insert(name);
        }
        Ok(document)
    }
}

/// An id for people to read: ids are chosen by others, and this goes into messages.
fn printable(kid: &str) -> String {
    let mut shown: String = kid
        .chars()
        .take(MAX_SHOWN_CHARACTERS)
        .map(|character| {
            if character.is_control() {
                '\u{fffd}'
            } else {
                character
            }
        })
        .collect();
    if kid.chars().nth(MAX_SHOWN_CHARACTERS).is_some() {
        shown.pop();
        shown.push('…');
    }
    shorten(&shown, 4 * MAX_SHOWN_CHARACTERS)
}

//! Strict JSON (RFC 8259) for headers, claims and key sets.
//!
//! Stricter than the grammar in four points: member names are unique in every object, because
//! readers disagree about which of two counts (RFC 7515 §4, RFC 7519 §4); nesting is bounded; and
//! neither U+0000 nor numbers outside PostgreSQL's `numeric` occur, because `jsonb` cannot hold them.

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::map::Entry;
use serde_json::{Map, Number, Value};
use std::cell::Cell;
use std::fmt;

/// PostgreSQL's `numeric` keeps at most this many digits after the decimal point.
const MAX_SCALE: usize = 16_383;

/// The text is not one strict JSON object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JsonError {
    /// A member name occurs twice in one object, perhaps in two spellings (`"a"` and `"\u0061"`).
    DuplicateMember,
    /// Anything else, in words that repeat nothing of the text.
    Malformed(&'static str),
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JsonError::DuplicateMember => f.write_str("a member name occurs twice"),
            JsonError::Malformed(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for JsonError {}

/// Reads one JSON object and nothing else. A flat object has depth 1.
///
/// # Errors
/// [`JsonError::DuplicateMember`] for a name that occurs twice in any object;
/// [`JsonError::Malformed`] for more than `max_depth` levels, U+0000, a number outside the range of
/// a double or of `numeric`, lone surrogates, a byte order mark, trailing text, and whatever else
/// is not JSON.
pub fn parse_object(text: &str, max_depth: usize) -> Result<Map<String, Value>, JsonError> {
    check_lexically(text, max_depth).map_err(JsonError::Malformed)?;
    let problem = Cell::new(None);
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = Strict { problem: &problem }.deserialize(&mut deserializer);
    if let Some(problem) = problem.get() {
        return Err(problem);
    }
    match (value, deserializer.end()) {
        (Ok(Value::Object(members)), Ok(())) => Ok(members),
        (Ok(Value::Object(_)), Err(_)) => Err(JsonError::Malformed("text follows the JSON object")),
        (Ok(_), _) => Err(JsonError::Malformed("it is not a JSON object")),
        (Err(_), _) => Err(JsonError::Malformed("it is not valid JSON")),
    }
}

/// Bounds that are cheaper to check on the text than while reading it, and before anything is
/// allocated: the depth, and the number of digits after a number's decimal point. It need not
/// recognise JSON: the reader does that.
pub(crate) fn check_lexically(text: &str, max_depth: usize) -> Result<(), &'static str> {
    let bytes = text.as_bytes();
    let mut depth = 0_usize;
    let mut position = 0;
    while let Some(&byte) = bytes.get(position) {
        position += 1;
        match byte {
            b'"' => position = end_of_string(bytes, position),
            b'{' | b'[' => {
                depth += 1;
                if depth > max_depth {
                    return Err("it is nested too deeply");
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'.' | b'e' | b'E' => {
                let (end, scale) = scale_of_number(bytes, position - 1);
                if scale > MAX_SCALE {
                    return Err("a number is too large or too precise");
                }
                position = end;
            }
            _ => {}
        }
    }
    Ok(())
}

/// The position after the closing quote of a string that begins at `position`.
fn end_of_string(bytes: &[u8], mut position: usize) -> usize {
    while let Some(&byte) = bytes.get(position) {
        position += match byte {
            b'"' => return position + 1,
            b'\\' => 2,
            _ => 1,
        };
    }
    position
}

/// Reads `.digits` and `e[+-]digits` from `position`; both are optional. Returns the position after
/// them (always a later one) and a bound on the digits that stand after the decimal point. An
/// exponent as large as the limit counts as too many, whichever its sign.
fn scale_of_number(bytes: &[u8], position: usize) -> (usize, usize) {
    let digits = |from: usize| {
        let rest = bytes.get(from..).unwrap_or_default();
        rest.iter().take_while(|byte| byte.is_ascii_digit()).count()
    };
    let mut end = position;
    let mut scale = 0;
    if bytes.get(end) == Some(&b'.') {
        scale = digits(end + 1);
        end += 1 + scale;
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        end += 1;
        let negative = bytes.get(end) == Some(&b'-');
        if matches!(bytes.get(end), Some(b'+' | b'-')) {
            end += 1;
        }
        let length = digits(end);
        let exponent = bytes[end..end + length].iter().fold(0_usize, |sum, digit| {
            sum.saturating_mul(10)
                .saturating_add(usize::from(digit - b'0'))
        });
        end += length;
        if negative || exponent > MAX_SCALE {
            scale = scale.saturating_add(exponent);
        }
    }
    (end.max(position + 1), scale)
}

/// Reads any JSON value; `problem` says why it stopped, if the reason is one of ours.
#[derive(Clone, Copy)]
struct Strict<'a> {
    problem: &'a Cell<Option<JsonError>>,
}

impl Strict<'_> {
    fn fail<E: serde::de::Error>(self, problem: JsonError) -> E {
        self.problem.set(Some(problem));
        E::custom(problem)
    }

    fn text<E: serde::de::Error>(self, text: String) -> Result<String, E> {
        if text.contains('\0') {
            return Err(self.fail(JsonError::Malformed("it contains the character U+0000")));
        }
        Ok(text)
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value)
            .map(Value::Number)
            .ok_or_else(|| E::custom("not a finite number"))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Value, E> {
        self.text(text.to_owned()).map(Value::String)
    }

    fn visit_string<E: serde::de::Error>(self, text: String) -> Result<Value, E> {
        self.text(text).map(Value::String)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = items.next_element_seed(self)? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some(name) = entries.next_key::<String>()? {
            let name = self.text(name)?;
            let Entry::Vacant(place) = members.entry(name) else {
                return Err(self.fail(JsonError::DuplicateMember));
            };
            place.insert(entries.next_value_seed(self)?);
        }
        Ok(Value::Object(members))
    }
}

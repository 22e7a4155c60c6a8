//! Strict JSON (RFC 8259) for headers, claims and key sets.
//!
//! # Layout
//! - [`parse_object`]: a text to a [`Document`], or why not; `reader` does the reading, through `serde_json`
//! - [`Object`], [`Array`], [`Value`], [`Number`]: what is in a [`Document`], where it lies
//!
//! Stricter than the grammar in four points: member names are unique in every object, because
//! readers disagree about which of two counts (RFC 7515 §4, RFC 7519 §4); nesting is bounded; and
//! neither U+0000 nor numbers outside PostgreSQL's `numeric` occur, because `jsonb` cannot hold them.
#![forbid(unsafe_code)]

mod document;
mod reader;

use document::Node;
use reader::Reader;
use std::fmt;

pub use document::{Array, Document, Number, Object, Value};

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
pub fn parse_object(text: String, max_depth: usize) -> Result<Document, JsonError> {
    check_lexically(&text, max_depth).map_err(JsonError::Malformed)?;
    // Positions in a document have 32 bits.
    if u32::try_from(text.len()).is_err() {
        return Err(JsonError::Malformed("it is too long"));
    }
    let mut reader = Reader::new(&text);
    let mut deserializer = serde_json::Deserializer::from_str(&text);
    let value = reader.read(&mut deserializer);
    if let Some(problem) = reader.problem {
        return Err(problem);
    }
    let root = match (value, deserializer.end()) {
        (Ok(Node::Object(root)), Ok(())) => root,
        (Ok(Node::Object(_)), Err(_)) => {
            return Err(JsonError::Malformed("text follows the JSON object"));
        }
        (Ok(_), _) => return Err(JsonError::Malformed("it is not a JSON object")),
        (Err(_), _) => return Err(JsonError::Malformed("it is not valid JSON")),
    };
    let (unescaped, entries) = (reader.unescaped, reader.entries);
    Ok(Document::new(text, unescaped, entries, root))
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

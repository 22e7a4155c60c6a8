//! Reads JSON into a [`Document`](super::Document), through `serde_json`.

use super::JsonError;
use super::document::{Entry, Node, Number, Range, Text, by_name};
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// Reads values into the lists of a [`Document`].
pub(super) struct Reader<'t> {
    text: &'t str,
    /// Texts that were written with escapes.
    pub unescaped: String,
    /// The members and elements of objects and arrays that are whole.
    pub entries: Vec<Entry>,
    /// What was read of those that are not whole yet, the innermost last.
    open: Vec<Entry>,
    /// Why it stopped, if the reason is one of ours.
    pub problem: Option<JsonError>,
}

/// Few members are shorter than that, with their names and their punctuation.
const BYTES_OF_A_MEMBER: usize = 16;

const NO_NAME: Text = Text {
    start: 0,
    length: 0,
    is_unescaped: false,
};

impl<'t> Reader<'t> {
    /// Of a text that is shorter than 2^32 bytes.
    pub fn new(text: &'t str) -> Reader<'t> {
        Reader {
            text,
            unescaped: String::new(),
            entries: Vec::with_capacity(text.len() / BYTES_OF_A_MEMBER),
            open: Vec::new(),
            problem: None,
        }
    }

    /// Reads one value; the deserializer must be one of the same text.
    pub fn read<D: Deserializer<'t>>(&mut self, deserializer: D) -> Result<Node, D::Error> {
        self.value().deserialize(deserializer)
    }

    fn value(&mut self) -> ValueReader<'_, 't> {
        ValueReader { reader: self }
    }

    fn fail<E: serde::de::Error>(&mut self, problem: JsonError) -> E {
        self.problem = Some(problem);
        E::custom(problem)
    }

    /// A text that stands in the JSON as it is. It cannot hold U+0000: as itself that is no JSON.
    fn plain(&mut self, part: &'t str) -> Text {
        let start = part.as_ptr().addr() - self.text.as_ptr().addr();
        Text {
            start: start as u32,
            length: part.len() as u32,
            is_unescaped: false,
        }
    }

    /// A text that was written with escapes, which are longer than what they stand for.
    fn unescaped<E: serde::de::Error>(&mut self, text: &str) -> Result<Text, E> {
        if text.contains('\0') {
            return Err(self.fail(JsonError::Malformed("it contains the character U+0000")));
        }
        let start = self.unescaped.len() as u32;
        self.unescaped.push_str(text);
        Ok(Text {
            start,
            length: text.len() as u32,
            is_unescaped: true,
        })
    }

    /// What was read since is whole.
    fn close(&mut self, since: usize) -> Range {
        let start = self.entries.len() as u32;
        let length = (self.open.len() - since) as u32;
        self.entries.extend(self.open.drain(since..));
        Range { start, length }
    }

    /// The same, in the order of [`by_name`]; `None` if one occurs twice.
    fn close_object(&mut self, since: usize) -> Option<Range> {
        let (text, unescaped) = (self.text, self.unescaped.as_str());
        let members = &mut self.open[since..];
        let name = |entry: &Entry| entry.name.of(text, unescaped);
        members.sort_unstable_by(|one, other| by_name(name(one), name(other)));
        let is_twice = |pair: &[Entry]| name(&pair[0]) == name(&pair[1]);
        if members.windows(2).any(is_twice) {
            return None;
        }
        Some(self.close(since))
    }
}

/// Reads any value.
struct ValueReader<'r, 't> {
    reader: &'r mut Reader<'t>,
}

impl<'t> DeserializeSeed<'t> for ValueReader<'_, 't> {
    type Value = Node;

    fn deserialize<D: Deserializer<'t>>(self, deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'t> Visitor<'t> for ValueReader<'_, 't> {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Bool(value))
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Node, E> {
        let number = u64::try_from(value).map_or(Number::Negative(value), Number::Unsigned);
        Ok(Node::Number(number))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Number(Number::Unsigned(value)))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Node, E> {
        match value.is_finite() {
            true => Ok(Node::Number(Number::Float(value))),
            false => Err(E::custom("not a finite number")),
        }
    }

    fn visit_borrowed_str<E: serde::de::Error>(self, text: &'t str) -> Result<Node, E> {
        Ok(Node::String(self.reader.plain(text)))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Node, E> {
        self.reader.unescaped(text).map(Node::String)
    }

    fn visit_seq<A: SeqAccess<'t>>(self, mut items: A) -> Result<Node, A::Error> {
        let since = self.reader.open.len();
        while let Some(node) = items.next_element_seed(self.reader.value())? {
            self.reader.open.push(Entry {
                name: NO_NAME,
                node,
            });
        }
        Ok(Node::Array(self.reader.close(since)))
    }

    fn visit_map<A: MapAccess<'t>>(self, mut members: A) -> Result<Node, A::Error> {
        let since = self.reader.open.len();
        while let Some(name) = members.next_key_seed(self.reader.value())? {
            let Node::String(name) = name else {
                return Err(serde::de::Error::custom("a name is a text"));
            };
            let node = members.next_value_seed(self.reader.value())?;
            self.reader.open.push(Entry { name, node });
        }
        match self.reader.close_object(since) {
            Some(range) => Ok(Node::Object(range)),
            None => Err(self.reader.fail(JsonError::DuplicateMember)),
        }
    }
}

//! A JSON object as it was read: its values in one list, its texts where they stand.
//!
//! A token is read once and asked a few questions. A tree of its own strings and maps would cost more to build, and
//! to take down, than everything that is asked of it.

use serde::ser::{Serialize, SerializeMap, Serializer};
use std::cmp::Ordering;
use std::fmt;
use std::ptr;

/// A JSON object that was read strictly: see [`parse_object`](super::parse_object).
#[derive(Clone)]
pub struct Document {
    text: String,
    /// Texts that were written with escapes.
    unescaped: String,
    /// Members and elements. Those of one object or array lie side by side, members in the order of [`by_name`].
    entries: Vec<Entry>,
    root: Range,
}

/// A member of an object, or an element of an array, whose name is empty.
#[derive(Clone, Copy)]
pub(super) struct Entry {
    pub name: Text,
    pub node: Node,
}

/// A value, where it lies.
#[derive(Clone, Copy)]
pub(super) enum Node {
    Null,
    Bool(bool),
    Number(Number),
    String(Text),
    Array(Range),
    Object(Range),
}

/// A part of the text, or of the unescaped texts.
#[derive(Clone, Copy)]
pub(super) struct Text {
    pub start: u32,
    pub length: u32,
    pub is_unescaped: bool,
}

/// Some of the entries.
#[derive(Clone, Copy)]
pub(super) struct Range {
    pub start: u32,
    pub length: u32,
}

/// A number. Like `serde_json`'s, it is exact only if it is an integer of 64 bits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number {
    /// A whole number that is not negative.
    Unsigned(u64),
    /// A negative whole number.
    Negative(i64),
    /// Any other one.
    Float(f64),
}

/// A value of a [`Document`].
#[derive(Debug, Clone, Copy)]
pub enum Value<'a> {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number.
    Number(Number),
    /// A text, without its escapes.
    String(&'a str),
    /// An array.
    Array(Array<'a>),
    /// An object.
    Object(Object<'a>),
}

/// An array of a [`Document`].
#[derive(Clone, Copy)]
pub struct Array<'a> {
    document: &'a Document,
    range: Range,
}

/// An object of a [`Document`].
#[derive(Clone, Copy)]
pub struct Object<'a> {
    document: &'a Document,
    range: Range,
}

impl Document {
    pub(super) fn new(
        text: String,
        unescaped: String,
        entries: Vec<Entry>,
        root: Range,
    ) -> Document {
        Document {
            text,
            unescaped,
            entries,
            root,
        }
    }

    /// The JSON text, byte for byte.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The object that it is.
    pub fn object(&self) -> Object<'_> {
        Object {
            document: self,
            range: self.root,
        }
    }

    fn entries(&self, range: Range) -> &[Entry] {
        &self.entries[range.start as usize..][..range.length as usize]
    }

    fn string(&self, text: Text) -> &str {
        text.of(&self.text, &self.unescaped)
    }

    fn value(&self, node: Node) -> Value<'_> {
        let document = self;
        match node {
            Node::Null => Value::Null,
            Node::Bool(value) => Value::Bool(value),
            Node::Number(number) => Value::Number(number),
            Node::String(text) => Value::String(self.string(text)),
            Node::Array(range) => Value::Array(Array { document, range }),
            Node::Object(range) => Value::Object(Object { document, range }),
        }
    }
}

/// The order of members: as in `jsonb`, shorter names first. Most names differ in their lengths, which takes less
/// time to see than that they differ.
pub(super) fn by_name(one: &str, other: &str) -> Ordering {
    let by_length = one.len().cmp(&other.len());
    by_length.then_with(|| one.cmp(other))
}

impl Text {
    /// The text itself.
    pub fn of<'t>(self, text: &'t str, unescaped: &'t str) -> &'t str {
        let whole = if self.is_unescaped { unescaped } else { text };
        &whole[self.start as usize..][..self.length as usize]
    }
}

impl Number {
    /// The nearest double.
    pub fn as_f64(self) -> f64 {
        match self {
            Number::Unsigned(number) => number as f64,
            Number::Negative(number) => number as f64,
            Number::Float(number) => number,
        }
    }

    /// The number, if it was written as a whole one and fits.
    pub fn as_i64(self) -> Option<i64> {
        match self {
            Number::Unsigned(number) => i64::try_from(number).ok(),
            Number::Negative(number) => Some(number),
            Number::Float(_) => None,
        }
    }
}

impl<'a> Value<'a> {
    /// The text, if it is one.
    pub fn as_str(self) -> Option<&'a str> {
        match self {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// The nearest double, if it is a number.
    pub fn as_f64(self) -> Option<f64> {
        match self {
            Value::Number(number) => Some(number.as_f64()),
            _ => None,
        }
    }

    /// The number, if it is one that was written as a whole one and fits.
    pub fn as_i64(self) -> Option<i64> {
        match self {
            Value::Number(number) => number.as_i64(),
            _ => None,
        }
    }

    /// The array, if it is one.
    pub fn as_array(self) -> Option<Array<'a>> {
        match self {
            Value::Array(array) => Some(array),
            _ => None,
        }
    }

    /// The object, if it is one.
    pub fn as_object(self) -> Option<Object<'a>> {
        match self {
            Value::Object(object) => Some(object),
            _ => None,
        }
    }

    /// Whether both are the same text, at the same place.
    pub fn is_same_text(self, other: Value<'_>) -> bool {
        match (self, other) {
            (Value::String(one), Value::String(other)) => ptr::eq(one, other),
            _ => false,
        }
    }

    /// A member, if it is an object that has it.
    pub fn get(self, name: &str) -> Option<Value<'a>> {
        self.as_object()?.get(name)
    }
}

impl<'a> Array<'a> {
    /// How many elements it has.
    pub fn len(self) -> usize {
        self.range.length as usize
    }

    /// Whether it has none.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The elements.
    pub fn iter(self) -> impl Iterator<Item = Value<'a>> {
        let entries = self.document.entries(self.range).iter();
        entries.map(move |entry| self.document.value(entry.node))
    }
}

impl<'a> Object<'a> {
    /// The member of this name.
    pub fn get(self, name: &str) -> Option<Value<'a>> {
        let entry = self.find(name)?;
        Some(self.document.value(entry.node))
    }

    /// Whether there is a member of this name.
    pub fn contains_key(self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// The names and values, shorter names first.
    pub fn iter(self) -> impl Iterator<Item = (&'a str, Value<'a>)> {
        let document = self.document;
        let entries = document.entries(self.range).iter();
        entries.map(move |entry| (document.string(entry.name), document.value(entry.node)))
    }

    /// The names.
    pub fn keys(self) -> impl Iterator<Item = &'a str> {
        self.iter().map(|(name, _)| name)
    }

    /// How many members it has.
    pub fn len(self) -> usize {
        self.range.length as usize
    }

    /// Whether it has none.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    fn find(self, name: &str) -> Option<&'a Entry> {
        let entries = self.document.entries(self.range);
        let found =
            entries.binary_search_by(|entry| by_name(self.document.string(entry.name), name));
        found.ok().map(|position| &entries[position])
    }
}

/// As JSON.
impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = serde_json::to_string(self).map_err(|_| fmt::Error)?;
        f.write_str(&text)
    }
}

impl Serialize for Value<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match *self {
            Value::Null => serializer.serialize_unit(),
            Value::Bool(value) => serializer.serialize_bool(value),
            Value::Number(Number::Unsigned(number)) => serializer.serialize_u64(number),
            Value::Number(Number::Negative(number)) => serializer.serialize_i64(number),
            Value::Number(Number::Float(number)) => serializer.serialize_f64(number),
            Value::String(text) => serializer.serialize_str(text),
            Value::Array(array) => serializer.collect_seq(array.iter()),
            Value::Object(object) => object.serialize(serializer),
        }
    }
}

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut members = serializer.serialize_map(Some(self.len()))?;
        for (name, value) in self.iter() {
            members.serialize_entry(name, &value)?;
        }
        members.end()
    }
}

/// Says how many members there are: values do not belong in logs.
impl fmt::Debug for Object<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Object({} members)", self.len())
    }
}

/// Says how many elements there are.
impl fmt::Debug for Array<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Array({} elements)", self.len())
    }
}

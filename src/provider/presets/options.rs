//! The own arguments of a kind, as they were registered.

use serde_json::{Map, Value};

/// The own arguments of a kind: the members of the column `options`.
pub struct Options<'a>(pub &'a Map<String, Value>);

/// One of a kind's own arguments is missing or wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OptionError {
    /// The argument.
    pub argument: &'static str,
    /// What is wrong with it.
    pub problem: String,
    /// What to write instead.
    pub hint: String,
}

impl OptionError {
    /// What is wrong with an argument, and what to write instead.
    pub fn new(
        argument: &'static str,
        problem: impl Into<String>,
        hint: impl Into<String>,
    ) -> OptionError {
        OptionError {
            argument,
            problem: problem.into(),
            hint: hint.into(),
        }
    }
}

impl<'a> Options<'a> {
    /// A text argument that must be given and not empty.
    ///
    /// # Errors
    /// [`OptionError`] with the hint, if it is missing, null, empty or no text.
    pub fn required(&self, argument: &'static str, hint: &str) -> Result<&'a str, OptionError> {
        self.optional(argument, hint)?
            .ok_or_else(|| OptionError::new(argument, format!("{argument} is missing"), hint))
    }

    /// A text argument that may be missing, null or empty.
    ///
    /// # Errors
    /// [`OptionError`] with the hint, if it is no text or has white space around it.
    pub fn optional(
        &self,
        argument: &'static str,
        hint: &str,
    ) -> Result<Option<&'a str>, OptionError> {
        let problem = match self.0.get(argument) {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::String(text)) if text.is_empty() => return Ok(None),
            Some(Value::String(text)) if text.trim() != text => "has white space around it",
            Some(Value::String(text)) if text.chars().any(char::is_control) => {
                "has control characters"
            }
            Some(Value::String(text)) => return Ok(Some(text)),
            Some(_) => "is not a text",
        };
        Err(OptionError::new(
            argument,
            format!("{argument} {problem}"),
            hint,
        ))
    }

    /// An argument with several texts, none of them empty; nothing when it is missing or null.
    ///
    /// # Errors
    /// [`OptionError`] with the hint, if it is anything else.
    pub fn texts(&self, argument: &'static str, hint: &str) -> Result<Vec<String>, OptionError> {
        let usable = |text: &&str| !text.is_empty() && !text.chars().any(char::is_control);
        let elements = match self.0.get(argument) {
            None | Some(Value::Null) => return Ok(Vec::new()),
            Some(Value::Array(elements)) => elements
                .iter()
                .map(|element| element.as_str().filter(usable).map(str::to_owned))
                .collect::<Option<Vec<_>>>(),
            Some(_) => None,
        };
        elements.ok_or_else(|| {
            OptionError::new(
                argument,
                format!("{argument} has an element that is empty, NULL or has control characters"),
                hint,
            )
        })
    }
}

/// Lower-case host name labels, and a port at most: exactly what can stand in an issuer.
pub fn is_host_and_port(text: &str) -> bool {
    let (host, port) = text
        .split_once(':')
        .map_or((text, None), |(host, port)| (host, Some(port)));
    host.split('.').all(is_label)
        && port.is_none_or(|port| {
            port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok()
        })
}

/// One lower-case label of a host name (RFC 1123 §2.1).
pub fn is_label(label: &str) -> bool {
    !label.is_empty()
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// A host as dashboards show it: `https://` and one trailing slash are taken off.
///
/// # Errors
/// [`OptionError`] if what remains is no lower-case host name, with a port at most.
pub fn host<'a>(
    argument: &'static str,
    given: &'a str,
    hint: &str,
) -> Result<&'a str, OptionError> {
    let host = given.strip_prefix("https://").unwrap_or(given);
    let host = host.strip_suffix('/').unwrap_or(host);
    if is_host_and_port(host) {
        return Ok(host);
    }
    Err(OptionError::new(
        argument,
        format!("\"{given:.100}\" is not a host name"),
        hint,
    ))
}

//! What a `config.toml` of the Supabase CLI says about providers.
//!
//! # Layout
//! - [`read`]: the file as a list of entries
//! - `sections`: which keys of the file are understood, and what they are here
//! - `table`: one table of the file, and what can be wrong with a value
//! - `depth`: the limit of nesting
//! - `advice`: the call to write where the file does not say enough
//! - [`outcome`]: what an entry does to the registered providers
//!
//! A value that is not in the file is never guessed, and a secret is never taken from it or shown.

mod advice;
mod depth;
pub mod outcome;
mod sections;
mod table;

use serde_json::{Map, Value};
use std::fmt;
use table::Table;
use toml::de::DeTable;

pub use outcome::{Action, Outcome};

/// One key or table of the file.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Where it stands, for example `auth.third_party.clerk`.
    pub entry: String,
    /// What it says.
    pub finding: Finding,
}

/// What an entry says.
#[derive(Debug, Clone, PartialEq)]
pub enum Finding {
    /// A provider is to be registered.
    Provider {
        /// Its kind, which is also its name.
        kind: &'static str,
        /// The kind's own arguments. Null: the file could say it and does not, so that it is not set;
        /// what the file has no key for is not among them.
        options: Map<String, Value>,
    },
    /// Nothing is done; the text says why.
    Ignored(String),
    /// Something has to be done that the file does not say enough for; the text says what.
    Missing(String),
}

/// The text is not TOML.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// The line, from 1.
    pub line: usize,
    /// The character of the line, from 1.
    pub column: usize,
    /// What is wrong there. It repeats nothing of the file, which may have secrets.
    pub message: String,
}

/// Reads the text of a `config.toml`: `[auth.third_party.*]`, `[auth.external.*]`, `auth.jwt_issuer`,
/// `auth.jwt_secret` and `auth.signing_keys_path`, in the order of the file. Nothing else is looked at.
///
/// # Errors
/// [`ConfigError`] if it is not TOML 1.1, or nests deeper than 64 levels in one statement.
pub fn read(config: &str) -> Result<Vec<Entry>, ConfigError> {
    // Editors of one operating system put a byte order mark there.
    let config = config.strip_prefix('\u{feff}').unwrap_or(config);
    if let Some(offset) = depth::too_deep(config) {
        return Err(ConfigError::at(config, offset, "it nests too deep"));
    }
    let document = DeTable::parse(config).map_err(|error| {
        let start = error.span().map_or(0, |span| span.start);
        ConfigError::at(config, start, error.message())
    })?;
    let mut found = sections::entries(&Table::root(document.get_ref()));
    found.sort_by_key(|(place, _)| *place);
    Ok(found.into_iter().map(|(_, entry)| entry).collect())
}

impl Entry {
    fn new(entry: String, finding: Finding) -> Entry {
        Entry { entry, finding }
    }

    /// The name of the provider that it registers or updates, which is also its kind.
    pub fn name(&self) -> Option<&'static str> {
        match self.finding {
            Finding::Provider { kind, .. } => Some(kind),
            Finding::Ignored(_) | Finding::Missing(_) => None,
        }
    }
}

impl ConfigError {
    /// `offset` is in bytes.
    fn at(config: &str, offset: usize, message: &str) -> ConfigError {
        let before: String = config
            .char_indices()
            .take_while(|(index, _)| *index < offset)
            .map(|(_, character)| character)
            .collect();
        let line_start = before.rfind('\n').map_or(0, |index| index + 1);
        ConfigError {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            message: message.to_owned(),
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ConfigError {
            line,
            column,
            message,
        } = self;
        write!(f, "line {line}, column {column}: {message}")
    }
}

impl std::error::Error for ConfigError {}

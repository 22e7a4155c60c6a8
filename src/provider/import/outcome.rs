//! What an entry of the file does to the registered providers.

use super::advice::{call, literal};
use super::{Entry, Finding};
use crate::provider::presets::Preset;
use crate::provider::{Advice, Provider, Registration, Row, RowError};
use serde_json::{Map, Value};

/// What an entry does.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// What is done.
    pub action: Action,
    /// The row to insert ([`Action::Registered`]) or to write over the one of the same name
    /// ([`Action::Updated`]), as it is kept; it passed every check of a row.
    pub row: Option<Row>,
    /// What a person should know about it.
    pub detail: String,
}

/// What is done about an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// A new provider.
    Registered,
    /// A provider that was registered gets what the file says, and keeps the rest.
    Updated,
    /// The provider is as the file says.
    Unchanged,
    /// It is not about a provider that verifies tokens here.
    Ignored,
    /// Somebody has to do something first; the detail says what.
    Missing,
}

impl Action {
    /// As the column `action` shows it.
    pub fn as_str(self) -> &'static str {
        match self {
            Action::Registered => "registered",
            Action::Updated => "updated",
            Action::Unchanged => "unchanged",
            Action::Ignored => "ignored",
            Action::Missing => "missing",
        }
    }
}

impl Entry {
    /// What the entry does, where `existing` is the row whose name is [`Entry::name`].
    pub fn apply(&self, existing: Option<&Row>) -> Outcome {
        let without_row = |action, detail: &str| Outcome {
            action,
            row: None,
            detail: detail.to_owned(),
        };
        let (kind, options) = match &self.finding {
            Finding::Ignored(why) => return without_row(Action::Ignored, why),
            Finding::Missing(what) => return without_row(Action::Missing, what),
            Finding::Provider { kind, options } => (*kind, options),
        };
        let outcome = match existing {
            None => register(kind, options)
                .map_err(|error| format!("{}{}", said(&error), to_register(kind, options, &error))),
            Some(row) if row.kind == kind => update(row, options).map_err(|error| {
                format!("{}The provider stays as it was registered.", said(&error))
            }),
            Some(row) => Err(format!(
                "the name \"{}\" belongs to a provider of kind {}. {}",
                row.name,
                row.kind,
                call(kind, options, &["name"])
            )),
        };
        outcome.unwrap_or_else(|detail| without_row(Action::Missing, detail.trim_end()))
    }
}

fn register(kind: &str, options: &Map<String, Value>) -> Result<Outcome, RowError> {
    let mut given = options.clone();
    given.retain(|_, value| !value.is_null());
    let row = Registration::read(kind, &given)?.row;
    let (provider, advice) = row.clone().judge()?;
    Ok(Outcome {
        action: Action::Registered,
        row: Some(row.as_kept()?),
        detail: described(&provider, &advice),
    })
}

fn update(existing: &Row, options: &Map<String, Value>) -> Result<Outcome, RowError> {
    let mut row = existing.clone();
    let mut changes = Vec::new();
    for (name, value) in options {
        let own = row.options.get(name).unwrap_or(&Value::Null);
        if own != value {
            changes.push(format!("{name} is now {}", literal(value)));
        }
        match value {
            Value::Null => row.options.remove(name),
            value => row.options.insert(name.clone(), value.clone()),
        };
    }
    let (provider, advice) = row.clone().judge()?;
    let mut detail = described(&provider, &advice);
    if !row.enabled {
        detail.push_str(". It is disabled, and stays so");
    }
    let row = row.as_kept()?;
    if row == existing.clone().as_kept()? {
        return Ok(Outcome {
            action: Action::Unchanged,
            row: None,
            detail,
        });
    }
    detail.push_str(&format!(". {}", changes.join(", ")));
    let kept = kept_columns(&row);
    if !kept.is_empty() {
        detail.push_str(&format!(
            ". Kept as registered, so check that it still fits: {}",
            kept.join(", ")
        ));
    }
    Ok(Outcome {
        action: Action::Updated,
        row: Some(row),
        detail,
    })
}

/// What may belong to the provider as it was before: its keys, and further issuers. (A secret does not
/// follow it to another issuer.)
fn kept_columns(row: &Row) -> Vec<&'static str> {
    let columns = [
        ("jwks", row.jwks.is_some()),
        ("jwks_uri", row.jwks_uri.is_some()),
        ("issuers", !row.issuers.is_empty()),
    ];
    let set = columns.into_iter().filter(|(_, is_set)| *is_set);
    set.map(|(name, _)| name).collect()
}

fn described(provider: &Provider, advice: &[Advice]) -> String {
    let mut text = format!(
        "provider \"{}\", issuer {}",
        provider.name,
        provider.issuer()
    );
    for one in advice {
        text.push_str(&format!(
            ". {}: {}",
            one.message,
            one.hint.trim_end_matches('.')
        ));
    }
    text
}

/// The error with its hint, and a space behind them.
fn said(error: &RowError) -> String {
    format!("{}. {} ", error.message, error.hint)
}

/// The call that registers it, if what is wrong is that the file has no key for an argument.
fn to_register(kind: &str, options: &Map<String, Value>, error: &RowError) -> String {
    let argument = error.argument.as_str();
    let is_own = |preset: &Preset| preset.own_arguments.contains(&argument);
    let is_argument = argument == "audiences" || Preset::find(kind).is_some_and(is_own);
    match is_argument && !options.contains_key(argument) {
        true => call(kind, options, &[argument]),
        false => String::new(),
    }
}

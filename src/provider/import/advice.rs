//! The call to write where the file does not say enough.

use super::Finding;
use crate::provider::presets::{DefaultAudience, Preset};
use crate::provider::row::MAX_ISSUER_BYTES;
use serde_json::{Map, Value};

/// A provider that the file does not describe completely: `problem` says why, `open` are the arguments
/// whose values have to be filled in.
pub(super) fn incomplete(
    problem: &str,
    kind: &'static str,
    options: &Map<String, Value>,
    open: &[&str],
) -> Finding {
    let call = call(kind, options, open);
    Finding::Missing(format!("{problem}. To register it: {call}"))
}

/// `SELECT third_party_auth.add_<kind>(…)` with these options, placeholders for the open arguments, and
/// one for the audience where the kind needs it.
pub(super) fn call(kind: &str, options: &Map<String, Value>, open: &[&str]) -> String {
    let preset = Preset::find(kind);
    let own = preset.map_or(&[][..], |preset| preset.own_arguments);
    let needs_audience = preset.is_some_and(|preset| preset.audience == DefaultAudience::Required);
    let takes_client_ids = own.contains(&"client_ids");
    let is_open = |name: &str| open.contains(&name) || (name == "client_ids" && needs_audience);
    let mut arguments: Vec<String> = own
        .iter()
        .filter_map(|&name| match options.get(name) {
            Some(value) if !value.is_null() => Some(format!("{name} => {}", literal(value))),
            _ if is_open(name) => Some(format!("{name} => {}", placeholder(name))),
            _ => None,
        })
        .collect();
    if needs_audience && !takes_client_ids {
        arguments.push(format!("audiences => {}", placeholder("audiences")));
    }
    arguments.extend(
        open.iter()
            .filter(|name| **name == "name")
            .map(|name| format!("name => {}", placeholder(name))),
    );
    format!(
        "SELECT third_party_auth.add_{kind}({})",
        arguments.join(", ")
    )
}

fn placeholder(argument: &str) -> &'static str {
    match argument {
        "audiences" => "'{your-api}'",
        "client_ids" => "'{your-client-id}'",
        "client_id" => "'client_…'",
        "tenants" => "'{<Directory (tenant) ID>}'",
        "name" => "'another-name'",
        _ => "'…'",
    }
}

/// A value as SQL writes it; `'…'` for one that cannot be right.
pub(super) fn literal(value: &Value) -> String {
    match value {
        Value::String(text)
            if text.len() > MAX_ISSUER_BYTES || text.chars().any(char::is_control) =>
        {
            "'…'".to_owned()
        }
        Value::String(text) => format!("'{}'", text.replace('\'', "''")),
        Value::Array(elements) => {
            let elements: Vec<String> = elements.iter().map(literal).collect();
            format!("ARRAY[{}]", elements.join(", "))
        }
        _ => "NULL".to_owned(),
    }
}

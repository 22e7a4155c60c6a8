//! `import_supabase_config()`: what a `config.toml` of the Supabase CLI names, registered.

use super::super::call::{Call, Returned};
use super::super::errors::{self, SqlError};
use super::{registration, triggers};
use crate::c_function;
use crate::provider::Row;
use crate::provider::import::{self, Action};
use pgrx::spi::Spi;
use pgrx::{IntoDatum, JsonB, PgSqlErrorCode};
use serde_json::{Value, json};

c_function!(
    /// `import_entries(config text) → jsonb`: registers or updates what the text names, and says entry by
    /// entry what was done.
    third_party_auth_import_entries, pg_finfo_third_party_auth_import_entries, |call| {
        // The text may hold secrets.
        errors::hidden(|| entries(call))
    }
);

fn entries(call: Call) -> Returned {
    let Some(config) = call.argument::<String>(0) else {
        return Ok(JsonB(json!([])).into_datum());
    };
    let entries = import::read(&config).map_err(|error| {
        SqlError::new(
            PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
            format!(
                "the configuration is not valid TOML at line {}, column {}",
                error.line, error.column
            ),
        )
        .detail(error.message)
        .hint("Give the text of supabase/config.toml as it is.")
    })?;
    let table = triggers::provider_table()?;
    triggers::lock_registration(table)?;
    let mut report = Vec::new();
    for entry in &entries {
        let existing = match entry.name() {
            Some(name) => registration::existing(name)?,
            None => None,
        };
        let outcome = entry.apply(existing.as_ref());
        let taken = match &outcome.row {
            Some(row) => triggers::owner_of_an_issuer(table, row)?,
            None => None,
        };
        let (action, detail) = match (outcome.action, outcome.row, taken) {
            (_, Some(_), Some((issuer, owner))) => (
                Action::Missing,
                format!(
                    "issuer {issuer} belongs to provider \"{owner}\" already; nothing is changed"
                ),
            ),
            (Action::Registered, Some(row), None) => {
                registration::insert(&row)?;
                triggers::warn_if_full(&row);
                (Action::Registered, outcome.detail)
            }
            (Action::Updated, Some(row), None) => {
                update(&row)?;
                (Action::Updated, outcome.detail)
            }
            (action, ..) => (action, outcome.detail),
        };
        let action = action.as_str();
        report.push(json!({"entry": entry.entry, "action": action, "detail": detail}));
    }
    Ok(JsonB(Value::Array(report)).into_datum())
}

/// The file tells a kind's own arguments, and nothing else of a row.
fn update(row: &Row) -> Result<(), SqlError> {
    let update =
        "UPDATE third_party_auth.provider SET options = $2 WHERE name OPERATOR(pg_catalog.=) $1";
    let options = JsonB(Value::Object(row.options.clone()));
    let arguments = [row.name.as_str().into(), options.into()];
    Spi::connect_mut(|client| client.update(update, None, &arguments).map(|_| ()))?;
    Ok(())
}

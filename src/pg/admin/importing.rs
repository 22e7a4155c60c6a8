//! `import_supabase_config()`: what a `config.toml` of the Supabase CLI names, registered.

use super::super::call::{Call, Returned};
use super::super::errors::SqlError;
use super::{registration, triggers};
use crate::c_function;
use crate::provider::import::{self, Outcome};
use pgrx::spi::Spi;
use pgrx::{IntoDatum, JsonB, PgSqlErrorCode};
use serde_json::{Value, json};

c_function!(
    /// `import_entries(config text) → jsonb`: registers or updates what the text names, and says entry by
    /// entry what was done.
    third_party_auth_import_entries, pg_finfo_third_party_auth_import_entries, |call| {
        // The text may hold secrets.
        entries(call).map_err(SqlError::hiding_the_statement)
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
    triggers::lock_registration(triggers::provider_table()?);
    let mut report = Vec::new();
    for entry in &entries {
        let existing = match entry.name() {
            Some(name) => registration::existing(name)?,
            None => None,
        };
        let (action, detail) = match entry.apply(existing.as_ref()) {
            Outcome::Registered(row) => {
                registration::insert(&row)?;
                triggers::warn_if_full(&row);
                ("registered", row.name)
            }
            Outcome::Updated(row) => {
                let update = "UPDATE third_party_auth.provider SET options = $2 \
                              WHERE name OPERATOR(pg_catalog.=) $1";
                let options = JsonB(Value::Object(row.options));
                let arguments = [row.name.as_str().into(), options.into()];
                Spi::connect_mut(|client| client.update(update, None, &arguments).map(|_| ()))?;
                ("updated", row.name)
            }
            Outcome::Unchanged(detail) => ("unchanged", detail),
            Outcome::Ignored(detail) => ("ignored", detail),
            Outcome::Missing(detail) => ("missing", detail),
        };
        report.push(json!({"entry": entry.entry, "action": action, "detail": detail}));
    }
    Ok(JsonB(Value::Array(report)).into_datum())
}

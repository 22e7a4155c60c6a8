//! `add_<kind>()` and `remove_provider()`.
//!
//! `sql/install/registration.sql` declares one `add_<kind>()` for each kind over the one function here.

use super::super::call::{self, Call, Returned};
use super::super::catalog;
use super::super::errors::{self, SqlError};
use super::super::registry;
use super::{secrets, triggers};
use crate::c_function;
use crate::provider::row::Row;
use pgrx::datum::{DatumWithOid, Interval, JsonString};
use pgrx::spi::Spi;
use pgrx::{JsonB, PgSqlErrorCode};
use serde_json::Value;

c_function!(
    /// `register_provider(kind, options, name, …) → text`: inserts the row, unless it is already
    /// exactly there; answers its name.
    third_party_auth_register_provider, pg_finfo_third_party_auth_register_provider, |call| {
        // The statement may hold a secret.
        errors::hidden(|| register(call))
    }
);

c_function!(
    /// `remove_provider(name text) → boolean`: whether there was one.
    third_party_auth_remove_provider, pg_finfo_third_party_auth_remove_provider, |call| {
        let Some(name) = call.argument::<String>(0) else {
            return call::boolean(false);
        };
        let delete = "DELETE FROM third_party_auth.provider WHERE name OPERATOR(pg_catalog.=) $1";
        let removed = Spi::connect_mut(|client| {
            client.update(delete, None, &[name.as_str().into()]).map(|rows| rows.len())
        })?;
        call::boolean(removed > 0)
    }
);

fn register(call: Call) -> Returned {
    let options = match call.argument::<JsonB>(1).map(|options| options.0) {
        Some(Value::Object(mut options)) => {
            options.retain(|_, value| !value.is_null());
            options
        }
        _ => serde_json::Map::new(),
    };
    // A NULL element is judged as an empty one.
    let texts = |position| {
        let elements = call.argument::<Vec<Option<String>>>(position)?;
        Some(
            elements
                .into_iter()
                .map(Option::unwrap_or_default)
                .collect::<Vec<_>>(),
        )
    };
    let interval = call.argument::<Interval>(10);
    let row = Row {
        kind: call.argument(0).unwrap_or_default(),
        options,
        name: call.argument(2).unwrap_or_default(),
        issuers: texts(3).unwrap_or_default(),
        audiences: texts(4).unwrap_or_default(),
        any_audience: call.argument(5).unwrap_or(false),
        authorized_parties: texts(6).unwrap_or_default(),
        role_claim: call.argument(7).unwrap_or_else(|| "role".to_owned()),
        allowed_roles: texts(8),
        default_role: call.argument(9),
        clock_skew: interval.map_or(30.0, registry::seconds),
        algorithms: texts(11),
        jwks: call.argument::<JsonString>(12).map(|text| text.0),
        jwks_uri: call.argument(13),
        for_requests: call.argument(14),
        enabled: true,
    };
    let wanted = row.clone().as_kept()?;
    let secret = match call.argument::<String>(15) {
        Some(text) => Some(secrets::of(&row, text)?),
        None => None,
    };
    // Two at the same time: the second one finds what the first one has committed.
    triggers::lock_registration(triggers::provider_table()?)?;
    match existing(&row.name)? {
        Some(found) if found == wanted => {
            match (secrets::stored(&row.name)?, &secret) {
                (None, None) => {}
                (Some(stored), Some(secret)) if stored == secret.text() => {}
                // A restored database has the provider without its secret, which is not dumped.
                (None, Some(secret)) => secrets::keep(&row.name, secret)?,
                (Some(_), _) => return Err(exists(&found)),
            }
        }
        Some(found) => return Err(exists(&found)),
        None => {
            // Judged here too, so that an error comes without the context of the INSERT.
            row.clone().judge()?;
            insert(&row)?;
            if let Some(secret) = &secret {
                secrets::keep(&row.name, secret)?;
            }
            triggers::warn_if_full(&row);
        }
    }
    call::text(Some(&row.name))
}

pub fn existing(name: &str) -> Result<Option<Row>, SqlError> {
    let rows = catalog::rows(triggers::provider_table()?, registry::row)?;
    Ok(rows.into_iter().find(|row| row.name == name))
}

fn exists(found: &Row) -> SqlError {
    SqlError::new(
        PgSqlErrorCode::ERRCODE_DUPLICATE_OBJECT,
        format!("provider \"{}\" is already registered with other arguments", found.name),
    )
    .hint(
        "For another provider give name => 'another-name'; for another application of the same issuer add \
         its audience to this one: UPDATE third_party_auth.provider. remove_provider() removes it.",
    )
}

pub fn insert(row: &Row) -> Result<(), SqlError> {
    let insert = "INSERT INTO third_party_auth.provider (name, kind, enabled, issuers, audiences, \
                  any_audience, authorized_parties, role_claim, allowed_roles, default_role, clock_skew, \
                  algorithms, jwks, jwks_uri, for_requests, options) \
                  VALUES ($1, $2, true, $3, $4, $5, $6, $7, $8, $9, \
                  pg_catalog.make_interval(secs => $10), $11, $12, $13, $14, $15)";
    let arguments: [DatumWithOid; 15] = [
        row.name.as_str().into(),
        row.kind.as_str().into(),
        row.issuers.clone().into(),
        row.audiences.clone().into(),
        row.any_audience.into(),
        row.authorized_parties.clone().into(),
        row.role_claim.as_str().into(),
        row.allowed_roles.clone().into(),
        row.default_role.as_deref().into(),
        row.clock_skew.into(),
        row.algorithms.clone().into(),
        row.jwks.clone().map(JsonString).into(),
        row.jwks_uri.as_deref().into(),
        row.for_requests.into(),
        JsonB(Value::Object(row.options.clone())).into(),
    ];
    Spi::connect_mut(|client| client.update(insert, None, &arguments).map(|_| ()))?;
    Ok(())
}

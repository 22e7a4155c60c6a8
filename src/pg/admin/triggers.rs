//! The checks of the tables, which hold for plain SQL too, and their invalidation.

use super::super::call::Call;
use super::super::catalog::{self, Table, Tuple};
use super::super::errors::{SqlError, advise};
use super::super::{hooks, registry, settings, shared};
use crate::c_function;
use crate::provider::row::{Advice, AdviceLevel, Row};
use pgrx::spi::Spi;
use pgrx::{IntoDatum, PgSqlErrorCode, pg_sys};
use std::ffi::CString;

/// An object of its own in PostgreSQL's lock table, so that two registrations at the same time see each
/// other without blocking a reader.
const REGISTRATION_LOCK: u16 = 1;

c_function!(
    /// BEFORE INSERT OR UPDATE on `provider`: judges the row and fills in what was left open.
    third_party_auth_provider_check, pg_finfo_third_party_auth_provider_check, |call| {
        let trigger = trigger_data(call)?;
        // SAFETY: PostgreSQL passes the row that is about to be written, and its description.
        let (tuple, description) = unsafe {
            let is_update = (*trigger).tg_newtuple;
            let tuple = if is_update.is_null() { (*trigger).tg_trigtuple } else { is_update };
            (tuple, (*(*trigger).tg_relation).rd_att)
        };
        // SAFETY: as above.
        let mut row = registry::row(&unsafe { Tuple::deform(description, tuple) });
        let (roles, algorithms) = (row.allowed_roles.is_none(), row.algorithms.is_none());
        row.fill_in()?;
        let (_, advice) = row.clone().judge()?;
        advice.iter().for_each(advise);
        let mut changes = Vec::new();
        if roles {
            changes.push(("allowed_roles", row.allowed_roles.clone().into_datum()));
        }
        if algorithms {
            changes.push(("algorithms", row.algorithms.clone().into_datum()));
        }
        // SAFETY: as above.
        Ok(Some(unsafe { modified(tuple, description, &changes) }))
    }
);

c_function!(
    /// AFTER INSERT, UPDATE or DELETE on `provider`, each row: an issuer selects one provider at most.
    third_party_auth_provider_changed, pg_finfo_third_party_auth_provider_changed, |call| {
        let trigger = trigger_data(call)?;
        // SAFETY: PostgreSQL passes the relation that fired.
        let relation = unsafe { (*(*trigger).tg_relation).rd_id };
        invalidate(relation);
        hooks::sync_at_commit();
        one_provider_for_each_issuer(relation)?;
        Ok(Some(pg_sys::Datum::null()))
    }
);

c_function!(
    /// AFTER INSERT on `provider`: its row of state.
    third_party_auth_provider_created, pg_finfo_third_party_auth_provider_created, |call| {
        let trigger = trigger_data(call)?;
        // SAFETY: PostgreSQL passes the row that was written, and its description.
        let row = unsafe {
            let description = (*(*trigger).tg_relation).rd_att;
            registry::row(&Tuple::deform(description, (*trigger).tg_trigtuple))
        };
        let insert = "INSERT INTO third_party_auth.provider_state (provider) VALUES ($1) \
                      ON CONFLICT DO NOTHING";
        Spi::connect_mut(|client| {
            client.update(insert, None, &[row.name.as_str().into()]).map(|_| ())
        })?;
        Ok(Some(pg_sys::Datum::null()))
    }
);

c_function!(
    /// AFTER anything on a table of the registry: what was read is void.
    third_party_auth_registry_changed, pg_finfo_third_party_auth_registry_changed, |call| {
        let trigger = trigger_data(call)?;
        // SAFETY: as above.
        invalidate(unsafe { (*(*trigger).tg_relation).rd_id });
        Ok(Some(pg_sys::Datum::null()))
    }
);

fn trigger_data(call: Call) -> Result<*mut pg_sys::TriggerData, SqlError> {
    call.trigger().ok_or_else(|| {
        SqlError::new(
            PgSqlErrorCode::ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED,
            "this function is called by triggers only",
        )
    })
}

/// Voids what any session has read of the registry: at the commit elsewhere, at once here.
fn invalidate(relation: pg_sys::Oid) {
    // SAFETY: the relation exists, the trigger was fired on it.
    unsafe { pg_sys::CacheInvalidateRelcacheByRelid(relation) };
    registry::touch();
}

fn one_provider_for_each_issuer(relation: pg_sys::Oid) -> Result<(), SqlError> {
    // SAFETY: plain calls in a transaction; the lock is held until it ends. The row that fired the
    // trigger becomes visible to the scan by the new command.
    unsafe {
        pg_sys::LockDatabaseObject(
            pg_sys::RelationRelationId,
            relation,
            REGISTRATION_LOCK,
            pg_sys::ExclusiveLock as i32,
        );
        pg_sys::CommandCounterIncrement();
    }
    let rows = catalog::rows(relation, registry::row)?;
    let mut owners: Vec<(String, String)> = Vec::new();
    for row in rows {
        let Ok((provider, _)) = row.judge() else {
            continue;
        };
        for issuer in provider.issuers {
            if let Some((_, owner)) = owners.iter().find(|(known, _)| *known == issuer) {
                return Err(taken(&issuer, owner, &provider.name));
            }
            owners.push((issuer, provider.name.clone()));
        }
    }
    Ok(())
}

fn taken(issuer: &str, one: &str, other: &str) -> SqlError {
    SqlError::new(
        PgSqlErrorCode::ERRCODE_DUPLICATE_OBJECT,
        format!("issuer \"{issuer}\" belongs to providers \"{one}\" and \"{other}\""),
    )
    .hint(
        "An issuer selects one provider. To accept several applications of it, give that provider \
         several audiences.",
    )
}

/// A copy of a row with other values in some columns.
///
/// # Safety
/// `tuple` and `description` must be valid and fit.
unsafe fn modified(
    tuple: pg_sys::HeapTuple,
    description: pg_sys::TupleDesc,
    changes: &[(&str, Option<pg_sys::Datum>)],
) -> pg_sys::Datum {
    if changes.is_empty() {
        return pg_sys::Datum::from(tuple);
    }
    // SAFETY: the arrays have one place for each attribute; the values are of the columns' types.
    unsafe {
        let count = (*description).natts.max(0) as usize;
        let mut values = vec![pg_sys::Datum::null(); count];
        let mut nulls = vec![false; count];
        let mut replace = vec![false; count];
        for (column, value) in changes {
            let name = CString::new(*column).unwrap_or_default();
            let number = pg_sys::SPI_fnumber(description, name.as_ptr());
            if let (Ok(position), Some(value)) = (usize::try_from(number - 1), value) {
                values[position] = *value;
                replace[position] = true;
            }
        }
        let copy = pg_sys::heap_modify_tuple(
            tuple,
            description,
            values.as_mut_ptr(),
            nulls.as_mut_ptr(),
            replace.as_mut_ptr(),
        );
        pg_sys::Datum::from(copy)
    }
}

/// A provider beyond `max_providers` verifies from its table only: said when it is registered.
pub fn warn_if_full(row: &Row) {
    if shared::is_there() && !shared::has_free_slot() && row.jwks.is_none() {
        advise(&Advice {
            level: AdviceLevel::Warning,
            message: format!(
                "provider \"{}\" gets no slot: third_party_auth.max_providers ({}) is reached",
                row.name,
                settings::max_providers()
            ),
            hint: "Its keys are not fetched. Raise third_party_auth.max_providers and restart."
                .to_owned(),
        });
    }
}

/// The table of providers.
pub fn provider_table() -> Result<pg_sys::Oid, SqlError> {
    Table::Provider.oid().ok_or_else(|| {
        SqlError::new(
            PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
            "the extension is not installed in this database",
        )
        .hint("CREATE EXTENSION pg_third_party_auth;")
    })
}

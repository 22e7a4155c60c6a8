//! The checks of the tables, which hold for plain SQL too, and their invalidation.

use super::super::call::Call;
use super::super::catalog::{self, Table, Tuple};
use super::super::errors::{self, SqlError, advise};
use super::super::registry::SecretRow;
use super::super::{clock, hooks, registry, settings, shared};
use super::secrets;
use crate::c_function;
use crate::cache::Ticks;
use crate::provider::row::{Advice, AdviceLevel, Row};
use pgrx::datum::JsonString;
use pgrx::spi::Spi;
use pgrx::{IntoDatum, JsonB, PgSqlErrorCode, pg_sys};
use serde_json::Value;
use std::ffi::CString;

/// An object of its own in PostgreSQL's lock table, so that two registrations at the same time see each
/// other without blocking a reader.
const REGISTRATION_LOCK: u16 = 1;
/// How long one waits for another where `lock_timeout` is off, in milliseconds: tests that run beside each
/// other keep what they registered until they roll it back.
const REGISTRATION_WAIT: Ticks = 60_000;

c_function!(
    /// BEFORE INSERT OR UPDATE on `provider`: judges the row and fills in what was left open.
    third_party_auth_provider_check, pg_finfo_third_party_auth_provider_check, |call| {
        let fired = Fired::by(call, &[Table::Provider])?.each_row(true)?;
        let written = registry::row(&fired.tuple());
        let (_, advice) = written.clone().judge()?;
        advice.iter().for_each(advise);
        let row = written.clone().as_kept()?;
        let mut changes = Vec::new();
        if row.allowed_roles != written.allowed_roles {
            changes.push(("allowed_roles", row.allowed_roles.into_datum()));
        }
        if row.algorithms != written.algorithms {
            changes.push(("algorithms", row.algorithms.into_datum()));
        }
        if row.for_requests != written.for_requests {
            changes.push(("for_requests", row.for_requests.into_datum()));
        }
        if row.options != written.options {
            changes.push(("options", JsonB(Value::Object(row.options)).into_datum()));
        }
        if row.jwks != written.jwks {
            changes.push(("jwks", row.jwks.map(JsonString).into_datum()));
        }
        Ok(Some(fired.modified(&changes)))
    }
);

c_function!(
    /// AFTER INSERT, UPDATE or DELETE on `provider`, each row: an issuer selects one provider at most.
    third_party_auth_provider_changed, pg_finfo_third_party_auth_provider_changed, |call| {
        let fired = Fired::by(call, &[Table::Provider])?.each_row(false)?;
        fired.void_what_was_read();
        hooks::sync_at_commit();
        if !fired.is_delete && !is_replaying() {
            one_provider_for_each_issuer(fired.relation, &registry::row(&fired.tuple()))?;
        }
        Ok(Some(pg_sys::Datum::null()))
    }
);

c_function!(
    /// AFTER INSERT on `provider`: its row of state.
    third_party_auth_provider_created, pg_finfo_third_party_auth_provider_created, |call| {
        let fired = Fired::by(call, &[Table::Provider])?.each_row(false)?;
        let row = registry::row(&fired.tuple());
        let insert = "INSERT INTO third_party_auth.provider_state (provider) VALUES ($1) \
                      ON CONFLICT DO NOTHING";
        Spi::connect_mut(|client| {
            client.update(insert, None, &[row.name.as_str().into()]).map(|_| ())
        })?;
        Ok(Some(pg_sys::Datum::null()))
    }
);

c_function!(
    /// BEFORE INSERT OR UPDATE on `provider_secret`: judges the secret.
    third_party_auth_secret_check, pg_finfo_third_party_auth_secret_check, |call| {
        let fired = Fired::by(call, &[Table::ProviderSecret])?.each_row(true)?;
        // Its text is in the row that failed, which PostgreSQL would show.
        let issuer = errors::hidden(|| secrets::judge(&SecretRow::read(&fired.tuple())))?;
        Ok(Some(fired.modified(&[("issuer", issuer.into_datum())])))
    }
);

c_function!(
    /// AFTER anything on a table of the registry: what was read is void.
    third_party_auth_registry_changed, pg_finfo_third_party_auth_registry_changed, |call| {
        let fired = Fired::by(call, &Table::ALL)?;
        fired.void_what_was_read();
        // The sync worker itself writes there.
        if Table::ProviderState.oid() != Some(fired.relation) {
            hooks::sync_at_commit();
        }
        Ok(Some(pg_sys::Datum::null()))
    }
);

/// What fired a trigger function: checked, because whoever may execute it can hang it on any table.
struct Fired {
    relation: pg_sys::Oid,
    is_delete: bool,
    is_row: bool,
    is_before: bool,
    /// The row as it will be, or is; NULL for a statement trigger.
    row: pg_sys::HeapTuple,
    description: pg_sys::TupleDesc,
}

impl Fired {
    /// Reads what PostgreSQL tells a trigger.
    fn by(call: Call, tables: &[Table]) -> Result<Self, SqlError> {
        let data = call.trigger().ok_or_else(not_ours)?;
        // SAFETY: PostgreSQL passes a valid TriggerData, with the relation that fired.
        let fired = unsafe {
            let data = &*data;
            let relation = &*data.tg_relation;
            let new = if data.tg_newtuple.is_null() {
                data.tg_trigtuple
            } else {
                data.tg_newtuple
            };
            Fired {
                relation: relation.rd_id,
                is_delete: data.tg_event & pg_sys::TRIGGER_EVENT_OPMASK
                    == pg_sys::TRIGGER_EVENT_DELETE,
                is_row: data.tg_event & pg_sys::TRIGGER_EVENT_ROW != 0,
                is_before: data.tg_event & pg_sys::TRIGGER_EVENT_BEFORE != 0,
                row: new,
                description: relation.rd_att,
            }
        };
        let is_ours = tables
            .iter()
            .any(|table| table.oid() == Some(fired.relation));
        if is_ours { Ok(fired) } else { Err(not_ours()) }
    }

    /// A row trigger, before or after the event.
    fn each_row(self, before: bool) -> Result<Self, SqlError> {
        if self.is_row && self.is_before == before && !self.row.is_null() {
            Ok(self)
        } else {
            Err(not_ours())
        }
    }

    /// The row, taken apart.
    fn tuple(&self) -> Tuple {
        // SAFETY: a row trigger's row and its description are valid during the call.
        unsafe { Tuple::deform(self.description, self.row) }
    }

    /// The row with other values in some columns.
    fn modified(&self, changes: &[(&str, Option<pg_sys::Datum>)]) -> pg_sys::Datum {
        // SAFETY: as above; the values are of the columns' types.
        unsafe { modified(self.row, self.description, changes) }
    }

    /// Voids what any session has read of the table: at the commit elsewhere, at once here.
    fn void_what_was_read(&self) {
        // SAFETY: the relation exists, the trigger was fired on it.
        unsafe { pg_sys::CacheInvalidateRelcacheByRelid(self.relation) };
        registry::touch();
    }
}

fn not_ours() -> SqlError {
    SqlError::new(
        PgSqlErrorCode::ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED,
        "this function is called by the triggers of the extension's own tables only",
    )
    .hint("Drop the trigger that calls it.")
}

/// Whether the change comes by logical replication, which must not be stopped by a refusal. The
/// provider that comes first by name has the issuer then, and `status` says so.
fn is_replaying() -> bool {
    // SAFETY: reads a variable.
    let role = unsafe { pg_sys::SessionReplicationRole };
    role == pg_sys::SESSION_REPLICATION_ROLE_REPLICA as i32
}

/// Makes registrations wait for each other, without blocking a reader. The lock is held until the
/// transaction ends; what `LockDatabaseObject` does, but not for ever.
///
/// # Errors
/// 55P03 if another transaction keeps it for `lock_timeout`, or a minute where that is off.
pub fn lock_registration(relation: pg_sys::Oid) -> Result<(), SqlError> {
    // SAFETY: reads a variable.
    let database = unsafe { pg_sys::MyDatabaseId };
    let tag = pg_sys::LOCKTAG {
        locktag_field1: database.to_u32(),
        locktag_field2: pg_sys::RelationRelationId.to_u32(),
        locktag_field3: relation.to_u32(),
        locktag_field4: REGISTRATION_LOCK,
        locktag_type: pg_sys::LockTagType::LOCKTAG_OBJECT as u8,
        locktag_lockmethodid: pg_sys::DEFAULT_LOCKMETHOD as u8,
    };
    let is_got = || {
        // SAFETY: the tag is copied; without waiting.
        let got = unsafe { pg_sys::LockAcquire(&tag, pg_sys::ExclusiveLock as i32, false, true) };
        got != pg_sys::LockAcquireResult::LOCKACQUIRE_NOT_AVAIL
    };
    // SAFETY: reads a variable (milliseconds; 0: off).
    let limit = unsafe { pg_sys::LockTimeout };
    let limit = Ticks::try_from(limit).ok().filter(|&limit| limit > 0);
    let deadline = clock::ticks() + limit.unwrap_or(REGISTRATION_WAIT);
    if !catalog::is_got_before(deadline, &is_got) {
        return Err(SqlError::new(
            PgSqlErrorCode::ERRCODE_LOCK_NOT_AVAILABLE,
            "another transaction has just registered or changed a provider and is still open",
        )
        .hint(
            "Try again when it has ended. lock_timeout says how long this one waits, a minute if it is off.",
        ));
    }
    registry::accept_invalidations();
    Ok(())
}

/// Only issuers are compared: reading the pinned keys of all the others would make a restore quadratic.
fn one_provider_for_each_issuer(relation: pg_sys::Oid, row: &Row) -> Result<(), SqlError> {
    lock_registration(relation)?;
    // SAFETY: makes the row that fired the trigger visible to the scan.
    unsafe { pg_sys::CommandCounterIncrement() };
    match owner_of_an_issuer(relation, row)? {
        None => Ok(()),
        Some((issuer, owner)) => Err(taken(&issuer, &owner, &row.name)),
    }
}

/// An issuer of the row that another provider has, and that provider's name.
pub fn owner_of_an_issuer(
    relation: pg_sys::Oid,
    row: &Row,
) -> Result<Option<(String, String)>, SqlError> {
    let own = row.all_issuers()?;
    let others = catalog::rows(relation, registry::issuers_row)?;
    let mut others = others.into_iter().filter(|other| other.name != row.name);
    Ok(others.find_map(|other| {
        let theirs = other.all_issuers().unwrap_or_default();
        let issuer = own.iter().find(|issuer| theirs.contains(issuer))?;
        Some((issuer.clone(), other.name))
    }))
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
    Table::Provider.oid().ok_or_else(not_installed)
}

/// A table of the extension is not there.
pub fn not_installed() -> SqlError {
    SqlError::new(
        PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
        "the extension is not installed in this database",
    )
    .hint("CREATE EXTENSION pg_third_party_auth;")
}

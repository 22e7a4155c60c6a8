//! The extension's tables, found by membership and read with a fresh snapshot.
//!
//! A fresh catalog snapshot sees what has committed although the transaction's own snapshot is older
//! (REPEATABLE READ, parallel workers, standbys), and needs no privileges. No SPI is involved, so a
//! policy can do it per statement.

use super::clock;
use super::errors::Undecided;
use super::patience::Wait;
use super::version::attribute;
use super::wait_event::WaitEvent;
use crate::cache::Ticks;
use pgrx::{FromDatum, IntoDatum, JsonB, pg_sys};
use std::cell::Cell;
use std::ffi::CStr;
use std::ptr;

const EXTENSION: &CStr = c"pg_third_party_auth";
const SCHEMA: &CStr = c"third_party_auth";
/// How long to sleep between two tries to get a lock, in milliseconds.
const LOCK_RETRY: i64 = 5;

/// A table of the extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// Who may sign for us.
    Provider,
    /// The last good keys.
    ProviderState,
    /// Keys that are refused.
    Revoked,
    /// Symmetric secrets.
    ProviderSecret,
}

impl Table {
    /// All of them.
    pub const ALL: [Table; 4] = [
        Table::Provider,
        Table::ProviderState,
        Table::Revoked,
        Table::ProviderSecret,
    ];

    fn name(self) -> &'static CStr {
        match self {
            Table::Provider => c"provider",
            Table::ProviderState => c"provider_state",
            Table::Revoked => c"revoked",
            Table::ProviderSecret => c"provider_secret",
        }
    }

    /// Its OID, if the extension is installed.
    pub fn oid(self) -> Option<pg_sys::Oid> {
        let [oid] = Self::oids([self]);
        oid
    }

    /// The OIDs of these, if the extension is installed. Names alone are not trusted: somebody else's table in a
    /// schema of the same name is not a member of the extension.
    pub fn oids<const N: usize>(tables: [Table; N]) -> [Option<pg_sys::Oid>; N] {
        // SAFETY: catalog look-ups with static names; they run inside a transaction, as every caller does.
        unsafe {
            let extension = pg_sys::get_extension_oid(EXTENSION.as_ptr(), true);
            let schema = pg_sys::get_namespace_oid(SCHEMA.as_ptr(), true);
            if extension == pg_sys::InvalidOid || schema == pg_sys::InvalidOid {
                return [None; N];
            }
            tables.map(|table| {
                let table = pg_sys::get_relname_relid(table.name().as_ptr(), schema);
                let owner = pg_sys::getExtensionOfObject(pg_sys::RelationRelationId, table);
                (table != pg_sys::InvalidOid && owner == extension).then_some(table)
            })
        }
    }
}

/// One row, deformed. Values are read by column name, so that a column that a later version adds does
/// not move the others.
pub struct Tuple {
    description: pg_sys::TupleDesc,
    values: Vec<pg_sys::Datum>,
    nulls: Vec<bool>,
    /// The row was written by the current transaction.
    pub is_own: bool,
    /// A column is missing or has another type.
    is_damaged: Cell<bool>,
}

impl Tuple {
    /// Takes a row apart.
    ///
    /// # Safety
    /// Both must be valid, and stay so as long as the result is used.
    pub unsafe fn deform(description: pg_sys::TupleDesc, tuple: pg_sys::HeapTuple) -> Self {
        // SAFETY: the caller vouches for both; the arrays have one place for each attribute.
        unsafe {
            let count = (*description).natts.max(0) as usize;
            let mut values = vec![pg_sys::Datum::null(); count];
            let mut nulls = vec![true; count];
            pg_sys::heap_deform_tuple(tuple, description, values.as_mut_ptr(), nulls.as_mut_ptr());
            Tuple {
                description,
                values,
                nulls,
                is_own: false,
                is_damaged: Cell::new(false),
            }
        }
    }

    /// Whether a column that was asked for is missing or has another type. Whoever altered the table
    /// must not make a rule vanish, nor make us read a datum as what it is not.
    pub fn is_damaged(&self) -> bool {
        self.is_damaged.get()
    }

    /// The value of a column, detoasted and copied; `None` if it is NULL.
    pub fn get<T: FromDatum + IntoDatum>(&self, column: &str) -> Option<T> {
        let position = self.position::<T>(column);
        if position.is_none() {
            self.is_damaged.set(true);
        }
        let position = position?;
        // SAFETY: the column has exactly the type that is asked for.
        unsafe { T::from_datum(self.values[position], self.nulls[position]) }
    }

    /// The text of a `jsonb` column; pgrx's own reading of it raises for what serde_json cannot hold.
    pub fn jsonb_text(&self, column: &str) -> Option<String> {
        let position = self.position::<JsonB>(column);
        if position.is_none() {
            self.is_damaged.set(true);
        }
        let position = position.filter(|&position| !self.nulls[position])?;
        // SAFETY: the column is jsonb and not NULL; its output function returns a palloc'd text.
        unsafe {
            let text = pg_sys::OidOutputFunctionCall(
                pg_sys::Oid::from(pg_sys::F_JSONB_OUT),
                self.values[position],
            );
            Some(CStr::from_ptr(text).to_string_lossy().into_owned())
        }
    }

    fn position<T: IntoDatum>(&self, column: &str) -> Option<usize> {
        (0..self.values.len()).find(|&position| {
            // SAFETY: `deform` was given a valid description; the position is below natts.
            unsafe {
                let attribute = attribute(self.description, position);
                !(*attribute).attisdropped
                    && (*attribute).atttypid == T::type_oid()
                    && CStr::from_ptr((*attribute).attname.data.as_ptr()).to_bytes()
                        == column.as_bytes()
            }
        })
    }

    /// The elements of a text array; NULL is the empty list, a NULL element an empty text.
    pub fn texts(&self, column: &str) -> Option<Vec<String>> {
        let elements = self.get::<Vec<Option<String>>>(column)?;
        Some(
            elements
                .into_iter()
                .map(Option::unwrap_or_default)
                .collect(),
        )
    }
}

/// Reads all rows of a table as they are committed now, and as this transaction has changed them.
///
/// # Errors
/// [`Undecided::RegistryLocked`] if the table stays locked for `key_wait`,
/// [`Undecided::RegistryDamaged`] if it does not have the columns that it should have.
pub fn rows<R>(table: pg_sys::Oid, mut read: impl FnMut(&Tuple) -> R) -> Result<Vec<R>, Undecided> {
    let mut rows = Vec::new();
    scan(table, &mut |tuple| rows.push(read(tuple)))?;
    Ok(rows)
}

/// Compiled once, not for each kind of row: every call of PostgreSQL in it is a kilobyte of code.
fn scan(table: pg_sys::Oid, visit: &mut dyn FnMut(&Tuple)) -> Result<(), Undecided> {
    lock(table)?;
    let mut is_damaged = false;
    // SAFETY: the lock keeps the relation from being dropped; a fresh catalog snapshot is what a NULL
    // snapshot means. Values are copied by `visit` before the scan goes on. Should anything raise, the
    // end of the transaction releases scan, relation and lock.
    unsafe {
        let relation = pg_sys::RelationIdGetRelation(table);
        // It was dropped before the lock was got. That must not look like a table without rows.
        is_damaged |= relation.is_null();
        if !relation.is_null() {
            let scan = pg_sys::systable_beginscan(
                relation,
                pg_sys::InvalidOid,
                false,
                ptr::null_mut(),
                0,
                ptr::null_mut(),
            );
            loop {
                let tuple = pg_sys::systable_getnext(scan);
                if tuple.is_null() {
                    break;
                }
                let mut deformed = Tuple::deform((*relation).rd_att, tuple);
                // A frozen row keeps an old number here, which is no transaction of ours either.
                let xmin = (*(*tuple).t_data).t_choice.t_heap.t_xmin;
                deformed.is_own = pg_sys::TransactionIdIsCurrentTransactionId(xmin);
                visit(&deformed);
                is_damaged |= deformed.is_damaged();
            }
            pg_sys::systable_endscan(scan);
            pg_sys::RelationClose(relation);
        }
        pg_sys::UnlockRelationOid(table, pg_sys::AccessShareLock as i32);
    }
    if is_damaged {
        return Err(Undecided::RegistryDamaged);
    }
    Ok(())
}

/// A plain lock would queue behind any ACCESS EXCLUSIVE for as long as it lasts.
fn lock(table: pg_sys::Oid) -> Result<(), Undecided> {
    let is_free = || {
        // SAFETY: a plain call.
        unsafe { pg_sys::ConditionalLockRelationOid(table, pg_sys::AccessShareLock as i32) }
    };
    if is_free() {
        return Ok(());
    }
    let patience = Wait::begin();
    if is_got_before(patience.deadline, &is_free) {
        Ok(())
    } else {
        Err(Undecided::RegistryLocked)
    }
}

/// Tries to get a lock until then; answers whether it was got.
pub fn is_got_before(deadline: Ticks, is_got: &dyn Fn() -> bool) -> bool {
    while !is_got() {
        // SAFETY: plain calls; the first can raise when the query is cancelled, which is wanted.
        unsafe {
            pg_sys::check_for_interrupts!();
            if clock::ticks() >= deadline {
                return false;
            }
            pg_sys::WaitLatch(
                pg_sys::MyLatch,
                (pg_sys::WL_LATCH_SET | pg_sys::WL_TIMEOUT | pg_sys::WL_EXIT_ON_PM_DEATH) as i32,
                LOCK_RETRY,
                WaitEvent::Registry.number(),
            );
            pg_sys::ResetLatch(pg_sys::MyLatch);
        }
    }
    true
}

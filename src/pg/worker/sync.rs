//! A short transaction in one database: rows into shared memory, keys into the table; then gone.
//!
//! An error ends the process (exit 1); the fetcher tries again later. One without a database lists
//! the databases of the cluster instead.

use super::super::{catalog, clock, postgrest, registry, shared, stats};
use crate::cache::databases::{self, CATALOG};
use crate::cache::record::Record;
use crate::cache::source::Source;
use crate::keys::{Key, MAX_KEYS};
use crate::provider::{KeyAddress, KeySource};
use pgrx::bgworkers::BackgroundWorker;
use pgrx::datum::{DatumWithOid, JsonString};
use pgrx::spi::Spi;
use pgrx::{FromDatum, JsonB, pg_guard, pg_sys};
use serde_json::{Map, Value, json};
use std::collections::HashSet;
use std::ffi::CStr;
use std::ptr;

/// The main function of a sync worker. Its argument is the database's OID, or 0.
#[pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn third_party_auth_sync(argument: pg_sys::Datum) {
    super::die_at_sigterm();
    // SAFETY: the fetcher passed an OID.
    let database =
        unsafe { pg_sys::Oid::from_datum(argument, false) }.map_or(CATALOG, |oid| oid.to_u32());
    if database == CATALOG {
        list_databases();
    } else {
        synchronise(database);
    }
    // SAFETY: a plain call at the end of a process.
    unsafe { pg_sys::pgstat_report_stat(true) };
    shared::wake_fetcher();
}

fn list_databases() {
    BackgroundWorker::connect_worker_to_spi_by_oid(None, None);
    super::set_title("list of databases");
    let present = transaction(|| {
        // SAFETY: a scan of a shared catalog inside a transaction; each tuple is a pg_database row.
        unsafe {
            let mut present = Vec::new();
            let relation =
                pg_sys::table_open(pg_sys::DatabaseRelationId, pg_sys::AccessShareLock as i32);
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
                let row = pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_database>();
                if (*row).datallowconn && !(*row).datistemplate {
                    present.push((*row).oid.to_u32());
                }
            }
            pg_sys::systable_endscan(scan);
            pg_sys::table_close(relation, pg_sys::AccessShareLock as i32);
            present
        }
    });
    let now = clock::ticks();
    let left_out = shared::locked(|state| {
        let mut after = 0;
        while let Some(database) = state.table.next_database(after) {
            if !present.contains(&database) {
                state.table.forget_database(database);
            }
            after = database;
        }
        let known = &mut state.header.databases;
        databases::retain(known, &present);
        let mut left_out = 0;
        for &database in &present {
            if !databases::is_known(known, database) && !databases::request(known, database) {
                left_out += 1;
            }
        }
        databases::succeed(known, CATALOG, true, now);
        let before = std::mem::replace(&mut state.header.left_out, left_out);
        (before == 0).then_some(left_out)
    });
    if let Some(left_out) = left_out.flatten().filter(|&count| count > 0) {
        pgrx::warning!(
            "pg_third_party_auth: there is no room for {left_out} of the databases: each of them is looked at \
             when others turn out to be without the extension, or when it needs a key"
        );
    }
    stats::retain(|row| present.contains(&row.database()));
}

/// A table row to be written.
struct Write {
    position: usize,
    source: Source,
    address: KeyAddress,
    keys: Vec<Key>,
}

/// What a transaction has done, once it is committed.
struct Carried {
    writes: Vec<Write>,
    /// The digest of what PostgREST was told.
    announced: Option<u64>,
}

fn synchronise(database: u32) {
    BackgroundWorker::connect_worker_to_spi_by_oid(Some(pg_sys::Oid::from(database)), None);
    let written = transaction(|| {
        show(database);
        catalog::Table::Provider.oid()?;
        Some(carry(database))
    });
    let now = clock::ticks();
    let has_extension = written.is_some();
    shared::locked(|state| {
        if !has_extension {
            state.table.forget_database(database);
        }
        for write in written.iter().flat_map(|done| &done.writes) {
            let (generation, at) = (write.source.generation, write.source.fetched_at);
            state
                .table
                .persisted(database, write.position, generation, at);
        }
        if let Some(digest) = written.as_ref().and_then(|done| done.announced) {
            databases::announced(&mut state.header.databases, database, digest);
        }
        databases::succeed(&mut state.header.databases, database, has_extension, now);
    });
    if !has_extension {
        stats::retain(|row| !row.is_of(database));
    }
    // Statements may wait for a provider of this database to get its slot.
    shared::announce();
}

/// What `ps` shows.
fn show(database: u32) {
    // SAFETY: inside a transaction; NULL or a text in its memory.
    let name = unsafe {
        let name = pg_sys::get_database_name(pg_sys::Oid::from(database));
        (!name.is_null()).then(|| CStr::from_ptr(name).to_string_lossy().into_owned())
    };
    super::set_title(&name.unwrap_or_default());
}

/// Rows into shared memory, keys into the table.
fn carry(database: u32) -> Carried {
    let loaded = match registry::current() {
        Ok(loaded) => loaded,
        Err(undecided) => pgrx::error!(
            "pg_third_party_auth: the providers cannot be read: {}",
            undecided.message_and_hint().0
        ),
    };
    let wanted = registry::wanted_addresses(&loaded);
    let now = clock::ticks();
    shared::locked(|state| {
        let refused = state.table.subscribe(database, &wanted, now);
        if refused > 0 && !state.table.has_room(now) {
            databases::crowd_out(&mut state.header.databases, database);
        }
    });
    let names: HashSet<&str> = loaded
        .registry
        .providers
        .iter()
        .map(|provider| provider.name.as_str())
        .collect();
    stats::retain(|row| {
        !row.is_of(database) || row.provider().is_none_or(|name| names.contains(name))
    });
    // SAFETY: reads shared state.
    if unsafe { pg_sys::RecoveryInProgress() } {
        return Carried {
            writes: Vec::new(),
            announced: None,
        };
    }
    keep_triggers_always_on();
    let mut writes = Vec::new();
    for address in wanted {
        let Some(write) = unwritten(database, address) else {
            continue;
        };
        let uses =
            |keys: &KeySource| matches!(keys, KeySource::Fetched(own) if *own == write.address);
        let providers = loaded
            .registry
            .providers
            .iter()
            .filter(|one| uses(&one.keys));
        let missing: Vec<_> = providers.filter(|one| !store(&one.name, &write)).collect();
        let is_written = missing.is_empty()
            || (misses_row_again(database, &write)
                && missing
                    .iter()
                    .all(|one| insert_row(&one.name) && store(&one.name, &write)));
        if is_written {
            writes.push(write);
        }
    }
    Carried {
        writes,
        announced: tell_postgrest(database),
    }
}

/// PostgREST asks for its configuration again when what it was given has changed: so it follows rotations,
/// registrations and revocations without a restart. Sent from here and not by whoever changes something,
/// because a transaction that notifies cannot be prepared.
fn tell_postgrest(database: u32) -> Option<u64> {
    let digest = postgrest::digest().ok()?;
    let is_news =
        shared::locked(|state| databases::is_news(&state.header.databases, database, digest));
    if is_news != Some(true) {
        return None;
    }
    run("SELECT pg_catalog.pg_notify('pgrst', 'reload config')", &[]);
    Some(digest)
}

fn unwritten(database: u32, address: KeyAddress) -> Option<Write> {
    let heartbeat = super::heartbeat();
    let mut records = vec![Record::EMPTY; MAX_KEYS];
    let now = clock::ticks();
    let (position, source, count) = shared::locked(|state| {
        let position = state.table.find(&address)?;
        if !state.table.needs_write(database, position, heartbeat, now) {
            return None;
        }
        let count = state.table.copy_keys(position, None, &mut records);
        Some((position, state.table.sources[position], count))
    })??;
    Some(Write {
        position,
        source,
        address,
        keys: records[..count]
            .iter()
            .filter_map(|record| record.to_key().ok())
            .collect(),
    })
}

/// Whether rows of this source were missing a reconcile ago too: it is not on its way by replication or a restore.
fn misses_row_again(database: u32, write: &Write) -> bool {
    let now = clock::ticks();
    shared::locked(|state| state.table.misses_row(database, write.position, now)) == Some(true)
}

/// Makes the row; answers whether that was needed.
fn insert_row(provider: &str) -> bool {
    let insert =
        "INSERT INTO third_party_auth.provider_state (provider) VALUES ($1) ON CONFLICT DO NOTHING";
    run(insert, &[provider.into()]) > 0
}

/// Writes into the row of a provider; answers whether there is one. Only updates: a row that logical
/// replication brings must never collide with one of ours.
fn store(provider: &str, write: &Write) -> bool {
    let jwks = json!({"keys": write.keys.iter().map(Key::to_jwk).collect::<Vec<_>>()});
    let fetched_at = clock::to_timestamp(write.source.fetched_at);
    let thumbprints: Map<String, Value> = write
        .keys
        .iter()
        .map(|key| (key.thumbprint.to_string(), json!(write.source.fetched_at)))
        .collect();
    // What was seen before keeps its first moment.
    let update = "UPDATE third_party_auth.provider_state SET address = $2, keys = $3, fetched_at = $4, \
                  jwks_uri = $5, first_seen = $6 operator(pg_catalog.||) coalesce( \
                  (SELECT pg_catalog.jsonb_object_agg(e.key, e.value) \
                   FROM pg_catalog.jsonb_each(first_seen) e \
                   WHERE $6 operator(pg_catalog.?) e.key), '{}') \
                  WHERE provider operator(pg_catalog.=) $1";
    let arguments = [
        provider.into(),
        registry::address_text(&write.address).into(),
        JsonString(jwks.to_string()).into(),
        fetched_at.into(),
        write.source.jwks_uri.as_str().into(),
        JsonB(Value::Object(thumbprints)).into(),
    ];
    run(update, &arguments) > 0
}

/// Triggers that void what sessions have read must fire for replicated changes too. What
/// `pg_restore --disable-triggers` issues loses that.
fn keep_triggers_always_on() {
    let lost = "SELECT pg_catalog.format('ALTER TABLE third_party_auth.%I ENABLE ALWAYS TRIGGER %I', \
                c.relname, t.tgname) \
                FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid \
                WHERE t.tgrelid = ANY ($1) AND t.tgname ~ '^void_cache' AND t.tgenabled <> 'A'";
    let tables: Vec<pg_sys::Oid> = catalog::Table::ALL
        .into_iter()
        .filter_map(catalog::Table::oid)
        .collect();
    let statements: Vec<String> = Spi::connect(|client| {
        let rows = client.select(lost, None, &[tables.into()])?;
        rows.map(|row| row.get::<String>(1))
            .collect::<Result<Vec<_>, _>>()
    })
    .map(|statements| statements.into_iter().flatten().collect())
    .unwrap_or_else(|error| fail(&error.to_string()));
    for statement in statements {
        run(&statement, &[]);
    }
}

/// Runs a statement; answers how many rows it changed.
fn run(statement: &str, arguments: &[DatumWithOid<'_>]) -> usize {
    Spi::connect_mut(|client| {
        client
            .update(statement, None, arguments)
            .map(|rows| rows.len())
    })
    .unwrap_or_else(|error| fail(&error.to_string()))
}

/// Ends this process with an error, which the fetcher answers with another try later.
fn fail(why: &str) -> ! {
    pgrx::error!("pg_third_party_auth: the keys cannot be stored: {why}")
}

/// One transaction. It does not wait for a synchronous standby: keys can always be fetched again.
fn transaction<R>(
    work: impl FnOnce() -> R + std::panic::UnwindSafe + std::panic::RefUnwindSafe,
) -> R {
    // Before the transaction begins, because some of them only count for the next one.
    for (name, value) in [
        (c"synchronous_commit", c"off"),
        (c"lock_timeout", c"100ms"),
        (c"search_path", c"pg_catalog, pg_temp"),
        (c"default_transaction_read_only", c"off"),
        (c"default_transaction_isolation", c"read committed"),
        (c"session_replication_role", c"origin"),
    ] {
        // SAFETY: static strings; the settings exist in every supported version.
        unsafe {
            pg_sys::SetConfigOption(
                name.as_ptr(),
                value.as_ptr(),
                pg_sys::GucContext::PGC_SUSET,
                pg_sys::GucSource::PGC_S_OVERRIDE,
            )
        };
    }
    BackgroundWorker::transaction(work)
}

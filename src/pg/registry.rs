//! What this database trusts, as the tables say, and when what was read is void.

use super::answers;
use super::catalog::{self, Table, Tuple};
use super::errors::Undecided;
use super::process::Process;
use crate::keys::{self, KeySet};
use crate::provider::RowError;
use crate::provider::row::Row;
use crate::provider::{KeyAddress, KeySource, Provider, Registry, Revocation, Secret};
use pgrx::datum::{Interval, JsonString, TimestampWithTimeZone};
use pgrx::{pg_guard, pg_sys};
use serde_json::Value;
use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;

/// Moves whenever the tables may have changed.
static COUNTER: Process<Cell<u64>> = Process::new(Cell::new(1));
/// A trigger of ours ran in this transaction.
static TOUCHED: Process<Cell<bool>> = Process::new(Cell::new(false));
/// The tables whose invalidation is listened for; `None`: not looked up yet.
static WATCHED: Process<Cell<Option<[pg_sys::Oid; 4]>>> = Process::new(Cell::new(None));
static LISTENING: Process<Cell<bool>> = Process::new(Cell::new(false));
static LOADED: Process<RefCell<Option<Rc<Loaded>>>> = Process::new(RefCell::new(None));
/// With the number at which they were read.
static STORED: Process<RefCell<Option<(u64, StoredKeys)>>> = Process::new(RefCell::new(None));

/// How often the tables are read again when they change meanwhile.
const MOST_READS: usize = 3;

/// The last good keys of each provider.
pub type StoredKeys = Rc<HashMap<String, Stored>>;

/// The registry as it was read.
#[derive(Debug, Default)]
pub struct Loaded {
    /// Providers that passed their checks, and revoked keys.
    pub registry: Registry,
    /// Rows that did not: name, kind, enabled, and why.
    pub problems: Vec<(String, String, bool, RowError)>,
    /// Secrets that are not used, by name of the provider, and why.
    pub secret_problems: HashMap<String, RowError>,
    /// Providers that the current transaction wrote.
    pub own: HashSet<String>,
    counter: u64,
}

/// The last good keys of a provider, as its table has them.
#[derive(Debug, Clone)]
pub struct Stored {
    /// Where they were fetched from: they are worth nothing for another address.
    pub address: String,
    /// The keys.
    pub keys: Arc<KeySet>,
    /// When they were last confirmed, in seconds since 1970.
    pub fetched_at: f64,
}

/// The number that moves whenever the tables may have changed.
#[inline(always)]
pub fn counter() -> u64 {
    COUNTER.get().get()
}

/// The tables may have changed: what was read is void.
fn changed() {
    let counter = COUNTER.get();
    counter.set(counter.get() + 1);
    answers::advance();
}

/// A trigger of ours ran: this transaction changes the tables.
pub fn touch() {
    TOUCHED.get().set(true);
    changed();
}

/// A transaction or a part of it was rolled back. Answers whether it had changed the tables.
pub fn rolled_back(whole: bool) -> bool {
    let was_touched = TOUCHED.get().get();
    if was_touched {
        changed();
    }
    if whole {
        TOUCHED.get().set(false);
    }
    was_touched
}

/// A transaction has committed.
pub fn committed() {
    TOUCHED.get().set(false);
}

/// Takes note of what other sessions committed. A prepared plan whose locks are held does not do so
/// by itself.
pub fn accept_invalidations() {
    // SAFETY: a plain call; callbacks that run in it are guarded.
    unsafe { pg_sys::AcceptInvalidationMessages() };
}

/// The registry as it is now.
///
/// # Errors
/// [`Undecided::RegistryLocked`].
pub fn current() -> Result<Rc<Loaded>, Undecided> {
    listen();
    if let Some(loaded) = LOADED.get().borrow().as_ref()
        && loaded.counter == counter()
    {
        return Ok(Rc::clone(loaded));
    }
    let (counter, mut loaded) = read_settled(load)?;
    loaded.counter = counter;
    let loaded = Rc::new(loaded);
    LOADED.get().replace(Some(Rc::clone(&loaded)));
    Ok(loaded)
}

/// Reads tables, and again if they may have changed meanwhile: each has a snapshot of its own, and one that was
/// dropped may be there again. With the counter at which they were read.
fn read_settled<R>(read: impl Fn() -> Result<R, Undecided>) -> Result<(u64, R), Undecided> {
    let mut reads = 0;
    loop {
        let before = counter();
        let result = read();
        reads += 1;
        accept_invalidations();
        if counter() == before || reads > MOST_READS {
            return result.map(|result| (before, result));
        }
    }
}

fn load() -> Result<Loaded, Undecided> {
    let mut loaded = Loaded::default();
    let mut rows = catalog::rows(oid(Table::Provider)?, |tuple| (row(tuple), tuple.is_own))?;
    rows.sort_by(|(a, _), (b, _)| a.name.cmp(&b.name));
    for (row, is_own) in rows {
        let (name, kind, enabled) = (row.name.clone(), row.kind.clone(), row.enabled);
        if is_own {
            loaded.own.insert(name.clone());
        }
        match row.judge() {
            Ok((provider, _)) => loaded.registry.providers.push(Arc::new(provider)),
            Err(problem) => loaded.problems.push((name, kind, enabled, problem)),
        }
    }
    loaded.registry.revoked = catalog::rows(oid(Table::Revoked)?, |tuple| Revocation {
        issuer: tuple.get("issuer").unwrap_or_default(),
        kid: tuple.get("kid").unwrap_or_default(),
        thumbprint: tuple.get("thumbprint"),
    })?;
    for row in catalog::rows(oid(Table::ProviderSecret)?, SecretRow::read)? {
        let Some(provider) = loaded.registry.by_name(&row.provider) else {
            continue;
        };
        match row.judge(provider) {
            Ok(secret) => drop(loaded.registry.secrets.insert(row.provider, secret)),
            Err(problem) => drop(loaded.secret_problems.insert(row.provider, problem)),
        }
    }
    Ok(loaded)
}

/// The OID of a table, from those that are watched where they are known: looking one up takes longer than reading it.
fn oid(table: Table) -> Result<pg_sys::Oid, Undecided> {
    let watched = WATCHED.get().get();
    let position = Table::ALL.iter().position(|&own| own == table);
    let known = watched.zip(position).map(|(oids, position)| oids[position]);
    known
        .or_else(|| table.oid())
        .ok_or(Undecided::RegistryDamaged)
}

/// A row of `third_party_auth.provider_secret`.
pub struct SecretRow {
    /// Whose it is.
    pub provider: String,
    /// The secret.
    pub secret: String,
    /// The provider's issuer when it was written.
    pub issuer: String,
}

impl SecretRow {
    /// Reads a row; what is NULL is empty.
    pub fn read(tuple: &Tuple) -> SecretRow {
        let text = |column| tuple.get::<String>(column).unwrap_or_default();
        SecretRow {
            provider: text("provider"),
            secret: text("secret"),
            issuer: text("issuer"),
        }
    }

    /// The secret, if the provider may have it.
    fn judge(&self, provider: &Provider) -> Result<Secret, RowError> {
        let unused = |message: String| {
            Err(RowError {
                argument: "jwt_secret".to_owned(),
                message,
                hint: "Delete it from third_party_auth.provider_secret, or register it again."
                    .to_owned(),
            })
        };
        if !provider.preset.may_have_secret {
            return unused(format!("kind {} has none", provider.preset.kind));
        }
        if provider.issuer() != self.issuer {
            return unused(format!("it was registered for issuer \"{}\"", self.issuer));
        }
        Secret::new(self.secret.clone(), &provider.issuers)
    }
}

/// A row of `third_party_auth.provider`, as it was written.
pub fn row(tuple: &Tuple) -> Row {
    Row {
        name: tuple.get("name").unwrap_or_default(),
        kind: tuple.get("kind").unwrap_or_default(),
        enabled: tuple.get("enabled").unwrap_or_default(),
        issuers: tuple.texts("issuers").unwrap_or_default(),
        audiences: tuple.texts("audiences").unwrap_or_default(),
        any_audience: tuple.get("any_audience").unwrap_or_default(),
        authorized_parties: tuple.texts("authorized_parties").unwrap_or_default(),
        role_claim: tuple.get("role_claim").unwrap_or_default(),
        allowed_roles: tuple.texts("allowed_roles"),
        default_role: tuple.get("default_role"),
        clock_skew: tuple
            .get::<Interval>("clock_skew")
            .map_or(f64::NAN, seconds),
        algorithms: tuple.texts("algorithms"),
        jwks: tuple.get::<JsonString>("jwks").map(|text| text.0),
        jwks_uri: tuple.get("jwks_uri"),
        for_requests: tuple.get("for_requests"),
        options: options(tuple),
    }
}

/// An interval in seconds; a month has 30 days, as when PostgreSQL compares intervals.
pub fn seconds(interval: Interval) -> f64 {
    let days = f64::from(interval.months()) * 30.0 + f64::from(interval.days());
    days * 86_400.0 + interval.micros() as f64 / 1e6
}

/// The last good keys of all providers, as the tables have them.
///
/// # Errors
/// [`Undecided::RegistryLocked`].
pub fn stored() -> Result<StoredKeys, Undecided> {
    listen();
    if let Some((at, stored)) = STORED.get().borrow().as_ref()
        && *at == counter()
    {
        return Ok(Rc::clone(stored));
    }
    let (counter, rows) = read_settled(|| catalog::rows(oid(Table::ProviderState)?, stored_row))?;
    let stored = Rc::new(rows.into_iter().flatten().collect::<HashMap<_, _>>());
    STORED.get().replace(Some((counter, Rc::clone(&stored))));
    Ok(stored)
}

/// As much of a row as its issuers need.
pub fn issuers_row(tuple: &Tuple) -> Row {
    Row {
        name: tuple.get("name").unwrap_or_default(),
        kind: tuple.get("kind").unwrap_or_default(),
        issuers: tuple.texts("issuers").unwrap_or_default(),
        options: options(tuple),
        ..Row::default()
    }
}

/// The kind's own arguments. What cannot be read (a number beyond all bounds, say) must not look like no
/// arguments: it becomes an argument that no kind has, so that the row is not valid.
fn options(tuple: &Tuple) -> serde_json::Map<String, Value> {
    let text = tuple.jsonb_text("options");
    match text.as_deref().map(serde_json::from_str) {
        Some(Ok(Value::Object(options))) => options,
        None => serde_json::Map::new(),
        Some(Ok(_) | Err(_)) => serde_json::Map::from_iter([("?".to_owned(), Value::Null)]),
    }
}

fn stored_row(tuple: &Tuple) -> Option<(String, Stored)> {
    let keys = tuple.get::<JsonString>("keys")?;
    let fetched_at = tuple.get::<TimestampWithTimeZone>("fetched_at")?;
    let stored = Stored {
        address: tuple.get("address")?,
        keys: Arc::new(keys::read_stored(&keys.0).ok()?.keys),
        fetched_at: super::clock::from_timestamp(i64::from(fetched_at)),
    };
    Some((tuple.get("provider")?, stored))
}

/// A key address as `provider_state` writes it.
pub fn address_text(address: &KeyAddress) -> String {
    match address {
        KeyAddress::Direct { jwks_uri } => format!("jwks {jwks_uri}"),
        KeyAddress::Discovery { issuer } => format!("discovery {issuer}"),
    }
}

/// The key addresses that this database needs, each once.
pub fn wanted_addresses(loaded: &Loaded) -> Vec<KeyAddress> {
    let mut addresses = Vec::new();
    for provider in loaded.registry.providers.iter().filter(|p| p.enabled) {
        if let KeySource::Fetched(address) = &provider.keys
            && !addresses.contains(address)
        {
            addresses.push(address.clone());
        }
    }
    addresses
}

fn listen() {
    if !LISTENING.get().replace(true) {
        // SAFETY: once per process; the callback is guarded and takes no argument.
        unsafe {
            pg_sys::CacheRegisterRelcacheCallback(Some(on_invalidation), pg_sys::Datum::null())
        };
    }
    if WATCHED.get().get().is_none() {
        let before = counter();
        let oids = Table::oids(Table::ALL);
        // What was invalidated meanwhile may have been one of them: then they are looked up again.
        if counter() == before
            && let [Some(provider), Some(state), Some(revoked), Some(secret)] = oids
        {
            WATCHED.get().set(Some([provider, state, revoked, secret]));
        }
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn on_invalidation(_argument: pg_sys::Datum, relation: pg_sys::Oid) {
    let watched = WATCHED.get();
    let ours = match watched.get() {
        Some(oids) => oids.contains(&relation),
        None => true,
    };
    if ours || relation == pg_sys::InvalidOid {
        // The tables may have been dropped and created again under other OIDs.
        watched.set(None);
        changed();
    }
}

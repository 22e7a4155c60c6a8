//! The keys that are there: in shared memory, else in the table. What shared memory holds is parsed once for each
//! generation.

use super::errors::Undecided;
use super::process::Process;
use super::{clock, registry, settings, shared};
use crate::cache::Ticks;
use crate::cache::record::Record;
use crate::keys::{KeySet, MAX_KEYS};
use crate::provider::{KeyAddress, KeySource, Provider};
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

/// Keys of one address that this backend has parsed.
struct Parsed {
    /// What [`shared::changes`] said when they were compared.
    changes: u64,
    generation: u64,
    fetched_at: f64,
    /// When the first of them stops counting.
    good_until: Ticks,
    keys: Arc<KeySet>,
}

static PARSED: Process<RefCell<Option<HashMap<KeyAddress, Parsed>>>> =
    Process::new(RefCell::new(None));

/// A set of keys, and how old the proof of it is.
pub struct Found {
    /// The keys.
    pub keys: Arc<KeySet>,
    /// Which set of shared memory they are; 0: the table's.
    pub generation: u64,
    /// When they were last confirmed, in seconds since 1970.
    pub fetched_at: f64,
}

/// How far ahead the proof of keys may be: clocks differ, and are set.
const AHEAD: f64 = 300.0;

impl Found {
    /// Whether the proof of the keys is older than they may be trusted, or of a time to come.
    pub fn is_stale(&self) -> bool {
        let age = clock::unix_time() - self.fetched_at;
        !(-AHEAD..=settings::max_stale().as_secs_f64()).contains(&age)
    }
}

/// The keys that are there: shared memory's, else the table's.
///
/// # Errors
/// The table cannot be read.
pub fn known(provider: &Provider, address: &KeyAddress) -> Result<Option<Found>, Undecided> {
    if let Some(found) = shared_keys(address) {
        return Ok(Some(found));
    }
    let stored = registry::stored()?;
    Ok(stored
        .get(&provider.name)
        .filter(|stored| stored.address == registry::address_text(address))
        .map(|stored| Found {
            keys: Arc::clone(&stored.keys),
            generation: 0,
            fetched_at: stored.fetched_at,
        }))
}

/// Whether these are the keys that would be judged with now, without waiting.
pub fn are_present(keys: &Arc<KeySet>, provider: &Provider) -> bool {
    let present = trusted(provider);
    present.is_ok_and(|present| present.is_some_and(|present| Arc::ptr_eq(&present, keys)))
}

/// What shared memory holds, parsed once for each generation.
fn shared_keys(address: &KeyAddress) -> Option<Found> {
    let changes = shared::changes();
    if changes == 0 {
        return None;
    }
    {
        let parsed = PARSED.get().borrow();
        let parsed = parsed.as_ref().and_then(|parsed| parsed.get(address));
        let fresh_until = settings::max_stale().as_secs_f64() / 2.0;
        if let Some(parsed) = parsed
            && parsed.changes == changes
            && clock::ticks() < parsed.good_until
            && (-AHEAD..fresh_until).contains(&(clock::unix_time() - parsed.fetched_at))
        {
            return Some(Found {
                keys: Arc::clone(&parsed.keys),
                generation: parsed.generation,
                fetched_at: parsed.fetched_at,
            });
        }
    }
    copy(address)
}

/// Copies the keys of an address out of shared memory, unless those that are parsed still are the same.
/// `None`: there are none.
pub fn copy(address: &KeyAddress) -> Option<Found> {
    loop {
        let changes = shared::changes();
        let now = clock::ticks();
        let (generation, fetched_at, good_until) = shared::locked(|state| {
            let position = state.table.find(address)?;
            let source = &state.table.sources[position];
            let good_until = state.table.next_gone(position, now);
            (source.generation != 0).then_some((source.generation, source.fetched_at, good_until))
        })??;
        let mut cache = PARSED.get().borrow_mut();
        let cache = cache.get_or_insert_with(HashMap::new);
        let same = cache
            .get(address)
            .filter(|parsed| parsed.generation == generation && now < parsed.good_until)
            .map(|parsed| Arc::clone(&parsed.keys));
        // Without keys of this generation it has just been replaced: look again.
        let Some(keys) = same.or_else(|| read(address, generation, now)) else {
            continue;
        };
        let parsed = Parsed {
            changes,
            generation,
            fetched_at,
            good_until,
            keys: Arc::clone(&keys),
        };
        cache.insert(address.clone(), parsed);
        return Some(Found {
            keys,
            generation,
            fetched_at,
        });
    }
}

/// Reads and parses the keys of a generation; `None` if it is not the present one any more.
fn read(address: &KeyAddress, generation: u64, now: Ticks) -> Option<Arc<KeySet>> {
    // Keys in their grace come on top of a full set.
    let mut records = vec![Record::EMPTY; 2 * MAX_KEYS];
    let count = shared::locked(|state| {
        let position = state.table.find(address)?;
        let is_same = state.table.sources[position].generation == generation;
        is_same.then(|| state.table.copy_keys(position, Some(now), &mut records))
    })??;
    let keys = records[..count]
        .iter()
        .filter_map(|record| record.to_key().ok().map(Arc::new));
    Some(Arc::new(KeySet {
        keys: keys.collect(),
    }))
}

/// The keys that are known of a provider, without waiting: for views.
///
/// # Errors
/// As [`known`].
pub fn listed(provider: &Provider) -> Result<Option<Arc<KeySet>>, Undecided> {
    match &provider.keys {
        KeySource::Pinned(keys) => Ok(Some(Arc::clone(keys))),
        KeySource::Fetched(address) => Ok(known(provider, address)?.map(|found| found.keys)),
    }
}

/// The keys that would be believed now, without waiting: not those that are stale.
///
/// # Errors
/// As [`known`].
pub fn trusted(provider: &Provider) -> Result<Option<Arc<KeySet>>, Undecided> {
    match &provider.keys {
        KeySource::Pinned(keys) => Ok(Some(Arc::clone(keys))),
        KeySource::Fetched(address) => {
            let found = known(provider, address)?.filter(|found| !found.is_stale());
            Ok(found.map(|found| found.keys))
        }
    }
}

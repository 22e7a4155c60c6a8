//! Where a provider's keys are looked up, and when a backend waits for a fetch.
//!
//! A key that neither shared memory nor the table has may cause one fetch, which many backends share. The query
//! path itself never opens a socket.

use super::errors::Undecided;
use super::known_keys::{self, Found};
use super::patience::Wait;
use super::place::Place;
use super::recent::Recent;
use super::registry::Loaded;
use super::{clock, fetching, settings, shared};
use crate::cache::source::Reply;
use crate::cache::verified::{self, Digest};
use crate::keys::{KeySet, Kid, Thumbprint};
use crate::provider::{KeyAddress, KeySource, Provider};
use crate::token::Unverified;
use crate::verify::{self, KeyLookup};
use pgrx::pg_sys;
use std::sync::Arc;

/// The keys that one decision about a token looks up.
pub struct Keyring<'a> {
    loaded: &'a Loaded,
    recent: Option<&'a Recent>,
    may_wait: bool,
    /// Those that were given last.
    keys: Option<Arc<KeySet>>,
    good: Option<Good>,
    digest: Option<(Thumbprint, Digest)>,
}

/// How it is known that the token's signature is good.
#[derive(Clone)]
pub struct Good {
    /// The key that it was made with.
    pub key: Thumbprint,
    /// The keys that this one is of.
    pub keys: Arc<KeySet>,
    /// Whether it was found good before, here or by another process.
    pub is_recalled: bool,
}

impl<'a> Keyring<'a> {
    /// The keys of these providers. Signatures that this process or another one has found good are not checked
    /// again.
    pub fn new(loaded: &'a Loaded, recent: &'a Recent) -> Self {
        Keyring {
            recent: Some(recent),
            ..Keyring::without_memory(loaded)
        }
    }

    /// The keys of these providers. Signatures are checked, whatever is remembered.
    pub fn without_memory(loaded: &'a Loaded) -> Self {
        Keyring {
            loaded,
            recent: None,
            may_wait: true,
            keys: None,
            good: None,
            digest: None,
        }
    }

    /// Only with the keys that are there.
    pub fn do_not_wait(&mut self) {
        self.may_wait = false;
    }

    /// How it is known that the signature is good, once it is.
    pub fn good(&self) -> Option<&Good> {
        self.good.as_ref()
    }

    /// The signature is good.
    fn found_good(&mut self, key: &Thumbprint, is_recalled: bool) {
        self.good = self.keys.clone().map(|keys| Good {
            key: *key,
            keys,
            is_recalled,
        });
    }

    /// What other processes know this token and this key by.
    fn digest(&mut self, token: &Unverified, key: &Thumbprint) -> Digest {
        match self.digest {
            Some((own, digest)) if own == *key => digest,
            _ => {
                let digest = verify::fingerprint(token, key);
                self.digest = Some((*key, digest));
                digest
            }
        }
    }
}

impl KeyLookup for Keyring<'_> {
    type Undecided = Undecided;

    fn current(&mut self, provider: &Arc<Provider>) -> Result<Arc<KeySet>, Undecided> {
        let keys = self.present(provider)?;
        self.keys = Some(Arc::clone(&keys));
        Ok(keys)
    }

    fn newer(
        &mut self,
        provider: &Arc<Provider>,
        kid: Option<&str>,
        seen: &Arc<KeySet>,
    ) -> Result<Option<Arc<KeySet>>, Undecided> {
        let keys = self.later(provider, kid, seen)?;
        if let Some(keys) = &keys {
            self.keys = Some(Arc::clone(keys));
        }
        Ok(keys)
    }

    fn is_known_good(&mut self, token: &Unverified, key: &Thumbprint) -> bool {
        let Some(recent) = self.recent else {
            return false;
        };
        let shared = shared::verified();
        let is_known = recent.is_known_good(token, key)
            || !shared.is_empty()
                && verified::contains(shared, &self.digest(token, key), clock::ticks());
        if is_known {
            self.found_good(key, true);
        }
        is_known
    }

    fn remember(&mut self, token: &Unverified, key: &Thumbprint) {
        self.found_good(key, false);
        let shared = shared::verified();
        if self.recent.is_some() && !shared.is_empty() {
            verified::insert(shared, &self.digest(token, key), clock::ticks());
        }
    }
}

impl Keyring<'_> {
    /// The keys of a provider, fetched if there are none.
    fn present(&self, provider: &Provider) -> Result<Arc<KeySet>, Undecided> {
        let address = match &provider.keys {
            KeySource::Pinned(keys) => return Ok(Arc::clone(keys)),
            KeySource::Fetched(address) => address,
        };
        let found = match known_keys::known(provider, address)? {
            Some(found) => found,
            None => {
                let waited = self.wait(provider, address, None, 0)?;
                waited.ok_or_else(|| not_fetched(provider, None))?
            }
        };
        if !found.is_stale() {
            return Ok(found.keys);
        }
        // A server that was down for long, or was restored: one fetch may confirm them.
        let _ = self.wait(provider, address, None, found.generation);
        match known_keys::known(provider, address)? {
            Some(found) if !found.is_stale() => Ok(found.keys),
            _ => Err(Undecided::KeysStale {
                provider: provider.name.clone(),
                age: clock::unix_time() - found.fetched_at,
            }),
        }
    }

    /// Newer keys than these, fetched if there are none.
    fn later(
        &self,
        provider: &Provider,
        kid: Option<&str>,
        seen: &Arc<KeySet>,
    ) -> Result<Option<Arc<KeySet>>, Undecided> {
        let KeySource::Fetched(address) = &provider.keys else {
            return Ok(None);
        };
        // A known key that does not verify is refused where nothing could be fetched: raising there
        // would let every forged token raise.
        let is_known = kid.is_some_and(|kid| seen.knows_kid(kid));
        if is_known && cannot_fetch(provider).is_some() {
            return Ok(None);
        }
        let mut seen_generation = known_keys::known(provider, address)?
            .filter(|found| Arc::ptr_eq(&found.keys, seen))
            .map_or(0, |found| found.generation);
        loop {
            let Some(found) = self.wait(provider, address, kid, seen_generation)? else {
                return Ok(None);
            };
            if is_known || kid.is_none_or(|kid| found.keys.knows_kid(kid)) {
                return Ok(Some(found.keys));
            }
            seen_generation = found.generation;
        }
    }

    /// Asks for a fetch and waits for it. `None`: it has proved that there is nothing newer than
    /// `seen`, or that this key id is absent.
    fn wait(
        &self,
        provider: &Provider,
        address: &KeyAddress,
        kid: Option<&str>,
        seen: u64,
    ) -> Result<Option<Found>, Undecided> {
        if let Some(undecided) = cannot_fetch(provider) {
            return Err(undecided);
        }
        if self.loaded.own.contains(&provider.name) && position(address).is_none() {
            return Err(Undecided::KeysNotFetched {
                provider: provider.name.clone(),
                last_error: None,
                uncommitted: true,
            });
        }
        if !self.may_wait && known_keys::known(provider, address)?.is_some() {
            return Err(Undecided::NotAmongKnown {
                provider: provider.name.clone(),
            });
        }
        if !self.may_wait || !fetching::is_alive() {
            return Err(not_fetched(provider, last_error(address)));
        }
        let patience = Wait::begin();
        let deadline = patience.deadline;
        let kid = kid.map(kid_number);
        loop {
            let now = clock::ticks();
            let answer = shared::locked(|state| {
                let position = state.table.find(address)?;
                Some((position, state.table.sources[position].ask(kid, seen, now)))
            });
            match answer.flatten() {
                None if !shared::has_free_slot() => {
                    return Err(not_fetched(
                        provider,
                        Some("third_party_auth.max_providers is reached".to_owned()),
                    ));
                }
                None => {
                    let _place = Place::take(provider, u32::MAX, deadline)?;
                    shared::request_sync();
                    shared::wait_until(deadline, || position(address))
                        .ok_or_else(|| not_fetched(provider, None))?;
                }
                Some((_, Reply::Changed)) => return changed(provider, address),
                Some((_, Reply::Absent)) => return Ok(None),
                Some((_, Reply::BudgetSpent)) => {
                    return Err(Undecided::BudgetSpent {
                        provider: provider.name.clone(),
                    });
                }
                Some((_, Reply::JustFailed)) => {
                    return Err(not_fetched(provider, last_error(address)));
                }
                Some((position, Reply::Wait(fetch))) => {
                    shared::wake_fetcher();
                    let _place = Place::take(provider, position as u32, deadline)?;
                    let ended = shared::wait_until(deadline, || {
                        shared::locked(|state| {
                            let found = state.table.find(address)?;
                            let source = &mut state.table.sources[found];
                            if source.has_other_keys(seen) {
                                // Any fetch may bring the key; only that one can prove its absence.
                                return Some((true, source.generation));
                            }
                            let ended = source.ended(fetch)?;
                            if let Some(kid) = kid.filter(|_| ended && source.generation == seen) {
                                source.remember_absent(kid, clock::ticks());
                            }
                            Some((ended, source.generation))
                        })
                        .flatten()
                    });
                    return match ended {
                        Some((true, generation)) if generation == seen => Ok(None),
                        Some((true, _)) => changed(provider, address),
                        _ => Err(not_fetched(provider, last_error(address))),
                    };
                }
            }
        }
    }
}

/// The keys that have just changed. Should they be gone again, with their last subscriber, that proves
/// nothing about a token.
fn changed(provider: &Provider, address: &KeyAddress) -> Result<Option<Found>, Undecided> {
    let found = known_keys::copy(address);
    found.map(Some).ok_or_else(|| not_fetched(provider, None))
}

/// Why no fetch can come of waiting here, however long.
fn cannot_fetch(provider: &Provider) -> Option<Undecided> {
    let name = provider.name.clone();
    if !shared::is_there() {
        return Some(Undecided::NotPreloaded { provider: name });
    }
    // SAFETY: reads shared state, cannot raise.
    let in_recovery = unsafe { pg_sys::RecoveryInProgress() };
    if in_recovery && !settings::fetch_on_standby() {
        return Some(Undecided::Standby { provider: name });
    }
    let obstacle = fetching::obstacle()?;
    Some(not_fetched(provider, Some(obstacle.message().to_owned())))
}

fn not_fetched(provider: &Provider, last_error: Option<String>) -> Undecided {
    Undecided::KeysNotFetched {
        provider: provider.name.clone(),
        last_error,
        uncommitted: false,
    }
}

fn position(address: &KeyAddress) -> Option<usize> {
    shared::locked(|state| state.table.find(address)).flatten()
}

fn last_error(address: &KeyAddress) -> Option<String> {
    let error = shared::locked(|state| {
        let position = state.table.find(address)?;
        Some(state.table.sources[position].last_error)
    })??;
    (!error.is_empty()).then(|| error.as_str().to_owned())
}

/// As much of a key id as the list of absent ones remembers.
fn kid_number(kid: &str) -> u64 {
    let hash = *Kid::new(kid).hash();
    u64::from_le_bytes(std::array::from_fn(|index| hash[index]))
}

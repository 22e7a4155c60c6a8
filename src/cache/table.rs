//! All sources, their keys, and which databases subscribe to them.

use super::record::Record;
use super::source::Source;
use super::{Ticks, UnixTime};
use crate::provider::KeyAddress;

/// One key of one source. All zeros is a free slot.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct KeySlot {
    /// The source's position plus one; 0: free.
    owner: u32,
    /// When a key that the source no longer publishes stops counting; 0: it is published.
    gone_at: Ticks,
    record: Record,
}

/// A provider of a database that takes its keys from a source. All zeros is a free slot.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Subscription {
    database: u32,
    /// The source's position plus one; 0: free.
    owner: u32,
    /// What of the source was last written into that database's table.
    persisted_generation: u64,
    persisted_fetched_at: UnixTime,
}

impl KeySlot {
    /// A free slot.
    pub const EMPTY: Self = KeySlot {
        owner: 0,
        gone_at: 0,
        record: Record::EMPTY,
    };

    /// Whether it holds no key.
    pub fn is_free(&self) -> bool {
        self.owner == 0
    }
}

impl Subscription {
    /// A free slot.
    pub const EMPTY: Self = Subscription {
        database: 0,
        owner: 0,
        persisted_generation: 0,
        persisted_fetched_at: 0.0,
    };

    /// Whether nobody uses it.
    pub fn is_free(&self) -> bool {
        self.owner == 0
    }
}

/// The table, wherever its slots lie.
pub struct Table<'a> {
    /// Never repeats: seeded with the time of the start.
    pub last_generation: &'a mut u64,
    /// One slot a key address.
    pub sources: &'a mut [Source],
    /// One slot a key.
    pub keys: &'a mut [KeySlot],
    /// One slot a database and key address.
    pub subscriptions: &'a mut [Subscription],
}

/// The keys do not fit into what is left of `max_keys`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

impl Table<'_> {
    /// The position of the used source of this address.
    pub fn find(&self, address: &KeyAddress) -> Option<usize> {
        self.sources
            .iter()
            .position(|source| source.is_used() && source.is_for(address))
    }

    /// Makes `wanted` exactly what a database subscribes to; answers how many got no slot.
    pub fn subscribe(&mut self, database: u32, wanted: &[KeyAddress], now: Ticks) -> usize {
        for subscription in self.subscriptions.iter_mut() {
            if subscription.database == database && subscription.owner != 0 {
                let source = &self.sources[subscription.owner as usize - 1];
                if !wanted.iter().any(|address| source.is_for(address)) {
                    *subscription = Subscription::EMPTY;
                }
            }
        }
        let refused = wanted
            .iter()
            .filter(|address| !self.subscribe_to(database, address, now))
            .count();
        self.retire_unused();
        refused
    }

    fn subscribe_to(&mut self, database: u32, address: &KeyAddress, now: Ticks) -> bool {
        let known = self
            .sources
            .iter()
            .position(|source| source.is_for(address));
        if let Some(position) = known {
            let owner = position as u32 + 1;
            let same = |s: &Subscription| s.database == database && s.owner == owner;
            if self.subscriptions.iter().any(same) {
                return true;
            }
        }
        let free_source = || self.sources.iter().position(|source| source.is_free(now));
        let free_subscription = self.subscriptions.iter().position(|s| s.owner == 0);
        let (Some(position), Some(subscription)) = (known.or_else(free_source), free_subscription)
        else {
            return false;
        };
        if known.is_some() {
            self.sources[position].use_again(now);
        } else {
            let Some(source) = Source::new(address, now) else {
                return false;
            };
            self.sources[position] = source;
        }
        self.subscriptions[subscription] = Subscription {
            database,
            owner: position as u32 + 1,
            ..Subscription::EMPTY
        };
        true
    }

    fn retire_unused(&mut self) {
        for position in 0..self.sources.len() {
            let owner = position as u32 + 1;
            if self.sources[position].is_used()
                && !self.subscriptions.iter().any(|s| s.owner == owner)
            {
                self.sources[position].retire();
                self.drop_keys(owner);
            }
        }
    }

    fn drop_keys(&mut self, owner: u32) {
        for slot in self.keys.iter_mut().filter(|slot| slot.owner == owner) {
            *slot = KeySlot::EMPTY;
        }
    }

    /// Publishes what a fetch found. A key that is missing now counts until `now + grace`.
    /// Answers whether anything changed.
    ///
    /// # Errors
    /// [`Full`]: nothing was changed.
    pub fn publish(
        &mut self,
        position: usize,
        records: &[Record],
        now: Ticks,
        grace: Ticks,
    ) -> Result<bool, Full> {
        let owner = position as u32 + 1;
        let is_new = |record: &&Record| {
            !self
                .keys
                .iter()
                .any(|slot| slot.owner == owner && slot.record.same_as(record))
        };
        let new = records.iter().filter(is_new).count();
        let free = self.keys.iter().filter(|slot| slot.owner == 0).count();
        if new > free {
            return Err(Full);
        }
        let mut changed = false;
        for slot in self.keys.iter_mut().filter(|slot| slot.owner == owner) {
            let published = records.iter().any(|record| slot.record.same_as(record));
            if published {
                changed |= slot.gone_at != 0;
                slot.gone_at = 0;
            } else if slot.gone_at == 0 {
                // The same id with other material replaces the key at once.
                let replaced = records.iter().any(|record| record.replaces(&slot.record));
                slot.gone_at = if replaced { now } else { now + grace };
                changed = true;
            }
        }
        for record in records {
            let known = |slot: &KeySlot| slot.owner == owner && slot.record.same_as(record);
            if self.keys.iter().any(known) {
                continue;
            }
            if let Some(slot) = self.keys.iter_mut().find(|slot| slot.owner == 0) {
                *slot = KeySlot {
                    owner,
                    gone_at: 0,
                    record: *record,
                };
                changed = true;
            }
        }
        if changed || self.sources[position].generation == 0 {
            self.sources[position].generation = self.next_generation();
            changed = true;
        }
        self.drop_gone(now);
        Ok(changed)
    }

    /// Drops keys whose grace has passed; answers whether there were any.
    pub fn drop_gone(&mut self, now: Ticks) -> bool {
        let mut dropped = false;
        for index in 0..self.keys.len() {
            let slot = self.keys[index];
            if slot.owner != 0 && slot.gone_at != 0 && slot.gone_at <= now {
                self.keys[index] = KeySlot::EMPTY;
                self.sources[slot.owner as usize - 1].generation = self.next_generation();
                dropped = true;
            }
        }
        dropped
    }

    fn next_generation(&mut self) -> u64 {
        *self.last_generation += 1;
        *self.last_generation
    }

    /// Copies a source's keys into `out`, and says how many there are; those in their grace are
    /// included or not.
    pub fn copy_keys(&self, position: usize, with_gone: bool, out: &mut [Record]) -> usize {
        let owner = position as u32 + 1;
        let own = self
            .keys
            .iter()
            .filter(|slot| slot.owner == owner && (with_gone || slot.gone_at == 0));
        let mut count = 0;
        for (slot, place) in own.zip(out.iter_mut()) {
            *place = slot.record;
            count += 1;
        }
        count
    }

    /// Whether a database's table should be written: keys changed, or `fetched_at` moved by more
    /// than `heartbeat` seconds.
    pub fn is_unpersisted(&self, database: u32, heartbeat: UnixTime) -> bool {
        self.subscriptions
            .iter()
            .any(|s| s.owner != 0 && s.database == database && self.is_stale_copy(s, heartbeat))
    }

    /// Whether this database's copy of this source should be written.
    pub fn needs_write(&self, database: u32, position: usize, heartbeat: UnixTime) -> bool {
        let owner = position as u32 + 1;
        self.subscriptions
            .iter()
            .any(|s| s.database == database && s.owner == owner && self.is_stale_copy(s, heartbeat))
    }

    fn is_stale_copy(&self, subscription: &Subscription, heartbeat: UnixTime) -> bool {
        let source = &self.sources[subscription.owner as usize - 1];
        source.generation != 0
            && (source.generation != subscription.persisted_generation
                || source.fetched_at - subscription.persisted_fetched_at > heartbeat)
    }

    /// What was written into a database's table.
    pub fn persisted(&mut self, database: u32, position: usize, generation: u64, at: UnixTime) {
        let owner = position as u32 + 1;
        for subscription in self.subscriptions.iter_mut() {
            if subscription.database == database && subscription.owner == owner {
                subscription.persisted_generation = generation;
                subscription.persisted_fetched_at = at;
            }
        }
    }

    /// Whether a database's table holds this source's keys.
    pub fn is_persisted(&self, database: u32, position: usize) -> bool {
        !self.needs_write(database, position, f64::INFINITY)
            && self.sources[position].generation != 0
    }

    /// A database is gone, or has no extension any more.
    pub fn forget_database(&mut self, database: u32) {
        self.subscribe(database, &[], 0);
    }

    /// Databases that subscribe to something, one at a time: the smallest above `after`.
    pub fn next_database(&self, after: u32) -> Option<u32> {
        self.subscriptions
            .iter()
            .filter(|s| s.owner != 0 && s.database > after)
            .map(|s| s.database)
            .min()
    }
}

//! All sources, their keys, and which databases subscribe to them.

use super::databases::RECONCILE;
use super::record::Record;
use super::source::Source;
use super::{Ticks, UnixTime};
use crate::keys::MAX_KEYS;
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
    /// The table had no row to write into: not before this is it tried again.
    retry_at: Ticks,
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
        retry_at: 0,
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

/// What a set of keys changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Difference {
    /// Keys that were not published before.
    pub added: usize,
    /// Keys that are not published any more.
    pub withdrawn: usize,
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

    /// A fetch has ended whose address no database subscribes to any more: its slot is free to be used
    /// again.
    pub fn end_unwanted(&mut self, address: &KeyAddress, now: Ticks) {
        if let Some(source) = self
            .sources
            .iter_mut()
            .find(|source| source.is_for(address))
        {
            source.abandon(now);
        }
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
                // Whoever has parsed its keys has to notice.
                self.next_generation();
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
        self.make_room(owner, new);
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

    /// How what a fetch found differs from what was published.
    pub fn difference(&self, position: usize, records: &[Record]) -> Difference {
        let owner = position as u32 + 1;
        let published = |slot: &&KeySlot| slot.owner == owner && slot.gone_at == 0;
        let is_known = |record: &&Record| {
            let mut own = self.keys.iter().filter(published);
            own.any(|slot| slot.record.same_as(record))
        };
        let is_withdrawn = |slot: &&KeySlot| !records.iter().any(|one| slot.record.same_as(one));
        let own = self.keys.iter().filter(published);
        Difference {
            added: records.len() - records.iter().filter(is_known).count(),
            withdrawn: own.filter(is_withdrawn).count(),
        }
    }

    /// Whether one more provider would get a slot.
    pub fn has_room(&self, now: Ticks) -> bool {
        self.subscriptions.iter().any(Subscription::is_free)
            && self.sources.iter().any(|source| source.is_free(now))
    }

    /// A source that withdraws keys all the time does not fill the table: its own withdrawn keys make
    /// room for its new ones, the oldest first.
    fn make_room(&mut self, owner: u32, new: usize) {
        loop {
            let own = self.keys.iter().filter(|slot| slot.owner == owner).count();
            let free = self.keys.iter().filter(|slot| slot.owner == 0).count();
            if own + new <= 2 * MAX_KEYS && new <= free {
                return;
            }
            let gone = |slot: &&mut KeySlot| slot.owner == owner && slot.gone_at != 0;
            let oldest = self
                .keys
                .iter_mut()
                .filter(gone)
                .min_by_key(|slot| slot.gone_at);
            match oldest {
                Some(slot) => *slot = KeySlot::EMPTY,
                None => return,
            }
        }
    }

    /// Drops keys whose grace has passed; answers whether there were any.
    pub fn drop_gone(&mut self, now: Ticks) -> bool {
        let mut dropped = false;
        for index in 0..self.keys.len() {
            let (owner, gone_at) = (self.keys[index].owner, self.keys[index].gone_at);
            if owner != 0 && gone_at != 0 && gone_at <= now {
                self.keys[index] = KeySlot::EMPTY;
                self.sources[owner as usize - 1].generation = self.next_generation();
                dropped = true;
            }
        }
        dropped
    }

    fn next_generation(&mut self) -> u64 {
        *self.last_generation += 1;
        *self.last_generation
    }

    /// Copies a source's keys into `out`, and says how many there are. With `grace`, the present, those
    /// whose grace is not over are included.
    pub fn copy_keys(&self, position: usize, grace: Option<Ticks>, out: &mut [Record]) -> usize {
        let owner = position as u32 + 1;
        let own = |slot: &&KeySlot| slot.owner == owner;
        let in_grace = |slot: &&KeySlot| grace.is_some_and(|now| slot.gone_at > now);
        // Published ones first: should there be more than fit, those in their grace are left out.
        let published = self
            .keys
            .iter()
            .filter(own)
            .filter(|slot| slot.gone_at == 0);
        let own = published.chain(self.keys.iter().filter(own).filter(in_grace));
        let mut count = 0;
        for (slot, place) in own.zip(out.iter_mut()) {
            *place = slot.record;
            count += 1;
        }
        count
    }

    /// When the next of a source's withdrawn keys stops counting.
    pub fn next_gone(&self, position: usize, now: Ticks) -> Ticks {
        let owner = position as u32 + 1;
        let withdrawn = |slot: &&KeySlot| slot.owner == owner && slot.gone_at > now;
        let moments = self.keys.iter().filter(withdrawn).map(|slot| slot.gone_at);
        moments.min().unwrap_or(Ticks::MAX)
    }

    /// Whether a database's table should be written: keys changed, or `fetched_at` moved by more
    /// than `heartbeat` seconds.
    pub fn is_unpersisted(&self, database: u32, heartbeat: UnixTime, now: Ticks) -> bool {
        self.subscriptions.iter().any(|s| {
            s.owner != 0
                && s.database == database
                && self.is_stale_copy(s, heartbeat)
                && s.retry_at <= now
        })
    }

    /// Whether this database's copy of this source should be written.
    pub fn needs_write(
        &self,
        database: u32,
        position: usize,
        heartbeat: UnixTime,
        now: Ticks,
    ) -> bool {
        let owner = position as u32 + 1;
        self.subscriptions.iter().any(|s| {
            s.database == database
                && s.owner == owner
                && self.is_stale_copy(s, heartbeat)
                && s.retry_at <= now
        })
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
                subscription.retry_at = 0;
            }
        }
    }

    /// A database's table has no row for this source. Answers whether that was so a reconcile ago too:
    /// then nobody else is about to bring it.
    pub fn misses_row(&mut self, database: u32, position: usize, now: Ticks) -> bool {
        let owner = position as u32 + 1;
        let own = |s: &&mut Subscription| s.database == database && s.owner == owner;
        let Some(subscription) = self.subscriptions.iter_mut().find(own) else {
            return false;
        };
        std::mem::replace(&mut subscription.retry_at, now + RECONCILE) != 0
    }

    /// Whether a database's table holds this source's keys.
    pub fn is_persisted(&self, database: u32, position: usize) -> bool {
        self.sources[position].generation != 0
            && !self.needs_write(database, position, f64::INFINITY, Ticks::MAX)
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

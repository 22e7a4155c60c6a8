//! Signatures that were found good, for all processes: what one has checked, others need not check again.
//!
//! An entry says that one token is signed by one key, and nothing else. Time, audience, revocation, whose key
//! it is and whether that provider is registered are judged anew by everyone who finds it. It cannot become
//! wrong, so it is never taken back; it only makes room.
//!
//! No lock: an entry is a sequence lock of its own. Readers that meet a writer find nothing, and a writer that
//! meets another one writes nothing; either costs one check of a signature. Entries lie in sets of [`WAYS`], and a
//! new one takes the place of the one in its set that was used the longest time ago. Whoever fills the
//! table with good tokens of their own can therefore make others check theirs once more, and no more than that.

use super::Ticks;
use super::sync::{AtomicU64, Ordering, fence};

/// How many entries a token may be in.
pub const WAYS: usize = 8;

/// A use is noted if the last one that was noted is so long ago, so that sessions with one token do not all write
/// to the same place.
const NOTED_AFTER: Ticks = 1_000;

const WORDS: usize = 4;

/// The SHA-256 digest that stands for a token and a key.
pub type Digest = [u8; 8 * WORDS];

/// One signature. All zeros is a free place.
#[repr(C)]
pub struct Entry {
    /// 0: nothing was written yet. Odd: somebody is writing.
    sequence: AtomicU64,
    used_at: AtomicU64,
    digest: [AtomicU64; WORDS],
}

/// How many entries there are if there shall be room for so many: whole sets.
pub const fn entries(signatures: usize) -> usize {
    signatures.next_multiple_of(WAYS)
}

/// Whether this signature was found good.
pub fn contains(table: &[Entry], digest: &Digest, now: Ticks) -> bool {
    let words = words(digest);
    let found = set(table, &words)
        .iter()
        .find(|entry| entry.read() == Some(words));
    if let Some(entry) = found {
        entry.use_now(now);
    }
    found.is_some()
}

/// Remembers that this signature is good.
pub fn insert(table: &[Entry], digest: &Digest, now: Ticks) {
    let words = words(digest);
    let set = set(table, &words);
    if set.iter().any(|entry| entry.read() == Some(words)) {
        return;
    }
    if let Some(oldest) = set.iter().min_by_key(|entry| entry.last_use()) {
        oldest.write(words, now);
    }
}

impl Entry {
    /// A free place, where memory is not zeroed already.
    pub fn free() -> Entry {
        Entry {
            sequence: AtomicU64::new(0),
            used_at: AtomicU64::new(0),
            digest: std::array::from_fn(|_| AtomicU64::new(0)),
        }
    }

    /// What is written here; `None` if nothing is, or somebody is writing.
    pub(super) fn read(&self) -> Option<[u64; WORDS]> {
        let before = self.sequence.load(Ordering::Acquire);
        if before == 0 || !before.is_multiple_of(2) {
            return None;
        }
        let words = std::array::from_fn(|index| self.digest[index].load(Ordering::Relaxed));
        // Whoever wrote any of these words had made the sequence odd before.
        fence(Ordering::Acquire);
        (self.sequence.load(Ordering::Relaxed) == before).then_some(words)
    }

    /// Writes, unless somebody else is writing.
    pub(super) fn write(&self, words: [u64; WORDS], now: Ticks) {
        let before = self.sequence.load(Ordering::Relaxed);
        let is_ours = before.is_multiple_of(2)
            && self
                .sequence
                .compare_exchange(before, before + 1, Ordering::Acquire, Ordering::Relaxed)
                .is_ok();
        if !is_ours {
            return;
        }
        fence(Ordering::Release);
        for (place, word) in self.digest.iter().zip(words) {
            place.store(word, Ordering::Relaxed);
        }
        self.used_at.store(now, Ordering::Relaxed);
        self.sequence.store(before + 2, Ordering::Release);
    }

    fn use_now(&self, now: Ticks) {
        if now.saturating_sub(self.used_at.load(Ordering::Relaxed)) >= NOTED_AFTER {
            self.used_at.store(now, Ordering::Relaxed);
        }
    }

    /// A free place was never used.
    fn last_use(&self) -> Ticks {
        match self.sequence.load(Ordering::Relaxed) {
            0 => 0,
            _ => self.used_at.load(Ordering::Relaxed),
        }
    }
}

/// The set that a digest belongs to; empty if there is no table.
fn set<'t>(table: &'t [Entry], words: &[u64; WORDS]) -> &'t [Entry] {
    let sets = table.len() / WAYS;
    match (words[0] as usize).checked_rem(sets) {
        None => &[],
        Some(number) => &table[number * WAYS..][..WAYS],
    }
}

fn words(digest: &Digest) -> [u64; WORDS] {
    let word = |index: usize| std::array::from_fn(|byte| digest[8 * index + byte]);
    std::array::from_fn(|index| u64::from_ne_bytes(word(index)))
}

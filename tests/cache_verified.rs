//! The table of signatures that were found good.

use pg_third_party_auth::cache::verified::{self, Digest, Entry, WAYS};
use proptest::prelude::*;
use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

fn table(signatures: usize) -> Vec<Entry> {
    let count = verified::entries(signatures);
    (0..count).map(|_| Entry::free()).collect()
}

/// A digest whose first word chooses the set; the words are the number's.
fn digest(set: u64, number: u64) -> Digest {
    let mut digest = [0; 32];
    for (index, word) in [set, number, !number, number << 7].into_iter().enumerate() {
        digest[8 * index..][..8].copy_from_slice(&word.to_ne_bytes());
    }
    digest
}

proptest! {
    #[test]
    fn nothing_is_found_that_was_not_put_in(
        steps in prop::collection::vec((any::<bool>(), 0u64..6, 0u64..40, 0u64..3_000), 1..400),
        size in 1usize..40,
    ) {
        let table = table(size);
        let mut put_in = HashSet::new();
        let mut now = 0;
        for (is_put_in, set, number, pause) in steps {
            now += pause;
            let digest = digest(set, number);
            if is_put_in {
                verified::insert(&table, &digest, now);
                put_in.insert(digest);
                prop_assert!(verified::contains(&table, &digest, now), "what was just put in is there");
            } else if verified::contains(&table, &digest, now) {
                prop_assert!(put_in.contains(&digest));
            }
        }
    }
}

#[test]
fn there_is_room_for_as_many_as_were_asked_for() {
    for signatures in [0, 1, 7, 8, 9, 4096] {
        let count = verified::entries(signatures);
        assert!(count >= signatures && count < signatures + WAYS, "{count}");
    }
}

#[test]
fn without_a_table_nothing_is_remembered() {
    verified::insert(&[], &digest(1, 1), 1);
    assert!(!verified::contains(&[], &digest(1, 1), 1));
}

#[test]
fn an_empty_table_does_not_hold_the_digest_of_zeros() {
    assert!(!verified::contains(&table(8), &[0; 32], 1));
}

#[test]
fn what_was_used_the_longest_time_ago_makes_room() {
    let table = table(WAYS);
    let all: Vec<_> = (0..WAYS as u64)
        .map(|number| digest(0, number + 1))
        .collect();
    for (when, digest) in (1..).zip(&all) {
        verified::insert(&table, digest, when * 10_000);
    }
    // The oldest is used again: now the second one has not been used for longest.
    assert!(verified::contains(&table, &all[0], 1_000_000));
    verified::insert(&table, &digest(0, 100), 1_000_001);
    let left: Vec<_> = all
        .iter()
        .map(|digest| verified::contains(&table, digest, 1_000_002))
        .collect();
    let expected: Vec<_> = (0..WAYS).map(|position| position != 1).collect();
    assert_eq!(left, expected);
}

#[test]
fn a_flood_in_one_set_costs_no_other_set_anything() {
    let table = table(4 * WAYS);
    let victim = digest(1, 7);
    verified::insert(&table, &victim, 1);
    for number in 0..1_000 {
        verified::insert(&table, &digest(2, number), 2 + number);
    }
    assert!(verified::contains(&table, &victim, 2_000));
}

#[test]
fn sixty_four_writers_never_make_one_signature_out_of_two() {
    const WRITERS: u64 = 64;
    const TURNS: u64 = 2_000;
    // One set: everyone writes to the same eight places all the time.
    let table = table(1);
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let table = &table;
        let reader = scope.spawn(|| {
            let mut found = 0_u64;
            while !is_over.load(Ordering::Relaxed) {
                for number in 0..WRITERS * 4 {
                    // Half of it is of one signature that is put in, half of another.
                    let mut mixed = digest(0, number);
                    mixed[16..].copy_from_slice(&digest(0, number + 1)[16..]);
                    assert!(!verified::contains(table, &mixed, 1));
                    found += u64::from(verified::contains(table, &digest(0, number), 1));
                }
            }
            found
        });
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                scope.spawn(move || {
                    for turn in 0..TURNS {
                        let number = writer + WRITERS * (turn % 4);
                        verified::insert(table, &digest(0, number), turn);
                    }
                })
            })
            .collect();
        for writer in writers {
            writer.join().unwrap();
        }
        is_over.store(true, Ordering::Relaxed);
        assert!(reader.join().unwrap() > 0, "the reader has seen something");
    });
}

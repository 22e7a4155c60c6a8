//! The shared table of keys as an algorithm: records, grace, subscriptions, copies in tables.

#[path = "common/mint.rs"]
#[allow(dead_code)]
mod mint;

use mint::KeyPair;
use pg_third_party_auth::cache::databases::RECONCILE;
use pg_third_party_auth::cache::record::Record;
use pg_third_party_auth::cache::source::{Reply, Source};
use pg_third_party_auth::cache::table::{Full, KeySlot, Subscription, Table};
use pg_third_party_auth::cache::text::Text;
use pg_third_party_auth::keys::{self, Key};
use pg_third_party_auth::provider::KeyAddress;
use proptest::prelude::*;
use std::sync::Arc;

const DATABASE: u32 = 5;
const GRACE: u64 = 120_000;

/// A table in ordinary memory.
struct Memory {
    generation: u64,
    sources: Vec<Source>,
    keys: Vec<KeySlot>,
    subscriptions: Vec<Subscription>,
}

impl Memory {
    fn new(providers: usize, keys: usize) -> Self {
        Memory {
            generation: 1_000,
            sources: vec![Source::EMPTY; providers],
            keys: vec![KeySlot::EMPTY; keys],
            subscriptions: vec![Subscription::EMPTY; providers],
        }
    }

    fn table(&mut self) -> Table<'_> {
        Table {
            last_generation: &mut self.generation,
            sources: &mut self.sources,
            keys: &mut self.keys,
            subscriptions: &mut self.subscriptions,
        }
    }
}

fn address(number: usize) -> KeyAddress {
    KeyAddress::Direct {
        jwks_uri: format!("https://idp{number}.example/jwks"),
    }
}

fn key(pair: &KeyPair, kid: &str) -> Arc<Key> {
    let set = mint::jwks(&[pair.jwk(kid, Some(pair.algorithm()))]);
    Arc::clone(&keys::read(&set).unwrap().keys.keys[0])
}

fn record(pair: &KeyPair, kid: &str) -> Record {
    Record::of(&key(pair, kid)).unwrap()
}

/// The ids of a source's keys; those in their grace at time 20 are included or not.
fn kids(table: &Table<'_>, position: usize, with_gone: bool) -> Vec<String> {
    let mut out = vec![Record::EMPTY; 16];
    let count = table.copy_keys(position, with_gone.then_some(20), &mut out);
    let mut kids: Vec<_> = out[..count]
        .iter()
        .map(|record| record.to_key().unwrap().kid.unwrap().shown().to_owned())
        .collect();
    kids.sort();
    kids
}

proptest! {
    #[test]
    fn a_text_is_kept_whole_or_cut_at_a_character(text in "\\PC{0,80}") {
        let cut = Text::<32>::cut(&text);
        prop_assert!(text.starts_with(cut.as_str()));
        prop_assert_eq!(Text::<32>::whole(&text).is_some(), text.len() <= 32);
        if text.len() <= 32 {
            prop_assert_eq!(cut.as_str(), text.as_str());
        }
    }
}

#[test]
fn a_key_of_every_type_comes_back_from_its_record() {
    for pair in [
        KeyPair::rsa(),
        KeyPair::p256(),
        KeyPair::p384(),
        KeyPair::ed25519(),
    ] {
        let key = key(&pair, "the id");
        let back = Record::of(&key).unwrap().to_key().unwrap();
        assert_eq!(back.thumbprint, key.thumbprint);
        assert_eq!(back.kid, key.kid);
        assert_eq!(back.algorithm, key.algorithm);
    }
}

#[test]
fn an_empty_record_holds_no_key() {
    assert!(Record::EMPTY.is_empty());
    assert!(Record::EMPTY.to_key().is_err());
}

#[test]
fn a_long_key_id_still_matches_after_the_round_trip() {
    let long = "k".repeat(1_000);
    let key = key(&KeyPair::p256(), &long);
    let back = Record::of(&key).unwrap().to_key().unwrap();
    assert_eq!(back.kid, Some(keys::Kid::new(&long)));
}

#[test]
fn a_withdrawn_key_counts_until_its_grace_is_over() {
    let mut memory = Memory::new(2, 8);
    let mut table = memory.table();
    table.subscribe(DATABASE, &[address(1)], 0);
    let (old, new) = (
        record(&KeyPair::p256(), "old"),
        record(&KeyPair::p256(), "new"),
    );
    assert_eq!(table.publish(0, &[old], 0, GRACE), Ok(true));
    let first = table.sources[0].generation;
    assert_eq!(table.publish(0, &[new], 10, GRACE), Ok(true));
    assert!(table.sources[0].generation > first);
    assert_eq!(kids(&table, 0, true), ["new", "old"]);
    assert_eq!(kids(&table, 0, false), ["new"]);
    let second = table.sources[0].generation;
    assert!(!table.drop_gone(10 + GRACE - 1));
    assert!(table.drop_gone(10 + GRACE));
    assert_eq!(kids(&table, 0, true), ["new"]);
    assert!(table.sources[0].generation > second);
}

#[test]
fn a_withdrawn_key_stops_counting_also_when_nobody_drops_it() {
    let mut memory = Memory::new(2, 8);
    let mut table = memory.table();
    table.subscribe(DATABASE, &[address(1)], 0);
    table
        .publish(0, &[record(&KeyPair::p256(), "old")], 0, GRACE)
        .unwrap();
    table
        .publish(0, &[record(&KeyPair::p256(), "new")], 10, GRACE)
        .unwrap();
    assert_eq!(table.next_gone(0, 10), 10 + GRACE);
    let mut out = [Record::EMPTY; 4];
    assert_eq!(table.copy_keys(0, Some(10 + GRACE - 1), &mut out), 2);
    assert_eq!(table.copy_keys(0, Some(10 + GRACE), &mut out), 1);
}

#[test]
fn the_next_key_to_stop_counting_is_not_one_that_has_stopped() {
    let mut memory = Memory::new(2, 8);
    let mut table = memory.table();
    table.subscribe(DATABASE, &[address(1)], 0);
    for (time, kid) in [(0, "first"), (10, "second"), (30, "third")] {
        let fresh = record(&KeyPair::ed25519(), kid);
        table.publish(0, &[fresh], time, GRACE).unwrap();
    }
    assert_eq!(table.next_gone(0, 30), 10 + GRACE);
    assert_eq!(table.next_gone(0, 10 + GRACE), 30 + GRACE);
    assert_eq!(table.next_gone(0, 30 + GRACE), u64::MAX);
}

#[test]
fn withdrawn_keys_make_room_for_new_ones() {
    let mut memory = Memory::new(2, 2);
    let mut table = memory.table();
    table.subscribe(DATABASE, &[address(1)], 0);
    for round in 0..5 {
        let fresh = record(&KeyPair::ed25519(), &round.to_string());
        assert_eq!(
            table.publish(0, &[fresh], round, GRACE),
            Ok(true),
            "{round}"
        );
    }
    assert_eq!(kids(&table, 0, false), ["4"]);
}

#[test]
fn a_fetch_that_ends_after_its_last_subscriber_left_does_not_block_the_address() {
    let mut memory = Memory::new(2, 8);
    let mut table = memory.table();
    table.subscribe(DATABASE, &[address(1)], 0);
    table.sources[0].begin(0, 1.0);
    table.forget_database(DATABASE);
    table.end_unwanted(&address(1), 10);
    table.subscribe(DATABASE, &[address(1)], 20);
    let position = table.find(&address(1)).unwrap();
    assert!(table.sources[position].is_due(20_000));
}

#[test]
fn whoever_has_parsed_the_keys_of_a_freed_source_notices() {
    let mut memory = Memory::new(2, 8);
    memory.table().subscribe(DATABASE, &[address(1)], 0);
    memory
        .table()
        .publish(0, &[record(&KeyPair::p256(), "a")], 0, GRACE)
        .unwrap();
    let before = memory.generation;
    memory.table().forget_database(DATABASE);
    assert!(memory.generation > before);
}

#[test]
fn a_row_that_is_missing_is_made_only_when_it_still_is_a_reconcile_later() {
    let mut memory = Memory::new(2, 8);
    let mut table = memory.table();
    table.subscribe(DATABASE, &[address(1)], 0);
    table
        .publish(0, &[record(&KeyPair::p256(), "a")], 0, GRACE)
        .unwrap();
    assert!(!table.misses_row(DATABASE, 0, 100));
    assert!(
        !table.is_unpersisted(DATABASE, 1_800.0, 100 + RECONCILE - 1),
        "nobody is started for it"
    );
    assert!(table.is_unpersisted(DATABASE, 1_800.0, 100 + RECONCILE));
    assert!(table.misses_row(DATABASE, 0, 100 + RECONCILE));
}

#[test]
fn a_key_that_comes_back_within_its_grace_stays() {
    let mut memory = Memory::new(2, 8);
    let mut table = memory.table();
    table.subscribe(DATABASE, &[address(1)], 0);
    let (one, two) = (record(&KeyPair::p256(), "1"), record(&KeyPair::p256(), "2"));
    table.publish(0, &[one, two], 0, GRACE).unwrap();
    table.publish(0, &[one], 10, GRACE).unwrap();
    table.publish(0, &[one, two], 20, GRACE).unwrap();
    assert!(!table.drop_gone(1_000_000));
    assert_eq!(kids(&table, 0, false), ["1", "2"]);
}

#[test]
fn the_same_id_with_other_material_replaces_the_key_at_once() {
    let mut memory = Memory::new(2, 8);
    let mut table = memory.table();
    table.subscribe(DATABASE, &[address(1)], 0);
    let (old, new) = (record(&KeyPair::p256(), "k"), record(&KeyPair::p256(), "k"));
    table.publish(0, &[old], 0, GRACE).unwrap();
    table.publish(0, &[new], 10, GRACE).unwrap();
    assert_eq!(kids(&table, 0, true), ["k"]);
    let mut out = [Record::EMPTY; 2];
    table.copy_keys(0, Some(20), &mut out);
    assert!(out[0].same_as(&new));
}

#[test]
fn an_unchanged_set_changes_no_generation() {
    let mut memory = Memory::new(2, 8);
    let mut table = memory.table();
    table.subscribe(DATABASE, &[address(1)], 0);
    let one = record(&KeyPair::p256(), "1");
    assert_eq!(table.publish(0, &[one], 0, GRACE), Ok(true));
    let generation = table.sources[0].generation;
    assert_eq!(table.publish(0, &[one], 10, GRACE), Ok(false));
    assert_eq!(table.sources[0].generation, generation);
}

#[test]
fn keys_that_do_not_fit_change_nothing() {
    let mut memory = Memory::new(2, 2);
    let mut table = memory.table();
    table.subscribe(DATABASE, &[address(1)], 0);
    let records: Vec<_> = (0..3)
        .map(|n| record(&KeyPair::ed25519(), &n.to_string()))
        .collect();
    table.publish(0, &records[..1], 0, GRACE).unwrap();
    assert_eq!(table.publish(0, &records, 10, GRACE), Err(Full));
    assert_eq!(kids(&table, 0, true), ["0"]);
}

#[test]
fn keys_of_one_source_are_never_those_of_another() {
    let mut memory = Memory::new(2, 8);
    let mut table = memory.table();
    table.subscribe(DATABASE, &[address(1), address(2)], 0);
    table
        .publish(0, &[record(&KeyPair::p256(), "a")], 0, GRACE)
        .unwrap();
    table
        .publish(1, &[record(&KeyPair::p256(), "b")], 0, GRACE)
        .unwrap();
    assert_eq!(kids(&table, 0, true), ["a"]);
    assert_eq!(kids(&table, 1, true), ["b"]);
}

#[test]
fn discovery_and_direct_addresses_of_one_text_are_two_sources() {
    let mut memory = Memory::new(2, 8);
    let mut table = memory.table();
    let text = "https://idp.example".to_owned();
    let direct = KeyAddress::Direct {
        jwks_uri: text.clone(),
    };
    let discovery = KeyAddress::Discovery { issuer: text };
    assert_eq!(
        table.subscribe(DATABASE, &[direct.clone(), discovery.clone()], 0),
        0
    );
    assert_ne!(table.find(&direct), table.find(&discovery));
}

#[test]
fn databases_share_a_source_and_the_last_one_frees_it() {
    let mut memory = Memory::new(4, 8);
    let mut table = memory.table();
    table.subscribe(1, &[address(1)], 0);
    table.subscribe(2, &[address(1)], 0);
    table
        .publish(0, &[record(&KeyPair::p256(), "a")], 0, GRACE)
        .unwrap();
    table.forget_database(1);
    assert_eq!(table.find(&address(1)), Some(0));
    table.forget_database(2);
    assert_eq!(table.find(&address(1)), None);
    assert_eq!(kids(&table, 0, true), Vec::<String>::new());
}

#[test]
fn registering_again_does_not_refill_the_budget() {
    let mut memory = Memory::new(2, 8);
    let mut table = memory.table();
    table.subscribe(1, &[address(1)], 0);
    for _ in 0..5 {
        table.sources[0].begin(0, 1.0);
        table.sources[0].fail(0, 1.0, 0, "x", "a hint");
    }
    table.forget_database(1);
    table.subscribe(1, &[address(1)], 5_000);
    let position = table.find(&address(1)).unwrap();
    assert_eq!(table.sources[position].request(5_000), Reply::BudgetSpent);
}

#[test]
fn one_provider_too_many_gets_no_slot_and_takes_none_away() {
    let mut memory = Memory::new(2, 8);
    let mut table = memory.table();
    assert_eq!(
        table.subscribe(1, &[address(1), address(2), address(3)], 0),
        1
    );
    assert!(table.find(&address(1)).is_some() && table.find(&address(2)).is_some());
    assert_eq!(table.find(&address(3)), None);
}

#[test]
fn a_tables_copy_is_due_when_keys_change_and_when_it_gets_old() {
    let mut memory = Memory::new(2, 8);
    let mut table = memory.table();
    table.subscribe(DATABASE, &[address(1)], 0);
    assert!(
        !table.is_unpersisted(DATABASE, 1_800.0, 0),
        "there is nothing to write yet"
    );
    table
        .publish(0, &[record(&KeyPair::p256(), "a")], 0, GRACE)
        .unwrap();
    table.sources[0].fetched_at = 1_000.0;
    assert!(table.is_unpersisted(DATABASE, 1_800.0, 0));
    let generation = table.sources[0].generation;
    table.persisted(DATABASE, 0, generation, 1_000.0);
    assert!(!table.is_unpersisted(DATABASE, 1_800.0, 0) && table.is_persisted(DATABASE, 0));
    table.sources[0].fetched_at = 2_801.0;
    assert!(table.is_unpersisted(DATABASE, 1_800.0, 0));
}

#[test]
fn a_difference_counts_keys_that_come_and_keys_that_go() {
    let mut memory = Memory::new(2, 8);
    let mut table = memory.table();
    table.subscribe(DATABASE, &[address(1), address(2)], 0);
    let (a, b, c) = (
        record(&KeyPair::p256(), "a"),
        record(&KeyPair::p256(), "b"),
        record(&KeyPair::p256(), "c"),
    );
    let counts = |table: &Table<'_>, records: &[Record]| {
        let found = table.difference(0, records);
        (found.added, found.withdrawn)
    };
    assert_eq!(counts(&table, &[a, b]), (2, 0));
    table.publish(0, &[a, b], 0, GRACE).unwrap();
    table.publish(1, &[c], 0, GRACE).unwrap();
    assert_eq!(counts(&table, &[a, b]), (0, 0));
    assert_eq!(counts(&table, &[b, c]), (1, 1));
    table.publish(0, &[b, c], 1, GRACE).unwrap();
    // One in its grace is gone, and comes again.
    assert_eq!(counts(&table, &[b, c]), (0, 0));
    assert_eq!(counts(&table, &[a]), (1, 2));
}

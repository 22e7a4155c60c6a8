//! The shared table of keys as an algorithm: budgets, fetches, grace, subscriptions, waiters.

#[path = "common/mint.rs"]
#[allow(dead_code)]
mod mint;

use mint::KeyPair;
use pg_third_party_auth::cache::databases::{self, CATALOG, Database, RECONCILE};
use pg_third_party_auth::cache::record::Record;
use pg_third_party_auth::cache::source::{Reply, Source};
use pg_third_party_auth::cache::table::{Full, KeySlot, Subscription, Table};
use pg_third_party_auth::cache::text::Text;
use pg_third_party_auth::cache::waiters::{self, MAX_WAITERS, MAX_WAITERS_PER_SOURCE, Waiter};
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

    #[test]
    fn an_address_never_gets_more_than_five_requests_and_one_per_ten_seconds(
        steps in prop::collection::vec((0u64..7_000, 0u8..5), 1..300)
    ) {
        let mut source = Source::new(&address(1), 0).unwrap();
        let (mut now, mut begun, mut in_flight) = (0, 0u64, false);
        for (pause, action) in steps {
            now += pause;
            match action {
                0 | 1 => { let _ = source.ask(Some(pause), source.generation, now); }
                2 => { let _ = source.request(now); }
                3 if in_flight => { source.succeed(now, 1.0, 600_000); in_flight = false; }
                4 if in_flight => { source.fail(now, 1.0, 5_000, "x"); in_flight = false; }
                _ => {}
            }
            if source.is_due(now) {
                source.begin(now, 1.0);
                begun += 1;
                in_flight = true;
            }
            prop_assert!(begun <= 5 + now / 10_000, "{begun} requests in {now} ms");
        }
    }

    #[test]
    fn never_more_wait_than_may(steps in prop::collection::vec((0i32..40, 0u32..8, 0u64..900, any::<bool>()), 1..200)) {
        let mut places = [Waiter::EMPTY; MAX_WAITERS];
        let mut held: Vec<(usize, i32, u32)> = Vec::new();
        let mut now = 1;
        for (leader, source, pause, leave) in steps {
            now += pause / 100;
            if leave && !held.is_empty() {
                let (place, leader, _) = held.remove(0);
                waiters::leave(&mut places, place, leader);
            } else if let Some(place) = waiters::enter(&mut places, leader, source, now, now + 1_000_000) {
                held.push((place, leader, source));
            }
            prop_assert!(waiters::count(&places, now) <= MAX_WAITERS);
            for source in 0..8 {
                let mut leaders: Vec<_> = held.iter().filter(|h| h.2 == source).map(|h| h.1).collect();
                leaders.sort_unstable();
                leaders.dedup();
                prop_assert!(leaders.len() <= MAX_WAITERS_PER_SOURCE);
            }
        }
    }
}

#[test]
fn a_fetch_that_started_before_the_question_proves_nothing() {
    let mut source = Source::new(&address(1), 0).unwrap();
    source.generation = 9;
    source.begin(0, 1.0);
    // Asked while the first fetch is on its way: only the second one will do.
    assert_eq!(source.ask(Some(7), 9, 10), Reply::Wait(2));
    source.succeed(20, 1.0, 600_000);
    assert_eq!(source.ended(2), None);
    assert!(source.is_due(20), "the second fetch follows at once");
    source.begin(20, 1.0);
    source.succeed(30, 1.0, 600_000);
    assert_eq!(source.ended(2), Some(true));
}

#[test]
fn while_there_are_no_keys_the_fetch_on_its_way_will_do() {
    let mut source = Source::new(&address(1), 0).unwrap();
    source.begin(0, 1.0);
    assert_eq!(source.ask(Some(7), 0, 10), Reply::Wait(1));
    assert_eq!(source.ask(None, 0, 10), Reply::Wait(1));
}

#[test]
fn everyone_who_asks_meanwhile_shares_one_fetch() {
    let mut source = Source::new(&address(1), 0).unwrap();
    for kid in 0..1_000 {
        assert_eq!(source.ask(Some(kid), 0, 5), Reply::Wait(1));
    }
    source.begin(5, 1.0);
    assert!(!source.is_due(5));
}

#[test]
fn an_absent_id_is_refused_without_another_fetch_until_the_keys_change() {
    let mut source = Source::new(&address(1), 0).unwrap();
    source.remember_absent(7, 100);
    assert_eq!(source.ask(Some(7), 0, 200), Reply::Absent);
    assert_eq!(source.ask(Some(8), 0, 200), Reply::Wait(1));
    source.generation = 9;
    assert_eq!(source.ask(Some(7), 9, 200), Reply::Wait(1));
}

#[test]
fn an_absent_id_is_asked_for_again_after_a_quarter_of_a_minute() {
    let mut source = Source::new(&address(1), 0).unwrap();
    source.remember_absent(7, 0);
    assert_eq!(source.ask(Some(7), 0, 14_999), Reply::Absent);
    assert_eq!(source.ask(Some(7), 0, 15_000), Reply::Wait(1));
}

#[test]
fn a_spent_budget_is_said_and_comes_back_one_by_one() {
    let mut source = Source::new(&address(1), 0).unwrap();
    for _ in 0..5 {
        assert!(matches!(source.request(0), Reply::Wait(_)));
        source.begin(0, 1.0);
        source.succeed(0, 1.0, 600_000);
    }
    assert_eq!(source.request(9_999), Reply::BudgetSpent);
    assert!(matches!(source.request(10_000), Reply::Wait(_)));
    source.begin(10_000, 1.0);
    source.succeed(10_000, 1.0, 600_000);
    assert_eq!(source.request(10_001), Reply::BudgetSpent);
}

#[test]
fn after_a_failure_a_miss_does_not_cause_the_next_request_at_once() {
    let mut source = Source::new(&address(1), 0).unwrap();
    source.begin(0, 1.0);
    source.fail(0, 1.0, 5_000, "it hangs");
    assert_eq!(source.request(4_999), Reply::JustFailed);
    assert_eq!(source.request(5_000), Reply::Wait(2));
    assert_eq!(source.last_error.as_str(), "it hangs");
    assert_eq!(source.failures, 1);
}

#[test]
fn what_a_dead_fetcher_left_behind_counts_as_failed() {
    let mut source = Source::new(&address(1), 0).unwrap();
    source.begin(0, 1.0);
    source.abandon(10);
    assert_eq!(source.ended(1), Some(false));
    assert!(!source.is_due(10));
    assert!(source.is_due(5_010));
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
    assert_eq!(table.next_gone(0), 10 + GRACE);
    let mut out = [Record::EMPTY; 4];
    assert_eq!(table.copy_keys(0, Some(10 + GRACE - 1), &mut out), 2);
    assert_eq!(table.copy_keys(0, Some(10 + GRACE), &mut out), 1);
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
fn a_hanging_address_does_not_go_before_one_that_was_never_fetched() {
    let mut hanging = Source::new(&address(1), 1_000).unwrap();
    hanging.begin(1_000, 1.0);
    hanging.fail(6_000, 1.0, 5_000, "it hangs");
    let fresh = Source::new(&address(2), 1_000).unwrap();
    assert!(fresh.urgency() < hanging.urgency());
    let _ = hanging.request(11_000);
    assert!(hanging.urgency() < fresh.urgency(), "somebody waits for it");
}

#[test]
fn a_cancelled_follow_up_pays_for_the_next_one() {
    let mut source = Source::new(&address(1), 0).unwrap();
    source.generation = 9;
    source.begin(0, 1.0);
    for kid in 0..4 {
        assert_eq!(source.ask(Some(kid), 9, 0), Reply::Wait(2));
    }
    source.cancel_follow_up();
    source.succeed(0, 1.0, 600_000);
    assert!(!source.is_due(0));
    for _ in 0..4 {
        assert!(matches!(source.request(0), Reply::Wait(_)));
        source.begin(0, 1.0);
        source.succeed(0, 1.0, 600_000);
    }
    assert_eq!(source.request(0), Reply::BudgetSpent);
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
        table.sources[0].fail(0, 1.0, 0, "x");
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
fn parallel_workers_wait_in_their_leaders_place() {
    let mut places = [Waiter::EMPTY; MAX_WAITERS];
    let place = waiters::enter(&mut places, 1, 0, 0, 10);
    assert_eq!(waiters::enter(&mut places, 1, 0, 0, 10), place);
    assert_eq!(waiters::count(&places, 0), 1);
    waiters::leave(&mut places, place.unwrap(), 1);
    assert_eq!(waiters::count(&places, 0), 1);
    waiters::leave(&mut places, place.unwrap(), 1);
    assert_eq!(waiters::count(&places, 0), 0);
}

#[test]
fn a_place_of_one_that_died_is_free_after_its_deadline() {
    let mut places = [Waiter::EMPTY; MAX_WAITERS];
    for leader in 0..MAX_WAITERS_PER_SOURCE as i32 {
        assert!(waiters::enter(&mut places, leader, 0, 0, 10).is_some());
    }
    assert_eq!(waiters::enter(&mut places, 99, 0, 9, 20), None);
    assert!(waiters::enter(&mut places, 99, 0, 10, 20).is_some());
}

#[test]
fn a_request_during_a_synchronisation_is_not_lost() {
    let mut known = [Database::EMPTY; 4];
    databases::request(&mut known, 7);
    assert_eq!(databases::next(&known, 0), Some(7));
    databases::begin(&mut known, 7, 0);
    databases::request(&mut known, 7);
    assert_eq!(databases::next(&known, 1), None, "one at a time");
    databases::succeed(&mut known, 7, true, 2);
    assert_eq!(databases::next(&known, 2), Some(7));
}

#[test]
fn a_failing_database_is_tried_ever_more_patiently_and_delays_no_other() {
    let mut known = [Database::EMPTY; 4];
    databases::request(&mut known, 7);
    databases::begin(&mut known, 7, 0);
    databases::fail(&mut known, 7, 0);
    databases::request(&mut known, 8);
    assert_eq!(databases::next(&known, 0), Some(8));
    databases::begin(&mut known, 8, 0);
    databases::succeed(&mut known, 8, false, 0);
    assert_eq!(databases::next(&known, 999), None);
    assert_eq!(databases::next(&known, 1_000), Some(7));
    databases::begin(&mut known, 7, 1_000);
    databases::fail(&mut known, 7, 1_000);
    assert_eq!(databases::next(&known, 2_999), None);
    assert_eq!(databases::next(&known, 3_000), Some(7));
}

#[test]
fn a_database_without_the_extension_is_left_alone() {
    let mut known = [Database::EMPTY; 4];
    for (oid, has_extension) in [(7, true), (8, false), (CATALOG, false)] {
        databases::request(&mut known, oid);
        databases::begin(&mut known, oid, 0);
        databases::succeed(&mut known, oid, has_extension, 0);
    }
    let mut due = Vec::new();
    while let Some(oid) = databases::next(&known, RECONCILE) {
        databases::begin(&mut known, oid, RECONCILE);
        databases::succeed(&mut known, oid, true, RECONCILE);
        due.push(oid);
    }
    due.sort_unstable();
    assert_eq!(due, [CATALOG, 7]);
}

#[test]
fn a_dropped_database_is_forgotten() {
    let mut known = [Database::EMPTY; 4];
    databases::request(&mut known, 7);
    databases::request(&mut known, 8);
    databases::retain(&mut known, &[8]);
    assert!(
        databases::is_known(&known, 7),
        "it may be newer than the list"
    );
    databases::begin(&mut known, 7, 0);
    databases::fail(&mut known, 7, 0);
    databases::retain(&mut known, &[8]);
    assert!(!databases::is_known(&known, 7) && databases::is_known(&known, 8));
}

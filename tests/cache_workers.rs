//! Who waits for keys, and which database is synchronised when.

use pg_third_party_auth::cache::databases::{self, CATALOG, Database, RECONCILE};
use pg_third_party_auth::cache::waiters::{self, MAX_WAITERS, MAX_WAITERS_PER_SOURCE, Waiter};
use proptest::prelude::*;

proptest! {
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

#[test]
fn a_database_with_the_extension_finds_room_among_those_without() {
    let mut known = [Database::EMPTY; 4];
    for oid in [CATALOG, 7, 8, 9] {
        assert!(databases::request(&mut known, oid));
    }
    assert!(
        !databases::request(&mut known, 10),
        "nobody knows yet which of them have it"
    );
    for (oid, has_extension) in [(CATALOG, false), (7, true), (9, false), (8, false)] {
        databases::begin(&mut known, oid, u64::from(oid));
        databases::succeed(&mut known, oid, has_extension, u64::from(oid));
    }
    assert!(databases::request(&mut known, 10));
    assert_eq!(databases::next(&known, 20), Some(10));
    let stays = |oid| databases::is_known(&known, oid);
    assert!(stays(CATALOG) && stays(7) && stays(9) && !stays(8));
    // One that is asked for is not sent away again, and nor is one that has it.
    assert!(databases::request(&mut known, 11));
    assert!(!databases::request(&mut known, 12));
}

#[test]
fn a_provider_without_a_slot_is_tried_again_when_one_is_free() {
    let mut known = [Database::EMPTY; 4];
    for oid in [7, 8] {
        databases::request(&mut known, oid);
        databases::begin(&mut known, oid, 0);
        databases::succeed(&mut known, oid, true, 0);
    }
    databases::crowd_out(&mut known, 8);
    assert_eq!(databases::next(&known, 1), None);
    databases::request_crowded(&mut known);
    assert_eq!(databases::next(&known, 1), Some(8));
    databases::begin(&mut known, 8, 1);
    databases::succeed(&mut known, 8, true, 1);
    databases::request_crowded(&mut known);
    assert_eq!(databases::next(&known, 2), None, "once each time");
}

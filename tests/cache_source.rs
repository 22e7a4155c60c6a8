//! One key address: who asks, what a fetch proves, what it costs.

use pg_third_party_auth::cache::source::{Reply, Source};
use pg_third_party_auth::provider::KeyAddress;
use proptest::prelude::*;

fn address(number: usize) -> KeyAddress {
    KeyAddress::Direct {
        jwks_uri: format!("https://idp{number}.example/jwks"),
    }
}

proptest! {
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
                4 if in_flight => { source.fail(now, 1.0, 5_000, "x", "a hint"); in_flight = false; }
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
fn a_fetch_that_confirmed_what_was_given_up_meanwhile_proves_nothing() {
    let mut source = Source::new(&address(1), 0).unwrap();
    source.begin(0, 1.0);
    source.succeed(5, 1.0, 600_000);
    source.generation = 9;
    assert_eq!(source.ask(Some(7), 9, 10), Reply::Wait(2));
    source.begin(10, 1.0);
    source.retire();
    source.use_again(20);
    assert_eq!(source.ask(Some(7), 0, 30), Reply::Wait(2));
    source.end_in_vain(40);
    assert_eq!(source.ended(2), None);
    assert!(source.is_due(40), "the next one follows at once");
    source.begin(40, 1.0);
    source.succeed(50, 1.0, 600_000);
    assert_eq!(source.ended(2), Some(true));
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
    source.fail(0, 1.0, 5_000, "it hangs", "a hint");
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
fn a_shorter_interval_counts_for_the_fetch_that_is_planned() {
    let mut source = Source::new(&address(1), 0).unwrap();
    source.begin(0, 0.0);
    // What failed keeps its back-off.
    source.fail(0, 0.0, 300_000, "why", "hint");
    source.hasten(0, 0.0, 2_000);
    assert!(!source.is_due(2_000));
    source.begin(0, 0.0);
    source.succeed(0, 0.0, 600_000);
    source.hasten(1_000, 1.0, 1_000_000);
    assert!(!source.is_due(599_999));
    source.hasten(1_000, 1.0, 2_000);
    assert!(!source.is_due(2_999));
    assert!(source.is_due(3_000));
    assert_eq!(source.next_refresh_at, 3.0);
}

#[test]
fn a_hanging_address_does_not_go_before_one_that_was_never_fetched() {
    let mut hanging = Source::new(&address(1), 1_000).unwrap();
    hanging.begin(1_000, 1.0);
    hanging.fail(6_000, 1.0, 5_000, "it hangs", "a hint");
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
fn the_log_mentions_the_first_failure_and_then_one_an_hour() {
    const MINUTE: u64 = 60_000;
    let mut source = Source::new(&address(1), 0).unwrap();
    let mut mentioned = Vec::new();
    for minute in 1..=150 {
        source.begin(minute * MINUTE, 1.0);
        source.fail(minute * MINUTE, 1.0, MINUTE, "it hangs", "a hint");
        if source.mention_failure(minute * MINUTE) {
            mentioned.push(minute);
        }
    }
    assert_eq!(mentioned, [1, 61, 121]);
    assert_eq!(source.failing_for(150 * MINUTE), 149 * MINUTE);
    source.begin(151 * MINUTE, 1.0);
    source.succeed(151 * MINUTE, 1.0, MINUTE);
    assert_eq!(source.failing_for(152 * MINUTE), 0);
    // The next failure is another matter.
    source.begin(152 * MINUTE, 1.0);
    source.fail(152 * MINUTE, 1.0, MINUTE, "it hangs", "a hint");
    assert!(source.mention_failure(152 * MINUTE));
    assert_eq!(source.failing_for(153 * MINUTE), MINUTE);
}

//! A token that was accepted is not judged again while [`Verified::holds_at`] says that it would be accepted again.

#[path = "policy/token.rs"]
#[allow(dead_code)]
mod token;

use pg_third_party_auth::provider::presets::ALL;
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use token::{NOW, base, judged_at, provider};

/// Every claim that is a date to some kind of provider.
const DATES: [&str; 4] = ["exp", "nbf", "iat", "auth_time"];

/// Times around [`NOW`], in half seconds, so that limits and what lies beside them are met often. The tolerance of
/// the providers is 30 s.
fn time() -> impl Strategy<Value = f64> {
    prop_oneof![
        (-8_i32..=8).prop_map(|step| NOW + f64::from(step) * 30.0),
        (-400_i32..=400).prop_map(|step| NOW + f64::from(step) / 2.0),
    ]
}

/// Some of the dates; the others are missing.
fn dates() -> impl Strategy<Value = Map<String, Value>> {
    prop::array::uniform4(prop::option::weighted(0.8, time())).prop_map(|times| {
        let dated = DATES.iter().zip(times);
        dated
            .filter_map(|(name, time)| Some(((*name).to_owned(), json!(time?))))
            .collect()
    })
}

fn claims_of(kind: &str, dates: &Map<String, Value>) -> Value {
    let mut claims = base(kind);
    let members = claims.as_object_mut().unwrap();
    for name in DATES {
        members.remove(name);
    }
    members.extend(dates.clone());
    claims
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_096))]

    #[test]
    fn what_holds_at_a_later_time_is_what_all_rules_say_then(
        dates in dates(),
        judged in time(),
        asked in time(),
    ) {
        for preset in ALL {
            let claims = claims_of(preset.kind, &dates);
            let at = |now| judged_at(now, provider(preset.kind), &claims);
            let Some(verified) = at(judged) else {
                continue;
            };
            let again = at(asked);
            prop_assert_eq!(
                verified.holds_at(asked),
                asked >= judged && again.is_some(),
                "{} {} judged at {}, asked at {}", preset.kind, claims, judged, asked
            );
            if let Some(again) = again {
                prop_assert_eq!(verified.role(), again.role());
            }
        }
    }
}

#[test]
fn the_samples_are_accepted_often_enough_to_say_something() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let mut accepted = 0;
    for _ in 0..200 {
        let dates = dates().new_tree(&mut runner).unwrap().current();
        let accepts =
            |kind: &&str| judged_at(NOW, provider(kind), &claims_of(kind, &dates)).is_some();
        accepted += ALL.iter().map(|preset| preset.kind).filter(accepts).count();
    }
    assert!(accepted > 100, "{accepted} of {}", 200 * ALL.len());
}

#[test]
fn a_clock_that_shows_no_number_holds_nothing() {
    let verified = judged_at(NOW, provider("clerk"), &base("clerk")).unwrap();
    assert!(verified.holds_at(NOW));
    for now in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert!(!verified.holds_at(now), "{now}");
    }
}

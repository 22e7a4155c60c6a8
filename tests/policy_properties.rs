//! Whatever claims say: no question panics, and none is answered without its claim.

#[path = "policy/questions.rs"]
#[allow(dead_code)]
mod questions;
#[path = "policy/token.rs"]
#[allow(dead_code)]
mod token;

use pg_third_party_auth::policy::{
    authentication, organization, permissions, reverification, scope, second_factor,
};
use pg_third_party_auth::provider::presets::ALL;
use pg_third_party_auth::verify::Verified;
use proptest::prelude::*;
use proptest::sample::select;
use questions::{QUESTIONS, named};
use serde_json::{Map, Value, json};
use token::NOW;

/// Claims that some question looks at.
const CLAIMS: [&str; 24] = [
    "aal",
    "acr",
    "amr",
    "aud",
    "auth_time",
    "cognito:groups",
    "email_verified",
    "fea",
    "firebase",
    "fva",
    "iat",
    "o",
    "org_id",
    "org_permissions",
    "org_role",
    "permissions",
    "role",
    "roles",
    "scope",
    "scp",
    "sid",
    "user_role",
    "v",
    "xms_edov",
];

/// Values that mean something somewhere, and texts close to them.
fn word() -> impl Strategy<Value = Value> {
    let words = select(vec![
        "aal2",
        "mfa",
        "totp",
        "password",
        "admin",
        "org:admin",
        "authenticated",
        "org_1",
        "read",
        "openid read",
        "api",
        "true",
        "1",
        "org:teams:read",
        "o:teams",
        "o:teams,u:x,",
        "ou:",
        "3,2",
        "",
        "99999999999999999999999999",
        ",",
        ":",
    ]);
    let numbers = select(vec![
        json!(2),
        json!(-1),
        json!(0),
        json!(99_999),
        json!(i64::MIN),
        json!(u64::MAX),
        json!(NOW),
        json!(NOW - 50.0),
        json!(1e308),
        json!(-1e308),
        json!(-0.0),
        json!(1.5),
    ]);
    prop_oneof![
        words.prop_map(|word| json!(word)),
        "[ou:,a-b0-9é ]{0,12}".prop_map(Value::String),
        numbers,
        any::<bool>().prop_map(Value::Bool),
        Just(Value::Null),
    ]
}

fn member() -> impl Strategy<Value = String> {
    let names = select(vec![
        "id",
        "rol",
        "per",
        "fpm",
        "fea",
        "method",
        "timestamp",
        "sign_in_second_factor",
        "x",
    ]);
    names.prop_map(str::to_owned)
}

fn value() -> impl Strategy<Value = Value> {
    word().prop_recursive(3, 24, 4, |inner| {
        let object = prop::collection::btree_map(member(), inner.clone(), 0..5);
        prop_oneof![
            prop::collection::vec(inner, 0..4).prop_map(Value::Array),
            object.prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Some of the claims, with any values.
fn claims() -> impl Strategy<Value = Map<String, Value>> {
    let names = select(CLAIMS.to_vec()).prop_map(str::to_owned);
    prop::collection::btree_map(names, value(), 0..16)
        .prop_map(|members| members.into_iter().collect())
}

/// A token of this kind with these claims, where they do not make its provider refuse it.
fn token_of(kind: &str, claims: &Map<String, Value>) -> Option<Verified> {
    let all = token::changed(kind, Value::Object(claims.clone()));
    token::judged(token::provider(kind), &all)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_question_is_answered_without_its_claims(claims in claims()) {
        for preset in ALL {
            for question in &QUESTIONS {
                let source = (question.source)(preset).unwrap_or_default();
                let mut claims = claims.clone();
                for name in named(&source) {
                    // changed() takes a member with null out.
                    claims.insert(name.to_owned(), Value::Null);
                }
                if let Some(token) = token_of(preset.kind, &claims) {
                    let answered = (question.answers)(&token);
                    prop_assert!(!answered, "{} {}", question.function, preset.kind);
                }
            }
        }
    }

    #[test]
    fn no_claims_and_no_argument_make_a_question_panic(
        claims in claims(),
        asked in "(org:)?[a-z:, é]{0,6}",
        age in any::<f64>(),
        now in any::<f64>(),
    ) {
        for token in ALL.iter().filter_map(|preset| token_of(preset.kind, &claims)) {
            for question in &QUESTIONS {
                (question.answers)(&token);
            }
            scope::has_scope(&token, &asked);
            organization::has_role_in(&token, &asked, &asked);
            permissions::has_in(&token, &asked, &asked);
            reverification::is_reverified(&token, &asked, now);
            second_factor::is_verified_within(&token, age, now);
            authentication::is_within(&token, age, now);
        }
    }

    #[test]
    fn nothing_is_within_a_negative_time(claims in claims(), age in -1e300..-1e-9) {
        for token in ALL.iter().filter_map(|preset| token_of(preset.kind, &claims)) {
            prop_assert!(!second_factor::is_verified_within(&token, age, NOW));
            prop_assert!(!authentication::is_within(&token, age, NOW));
        }
    }

    #[test]
    fn the_empty_text_is_never_had(claims in claims()) {
        for token in ALL.iter().filter_map(|preset| token_of(preset.kind, &claims)) {
            for empty in ["", "org:"] {
                prop_assert!(!organization::has_role_in(&token, empty, "org_1"));
                prop_assert!(!permissions::has_in(&token, empty, "org_1"));
                prop_assert!(!organization::has_role_in(&token, "admin", empty));
                prop_assert!(!permissions::has_in(&token, "org:teams:read", empty));
            }
            prop_assert!(!organization::has_role(&token, ""));
            prop_assert!(!permissions::has(&token, ""));
            prop_assert!(!scope::has_scope(&token, ""));
        }
    }
}

/// The properties above would hold of tokens that are refused.
#[test]
fn claims_with_odd_values_are_often_those_of_a_valid_token() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let mut valid = 0;
    for _ in 0..200 {
        let claims = claims().new_tree(&mut runner).unwrap().current();
        valid += ALL
            .iter()
            .filter(|preset| token_of(preset.kind, &claims).is_some())
            .count();
    }
    assert!(valid > 200, "{valid} of {}", 200 * ALL.len());
}

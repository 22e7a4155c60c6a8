//! What is said about a token: refusals, `explain`, a gateway's claims; and that nothing forged passes.

#[path = "common/court.rs"]
#[allow(dead_code)]
mod court;
#[path = "common/mint.rs"]
#[allow(dead_code)]
mod mint;

use court::{
    ISSUER, Keys, MAX_BYTES, NOW, QUESTION, claims, claims_with, judge, key_set, provider, reason,
    registry,
};
use mint::KeyPair;
use pg_third_party_auth::provider::Registry;
use pg_third_party_auth::token::Claims;
use pg_third_party_auth::verify::{
    Failure, Reason, Step, explain, explain_gateway_claims, verify_gateway_claims,
};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::{Arc, LazyLock};

static OLD: LazyLock<KeyPair> = LazyLock::new(KeyPair::p256);
static NEW: LazyLock<KeyPair> = LazyLock::new(KeyPair::p256);

fn header(kid: &str) -> Value {
    json!({"alg": "ES256", "kid": kid})
}

fn oidc() -> Registry {
    registry(vec![provider("oidc", "oidc", ISSUER)])
}

fn old_keys() -> Keys {
    Keys::of("oidc", key_set(&[OLD.jwk("old", None)]))
}

#[test]
fn a_refusal_names_the_provider_only_if_the_issuer_selected_it_and_shows_no_values() {
    let refusal = |header: &Value, changes: Value| {
        let token = NEW.sign(header, &claims_with(changes));
        match judge(&token, &oidc(), &QUESTION, &mut old_keys()) {
            Err(Failure::Refused(refusal)) => refusal,
            other => panic!("{other:?}"),
        }
    };
    for (header, changes, named) in [
        (header("old"), json!({}), true),
        (header("secret-kid"), json!({}), true),
        (header("old"), json!({"aud": "secret-aud"}), true),
        (header("old"), json!({"exp": 7_654_321}), true),
        (json!({"alg": "secret-alg"}), json!({}), true),
        (
            json!({"alg": "secret-alg"}),
            json!({"iss": "secret-iss"}),
            false,
        ),
        (header("old"), json!({"iss": "secret-iss"}), false),
    ] {
        let refusal = refusal(&header, changes);
        assert_eq!(refusal.provider.is_some(), named, "{refusal}");
        let printed = format!("{refusal} {refusal:?} {}", refusal.hint);
        assert!(
            !printed.contains("secret-") && !printed.contains("7654321"),
            "{printed}"
        );
        assert!(!refusal.message.is_empty() && !refusal.hint.is_empty());
    }
}

fn rules(steps: &[Step]) -> Vec<(&'static str, Option<bool>)> {
    steps
        .iter()
        .map(|step| (step.rule.code(), step.ok))
        .collect()
}

const ORDER: [&str; 22] = [
    "too_large",
    "malformed",
    "duplicate_member",
    "critical_header",
    "algorithm_not_allowed",
    "token_type_not_allowed",
    "unknown_issuer",
    "audience_mismatch",
    "authorized_party_mismatch",
    "tenant_not_allowed",
    "expired",
    "not_yet_valid",
    "issued_in_future",
    "missing_claim",
    "key_revoked",
    "unknown_key",
    "bad_signature",
    "invalid_claim",
    "session_pending",
    "nonce_mismatch",
    "role_not_allowed",
    "not_for_requests",
];

#[test]
fn explain_tells_every_rule_in_the_order_of_checking() {
    let token = OLD.sign(&header("old"), &claims());
    let (steps, undecided) = explain(&token, MAX_BYTES, &oidc(), &QUESTION, &mut old_keys());
    let expected: Vec<_> = ORDER.iter().map(|rule| (*rule, Some(true))).collect();
    assert_eq!(rules(&steps), expected);
    assert_eq!(undecided, None);
}

#[test]
fn explain_stops_at_the_failing_rule_and_agrees_with_verify() {
    let cases = [
        ("x".repeat(MAX_BYTES + 1), 0),
        ("a.b".to_owned(), 1),
        (
            OLD.sign_texts("ES256", r#"{"alg":"ES256","alg":"x"}"#, "{}"),
            2,
        ),
        (OLD.sign(&json!({"alg": "ES256", "crit": []}), &claims()), 3),
        (OLD.sign(&json!({"alg": "none"}), &claims()), 4),
        (OLD.sign(&json!({"alg": "ES256", "typ": "x"}), &claims()), 5),
        (
            OLD.sign(&header("old"), &claims_with(json!({"iss": "x"}))),
            6,
        ),
        (
            OLD.sign(
                &header("old"),
                &claims_with(json!({"aud": "secret-audience"})),
            ),
            7,
        ),
        (
            OLD.sign(&header("old"), &claims_with(json!({"exp": 1}))),
            10,
        ),
        (
            OLD.sign(&header("old"), &claims_with(json!({"nbf": NOW + 99.0}))),
            11,
        ),
        (
            OLD.sign(&header("old"), &claims_with(json!({"iat": NOW + 99.0}))),
            12,
        ),
        (
            OLD.sign(&header("old"), &claims_with(json!({"sub": null}))),
            13,
        ),
        (OLD.sign(&header("unknown"), &claims()), 15),
        (NEW.sign(&header("old"), &claims()), 16),
        (
            OLD.sign(&header("old"), &claims_with(json!({"role": "postgres"}))),
            20,
        ),
    ];
    for (token, index) in cases {
        let (steps, _) = explain(&token, MAX_BYTES, &oidc(), &QUESTION, &mut old_keys());
        assert_eq!(steps.len(), ORDER.len());
        for (place, step) in steps.iter().enumerate() {
            let expected = match place.cmp(&index) {
                std::cmp::Ordering::Less => Some(true),
                std::cmp::Ordering::Equal => Some(false),
                std::cmp::Ordering::Greater => None,
            };
            assert_eq!(step.ok, expected, "{} in {:.60}", step.rule, token);
        }
        let failed = &steps[index];
        assert_eq!(failed.rule.code(), ORDER[index]);
        let verdict = reason(&token, &oidc(), &QUESTION, &mut old_keys());
        assert_eq!(verdict, Some(failed.rule));
        assert!(failed.detail.ends_with('.'), "{}", failed.detail);
    }
}

#[test]
fn explain_shows_the_configuration_only_apart() {
    let token = OLD.sign(
        &header("old"),
        &claims_with(json!({"aud": "found-audience"})),
    );
    let (steps, _) = explain(&token, MAX_BYTES, &oidc(), &QUESTION, &mut old_keys());
    let failed = &steps[7];
    assert!(failed.detail.contains("\"api\"") && failed.detail.contains("found-audience"));
    assert!(
        !failed.public_detail.contains("\"api\"")
            && failed.public_detail.contains("found-audience")
    );
}

#[test]
fn what_cannot_be_decided_leaves_the_key_open() {
    let token = OLD.sign(&header("old"), &claims());
    let (steps, why) = explain(&token, MAX_BYTES, &oidc(), &QUESTION, &mut Keys::default());
    assert_eq!(why, Some("not fetched"));
    let open: Vec<_> = steps.iter().filter(|step| step.ok.is_none()).collect();
    assert_eq!(open[0].rule, Reason::UnknownKey);
    assert!(!open[0].detail.is_empty());
    assert!(steps.iter().all(|step| step.ok != Some(false)));
}

#[test]
fn claims_that_a_gateway_checked_pass_every_other_rule() {
    let verdict = |changes: Value| {
        let claims = Claims::parse(claims_with(changes).to_string()).expect("claims");
        verify_gateway_claims(&Arc::new(claims), &oidc(), &QUESTION, &mut ())
            .map(|verified| assert_eq!(verified.thumbprint(), None))
            .map_err(|refusal| refusal.reason)
    };
    assert_eq!(verdict(json!({})), Ok(()));
    for (changes, expected) in [
        (json!({"iss": "x"}), Reason::UnknownIssuer),
        (json!({"aud": "x"}), Reason::AudienceMismatch),
        (json!({"exp": 1}), Reason::Expired),
        (json!({"exp": null}), Reason::MissingClaim),
        (json!({"sub": 1}), Reason::InvalidClaim),
        (json!({"role": "service_role"}), Reason::RoleNotAllowed),
    ] {
        assert_eq!(verdict(changes), Err(expected));
    }
    let steps = explain_gateway_claims(&claims().to_string(), MAX_BYTES, &oidc(), &QUESTION);
    let header_and_key = [3, 4, 5, 14, 15, 16];
    for (index, step) in steps.iter().enumerate() {
        let applies = !header_and_key.contains(&index);
        assert_eq!(
            (step.rule.code(), step.ok),
            (ORDER[index], applies.then_some(true))
        );
        assert_eq!(step.detail.starts_with("not applicable"), !applies);
    }
    let steps = explain_gateway_claims("{", MAX_BYTES, &oidc(), &QUESTION);
    assert_eq!(steps[1].ok, Some(false));
    assert_eq!(steps[2].ok, None);
}

#[test]
fn reason_codes_are_distinct_words() {
    let mut codes: Vec<_> = Reason::ALL.iter().map(|reason| reason.code()).collect();
    assert!(
        codes
            .iter()
            .all(|code| code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'))
    );
    codes.sort_unstable();
    codes.dedup();
    assert_eq!(codes.len(), 23);
}

proptest! {
    #[test]
    fn a_mutated_token_is_never_verified(position in 0_usize..400, octet in 0x20_u8..0x7f) {
        static TOKEN: LazyLock<String> = LazyLock::new(|| OLD.sign(&header("old"), &claims()));
        let mut octets = TOKEN.as_bytes().to_vec();
        let position = position % octets.len();
        prop_assume!(octets[position] != octet);
        octets[position] = octet;
        let mutated = std::str::from_utf8(&octets).expect("ASCII");
        prop_assert!(reason(mutated, &oidc(), &QUESTION, &mut old_keys()).is_some());
        let (steps, _) = explain(mutated, MAX_BYTES, &oidc(), &QUESTION, &mut old_keys());
        prop_assert!(steps.iter().any(|step| step.ok == Some(false)));
    }

    #[test]
    fn no_text_is_verified_or_panics(text in "\\PC{0,100}") {
        prop_assert!(reason(&text, &oidc(), &QUESTION, &mut old_keys()).is_some());
    }
}

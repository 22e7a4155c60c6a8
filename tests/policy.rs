//! What policies ask: organisation, second factor, reverification, audience.

#[path = "common/court.rs"]
#[allow(dead_code)]
mod court;

use court::{NOW, provider};
use pg_third_party_auth::policy::{self, organization, reverification, second_factor};
use pg_third_party_auth::provider::{Audiences, Registry};
use pg_third_party_auth::token::Claims;
use pg_third_party_auth::verify::{Purpose, Question, Verified, verify_gateway_claims};
use serde_json::{Value, json};
use std::sync::Arc;

/// Claims of a kind, as if their signature had been checked: what policies ask does not depend on it.
fn verified(kind: &str, changes: Value) -> Verified {
    let issuer = "https://issuer.example";
    let mut claims = json!({
        "iss": issuer, "aud": "api", "sub": "user_1", "sid": "sess_1", "session_id": "s1",
        "auth_time": NOW - 100.0, "iat": NOW - 60.0, "exp": NOW + 60.0, "role": "authenticated",
    });
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    let mut one = provider(kind, kind, issuer);
    one.audiences = Audiences::NotChecked;
    let registry = Registry {
        providers: vec![Arc::new(one)],
        revoked: Vec::new(),
        secrets: Default::default(),
    };
    let question = Question {
        now: NOW,
        purpose: Purpose::Request,
        provider: None,
        nonce: None,
    };
    let claims = Arc::new(Claims::parse(claims.to_string()).unwrap());
    verify_gateway_claims(&claims, &registry, &question, &mut ()).unwrap()
}

fn org(changes: Value) -> Option<(String, Option<String>)> {
    let token = verified("clerk", changes);
    organization::organization(&token).map(|o| (o.id.to_owned(), o.role.map(str::to_owned)))
}

#[test]
fn clerks_versions_are_read_and_never_mixed() {
    let admin = |id: &str| Some((id.to_owned(), Some("admin".to_owned())));
    assert_eq!(
        org(json!({"v": 2, "o": {"id": "org_a", "rol": "admin"}})),
        admin("org_a")
    );
    assert_eq!(
        org(json!({"org_id": "org_a", "org_role": "org:admin"})),
        admin("org_a")
    );
    // Custom claims of the other version's names.
    assert_eq!(
        org(
            json!({"v": 2, "o": {"id": "org_a", "rol": "admin"}, "org_id": "org_b", "org_role": "org:member"})
        ),
        admin("org_a")
    );
    assert_eq!(
        org(json!({"v": 2, "org_id": "org_b", "org_role": "org:admin"})),
        None
    );
    assert_eq!(org(json!({"o": {"id": "org_a"}, "org_id": "org_b"})), None);
    assert_eq!(org(json!({"v": 1, "org_id": "org_b"})), None);
    assert_eq!(org(json!({"v": "2", "o": {"id": "org_a"}})), None);
    assert_eq!(org(json!({"v": 2, "o": {"id": ""}})), None);
    assert_eq!(org(json!({"v": 2, "o": {"id": 7}})), None);
    assert_eq!(org(json!({})), None);
}

#[test]
fn an_organisation_of_another_kind_is_none() {
    for kind in ["firebase", "supabase", "oidc"] {
        let token = verified(
            kind,
            json!({"org_id": "org_a", "v": 2, "o": {"id": "org_a"}}),
        );
        assert_eq!(organization::organization(&token), None, "{kind}");
    }
}

#[test]
fn a_role_is_the_same_with_and_without_its_prefix() {
    let token = verified(
        "clerk",
        json!({"v": 2, "o": {"id": "org_a", "rol": "admin"}}),
    );
    assert!(organization::has_role(&token, "admin"));
    assert!(organization::has_role(&token, "org:admin"));
    assert!(!organization::has_role(&token, "org:member"));
    assert!(!organization::has_role(&token, ""));
    assert!(!organization::has_role(&token, "org:"));
    assert!(organization::has_role_in(&token, "admin", "org_a"));
    assert!(!organization::has_role_in(&token, "admin", "org_b"));
    let empty = verified(
        "clerk",
        json!({"v": 2, "o": {"id": "org_a", "rol": "org:"}}),
    );
    assert!(!organization::has_role(&empty, "org:"));
}

#[test]
fn clerks_second_factor_is_a_whole_number_of_minutes() {
    for (fva, expected) in [
        (json!([0, 5]), true),
        (json!([-1, 5]), true),
        (json!([0, -1]), false),
        (json!([0, -1.0]), false),
        (json!([0, true]), false),
        (json!([0, []]), false),
        (json!([0, ""]), false),
        (json!([0, "5"]), false),
        (json!([0, -2]), false),
        (json!([0, 1, 2]), false),
        (json!(null), false),
    ] {
        let token = verified("clerk", json!({"fva": fva}));
        assert_eq!(second_factor::is_verified(&token, NOW), expected, "{fva}");
    }
    assert!(!second_factor::is_verified(
        &verified("clerk", json!({})),
        NOW
    ));
}

#[test]
fn the_age_of_a_second_factor_grows_with_the_token() {
    // 5 minutes when it was issued, a minute ago.
    let token = verified("clerk", json!({"fva": [0, 5]}));
    assert!(second_factor::is_verified_within(&token, 360.0, NOW));
    assert!(!second_factor::is_verified_within(&token, 359.0, NOW));
    assert!(!second_factor::is_verified_within(&token, f64::NAN, NOW));
    assert!(!second_factor::is_verified_within(&token, -1.0, NOW));
}

#[test]
fn without_iat_the_age_of_a_second_factor_is_unknown() {
    let token = verified("clerk", json!({"fva": [0, 5], "iat": NOW - 1e15}));
    assert!(!second_factor::is_verified_within(&token, 1e9, NOW));
}

#[test]
fn supabases_second_factor_needs_aal2_and_for_an_age_its_method() {
    let amr = json!([{"method": "totp", "timestamp": NOW - 50.0}, {"method": "password", "timestamp": NOW - 1.0}]);
    let token = verified("supabase", json!({"aal": "aal2", "amr": amr}));
    assert!(second_factor::is_verified(&token, NOW));
    assert!(second_factor::is_verified_within(&token, 50.0, NOW));
    assert!(
        !second_factor::is_verified_within(&token, 49.0, NOW),
        "a password is no second factor"
    );
    let first = verified("supabase", json!({"aal": "aal1", "amr": amr}));
    assert!(!second_factor::is_verified(&first, NOW));
    let hook = verified("supabase", json!({"aal": "aal2", "amr": ["totp"]}));
    assert!(second_factor::is_verified(&hook, NOW));
    assert!(!second_factor::is_verified_within(&hook, 1e9, NOW));
}

#[test]
fn firebase_and_oidc_tell_a_second_factor_in_their_own_claims() {
    let firebase = verified(
        "firebase",
        json!({"firebase": {"sign_in_second_factor": "phone"}}),
    );
    assert!(second_factor::is_verified(&firebase, NOW));
    assert!(second_factor::is_verified_within(&firebase, 100.0, NOW));
    assert!(!second_factor::is_verified_within(&firebase, 99.0, NOW));
    let none = verified(
        "firebase",
        json!({"firebase": {"sign_in_provider": "password"}}),
    );
    assert!(!second_factor::is_verified(&none, NOW));
    let oidc = verified("oidc", json!({"amr": ["pwd", "mfa"]}));
    assert!(second_factor::is_verified(&oidc, NOW));
    assert!(!second_factor::is_verified(
        &verified("oidc", json!({"amr": "mfa"})),
        NOW
    ));
    assert!(!second_factor::is_verified(
        &verified("oidc", json!({"amr": ["pwd"]})),
        NOW
    ));
}

#[test]
fn a_moment_in_the_future_is_no_evidence() {
    let later = verified(
        "firebase",
        json!({"firebase": {"sign_in_second_factor": "phone"}, "auth_time": NOW + 20.0}),
    );
    assert!(
        second_factor::is_verified_within(&later, 0.0, NOW),
        "within the clock skew"
    );
    assert!(!second_factor::is_verified_within(&later, 1e9, NOW - 100.0));
}

#[test]
fn reverification_is_clerks_alone() {
    let fva = json!({"fva": [0, 5]});
    assert!(reverification::is_reverified(
        &verified("clerk", fva.clone()),
        "strict",
        NOW
    ));
    assert!(!reverification::is_reverified(
        &verified("clerk", fva.clone()),
        "STRICT",
        NOW
    ));
    assert!(!reverification::is_reverified(
        &verified("clerk", fva.clone()),
        "",
        NOW
    ));
    assert!(!reverification::is_reverified(
        &verified("oidc", fva),
        "strict",
        NOW
    ));
}

#[test]
fn an_audience_is_a_string_or_one_of_several() {
    assert!(policy::has_audience(&verified("oidc", json!({})), "api"));
    assert!(policy::has_audience(
        &verified("oidc", json!({"aud": ["a", "b"]})),
        "b"
    ));
    assert!(!policy::has_audience(
        &verified("oidc", json!({"aud": ["a", "b"]})),
        "[\"a\", \"b\"]"
    ));
    assert!(!policy::has_audience(&verified("oidc", json!({})), "ap"));
}

#[test]
fn the_session_is_named_by_the_kinds_own_claim() {
    assert_eq!(
        policy::session_id(&verified("clerk", json!({}))),
        Some("sess_1")
    );
    assert_eq!(
        policy::session_id(&verified("supabase", json!({}))),
        Some("s1")
    );
    assert_eq!(policy::session_id(&verified("firebase", json!({}))), None);
}

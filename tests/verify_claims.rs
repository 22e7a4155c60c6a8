//! Which tokens are believed, by their claims: times, issuers, audiences, parties, subjects.

#[path = "common/court.rs"]
#[allow(dead_code)]
mod court;
#[path = "common/mint.rs"]
#[allow(dead_code)]
mod mint;

use court::{
    ISSUER, Keys, NOW, QUESTION, claims, claims_with, key_set, provider, reason, registry,
};
use mint::KeyPair;
use pg_third_party_auth::provider::{Audiences, Registry};
use pg_third_party_auth::verify::{Question, Reason};
use serde_json::{Value, json};
use std::sync::LazyLock;

static RSA: LazyLock<KeyPair> = LazyLock::new(KeyPair::rsa);
static OTHER: LazyLock<KeyPair> = LazyLock::new(KeyPair::rsa);

fn header() -> Value {
    json!({"alg": "RS256", "kid": "k"})
}

fn oidc() -> Registry {
    registry(vec![provider("oidc", "oidc", ISSUER)])
}

fn rsa_keys() -> Keys {
    Keys::of("oidc", key_set(&[RSA.jwk("k", None)]))
}

/// A token of the one RSA key of the one provider, with some claims replaced.
fn verdict_of_claims(changes: Value) -> Option<Reason> {
    let token = RSA.sign(&header(), &claims_with(changes));
    reason(&token, &oidc(), &QUESTION, &mut rsa_keys())
}

#[test]
fn times_are_judged_with_the_skew_and_nothing_more() {
    let now = NOW;
    let cases = [
        (json!({"exp": now - 29.0}), None),
        (json!({"exp": now - 30.0}), Some(Reason::Expired)),
        (json!({"exp": now - 600.0}), Some(Reason::Expired)),
        (json!({"exp": 0}), Some(Reason::Expired)),
        (json!({"exp": 1}), Some(Reason::Expired)),
        (json!({"exp": -1}), Some(Reason::Expired)),
        (json!({"exp": -1e300}), Some(Reason::Expired)),
        (json!({"exp": i64::MIN}), Some(Reason::Expired)),
        (json!({"exp": now + 0.5}), None),
        (json!({"exp": 4294967296_u64}), None),
        (json!({"exp": u64::MAX}), Some(Reason::InvalidClaim)),
        (json!({"exp": 1e30}), Some(Reason::InvalidClaim)),
        (json!({"exp": now * 1000.0}), Some(Reason::InvalidClaim)),
        (json!({"exp": "1"}), Some(Reason::InvalidClaim)),
        (json!({"exp": true}), Some(Reason::InvalidClaim)),
        (json!({"exp": [now + 60.0]}), Some(Reason::InvalidClaim)),
        (json!({"exp": {}}), Some(Reason::InvalidClaim)),
        (json!({"exp": null}), Some(Reason::MissingClaim)),
        (
            json!({"exp": null, "Exp": now + 60.0}),
            Some(Reason::MissingClaim),
        ),
        (
            json!({"exp": null, "x": {"exp": now + 60.0}}),
            Some(Reason::MissingClaim),
        ),
        (json!({"nbf": 0}), None),
        (json!({"nbf": now + 30.0}), None),
        (json!({"nbf": now + 31.0}), Some(Reason::NotYetValid)),
        (json!({"nbf": 1e300}), Some(Reason::InvalidClaim)),
        (json!({"nbf": "0"}), Some(Reason::InvalidClaim)),
        (json!({"nbf": []}), Some(Reason::InvalidClaim)),
        (json!({"iat": null}), None),
        (json!({"iat": now + 30.0}), None),
        (json!({"iat": now + 31.0}), Some(Reason::IssuedInFuture)),
        (json!({"iat": "now"}), Some(Reason::InvalidClaim)),
        (json!({"iat": false}), Some(Reason::InvalidClaim)),
    ];
    for (changes, expected) in cases {
        assert_eq!(verdict_of_claims(changes.clone()), expected, "{changes}");
    }
    for name in ["exp", "nbf", "iat"] {
        let payload = claims_with(json!({name: null})).to_string();
        let payload = format!("{},\"{name}\":null}}", payload.trim_end_matches('}'));
        let token = RSA.sign_texts("RS256", &header().to_string(), &payload);
        let verdict = reason(&token, &oidc(), &QUESTION, &mut rsa_keys());
        assert_eq!(verdict, Some(Reason::InvalidClaim), "{name}");
    }
}

#[test]
fn a_clock_that_shows_no_number_believes_nothing() {
    for now in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let question = Question { now, ..QUESTION };
        let token = RSA.sign(&header(), &claims());
        assert!(
            reason(&token, &oidc(), &question, &mut rsa_keys()).is_some(),
            "{now}"
        );
    }
}

#[test]
fn issuers_are_compared_byte_for_byte_and_are_one_string() {
    let path = "https://issuer.example/realms/a/";
    let both = registry(vec![
        provider("oidc", "oidc", ISSUER),
        provider("oidc", "path", path),
    ]);
    for iss in [
        "https://issuer.example/",
        "HTTPS://issuer.example",
        "https://Issuer.example",
        "http://issuer.example",
        "https://issuer.example:443",
        "https://issuer.example?x",
        "https://issuer.example#",
        "issuer.example",
        "https://user@issuer.example",
        "https://issuer.example.evil.example",
        "https://xissuer.example",
        "https://issuer%2eexample",
        "https://issuer.exampl\u{0435}",
        " https://issuer.example",
        "https://issuer.example/realms/a",
        "https://issuer.example/realms/a/b",
        "https://issuer",
        "%",
        ".*",
    ] {
        let token = RSA.sign(&header(), &claims_with(json!({"iss": iss})));
        let mut keys = rsa_keys();
        assert_eq!(
            reason(&token, &both, &QUESTION, &mut keys),
            Some(Reason::UnknownIssuer),
            "{iss}"
        );
        assert_eq!((keys.asked, keys.fetches), (0, 0), "{iss}");
    }
    for iss in [
        json!(""),
        json!(1),
        json!([ISSUER]),
        json!([ISSUER, "x"]),
        json!({"iss": ISSUER}),
        json!(true),
    ] {
        assert_eq!(
            verdict_of_claims(json!({"iss": iss})),
            Some(Reason::InvalidClaim),
            "{iss}"
        );
    }
    assert_eq!(
        verdict_of_claims(json!({"iss": null})),
        Some(Reason::MissingClaim)
    );
    let mut keys = Keys::of("path", key_set(&[RSA.jwk("k", None)]));
    let token = RSA.sign(&header(), &claims_with(json!({"iss": path})));
    assert_eq!(reason(&token, &both, &QUESTION, &mut keys), None);
}

#[test]
fn keys_and_audiences_belong_to_one_issuer() {
    let mut b = provider("oidc", "b", "https://b.example");
    b.audiences = Audiences::OneOf(vec!["b".to_owned()]);
    let both = registry(vec![provider("oidc", "oidc", ISSUER), b]);
    let mut keys = rsa_keys();
    keys.current
        .insert("b".to_owned(), key_set(&[OTHER.jwk("k", None)]));
    let judge = |pair: &KeyPair, header: Value, changes: Value, keys: &mut Keys| {
        reason(
            &pair.sign(&header, &claims_with(changes)),
            &both,
            &QUESTION,
            keys,
        )
    };
    let to_b = json!({"iss": "https://b.example", "aud": "b"});
    assert_eq!(judge(&OTHER, header(), to_b.clone(), &mut keys), None);
    assert_eq!(
        judge(&RSA, header(), to_b.clone(), &mut keys),
        Some(Reason::BadSignature)
    );
    assert_eq!(
        judge(&RSA, json!({"alg": "RS256"}), to_b.clone(), &mut keys),
        Some(Reason::BadSignature)
    );
    assert_eq!(
        judge(
            &OTHER,
            header(),
            json!({"iss": "https://b.example"}),
            &mut keys
        ),
        Some(Reason::AudienceMismatch)
    );
    // The same keys for both issuers: only issuer and audience tell them apart.
    keys.current
        .insert("b".to_owned(), key_set(&[RSA.jwk("k", None)]));
    assert_eq!(judge(&RSA, header(), to_b, &mut keys), None);
    assert_eq!(
        judge(&RSA, header(), json!({"aud": "b"}), &mut keys),
        Some(Reason::AudienceMismatch)
    );
}

#[test]
fn a_disabled_provider_verifies_nothing() {
    let mut disabled = provider("oidc", "oidc", ISSUER);
    disabled.enabled = false;
    let token = RSA.sign(&header(), &claims());
    let verdict = reason(
        &token,
        &registry(vec![disabled]),
        &QUESTION,
        &mut rsa_keys(),
    );
    assert_eq!(verdict, Some(Reason::UnknownIssuer));
}

#[test]
fn audiences_match_as_registered() {
    let absent = Some(Reason::MissingClaim);
    let (invalid, mismatch) = (Some(Reason::InvalidClaim), Some(Reason::AudienceMismatch));
    for (aud, expected) in [
        (json!("api"), None),
        (json!(["x", "api"]), None),
        (json!(null), absent),
        (json!(""), invalid),
        (json!([]), invalid),
        (json!([""]), invalid),
        (json!(["api", 1]), invalid),
        (json!(["api", null]), invalid),
        (json!(1), invalid),
        (json!({"api": 1}), invalid),
        (json!([["api"]]), invalid),
        (json!("API"), mismatch),
        (json!("api "), mismatch),
        (json!("api,x"), mismatch),
        (json!("x api"), mismatch),
        (json!("ap"), mismatch),
        (json!("apis"), mismatch),
        (json!(ISSUER), mismatch),
        (json!(["x"]), mismatch),
    ] {
        assert_eq!(
            verdict_of_claims(json!({"aud": aud, "azp": "api"})),
            expected,
            "{aud}"
        );
    }
    let with = |audiences: Audiences, aud: Value| {
        let mut provider = provider("oidc", "oidc", ISSUER);
        provider.audiences = audiences;
        let token = RSA.sign(&header(), &claims_with(json!({"aud": aud})));
        reason(
            &token,
            &registry(vec![provider]),
            &QUESTION,
            &mut rsa_keys(),
        )
    };
    assert_eq!(
        with(Audiences::Exactly("api".to_owned()), json!("api")),
        None
    );
    assert_eq!(
        with(Audiences::Exactly("api".to_owned()), json!(["api"])),
        mismatch
    );
    assert_eq!(
        with(Audiences::Exactly("api".to_owned()), json!(null)),
        absent
    );
    for aud in [json!(null), json!("x"), json!(1), json!([])] {
        assert_eq!(with(Audiences::NotChecked, aud), None);
    }
    assert_eq!(with(Audiences::OneOf(vec![]), json!("api")), mismatch);
}

#[test]
fn registered_parties_have_to_match() {
    let mut parties = provider("oidc", "oidc", ISSUER);
    parties.authorized_parties = vec!["https://app.example".to_owned()];
    let parties = registry(vec![parties]);
    for (azp, expected) in [
        (json!("https://app.example"), None),
        (
            json!("https://app.example/"),
            Some(Reason::AuthorizedPartyMismatch),
        ),
        (json!(null), Some(Reason::AuthorizedPartyMismatch)),
        (
            json!(["https://app.example"]),
            Some(Reason::AuthorizedPartyMismatch),
        ),
        (json!(""), Some(Reason::AuthorizedPartyMismatch)),
    ] {
        let token = RSA.sign(&header(), &claims_with(json!({"azp": azp})));
        assert_eq!(
            reason(&token, &parties, &QUESTION, &mut rsa_keys()),
            expected,
            "{azp}"
        );
    }
}

#[test]
fn a_subject_is_a_string_that_is_not_empty() {
    assert_eq!(
        verdict_of_claims(json!({"sub": null})),
        Some(Reason::MissingClaim)
    );
    for sub in [json!(""), json!(1), json!(["a"]), json!({}), json!(true)] {
        assert_eq!(
            verdict_of_claims(json!({"sub": sub})),
            Some(Reason::InvalidClaim),
            "{sub}"
        );
    }
    for sub in [
        "'; DROP TABLE users;--".to_owned(),
        "0b3c4f0e-7b6e".to_owned(),
        "x".repeat(8000),
    ] {
        assert_eq!(verdict_of_claims(json!({"sub": sub})), None);
    }
}

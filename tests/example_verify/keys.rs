//! The keys that a token is judged with.

use super::mint::{self, KeyPair};
use super::{CONFIG, KEY, claims, file, published, run, said, token};
use aws_lc_rs::hmac;
use serde_json::{Value, json};

/// A secret that is long enough.
const SECRET: &str = "a-secret-of-more-than-thirty-two-bytes";
const SUPABASE: &str = "https://project.supabase.co/auth/v1";

/// A session token of Supabase Auth, signed with [`SECRET`].
fn symmetric_token() -> String {
    let claims = json!({"iss": SUPABASE, "aud": "authenticated", "sub": "user_1", "role": "authenticated",
                        "exp": 1_717_000_360, "iat": 1_717_000_290, "session_id": "s"});
    let header = mint::encode(br#"{"alg":"HS256"}"#);
    let input = format!("{header}.{}", mint::encode(claims.to_string().as_bytes()));
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let tag = hmac::sign(&key, input.as_bytes());
    format!("{input}.{}", mint::encode(tag.as_ref()))
}

#[test]
fn a_secret_needs_no_key_set_and_verifies_its_tokens_alone() {
    let token = symmetric_token();
    let config = |secret: &str| json!({"jwt_issuer": SUPABASE, "jwt_secret": secret}).to_string();
    let asked = |config: &str, more: &[&str]| {
        let words = ["--provider", "supabase", "--config", config];
        run(&[&words[..], more].concat())
    };
    assert_eq!(asked(&config(SECRET), &[&token]).code, 0);
    let other = asked(&config(&"x".repeat(32)), &[&token]);
    assert_eq!(said(&other), (1, "bad_signature"));
    let short = asked(&config("short"), &[&token]);
    assert_eq!(said(&short), (2, ""));
    // The same octets as a key of the set are no key.
    let oct = json!({"kty": "oct", "k": mint::encode(SECRET.as_bytes())});
    let jwks = file("oct", &mint::jwks(&[oct]));
    let without = json!({"jwt_issuer": SUPABASE}).to_string();
    let answer = asked(&without, &["--jwks", &jwks, &token]);
    assert_eq!(said(&answer), (1, "algorithm_not_allowed"));
    let with_both = asked(&config(SECRET), &["--jwks", &jwks, &token]);
    assert_eq!(with_both.code, 0);
}

#[test]
fn a_key_set_without_a_usable_key_is_an_empty_one() {
    let oct = json!({"kty": "oct", "kid": "k", "k": "AAAA"});
    for (name, keys) in [("unusable", vec![oct]), ("empty", vec![])] {
        let jwks = file(name, &mint::jwks(&keys));
        let token = token();
        let answer = run(&[
            "--provider",
            "oidc",
            "--config",
            CONFIG,
            "--jwks",
            &jwks,
            &token,
        ]);
        assert_eq!(said(&answer), (1, "unknown_key"));
        assert_eq!(answer.notes[0], "--jwks has no key that can be used");
        let skipped = answer
            .notes
            .iter()
            .filter(|note| note.contains("is not used"));
        assert_eq!(skipped.count(), keys.len(), "{answer:?}");
    }
}

#[test]
fn keys_that_are_skipped_are_noted_and_the_others_used() {
    let odd = json!({"kty": "oct", "kid": "odd", "k": "AAAA"});
    let jwks = file("mixed", &mint::jwks(&[odd, KEY.jwk("k", None)]));
    let token = token();
    let answer = run(&[
        "--provider",
        "oidc",
        "--config",
        CONFIG,
        "--jwks",
        &jwks,
        &token,
    ]);
    assert_eq!(answer.code, 0);
    assert_eq!(
        answer.notes,
        ["key 1 (odd) is not used: it is a symmetric key"]
    );
}

#[test]
fn keys_of_the_registration_are_the_only_ones() {
    let mut config: Value = serde_json::from_str(CONFIG).unwrap();
    config["jwks"] = json!({"keys": [KEY.jwk("k", None)]});
    let pinned = config.to_string();
    let token = token();
    let words = ["--provider", "oidc", "--config", &pinned, &token];
    assert_eq!(run(&words).code, 0);
    config["jwks"] = json!({"keys": [KeyPair::p256().jwk("k", None)]});
    let (other, jwks) = (config.to_string(), published("pinned"));
    let words = [
        "--provider",
        "oidc",
        "--config",
        &other,
        "--jwks",
        &jwks,
        &token,
    ];
    let answer = run(&words);
    assert_eq!(said(&answer), (1, "bad_signature"));
    assert!(answer.notes[0].starts_with("--jwks is not used"));
}

#[test]
fn a_key_is_used_as_a_fetched_one_would_be() {
    let tenant = "72f988bf-86f1-41af-91ab-2d7cd011db47";
    let issuer = format!("https://login.microsoftonline.com/{tenant}/v2.0");
    let key = KeyPair::rsa();
    let mut claims = claims();
    claims["iss"] = json!(issuer);
    claims["tid"] = json!(tenant);
    claims["ver"] = json!("2.0");
    let token = key.sign(&json!({"alg": "RS256", "kid": "k"}), &claims);
    let config = json!({"tenant": tenant, "client_ids": ["api"]}).to_string();
    let asked = |name, issuer: &str| {
        let mut jwk = key.jwk("k", None);
        jwk["issuer"] = json!(issuer);
        let jwks = file(name, &mint::jwks(&[jwk]));
        run(&[
            "--provider",
            "azure",
            "--config",
            &config,
            "--jwks",
            &jwks,
            &token,
        ])
        .code
    };
    assert_eq!(asked("own-issuer", &issuer), 0);
    assert_eq!(
        asked(
            "template",
            "https://login.microsoftonline.com/{tenantid}/v2.0"
        ),
        0
    );
    let other = "https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0";
    assert_eq!(asked("other-issuer", other), 1);
}

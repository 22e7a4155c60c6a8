//! The arguments of `add_supabase()`.

use crate::supabase::{ISSUER, LOCAL, PUBLISHED, SECRET, supabase};
use pg_third_party_auth::provider::{KeySource, Registration};
use serde_json::{Value, json};

#[test]
fn keys_are_published_under_the_issuer() {
    let url = |issuer: &str| {
        let arguments = json!({ "jwt_issuer": issuer });
        let arguments = arguments.as_object().expect("an object");
        let registration = Registration::read("supabase", arguments).expect("arguments");
        let (provider, _) = registration.row.judge().expect("a valid registration");
        match provider.keys {
            KeySource::Fetched(address) => address.url(),
            KeySource::Pinned(_) => panic!("pinned"),
        }
    };
    let keys = "https://auth.example.com/.well-known/jwks.json";
    assert_eq!(url("https://auth.example.com"), keys);
    assert_eq!(url("https://auth.example.com/"), keys);
}

#[test]
fn a_wrong_issuer_is_refused_with_its_argument() {
    for issuer in [
        json!(""),
        json!(null),
        json!("abcdefghijklmnopqrst"),
        json!("abcdefghijklmnopqrst.supabase.co"),
        json!("ftp://example.com/auth/v1"),
        json!(" https://example.com/auth/v1"),
        json!(["https://example.com/auth/v1"]),
        json!("https://"),
        json!("https://user@example.com/auth/v1"),
        json!("https://example.com:70000/auth/v1"),
    ] {
        let argument =
            supabase().wrong_argument(|token| token.argument("jwt_issuer", issuer.clone()));
        assert_eq!(argument, "jwt_issuer", "{issuer}");
    }
}

#[test]
fn wrong_issuers_of_api_keys_are_refused() {
    for issuers in [json!([""]), json!("supabase"), json!([1]), json!([ISSUER])] {
        let argument =
            supabase().wrong_argument(|token| token.argument("api_key_issuers", issuers.clone()));
        assert_eq!(argument, "api_key_issuers", "{issuers}");
    }
}

#[test]
fn api_keys_have_the_usual_issuers_those_given_or_none() {
    let issuers = |given: Value| {
        let mut arguments = json!({ "jwt_issuer": ISSUER });
        if !given.is_null() {
            arguments["api_key_issuers"] = given;
        }
        let arguments = arguments.as_object().expect("an object");
        let registration = Registration::read("supabase", arguments).expect("arguments");
        registration.row.judge().expect("valid").0.api_key_issuers
    };
    assert_eq!(issuers(Value::Null), ["supabase", "supabase-demo"]);
    assert_eq!(issuers(json!(["own"])), ["own"]);
    assert!(issuers(json!([])).is_empty());
}

#[test]
fn a_secret_that_everybody_could_know_is_refused_unless_the_issuer_is_local() {
    let wrong = |secret: Value| {
        supabase().wrong_argument(|token| token.argument("jwt_secret", secret.clone()))
    };
    assert_eq!(wrong(json!("s".repeat(31))), "jwt_secret");
    assert_eq!(wrong(json!("")), "jwt_secret");
    assert_eq!(wrong(json!(PUBLISHED)), "jwt_secret");
    assert_eq!(wrong(json!([SECRET])), "jwt_secret");
    let local = supabase().verdict(|token| {
        token.argument("jwt_issuer", json!(LOCAL));
        token.argument("jwt_secret", json!(PUBLISHED));
        token.claim("iss", json!(LOCAL));
        token.head("alg", json!("HS256"));
        token.secret = Some(PUBLISHED);
    });
    assert_eq!(local, None);
    // One more issuer, which is not.
    let both = supabase().wrong_argument(|token| {
        token.argument("jwt_issuer", json!(LOCAL));
        token.argument("issuers", json!([ISSUER]));
        token.argument("jwt_secret", json!(PUBLISHED));
    });
    assert_eq!(both, "jwt_secret");
}

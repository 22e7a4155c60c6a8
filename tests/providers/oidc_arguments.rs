//! The arguments of `add_oidc()`.

use crate::oidc::{ISSUER, oidc};
use pg_third_party_auth::provider::{KeyAddress, KeySource, Registration};
use serde_json::{Value, json};

fn address(arguments: Value) -> KeyAddress {
    let arguments = arguments.as_object().expect("an object");
    let registration = Registration::read("oidc", arguments).expect("arguments");
    match registration.row.judge().expect("valid").0.keys {
        KeySource::Fetched(address) => address,
        KeySource::Pinned(_) => panic!("pinned"),
    }
}

#[test]
fn the_discovery_document_is_under_the_issuer_without_its_slash() {
    let of = |issuer: &str| address(json!({"issuer": issuer, "audiences": ["api"]}));
    let document = "https://id.example.com/realms/main/.well-known/openid-configuration";
    assert_eq!(of(ISSUER).url(), document);
    let with_slash = of(&format!("{ISSUER}/"));
    assert_eq!(with_slash.url(), document);
    // What the document has to name keeps its slash.
    let issuer = format!("{ISSUER}/");
    assert_eq!(with_slash, KeyAddress::Discovery { issuer });
    let direct = address(json!({
        "issuer": "accounts.google.com", "audiences": ["api"],
        "jwks_uri": "https://www.googleapis.com/oauth2/v3/certs",
    }));
    assert_eq!(direct.url(), "https://www.googleapis.com/oauth2/v3/certs");
}

#[test]
fn a_wrong_issuer_is_refused_with_its_argument() {
    for issuer in [
        json!(""),
        json!(null),
        json!([ISSUER]),
        json!(" https://id.example.com"),
        json!("https://id.example.com\n"),
        json!("id.example.com"),
        json!("ftp://id.example.com"),
        json!("https://"),
        json!("https://id.example.com#x"),
        json!("https://user@id.example.com"),
    ] {
        let argument = oidc().wrong_argument(|token| token.argument("issuer", issuer.clone()));
        assert_eq!(argument, "issuer", "{issuer}");
    }
}

#[test]
fn other_wrong_arguments_are_named() {
    let wrong = |name: &'static str, value: Value| {
        oidc().wrong_argument(|token| token.argument(name, value))
    };
    assert_eq!(wrong("audiences", json!([])), "audiences");
    assert_eq!(
        wrong("audiences", json!("https://api.example.com")),
        "audiences"
    );
    assert_eq!(wrong("any_audience", json!(true)), "any_audience");
    assert_eq!(wrong("algorithms", json!(["HS256"])), "algorithms");
    assert_eq!(wrong("algorithms", json!(["none"])), "algorithms");
    assert_eq!(
        wrong("allowed_roles", json!(["service_role"])),
        "allowed_roles"
    );
    assert_eq!(wrong("jwt_secret", json!("s".repeat(40))), "jwt_secret");
    assert_eq!(wrong("client_id", json!("web")), "client_id");
    assert_eq!(wrong("jwks_uri", json!("keys.json")), "jwks_uri");
}

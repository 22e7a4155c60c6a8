//! Which JWK Sets are read, and which of their keys a token is checked with.

#[path = "common/mint.rs"]
#[allow(dead_code)]
mod mint;

use mint::{KeyPair, encode, jwks};
use pg_third_party_auth::keys::{
    Algorithm, Key, KeyProblem, Kid, Material, SetError, Thumbprint, read, read_stored,
};
use pg_third_party_auth::token::base64url;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::{LazyLock, OnceLock};

static RSA: LazyLock<Value> = LazyLock::new(|| KeyPair::rsa().jwk("rsa", None));
static P256: LazyLock<Value> = LazyLock::new(|| KeyPair::p256().jwk("p256", None));
static P384: LazyLock<Value> = LazyLock::new(|| KeyPair::p384().jwk("p384", None));
static ED25519: LazyLock<Value> = LazyLock::new(|| KeyPair::ed25519().jwk("ed", None));

/// The JWK with some members replaced; null takes a member out.
fn with(jwk: &Value, changes: Value) -> Value {
    let mut jwk = jwk.clone();
    let members = jwk.as_object_mut().expect("an object");
    for (name, value) in changes.as_object().expect("an object") {
        match value {
            Value::Null => members.remove(name),
            value => members.insert(name.clone(), value.clone()),
        };
    }
    jwk
}

fn octets(jwk: &Value, member: &str) -> Vec<u8> {
    base64url::decode(jwk[member].as_str().expect("a text")).expect("base64url")
}

#[test]
fn an_odd_entry_never_spoils_the_set() {
    let good = RSA.to_string();
    for odd in [
        "null",
        "1",
        "\"a\"",
        "[]",
        "{}",
        "true",
        "{\"kty\":\"oct\",\"k\":\"AA\"}",
        "{\"kty\":1}",
        "{\"kty\":\"RSA\"}",
        "{\"kty\":\"RSA\",\"kty\":\"RSA\"}",
        "{\"kid\":\"\\ud800\"}",
        "{\"kid\":\"\\u0000\"}",
        "{\"x\":1e999}",
        "{\"kty\":\"AKP\",\"pub\":\"AA\"}",
        "{\"kty\":\"EC\",\"crv\":\"P-521\",\"x\":\"AA\",\"y\":\"AA\"}",
    ] {
        for text in [format!("[{odd},{good}]"), format!("[{good},{odd}]")] {
            let reading = read(&format!("{{\"keys\":{text}}}")).expect(odd);
            assert_eq!(reading.keys.keys.len(), 1, "{odd}");
            assert_eq!(reading.skipped.len(), 1, "{odd}");
        }
    }
    let twice = format!("{{\"keys\":[{{\"kid\":\"a\",\"k\\u0069d\":\"b\"}},{good}]}}");
    assert_eq!(
        read(&twice).expect("a key").skipped[0].problem,
        KeyProblem::DuplicateMember
    );
}

#[test]
fn documents_that_are_no_key_set_are_refused() {
    let good = RSA.to_string();
    let malformed = [
        String::new(),
        "<html></html>".to_owned(),
        format!("{{\"keys\":[{good}"),
        format!("\u{feff}{{\"keys\":[{good}]}}"),
        format!("{{\"keys\":[{good}]}} x"),
        format!("{{\"keys\":[{good}]}}{{}}"),
        "null".to_owned(),
        "1".to_owned(),
        format!(
            "{{\"keys\":[{good}],\"x\":{}{}}}",
            "[".repeat(16),
            "]".repeat(16)
        ),
        format!("{{\"keys\":{}", "[".repeat(100_000)),
        format!("{{\"keys\":[{good},]}}"),
    ];
    for text in malformed {
        assert!(
            matches!(read(&text), Err(SetError::Malformed(_))),
            "{text:.80}"
        );
    }
    let others = [
        format!("[{good}]"),
        good.clone(),
        "{}".to_owned(),
        format!("{{\"Keys\":[{good}]}}"),
        format!("{{\"keys\":{good}}}"),
        "{\"keys\":null}".to_owned(),
        "{\"keys\":\"x\"}".to_owned(),
        "{\"kid1\":\"-----BEGIN CERTIFICATE-----\"}".to_owned(),
        "{\"issuer\":\"i\",\"jwks_uri\":\"u\"}".to_owned(),
    ];
    for text in others {
        assert!(
            matches!(read(&text), Err(SetError::NotAKeySet(_))),
            "{text:.80}"
        );
    }
    for text in [
        format!("{{\"keys\":[{good}],\"keys\":[]}}"),
        format!("{{\"keys\":[],\"k\\u0065ys\":[{good}]}}"),
    ] {
        assert_eq!(read(&text).err(), Some(SetError::DuplicateMember));
    }
    assert_eq!(
        read("{\"keys\":[]}").err(),
        Some(SetError::NoUsableKey { skipped: vec![] })
    );
}

#[test]
fn a_set_has_at_most_64_keys() {
    let keys = |count: usize| jwks(&vec![P256.clone(); count]);
    assert_eq!(read(&keys(64)).expect("keys").keys.keys.len(), 64);
    for count in [65, 200, 10_000] {
        assert_eq!(read(&keys(count)).err(), Some(SetError::TooManyKeys));
    }
}

#[test]
fn thumbprints_are_those_of_rfc_7638_and_rfc_8037() {
    // RFC 7638 §3.1 and RFC 8037 appendix A.3
    let rsa = json!({"kty": "RSA", "e": "AQAB", "alg": "RS256", "kid": "2011-04-29", "n": concat!(
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWK",
        "RXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMic",
        "AtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3",
        "XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw")});
    let ed =
        json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"});
    for (jwk, thumbprint) in [
        (rsa, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"),
        (ed, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"),
    ] {
        let key = &read(&jwks(&[jwk])).expect("a key").keys.keys[0];
        assert_eq!(key.thumbprint.to_string(), thumbprint);
        assert_eq!(
            Thumbprint::from_bytes(*key.thumbprint.as_bytes()),
            key.thumbprint
        );
    }
}

#[test]
fn candidates_have_exactly_the_kid_and_fit_the_algorithm() {
    let pinned = with(&RSA, json!({"kid": "pinned", "alg": "RS256"}));
    let nameless = with(&RSA, json!({"kid": null}));
    let same = with(&P256, json!({"kid": "rsa"}));
    let set = read(&jwks(&[RSA.clone(), pinned, nameless, same, P384.clone()]))
        .expect("keys")
        .keys;
    let count = |kid, algorithm| set.candidates(kid, algorithm).len();
    assert_eq!(count(Some("rsa"), Algorithm::PS512), 1);
    assert_eq!(count(Some("rsa"), Algorithm::ES256), 1);
    assert_eq!(count(Some("pinned"), Algorithm::RS256), 1);
    assert_eq!(count(Some("pinned"), Algorithm::PS256), 0);
    assert_eq!(count(None, Algorithm::RS256), 3);
    assert_eq!(count(None, Algorithm::PS256), 2);
    assert_eq!(count(None, Algorithm::EdDSA), 0);
    for kid in [
        "",
        "RSA",
        "rsa ",
        " rsa",
        "rs",
        "rsa%00",
        "%",
        "r*",
        "__proto__",
        "rsa\u{200b}",
        "rsa\0",
    ] {
        assert_eq!(count(Some(kid), Algorithm::RS256), 0, "{kid:?}");
        assert!(!set.knows_kid(kid), "{kid:?}");
    }
    let many = read(&jwks(&vec![RSA.clone(); 64])).expect("keys").keys;
    assert_eq!(many.candidates(Some("rsa"), Algorithm::RS256).len(), 4);
    assert_eq!(many.candidates(None, Algorithm::RS256).len(), 16);
}

#[test]
fn a_normalised_key_is_read_back_as_the_same_key() {
    let long = "é".repeat(500);
    for jwk in [
        RSA.clone(),
        P256.clone(),
        P384.clone(),
        with(&ED25519, json!({"alg": "Ed25519", "x5c": ["a"]})),
        with(&P256, json!({"kid": long})),
        with(&P256, json!({"kid": null})),
    ] {
        let key = read(&jwks(&[jwk])).expect("a key").keys.keys[0].clone();
        let again = read_stored(&jwks(&[key.to_jwk()]))
            .expect("a key")
            .keys
            .keys[0]
            .clone();
        assert_eq!(again.kid, key.kid);
        assert_eq!(again.algorithm, key.algorithm);
        assert_eq!(again.thumbprint, key.thumbprint);
        assert!(key.to_jwk().get("x5c").is_none());
    }
    let kid = Kid::new(&long);
    assert!(kid.shown().len() <= 200 && kid.shown().ends_with('…') && !kid.is_whole());
    assert_ne!(kid, Kid::new(kid.shown()));
    // A fetched set cannot give a key another id than the one it shows.
    let posing = with(
        &P256,
        json!({"kid": "a", "kid#S256": encode(Kid::new("b").hash())}),
    );
    let set = read(&jwks(&[posing])).expect("a key").keys;
    assert!(set.knows_kid("a") && !set.knows_kid("b"));
}

#[test]
fn a_key_cannot_be_made_around_its_checks() {
    let refused = |algorithm, material| Key::new(None, algorithm, material).err();
    assert_eq!(
        refused(None, Material::Ed25519 { x: [0; 32] }),
        Some(KeyProblem::SmallOrder)
    );
    assert_eq!(
        refused(
            None,
            Material::P256 {
                x: [1; 32],
                y: [1; 32]
            }
        ),
        Some(KeyProblem::NotOnCurve)
    );
    assert_eq!(
        refused(
            None,
            Material::Rsa {
                n: vec![0; 256],
                e: vec![3]
            }
        ),
        Some(KeyProblem::ModulusSize(0))
    );
    let x = octets(&ED25519, "x").try_into().expect("32 octets");
    assert_eq!(
        refused(Some(Algorithm::ES256), Material::Ed25519 { x }),
        Some(KeyProblem::Algorithm)
    );
}

#[test]
fn messages_show_no_key_material_and_short_ids() {
    let kid = format!("line\r\nbreak{}", "x".repeat(500));
    let error =
        read(&jwks(&[with(&RSA, json!({"kid": kid, "d": "SECRET"}))])).expect_err("private");
    let SetError::NoUsableKey { skipped } = &error else {
        panic!("{error}")
    };
    let shown = skipped[0].kid.as_deref().expect("an id");
    assert!(shown.chars().count() <= 60 && !shown.contains(['\r', '\n']));
    let key = read(&jwks(std::slice::from_ref(&*RSA))).expect("a key");
    let printed = format!("{error} {error:?} {key:?}");
    assert!(!printed.contains("SECRET") && !printed.contains(RSA["n"].as_str().expect("a text")));
}

fn mutable() -> &'static str {
    static TEXT: OnceLock<String> = OnceLock::new();
    TEXT.get_or_init(|| jwks(&[RSA.clone(), P256.clone(), ED25519.clone()]))
}

proptest! {
    #[test]
    fn reading_never_panics(text in "\\PC{0,200}", x in "[A-Za-z0-9_-]{0,90}", crv in "P-256|P-384|Ed25519|x") {
        let _ = read(&text);
        let _ = read(&jwks(&[json!({"kty": "EC", "crv": crv, "x": x, "y": x})]));
        let _ = read(&jwks(&[json!({"kty": "OKP", "crv": crv, "x": x})]));
        let _ = read(&jwks(&[json!({"kty": "RSA", "n": x, "e": x})]));
    }

    #[test]
    fn a_mutated_set_gives_only_keys_that_pass_admission(position in 0_usize..900, octet in 0x20_u8..0x7f) {
        let mut octets = mutable().as_bytes().to_vec();
        let position = position % octets.len();
        octets[position] = octet;
        if let Ok(reading) = read(std::str::from_utf8(&octets).expect("ASCII")) {
            for key in &reading.keys.keys {
                let material = key.material.clone();
                prop_assert!(Key::new(key.kid.clone(), key.algorithm, material).is_ok());
            }
        }
    }
}

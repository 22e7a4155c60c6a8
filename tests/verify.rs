//! Which tokens are believed, by their header and key: algorithms, ids, types.

#[path = "common/court.rs"]
#[allow(dead_code)]
mod court;
#[path = "common/mint.rs"]
#[allow(dead_code)]
mod mint;

use court::{ISSUER, Keys, QUESTION, claims, key_set, provider, reason, registry};
use mint::KeyPair;
use pg_third_party_auth::provider::Registry;
use pg_third_party_auth::verify::Reason;
use serde_json::{Value, json};
use std::sync::LazyLock;

static RSA: LazyLock<KeyPair> = LazyLock::new(KeyPair::rsa);
static OTHER: LazyLock<KeyPair> = LazyLock::new(KeyPair::rsa);
static P256: LazyLock<KeyPair> = LazyLock::new(KeyPair::p256);
static P384: LazyLock<KeyPair> = LazyLock::new(KeyPair::p384);
static ED: LazyLock<KeyPair> = LazyLock::new(KeyPair::ed25519);

fn header() -> Value {
    json!({"alg": "RS256", "kid": "k"})
}

fn oidc() -> Registry {
    registry(vec![provider("oidc", "oidc", ISSUER)])
}

fn rsa_keys() -> Keys {
    Keys::of("oidc", key_set(&[RSA.jwk("k", None)]))
}

/// A token of the one RSA key of the one provider.
fn verdict(header: &Value, claims: &Value) -> Option<Reason> {
    let token = RSA.sign(header, claims);
    reason(&token, &oidc(), &QUESTION, &mut rsa_keys())
}

#[test]
fn every_allowed_algorithm_verifies_with_and_without_alg_in_the_jwk() {
    let pairs: [(&KeyPair, &[&str]); 4] = [
        (
            &RSA,
            &["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"],
        ),
        (&P256, &["ES256"]),
        (&P384, &["ES384"]),
        (&ED, &["EdDSA"]),
    ];
    for (pair, algs) in pairs {
        for alg in algs {
            let token = pair.sign(&json!({"alg": alg, "kid": "k"}), &claims());
            for pin in [None, Some(*alg)] {
                let mut keys = Keys::of("oidc", key_set(&[pair.jwk("k", pin)]));
                assert_eq!(
                    reason(&token, &oidc(), &QUESTION, &mut keys),
                    None,
                    "{alg} {pin:?}"
                );
            }
        }
    }
}

#[test]
fn an_algorithm_that_is_not_on_the_list_by_its_exact_name_is_refused() {
    let names = [
        "none",
        "None",
        "NONE",
        "nOnE",
        "",
        "HS256",
        "HS384",
        "HS512",
        "rs256",
        "RS256 ",
        " RS256",
        "RS256\u{200b}",
        "\u{ff32}S256",
        "RS1",
        "RS224",
        "ES512",
        "ES256K",
        "Ed25519",
        "Ed448",
        "dir",
        "RSA-OAEP",
        "A128GCM",
        "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
        "\u{420}S256",
    ];
    let expected = Some(Reason::AlgorithmNotAllowed);
    for alg in names {
        assert_eq!(
            verdict(&json!({"alg": alg, "kid": "k"}), &claims()),
            expected,
            "{alg}"
        );
    }
    for alg in [
        json!(null),
        json!(1),
        json!(true),
        json!(["RS256"]),
        json!({"alg": "RS256"}),
    ] {
        assert_eq!(
            verdict(&json!({"alg": alg, "kid": "k"}), &claims()),
            expected,
            "{alg}"
        );
    }
    assert_eq!(verdict(&json!({"kid": "k"}), &claims()), expected);
    let mut only_es256 = provider("oidc", "oidc", ISSUER);
    only_es256.algorithms = vec![pg_third_party_auth::keys::Algorithm::ES256];
    let token = RSA.sign(&header(), &claims());
    let verdict = reason(
        &token,
        &registry(vec![only_es256]),
        &QUESTION,
        &mut rsa_keys(),
    );
    assert_eq!(verdict, expected);
}

#[test]
fn the_key_decides_the_algorithm_together_with_the_header() {
    let cases: [(&KeyPair, Option<&str>, &KeyPair, &str); 10] = [
        (&RSA, Some("RS256"), &RSA, "PS256"),
        (&RSA, Some("RS256"), &RSA, "RS384"),
        (&RSA, Some("RS256"), &RSA, "RS512"),
        (&RSA, Some("PS256"), &RSA, "RS256"),
        (&P256, None, &P256, "ES384"),
        (&P384, None, &P384, "ES256"),
        (&P256, None, &RSA, "RS256"),
        (&RSA, None, &P256, "ES256"),
        (&ED, None, &P256, "ES256"),
        (&P256, None, &ED, "EdDSA"),
    ];
    for (key, pin, signer, alg) in cases {
        let mut keys = Keys::of("oidc", key_set(&[key.jwk("k", pin)]));
        let token = signer.sign(&json!({"alg": alg, "kid": "k"}), &claims());
        let verdict = reason(&token, &oidc(), &QUESTION, &mut keys);
        assert_eq!(verdict, Some(Reason::AlgorithmNotAllowed), "{pin:?} {alg}");
    }
}

#[test]
fn a_signature_made_by_another_algorithm_than_the_header_says_is_refused() {
    for (says, made) in [
        ("RS256", "PS256"),
        ("PS256", "RS256"),
        ("RS256", "RS512"),
        ("PS384", "PS256"),
    ] {
        let header = json!({"alg": says, "kid": "k"}).to_string();
        let token = RSA.sign_texts(made, &header, &claims().to_string());
        let verdict = reason(&token, &oidc(), &QUESTION, &mut rsa_keys());
        assert_eq!(verdict, Some(Reason::BadSignature), "{says} {made}");
    }
}

#[test]
fn keys_and_addresses_in_the_header_are_ignored() {
    let own = OTHER.jwk("k", Some("RS256"));
    for extra in [
        json!({"jwk": own}),
        json!({"jwk": {"kty": "oct", "k": "AA"}}),
        json!({"jku": "https://evil.example/jwks"}),
        json!({"jku": "file:///etc/passwd"}),
        json!({"x5u": "http://127.0.0.1/"}),
        json!({"x5c": ["AA"]}),
        json!({"x5t": 1, "x5t#S256": [], "unknown": {"a": 1}, "zip": "DEF", "enc": "A128GCM"}),
    ] {
        let mut header = header();
        header
            .as_object_mut()
            .expect("an object")
            .extend(extra.as_object().expect("an object").clone());
        let forged = OTHER.sign(&header, &claims());
        let forged = reason(&forged, &oidc(), &QUESTION, &mut rsa_keys());
        assert_eq!(forged, Some(Reason::BadSignature), "{extra}");
        assert_eq!(verdict(&header, &claims()), None, "{extra}");
    }
}

#[test]
fn a_kid_is_compared_and_nothing_else() {
    let jwks = [RSA.jwk("k", None), OTHER.jwk("other", None)];
    let mut keys = Keys::of("oidc", key_set(&jwks));
    for kid in [
        "K",
        "k ",
        " k",
        "k\u{200b}",
        "%6b",
        "k%00",
        "*",
        "%",
        ".*",
        "../../dev/null",
        "/dev/null",
        "' OR '1'='1",
        "k'; DROP TABLE x;--",
        "; sleep 5",
        "*)(uid=*",
        "https://evil.example/k",
        "k\r\nX: y",
        "{{7*7}}",
        "%s%n",
        "__proto__",
        "constructor",
        "",
    ] {
        let token = RSA.sign(&json!({"alg": "RS256", "kid": kid}), &claims());
        let verdict = reason(&token, &oidc(), &QUESTION, &mut keys);
        assert_eq!(verdict, Some(Reason::UnknownKey), "{kid:?}");
    }
    let token = RSA.sign(&json!({"alg": "RS256", "kid": "other"}), &claims());
    assert_eq!(
        reason(&token, &oidc(), &QUESTION, &mut keys),
        Some(Reason::BadSignature)
    );
    for kid in [
        "https://a.example/k?x=1#2",
        "a b",
        "\u{e9}\u{1f600}",
        "\"'\\",
        "12345",
        "a+/=",
        "-_",
    ] {
        let mut keys = Keys::of("oidc", key_set(&[RSA.jwk(kid, None)]));
        let token = RSA.sign(&json!({"alg": "RS256", "kid": kid}), &claims());
        assert_eq!(reason(&token, &oidc(), &QUESTION, &mut keys), None, "{kid}");
    }
    let composed = key_set(&[RSA.jwk("\u{e9}", None)]);
    let token = RSA.sign(&json!({"alg": "RS256", "kid": "e\u{301}"}), &claims());
    let verdict = reason(&token, &oidc(), &QUESTION, &mut Keys::of("oidc", composed));
    assert_eq!(verdict, Some(Reason::UnknownKey));
}

#[test]
fn a_token_without_kid_is_tried_with_the_compatible_keys_of_its_issuer_only() {
    let header = json!({"alg": "RS256"});
    let token = RSA.sign(&header, &claims());
    let keys = |jwks: &[Value]| Keys::of("oidc", key_set(jwks));
    let verdict = |jwks: &[Value]| reason(&token, &oidc(), &QUESTION, &mut keys(jwks));
    assert_eq!(verdict(&[RSA.jwk("", None)]), None);
    assert_eq!(
        verdict(&[
            P256.jwk("a", None),
            OTHER.jwk("b", None),
            RSA.jwk("c", None)
        ]),
        None
    );
    assert_eq!(verdict(&[P256.jwk("a", None)]), Some(Reason::UnknownKey));
    assert_eq!(verdict(&[OTHER.jwk("a", None)]), Some(Reason::BadSignature));
    // A token that names a key is never tried with one that has no name.
    let named = RSA.sign(&self::header(), &claims());
    let verdict = reason(&named, &oidc(), &QUESTION, &mut keys(&[RSA.jwk("", None)]));
    assert_eq!(verdict, Some(Reason::UnknownKey));
}

#[test]
fn two_keys_of_one_kid_are_told_apart_by_type_and_by_trying() {
    for jwks in [
        [RSA.jwk("k", None), P256.jwk("k", None)],
        [OTHER.jwk("k", None), RSA.jwk("k", None)],
    ] {
        let token = RSA.sign(&header(), &claims());
        let mut keys = Keys::of("oidc", key_set(&jwks));
        assert_eq!(reason(&token, &oidc(), &QUESTION, &mut keys), None);
    }
}

#[test]
fn types_of_other_protocols_are_refused_and_those_of_jwts_accepted() {
    for typ in [
        "JWT",
        "jwt",
        "Jwt",
        "at+jwt",
        "AT+JWT",
        "application/jwt",
        "application/at+jwt",
        "Application/AT+JWT",
    ] {
        assert_eq!(
            verdict(&json!({"alg": "RS256", "kid": "k", "typ": typ}), &claims()),
            None,
            "{typ}"
        );
    }
    for typ in [
        "",
        "logout+jwt",
        "secevent+jwt",
        "dpop+jwt",
        "kb+jwt",
        "oauth-authz-req+jwt",
        "JWS",
        "JOSE",
        "application/application/jwt",
        "text/jwt",
        "JWT ",
        "jwt+at",
        "token-introspection+jwt",
    ] {
        let verdict = verdict(&json!({"alg": "RS256", "kid": "k", "typ": typ}), &claims());
        assert_eq!(verdict, Some(Reason::TokenTypeNotAllowed), "{typ}");
    }
    for cty in ["JWT", "jwt", "application/JWT"] {
        let verdict = verdict(&json!({"alg": "RS256", "kid": "k", "cty": cty}), &claims());
        assert_eq!(verdict, Some(Reason::TokenTypeNotAllowed), "{cty}");
    }
}

//! What is signed, and that the extension's own rules believe it.

use super::{NOW, file, json, new_key, part, printed, run, run_with, said};
use crate::court::{self, ISSUER, Keys, QUESTION};
use crate::mint::KeyPair;
use pg_third_party_auth::keys;
use pg_third_party_auth::verify::{Failure, Reason};
use serde_json::{Value, json};
use std::sync::Arc;

const ALGORITHMS: [&str; 4] = ["RS256", "ES256", "ES384", "EdDSA"];

fn claims() -> String {
    json!({"iss": ISSUER, "aud": court::AUDIENCE, "sub": "user_1", "role": "authenticated"})
        .to_string()
}

/// What the extension says to a token: the payload, or the reason.
fn verdict(token: &str, jwks: &str) -> Result<String, Reason> {
    let keys = Arc::new(keys::read(jwks).expect("a key set").keys);
    let registry = court::registry(vec![court::provider("oidc", "own", ISSUER)]);
    let mut keys = Keys::of("own", keys);
    match court::judge(token, &registry, &QUESTION, &mut keys) {
        Ok(verified) => Ok(verified.claims().payload().to_owned()),
        Err(Failure::Refused(refusal)) => Err(refusal.reason),
        Err(Failure::Undecided(why)) => panic!("undecided: {why}"),
    }
}

#[test]
fn a_token_of_each_algorithm_is_good_with_the_key_set_that_is_printed() {
    for algorithm in ALGORITHMS {
        let key = new_key(&format!("good-{algorithm}"), algorithm);
        let jwks = printed(&["jwks", &key]);
        let token = printed(&["token", &key, &claims()]);
        let payload = verdict(&token, &jwks).unwrap_or_else(|why| panic!("{algorithm}: {why:?}"));
        assert_eq!(json(&payload)["sub"], "user_1");
        let header = json(&part(&token, 0));
        let kid = format!("good-{algorithm}");
        assert_eq!(header, json!({"alg": algorithm, "kid": kid, "typ": "JWT"}));
    }
}

#[test]
fn a_key_set_of_several_files_has_their_keys_in_order() {
    let keys = ALGORITHMS.map(|algorithm| new_key(&format!("several-{algorithm}"), algorithm));
    let paths: Vec<&str> = keys.iter().map(String::as_str).collect();
    let jwks = printed(&[&["jwks"], &paths[..]].concat());
    let kids: Vec<_> = json(&jwks)["keys"]
        .as_array()
        .unwrap()
        .iter()
        .map(|jwk| jwk["kid"].clone())
        .collect();
    assert_eq!(
        kids,
        ALGORITHMS.map(|algorithm| format!("several-{algorithm}"))
    );
    for key in &keys {
        let token = printed(&["token", key, &claims()]);
        assert!(verdict(&token, &jwks).is_ok());
    }
}

#[test]
fn a_key_set_has_no_private_member() {
    for algorithm in ALGORITHMS {
        let key = new_key(&format!("public-{algorithm}"), algorithm);
        let jwks = json(&printed(&["jwks", &key]));
        let names = ["alg", "crv", "e", "kid", "kty", "n", "use", "x", "y"];
        let members = jwks["keys"][0].as_object().unwrap();
        assert!(
            members.keys().all(|name| names.contains(&name.as_str())),
            "{members:?}"
        );
    }
}

#[test]
fn a_token_of_another_key_under_the_same_id_is_refused() {
    let key = new_key("twin", "ES256");
    let jwks = printed(&["jwks", &key]);
    let other = new_key("twin", "ES256");
    let token = printed(&["token", &other, &claims()]);
    assert_eq!(verdict(&token, &jwks), Err(Reason::BadSignature));
}

#[test]
fn claims_are_signed_as_they_are_written_and_times_follow_them() {
    let key = new_key("claims", "EdDSA");
    let payload = |words: &[&str]| part(&printed(&[&["token", &key], words].concat()), 1);
    let hour = NOW + 3600;
    let written = r#"{"b":1.50, "a" : 12345678901234567890.10, "c":{"é":"\u00e9"} }"#;
    let open = written.strip_suffix('}').unwrap();
    assert_eq!(
        payload(&[written]),
        format!(r#"{open},"iat":{NOW},"exp":{hour}}}"#)
    );
    assert_eq!(payload(&["--bare", written]), written);
    assert_eq!(payload(&["--bare", " {} \n"]), "{}");
    for empty in ["{}", " {}\n"] {
        assert_eq!(
            payload(&[empty]),
            format!(r#"{{"iat":{NOW},"exp":{hour}}}"#)
        );
    }
    assert_eq!(payload(&[r#"{"exp":9}"#]), r#"{"exp":9,"iat":9}"#);
    assert_eq!(
        payload(&[r#"{"exp":"x"}"#]),
        format!(r#"{{"exp":"x","iat":{NOW}}}"#)
    );
    assert_eq!(
        payload(&[r#"{"iat":1}"#]),
        format!(r#"{{"iat":1,"exp":{hour}}}"#)
    );
    assert_eq!(
        payload(&[r#"{"iat":1,"exp":null}"#]),
        r#"{"iat":1,"exp":null}"#
    );
}

#[test]
fn a_token_expires_when_that_is_asked_and_has_if_the_time_is_negative() {
    let key = new_key("expires", "ES256");
    let jwks = printed(&["jwks", &key]);
    let token = |time: &str| printed(&["token", "--expires-in", time, &key, &claims()]);
    let exp = |time: &str| json(&part(&token(time), 1))["exp"].as_u64().unwrap() - NOW;
    assert_eq!(["90s", "5m", "1h", "2d"].map(exp), [90, 300, 3600, 172_800]);
    assert!(verdict(&token("90s"), &jwks).is_ok());
    let late = token("-1h");
    assert_eq!(verdict(&late, &jwks), Err(Reason::Expired));
    let late = json(&part(&late, 1));
    assert_eq!(
        (&late["iat"], &late["exp"]),
        (&json!(NOW - 3600), &json!(NOW - 3600))
    );
}

#[test]
fn claims_come_from_a_file_or_from_standard_input() {
    let key = new_key("sources", "ES256");
    let written = r#"{"sub": "ada"}"#;
    let path = file("claims.json", &format!("\n{written}\r\n"));
    let token = printed(&["token", "--bare", &key, &format!("@{path}")]);
    assert_eq!(part(&token, 1), written);
    let answer = run_with(&["token", "--bare", &key, "-"], &format!("{written}\n"));
    assert_eq!(part(&answer.output, 1), written);
}

#[test]
fn a_header_may_say_anything() {
    let key = new_key("header", "RS256");
    let jwks = printed(&["jwks", &key]);
    let token =
        |header: Value| printed(&["token", "--header", &header.to_string(), &key, &claims()]);
    let reason = |header: Value| verdict(&token(header), &jwks).err();
    let more = token(json!({"typ": "at+jwt", "cat": "x", "kid": null}));
    let header = json!({"alg": "RS256", "cat": "x", "typ": "at+jwt"});
    assert_eq!(json(&part(&more, 0)), header);
    assert_eq!(verdict(&more, &jwks).err(), None);
    assert_eq!(reason(json!({"kid": "other"})), Some(Reason::UnknownKey));
    assert_eq!(
        reason(json!({"typ": "logout+jwt"})),
        Some(Reason::TokenTypeNotAllowed)
    );
    assert_eq!(
        reason(json!({"crit": ["x"], "x": 1})),
        Some(Reason::CriticalHeader)
    );
    for alg in ["none", "HS256", "ES256", "RS512"] {
        assert_eq!(
            reason(json!({"alg": alg})),
            Some(Reason::AlgorithmNotAllowed),
            "{alg}"
        );
    }
}

#[test]
fn an_algorithm_that_the_key_can_is_signed_with() {
    let key = new_key("stronger", "RS256");
    let mut jwks = json(&printed(&["jwks", &key]));
    jwks["keys"][0].as_object_mut().unwrap().remove("alg");
    for alg in ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"] {
        let header = json!({"alg": alg}).to_string();
        let token = printed(&["token", "--header", &header, &key, &claims()]);
        assert!(verdict(&token, &jwks.to_string()).is_ok(), "{alg}");
    }
}

#[test]
fn a_key_is_the_same_after_it_was_written_and_read() {
    for algorithm in ALGORITHMS {
        let pair = KeyPair::of_algorithm(algorithm).unwrap();
        assert_eq!(pair.algorithm(), algorithm);
        let der = pair.to_pkcs8();
        let same = KeyPair::from_pkcs8(algorithm, &der).expect(algorithm);
        assert_eq!(same.jwk("k", None), pair.jwk("k", None));
        for other in ALGORITHMS.iter().filter(|other| **other != algorithm) {
            assert!(
                KeyPair::from_pkcs8(other, &der).is_none(),
                "{algorithm} as {other}"
            );
        }
    }
}

#[test]
fn claims_that_are_no_json_object_are_not_signed() {
    let key = new_key("no-object", "ES256");
    let deep = format!("{}1{}", r#"{"a":"#.repeat(65), "}".repeat(65));
    for claims in [
        "",
        "[]",
        "1",
        "{",
        "{}{}",
        "{\"a\":1,}",
        r#"{"a":1,"a":2}"#,
        r#"{"a":"\u0000"}"#,
        &deep,
    ] {
        for words in [
            &["token", &key, claims][..],
            &["token", "--bare", &key, claims],
        ] {
            let answer = run(words);
            assert_eq!(said(&answer), (2, ""), "{claims}");
            assert!(
                answer.notes[0].starts_with("the claims are not a JSON object"),
                "{answer:?}"
            );
        }
    }
}

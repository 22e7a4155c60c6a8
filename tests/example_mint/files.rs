//! The file of a key pair: who may read it, and what is taken for one.

use super::{file, json, new_key, path, printed, run, said};
use pg_third_party_auth::keys;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

#[test]
fn only_its_owner_may_read_a_key() {
    let key = new_key("mode", "ES256");
    let mode = fs::metadata(&key).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
}

#[test]
fn a_file_that_exists_is_left_alone() {
    let mine = file("mine", "mine");
    let link = path("link");
    symlink(&mine, &link).unwrap();
    let nowhere = path("nowhere");
    let dangling = path("dangling");
    let _ = fs::remove_file(&dangling);
    symlink(&nowhere, &dangling).unwrap();
    for out in [&mine, &link, &dangling] {
        let answer = run(&["new-key", "--alg", "ES256", "--out", out]);
        assert_eq!(said(&answer), (2, ""));
        assert!(
            answer.notes[0].starts_with(&format!("--out {out}: ")),
            "{answer:?}"
        );
    }
    assert_eq!(fs::read_to_string(&mine).unwrap(), "mine");
    assert!(!fs::exists(&nowhere).unwrap());
    for link in [link, dangling] {
        fs::remove_file(link).unwrap();
    }
}

#[test]
fn a_key_has_its_thumbprint_for_an_id_unless_one_is_given() {
    let out = path("thumbprint");
    let answer = run(&["new-key", "--out", &out]);
    let jwks = printed(&["jwks", &out]);
    let key = &keys::read(&jwks).unwrap().keys.keys[0];
    let kid = key.kid.as_ref().unwrap().shown().to_owned();
    assert_eq!(kid, key.thumbprint.to_string());
    // The usual algorithm, too.
    let note = format!("{out}: a new key for RS256, kid {kid}");
    assert_eq!(answer.notes, [note]);
    let out = path("own-id");
    run(&["new-key", "--alg", "ES256", "--kid", "mine", "--out", &out]);
    assert_eq!(json(&printed(&["jwks", &out]))["keys"][0]["kid"], "mine");
}

#[test]
fn an_id_that_the_extension_would_not_use_makes_no_key() {
    for kid in ["", &"k".repeat(1025)] {
        let out = path("no-id");
        let answer = run(&["new-key", "--alg", "ES256", "--kid", kid, "--out", &out]);
        assert_eq!(said(&answer), (2, ""));
        assert!(answer.notes[0].starts_with("--kid"), "{answer:?}");
        assert!(!fs::exists(&out).unwrap());
    }
}

#[test]
fn the_private_key_lies_in_pkcs_8_in_lines_of_64_characters() {
    let text = fs::read_to_string(new_key("pem", "RS256")).unwrap();
    let members = json(&text);
    let pem: Vec<_> = members["private_key"].as_str().unwrap().lines().collect();
    assert_eq!(pem[0], "-----BEGIN PRIVATE KEY-----");
    assert_eq!(pem[pem.len() - 1], "-----END PRIVATE KEY-----");
    let body = &pem[1..pem.len() - 1];
    assert!(body[..body.len() - 1].iter().all(|line| line.len() == 64));
    // Nobody can take it for a key set: registered as one, it is refused.
    assert!(keys::read(&text).is_err());
}

#[test]
fn what_new_key_did_not_write_is_no_key_and_not_repeated() {
    let whole = json(&fs::read_to_string(new_key("whole", "ES256")).unwrap());
    let with = |name: &str, value: Value| {
        let mut members = whole.clone();
        members[name] = value;
        members.to_string()
    };
    let pem = whole["private_key"].as_str().unwrap();
    let cases = [
        String::new(),
        "SECRET".to_owned(),
        "[]".to_owned(),
        json!({"kty": "EC", "d": "SECRET"}).to_string(),
        with("alg", json!("RS256")),
        with("alg", json!("HS256")),
        with("alg", json!(1)),
        with("kid", json!("")),
        with("kid", Value::Null),
        with("private_key", json!("SECRET")),
        with("private_key", json!(pem.replace("PRIVATE", "PUBLIC"))),
        with("private_key", json!(pem.replacen("MI", "IM", 1))),
        with("private_key", json!(pem.replace("END", "SECRET"))),
    ];
    for text in cases {
        let odd = file("odd", &text);
        for words in [&["jwks", &odd][..], &["token", &odd, "{}"]] {
            let answer = run(words);
            assert_eq!(said(&answer), (2, ""), "{text}");
            let note = format!("{odd} is not a file that new-key wrote");
            assert_eq!(answer.notes, [note], "{text}");
        }
    }
    let missing = path("missing");
    let answer = run(&["jwks", &missing]);
    assert_eq!(said(&answer), (2, ""));
    assert!(answer.notes[0].starts_with(&format!("{missing}: ")));
}

#[test]
fn one_file_that_is_no_key_gives_no_key_set() {
    let good = new_key("one-of-two", "ES256");
    let odd = file("other-of-two", "{}");
    assert_eq!(said(&run(&["jwks", &good, &odd])), (2, ""));
}

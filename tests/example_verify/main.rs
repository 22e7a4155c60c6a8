//! The program that judges a token of a bug report: its command line, output and exit codes.

#[path = "../../examples/verify/arguments.rs"]
mod arguments;
mod command_line;
mod keys;
#[path = "../common/mint.rs"]
#[allow(dead_code)]
mod mint;
#[path = "../../examples/verify/run.rs"]
mod run;

use mint::KeyPair;
use run::Answer;
use serde_json::{Value, json};
use std::ffi::OsString;
use std::sync::LazyLock;

const NOW: f64 = 1_717_000_300.0;
const CONFIG: &str = r#"{"issuer": "https://issuer.example", "audiences": ["api"]}"#;

static KEY: LazyLock<KeyPair> = LazyLock::new(KeyPair::p256);

/// A file with this text, under a name that no other test uses.
fn file(name: &str, text: &str) -> String {
    let path = format!("{}/verify-{name}", env!("CARGO_TARGET_TMPDIR"));
    std::fs::write(&path, text).expect("a file");
    path
}

/// A file with the public half of [`KEY`].
fn published(name: &str) -> String {
    file(name, &mint::jwks(&[KEY.jwk("k", None)]))
}

fn claims() -> Value {
    json!({"iss": "https://issuer.example", "aud": "api", "sub": "user_1", "exp": 1_717_000_360,
           "iat": 1_717_000_290, "role": "authenticated", "nonce": "n"})
}

fn token() -> String {
    KEY.sign(&json!({"alg": "ES256", "kid": "k"}), &claims())
}

fn run_with(words: &[&str], input: &str, clock: f64) -> Answer {
    let words: Vec<OsString> = words.iter().map(Into::into).collect();
    run::run(words, &mut input.as_bytes(), || clock)
}

/// With the time that the tokens are good at, and no standard input.
fn run(words: &[&str]) -> Answer {
    run_with(words, "", NOW)
}

/// Code and output.
fn said(answer: &Answer) -> (u8, &str) {
    (answer.code, answer.output.as_str())
}

#[test]
fn an_accepted_token_gives_its_payload_byte_for_byte() {
    let jwks = published("accepted");
    let payload = claims().to_string().replace(',', " ,\t");
    let token = KEY.sign_texts("ES256", r#"{"alg":"ES256","kid":"k"}"#, &payload);
    let words = [
        "--provider",
        "oidc",
        "--config",
        CONFIG,
        "--jwks",
        &jwks,
        &token,
    ];
    assert_eq!(said(&run(&words)), (0, payload.as_str()));
    assert_eq!(run(&words).notes, Vec::<String>::new());
}

#[test]
fn a_refused_token_gives_its_bare_reason_code() {
    let jwks = published("refused");
    let sign = |header: Value, name: &str, value: Value| {
        let mut claims = claims();
        claims[name] = value;
        KEY.sign(&header, &claims)
    };
    let good = json!({"alg": "ES256", "kid": "k"});
    let cases = [
        (
            sign(good.clone(), "aud", json!("other")),
            "audience_mismatch",
        ),
        (sign(good.clone(), "exp", json!(1_717_000_000)), "expired"),
        (
            sign(good.clone(), "iss", json!("https://other")),
            "unknown_issuer",
        ),
        (
            sign(good.clone(), "role", json!("postgres")),
            "role_not_allowed",
        ),
        (
            sign(json!({"alg": "ES256", "kid": "x"}), "sub", json!("a")),
            "unknown_key",
        ),
        (
            sign(json!({"alg": "none"}), "sub", json!("a")),
            "algorithm_not_allowed",
        ),
        (format!("{}.", token()), "malformed"),
        ("".to_owned(), "malformed"),
        ("x".repeat(16 * 1024 + 1), "too_large"),
    ];
    for (token, reason) in cases {
        let answer = run(&[
            "--provider",
            "oidc",
            "--config",
            CONFIG,
            "--jwks",
            &jwks,
            &token,
        ]);
        assert_eq!(said(&answer), (1, reason));
        assert_eq!(answer.notes.len(), 1, "{answer:?}");
    }
}

#[test]
fn a_nonce_has_to_be_the_tokens() {
    let jwks = published("nonce");
    let token = token();
    let asked = |nonce| {
        let words = ["--provider", "oidc", "--config", CONFIG, "--jwks", &jwks];
        run(&[&words[..], &["--nonce", nonce, &token]].concat())
    };
    assert_eq!(asked("n").code, 0);
    assert_eq!(said(&asked("other")), (1, "nonce_mismatch"));
}

#[test]
fn a_token_is_judged_for_a_request_only_if_that_is_asked() {
    let jwks = published("request");
    let config =
        r#"{"issuer": "https://issuer.example", "audiences": ["api"], "for_requests": false}"#;
    let token = token();
    let words = [
        "--provider",
        "oidc",
        "--config",
        config,
        "--jwks",
        &jwks,
        &token,
    ];
    assert_eq!(run(&words).code, 0);
    let request = run(&[&words[..], &["--request"]].concat());
    assert_eq!(said(&request), (1, "not_for_requests"));
}

#[test]
fn every_rule_is_told_if_that_is_asked_and_the_answer_stays_the_same() {
    let jwks = published("explain");
    let token = token();
    let asked = |now| {
        let words = ["--provider", "oidc", "--config", CONFIG, "--jwks", &jwks];
        run(&[&words[..], &["--now", now, "--explain", &token]].concat())
    };
    let good = asked("1717000300");
    assert_eq!(good.output, claims().to_string());
    assert_eq!(good.notes.len(), 22);
    assert!(good.notes.iter().all(|line| line.contains("  ok")));
    let late = asked("1717009999");
    assert_eq!(said(&late), (1, "expired"));
    let with = |state: &str| {
        late.notes
            .iter()
            .filter(|line| line.contains(state))
            .count()
    };
    assert_eq!(
        (with("  ok"), with("  failed "), with("  not reached")),
        (10, 1, 11)
    );
    let failed = late
        .notes
        .iter()
        .find(|line| line.contains("  failed "))
        .unwrap();
    assert!(failed.starts_with("11  expired "), "{failed}");
    let unreadable = run(&[
        "--provider",
        "oidc",
        "--config",
        CONFIG,
        "--jwks",
        &jwks,
        "--explain",
        "x",
    ]);
    assert_eq!(said(&unreadable), (1, "malformed"));
    assert_eq!(unreadable.notes.len(), 23);
}

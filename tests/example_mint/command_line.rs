//! The question: commands, options, what is missing or too much.

use super::{new_key, path, run, run_with, said};
use crate::arguments::USAGE;

/// A question that is wrong: nothing on standard output, what is wrong, and how it is called.
fn is_wrong(words: &[&str], note: &str) {
    let answer = run(words);
    assert_eq!(said(&answer), (2, ""), "{words:?}");
    assert_eq!(answer.notes, [format!("{note}\n{USAGE}")], "{words:?}");
}

#[test]
fn a_wrong_question_has_code_2_and_says_what_is_wrong() {
    is_wrong(&[], "there is no command");
    is_wrong(&["sign"], "the first word is new-key, jwks or token");
    is_wrong(&["--alg"], "the first word is new-key, jwks or token");
    is_wrong(&["new-key"], "--out is missing");
    is_wrong(&["new-key", "--out"], "--out has no value");
    is_wrong(&["new-key", "key.json"], "new-key takes options only");
    is_wrong(
        &["new-key", "--out", "a", "--out", "b"],
        "--out is given twice",
    );
    is_wrong(&["new-key", "--header", "{}"], "unknown option --header");
    is_wrong(&["jwks"], "there is no key");
    is_wrong(&["jwks", "--out", "a"], "unknown option --out");
    is_wrong(&["token"], "there is no key");
    is_wrong(&["token", "k"], "there are no claims");
    is_wrong(
        &["token", "k", "{}", "{}"],
        "more than a key and claims is given",
    );
    is_wrong(
        &["token", "--alg", "RS256", "k", "{}"],
        "unknown option --alg",
    );
    is_wrong(
        &["token", "--bare", "--expires-in", "1h", "k", "{}"],
        "--bare adds no --expires-in",
    );
    for time in [
        "",
        "1",
        "h",
        "1 h",
        "1.5h",
        "1w",
        "1hé",
        "é",
        "9223372036854775807d",
    ] {
        let words = ["token", "--expires-in", time, "k", "{}"];
        is_wrong(
            &words,
            "--expires-in is not a time such as 90s, 5m, 1h or 2d",
        );
    }
}

#[test]
fn what_a_command_cannot_do_has_code_2_and_no_output() {
    let key = new_key("cannot", "ES256");
    let out = path("cannot-out");
    let cases: [(&[&str], &str); 6] = [
        (
            &["new-key", "--alg", "HS256", "--out", &out],
            "--alg is RS256, ES256, ES384 or EdDSA",
        ),
        (
            &[
                "new-key",
                "--alg",
                "ES256",
                "--out",
                "/no/such/directory/key",
            ],
            "--out /no/such/directory/key: ",
        ),
        (&["token", &key, "@/no/such/file"], "/no/such/file: "),
        (
            &["token", "--header", "[]", &key, "{}"],
            "--header is not a JSON object",
        ),
        (
            &["token", "--header", r#"{"a":1,"a":2}"#, &key, "{}"],
            "--header is not a JSON object",
        ),
        (
            &["token", "--expires-in", "9223372036854775807s", &key, "{}"],
            "--expires-in is too long",
        ),
    ];
    for (words, note) in cases {
        let answer = run(words);
        assert_eq!(said(&answer), (2, ""), "{words:?}");
        assert!(answer.notes[0].starts_with(note), "{answer:?}");
    }
    assert!(!std::fs::exists(out).unwrap());
}

#[test]
fn no_note_repeats_the_claims() {
    let key = new_key("silent", "ES256");
    let secret = r#"{"sub": "somebody", "sub": "somebody"}"#;
    for words in [
        &["token", &key, secret][..],
        &["token", &key, "-"],
        &["token", &key, secret, secret],
        &["token", "/no/such/file", secret],
    ] {
        let answer = run_with(words, secret);
        assert_eq!(answer.code, 2);
        assert!(!format!("{answer:?}").contains("somebody"));
    }
}

#[test]
fn behind_two_hyphens_there_are_no_options() {
    let key = new_key("hyphens", "ES256");
    assert_eq!(run(&["token", "--", &key, "{}"]).code, 0);
    let answer = run(&["token", "--", "--bare", "{}"]);
    assert!(answer.notes[0].starts_with("--bare: "), "{answer:?}");
    let answer = run(&["jwks", "--", "--help"]);
    assert!(answer.notes[0].starts_with("--help: "), "{answer:?}");
}

#[test]
fn help_says_how_it_is_called() {
    for words in [&["--help"][..], &["token", "--help"]] {
        assert_eq!(said(&run(words)), (0, USAGE));
    }
}

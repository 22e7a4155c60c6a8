//! The question: options, files, standard input, the clock.

use super::{Answer, CONFIG, NOW, file, published, run, run_with, said, token};

/// A question that is wrong: nothing on standard output, and this among the notes.
fn is_wrong(answer: &Answer, note: &str) {
    assert_eq!(said(answer), (2, ""), "{answer:?}");
    let notes = answer.notes.join("\n");
    assert!(notes.contains(note), "{notes}");
}

#[test]
fn a_wrong_question_has_code_2_and_says_what_is_wrong() {
    let jwks = published("wrong");
    let token = token();
    let asked = |provider: &str, config: &str, jwks: &str, more: &[&str]| {
        let words = ["--provider", provider, "--config", config, "--jwks", jwks];
        run(&[&words, more].concat())
    };
    let oidc = |more: &[&str]| asked("oidc", CONFIG, &jwks, more);
    is_wrong(&oidc(&["--surprise", &token]), "unknown option --surprise");
    is_wrong(&oidc(&[]), "there is no token");
    is_wrong(&oidc(&[&token, &token]), "more than one token");
    is_wrong(&oidc(&[&token, "--now"]), "--now has no value");
    is_wrong(&oidc(&["--now", "today", &token]), "--now is not a number");
    is_wrong(&oidc(&["--now", "NaN", &token]), "--now is not a number");
    is_wrong(
        &oidc(&["--now", "1", "--now", "2", &token]),
        "--now is given twice",
    );
    is_wrong(&run(&["--config", CONFIG, &token]), "--provider is missing");
    is_wrong(&run(&["--provider", "oidc", &token]), "--config is missing");
    let words = ["--provider", "oidc", "--config", CONFIG, &token];
    is_wrong(&run(&words), "--jwks is missing");
    let kind = |kind, config| asked(kind, config, &jwks, &[&token]);
    is_wrong(
        &kind("nobody", "{}"),
        "kind: \"nobody\" is not a kind of provider",
    );
    is_wrong(
        &kind("oidc", "{}"),
        "issuer: issuer is missing. Give the iss",
    );
    is_wrong(&kind("oidc", "[]"), "--config is not a JSON object");
    is_wrong(
        &kind("oidc", r#"{"name": "a", "name": "b"}"#),
        "occurs twice",
    );
    is_wrong(
        &kind("auth0", r#"{"tenant": "t"}"#),
        "audiences: kind auth0 needs an audience",
    );
    is_wrong(
        &kind("auth0", r#"{"domain": "t"}"#),
        "is not an argument of add_auth0()",
    );
    is_wrong(&kind("oidc", "@/no/such/file"), "--config /no/such/file: ");
    let keys = |jwks: &str| asked("oidc", CONFIG, jwks, &[&token]);
    is_wrong(&keys("/no/such/file"), "--jwks /no/such/file: ");
    for (name, text) in [
        ("text", "no JSON"),
        ("array", "[]"),
        ("jwk", r#"{"kty": "EC"}"#),
    ] {
        is_wrong(&keys(&file(name, text)), "--jwks: ");
    }
}

#[test]
fn no_note_repeats_the_token() {
    let token = token();
    let asked = [
        "--provider",
        "nobody",
        "--config",
        "{}",
        "--jwks",
        "/no/such/file",
        &token,
    ];
    for words in [&asked[..], &[&token, &token], &[&token], &["--x", &token]] {
        let answer = run(words);
        assert_eq!(answer.code, 2);
        assert!(!format!("{answer:?}").contains(&token[..40]));
    }
}

#[test]
fn the_time_is_the_one_that_is_given_and_else_the_clocks() {
    let jwks = published("time");
    let token = token();
    let asked = |more: &[&str], clock| {
        let words = [
            "--provider",
            "oidc",
            "--config",
            CONFIG,
            "--jwks",
            &jwks,
            &token,
        ];
        run_with(&[&words, more].concat(), "", clock).code
    };
    // exp, and 30 s of clock skew
    assert_eq!(asked(&["--now", "1717000389.9"], 0.0), 0);
    assert_eq!(asked(&["--now", "1717000390.1"], NOW), 1);
    assert_eq!(asked(&[], NOW), 0);
    assert_eq!(asked(&[], NOW + 100.0), 1);
}

#[test]
fn a_token_on_standard_input_may_end_its_line() {
    let jwks = published("input");
    let token = token();
    let asked = |input: &str| {
        let words = [
            "--provider",
            "oidc",
            "--config",
            CONFIG,
            "--jwks",
            &jwks,
            "-",
        ];
        run_with(&words, input, NOW)
    };
    for end in ["", "\n", "\r\n"] {
        assert_eq!(asked(&format!("{token}{end}")).code, 0);
    }
    let two = asked(&format!("{token}\n\n"));
    assert_eq!(said(&two), (1, "malformed"));
    for long in ["x".repeat(1_000_000), format!("x{}", "ä".repeat(1_000_000))] {
        assert_eq!(said(&asked(&long)), (1, "too_large"));
    }
}

#[test]
fn behind_two_hyphens_there_are_no_options() {
    let jwks = published("hyphens");
    let asked = ["--provider", "oidc", "--config", CONFIG, "--jwks", &jwks];
    let answer = run(&[&asked[..], &["--", "--explain"]].concat());
    assert_eq!(said(&answer), (1, "malformed"));
    let answer = run(&[&asked[..], &["-a.b.c"]].concat());
    assert_eq!(said(&answer), (1, "malformed"));
}

#[test]
fn a_registration_may_stand_in_a_file() {
    let (jwks, token) = (published("config"), token());
    let config = format!("@{}", file("config.json", CONFIG));
    let words = [
        "--provider",
        "oidc",
        "--config",
        &config,
        "--jwks",
        &jwks,
        &token,
    ];
    assert_eq!(run(&words).code, 0);
}

#[test]
fn help_says_how_it_is_called() {
    let answer = run(&["--help"]);
    assert_eq!(answer.code, 0);
    assert!(answer.output.starts_with("usage: verify --provider KIND"));
}

#[test]
fn what_is_worth_knowing_about_a_registration_is_noted() {
    let config =
        r#"{"issuer": "https://issuer.example", "audiences": ["api"], "clock_skew": "2 min"}"#;
    let (jwks, token) = (published("advice"), token());
    let words = [
        "--provider",
        "oidc",
        "--config",
        config,
        "--jwks",
        &jwks,
        &token,
    ];
    assert!(run(&words).notes[0].starts_with("WARNING: "));
    let domain = r#"{"domain": "clerk.example.com"}"#;
    let words = [
        "--provider",
        "clerk",
        "--config",
        domain,
        "--jwks",
        &jwks,
        &token,
    ];
    assert!(run(&words).notes[0].starts_with("NOTICE: "));
}

//! Texts that are no configuration, and any text at all.

use pg_third_party_auth::provider::import::{self, Action, ConfigError, Entry};
use proptest::prelude::*;

#[test]
fn invalid_toml_has_its_line_and_column() {
    for (config, line, column) in [
        ("a", 1, 2),
        ("[auth]\njwt_issuer = \n", 2, 14),
        ("[auth]\r\nenabled = yes\r\n", 2, 11),
        ("[auth]\na = 1\na = 2", 3, 1),
        ("[auth]\n[auth]", 2, 2),
        ("# äöü€😀\nä = 1", 2, 1),
        ("a = \"äöü€😀\" x", 1, 13),
        ("\u{feff}a = \"ä\" x", 1, 9),
        ("a = {b = \"é\", c = }", 1, 19),
        ("a = \"x", 1, 7),
    ] {
        let error = import::read(config).expect_err(config);
        assert_eq!(
            (error.line, error.column),
            (line, column),
            "{config:?}: {error}"
        );
        assert!(!error.message.is_empty());
        assert!(
            error
                .to_string()
                .starts_with(&format!("line {line}, column {column}: "))
        );
    }
}

#[test]
fn an_error_repeats_nothing_of_the_file() {
    let word = "Zq7secretZq7";
    for config in [
        format!("jwt_secret = {word}"),
        format!("jwt_secret = \"{word}"),
        format!("jwt_secret = \"{word}\" {word}"),
        format!("{word} {word}"),
        format!("{word} = 1\n{word} = 2"),
        format!("{word} = \"a\"\n{word}.b = 2"),
        format!("{word} = 1979-13-45{word}"),
        format!("{word} = 0x{word}"),
        format!("a = [{word}]"),
        format!("a = {{b = {word}"),
        format!("a = \"\\{word}\""),
    ] {
        let error = import::read(&config).expect_err(&config);
        assert!(!format!("{error} {error:?}").contains("Zq7"), "{error:?}");
    }
}

#[test]
fn what_nests_too_deep_is_refused_before_it_is_parsed() {
    let dots = |levels: usize| vec!["a"; levels].join(".");
    // 6,560 levels in 13 kB, each of which is within the limits of the parser.
    let mut deepest = format!("[{}]\n{} = ", dots(80), dots(80));
    deepest.push_str(&format!("{{{} = ", dots(80)).repeat(80));
    deepest.push_str(&format!("1{}", "}".repeat(80)));
    for config in [
        format!("a = {}", "[".repeat(100_000)),
        format!("a = {}", "{b=".repeat(100_000)),
        format!("{} = 1", dots(100_000)),
        format!("[{}]", dots(100_000)),
        format!("a = 1\na = {}", "[".repeat(100)),
        deepest,
    ] {
        let error = import::read(&config).unwrap_err();
        assert_eq!(error.message, "it nests too deep");
    }
}

/// Lines that a file may have, in any order and any number.
fn lines() -> impl Strategy<Value = String> {
    let heads = prop::sample::select(vec![
        "[auth]",
        "[auth.third_party.clerk]",
        "[auth.third_party.auth0]",
        "[auth.third_party.aws_cognito]",
        "[auth.third_party.workos]",
        "[auth.external.apple]",
        "[auth.external.azure]",
        "[[auth.external.azure]]",
        "auth.third_party.firebase",
    ]);
    let names = prop::sample::select(vec![
        "enabled",
        "domain",
        "tenant",
        "tenant_region",
        "user_pool_id",
        "user_pool_region",
        "issuer_url",
        "client_id",
        "url",
        "jwt_issuer",
        "jwt_secret",
        "third_party",
    ]);
    let values = prop_oneof![
        Just("true".to_owned()),
        Just("\"https://login.microsoftonline.com/common\"".to_owned()),
        Just("\"us-east-1\"".to_owned()),
        Just("\"env(X)\"".to_owned()),
        Just("[{}]".to_owned()),
        "\\PC*".prop_map(|text| format!("{text:?}")),
    ];
    let line = prop_oneof![
        heads.prop_map(str::to_owned),
        (names, values).prop_map(|(name, value)| format!("{name} = {value}")),
    ];
    prop::collection::vec(line, 0..12).prop_map(|lines| lines.join("\n"))
}

/// What holds for every text.
fn judge_any(config: &str) {
    match import::read(config) {
        Ok(entries) => entries.iter().for_each(settles),
        Err(ConfigError { line, column, .. }) => {
            let text = config.strip_prefix('\u{feff}').unwrap_or(config);
            let line = text.split('\n').nth(line - 1).expect("a line of the text");
            assert!(column <= line.chars().count() + 1, "{config:?}");
        }
    }
}

/// What an entry registers is a provider, and then as the file says.
fn settles(entry: &Entry) {
    let outcome = entry.apply(None);
    assert!(!outcome.detail.is_empty());
    if let Some(row) = outcome.row {
        assert_eq!(outcome.action, Action::Registered);
        row.clone().judge().expect("a provider");
        assert_eq!(entry.apply(Some(&row)).action, Action::Unchanged);
    }
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(config in "\\PC*|(?s).*") {
        judge_any(&config);
    }

    #[test]
    fn any_configuration_is_read_or_refused(config in lines()) {
        judge_any(&config);
    }
}

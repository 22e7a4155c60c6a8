//! A registry row and the checks that turn it into a provider.

use pg_third_party_auth::provider::presets::ALL;
use pg_third_party_auth::provider::{
    AdviceLevel, Audiences, Issuer, KeyAddress, KeySource, Provider, Row, RowError,
};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// What `add_<kind>()` would write, without more than it must have.
fn row(kind: &str, argument: &str, value: &str) -> Row {
    let mut options = Map::new();
    options.insert(argument.to_owned(), Value::String(value.to_owned()));
    Row {
        name: kind.to_owned(),
        kind: kind.to_owned(),
        enabled: true,
        role_claim: "role".to_owned(),
        clock_skew: 30.0,
        for_requests: None,
        options,
        ..Row::default()
    }
}

fn texts(issuers: &[Issuer]) -> Vec<&str> {
    issuers.iter().map(Issuer::as_str).collect()
}

fn oidc() -> Row {
    Row {
        audiences: vec!["api".to_owned()],
        ..row("oidc", "issuer", "https://issuer.example/")
    }
}

fn accepted(row: Row) -> Provider {
    row.judge().unwrap().0
}

fn refused(row: Row) -> RowError {
    let error = row.judge().unwrap_err();
    assert!(!error.hint.is_empty(), "{error:?}");
    error
}

#[test]
fn each_kind_builds_its_issuer_and_key_address() {
    let clerk = accepted(row("clerk", "domain", "https://clerk.example.com/"));
    assert_eq!(texts(&clerk.issuers), ["https://clerk.example.com"]);
    let address = |provider: &Provider| match &provider.keys {
        KeySource::Fetched(address) => address.url(),
        KeySource::Pinned(_) => panic!("pinned"),
    };
    assert_eq!(
        address(&clerk),
        "https://clerk.example.com/.well-known/jwks.json"
    );
    let port = accepted(row("clerk", "domain", "localhost:8443"));
    assert_eq!(texts(&port.issuers), ["https://localhost:8443"]);
    let firebase = accepted(row("firebase", "project_id", "my-project"));
    assert_eq!(
        texts(&firebase.issuers),
        ["https://securetoken.google.com/my-project"]
    );
    assert_eq!(
        firebase.audiences,
        Audiences::Exactly("my-project".to_owned())
    );
    let supabase = accepted(row(
        "supabase",
        "jwt_issuer",
        "https://x.supabase.co/auth/v1",
    ));
    assert_eq!(
        address(&supabase),
        "https://x.supabase.co/auth/v1/.well-known/jwks.json"
    );
    assert_eq!(
        supabase.audiences,
        Audiences::OneOf(vec!["authenticated".to_owned()])
    );
    let oidc = accepted(oidc());
    assert_eq!(
        texts(&oidc.issuers),
        ["https://issuer.example/"],
        "the slash belongs to the issuer"
    );
    assert_eq!(
        address(&oidc),
        "https://issuer.example/.well-known/openid-configuration"
    );
    assert!(matches!(
        oidc.keys,
        KeySource::Fetched(KeyAddress::Discovery { .. })
    ));
}

#[test]
fn an_audience_is_required_unless_the_kind_has_its_own() {
    let none = Row {
        audiences: vec![],
        ..oidc()
    };
    assert_eq!(refused(none.clone()).argument, "audiences");
    let any = accepted(Row {
        any_audience: true,
        ..none
    });
    assert_eq!(any.audiences, Audiences::NotChecked);
    assert_eq!(
        refused(Row {
            any_audience: true,
            ..oidc()
        })
        .argument,
        "any_audience"
    );
    let firebase = row("firebase", "project_id", "p");
    let audiences = vec!["q".to_owned()];
    assert_eq!(
        refused(Row {
            audiences,
            ..firebase.clone()
        })
        .argument,
        "audiences"
    );
    assert_eq!(
        refused(Row {
            any_audience: true,
            ..firebase
        })
        .argument,
        "any_audience"
    );
}

#[test]
fn only_supabase_may_allow_service_role() {
    let roles = Some(vec!["service_role".to_owned()]);
    for (kind, argument, value) in [
        ("clerk", "domain", "clerk.example.com"),
        ("firebase", "project_id", "p"),
        ("oidc", "issuer", "https://issuer.example"),
    ] {
        let row = Row {
            allowed_roles: roles.clone(),
            any_audience: kind == "oidc",
            ..row(kind, argument, value)
        };
        assert_eq!(refused(row).argument, "allowed_roles", "{kind}");
    }
    let supabase = row("supabase", "jwt_issuer", "https://x.example");
    assert!(
        accepted(Row {
            allowed_roles: roles,
            ..supabase
        })
        .allowed_roles
        .contains(&"service_role".to_owned())
    );
}

#[test]
fn what_is_left_open_is_filled_in_as_the_kind_says() {
    let mut row = row("supabase", "jwt_issuer", "https://x.example");
    row.fill_in().unwrap();
    assert_eq!(
        row.allowed_roles.unwrap(),
        ["anon", "authenticated", "service_role"]
    );
    assert_eq!(row.algorithms.unwrap(), ["ES256", "RS256", "EdDSA"]);
}

#[test]
fn every_wrong_argument_is_named_with_a_hint() {
    let text = |texts: &[&str]| texts.iter().map(|&t| t.to_owned()).collect::<Vec<_>>();
    let cases: Vec<(Row, &str)> = vec![
        (
            Row {
                name: String::new(),
                ..oidc()
            },
            "name",
        ),
        (
            Row {
                name: " x".into(),
                ..oidc()
            },
            "name",
        ),
        (
            Row {
                name: "n".repeat(64),
                ..oidc()
            },
            "name",
        ),
        (
            Row {
                kind: "nope".into(),
                ..oidc()
            },
            "kind",
        ),
        (row("oidc", "issuer", ""), "issuer"),
        (row("oidc", "issuer", " https://x "), "issuer"),
        (row("oidc", "issuers", "https://x"), "options"),
        (row("clerk", "domain", "Clerk.Example.com"), "domain"),
        (row("clerk", "domain", "clerk.example.com/path"), "domain"),
        (row("clerk", "domain", "clerk.example.com:70000"), "domain"),
        (row("clerk", "domain", "user@clerk.example.com"), "domain"),
        (row("firebase", "project_id", "a/b"), "project_id"),
        (row("supabase", "jwt_issuer", "x.supabase.co"), "jwt_issuer"),
        (
            Row {
                issuers: text(&[""]),
                ..oidc()
            },
            "issuers",
        ),
        (
            Row {
                issuers: vec!["x".repeat(513)],
                ..oidc()
            },
            "issuers",
        ),
        (
            Row {
                audiences: text(&["api", ""]),
                ..oidc()
            },
            "audiences",
        ),
        (
            Row {
                authorized_parties: text(&[""]),
                ..oidc()
            },
            "authorized_parties",
        ),
        (
            Row {
                role_claim: "a..b".into(),
                ..oidc()
            },
            "role_claim",
        ),
        (
            Row {
                default_role: Some("other".into()),
                ..oidc()
            },
            "default_role",
        ),
        (
            Row {
                allowed_roles: Some(text(&["a", ""])),
                ..oidc()
            },
            "allowed_roles",
        ),
        (
            Row {
                clock_skew: 300.1,
                ..oidc()
            },
            "clock_skew",
        ),
        (
            Row {
                clock_skew: -1.0,
                ..oidc()
            },
            "clock_skew",
        ),
        (
            Row {
                clock_skew: f64::NAN,
                ..oidc()
            },
            "clock_skew",
        ),
        (
            Row {
                algorithms: Some(text(&["HS256"])),
                ..oidc()
            },
            "algorithms",
        ),
        (
            Row {
                algorithms: Some(text(&["none"])),
                ..oidc()
            },
            "algorithms",
        ),
        (
            Row {
                algorithms: Some(vec![]),
                ..oidc()
            },
            "algorithms",
        ),
        (
            Row {
                jwks: Some("{}".into()),
                jwks_uri: Some("https://x/".into()),
                ..oidc()
            },
            "jwks_uri",
        ),
        (
            Row {
                jwks: Some("{\"keys\":[]}".into()),
                ..oidc()
            },
            "jwks",
        ),
        (
            Row {
                jwks: Some("<html>".into()),
                ..oidc()
            },
            "jwks",
        ),
        (
            Row {
                jwks_uri: Some("ftp://x/".into()),
                ..oidc()
            },
            "jwks_uri",
        ),
        (
            Row {
                jwks_uri: Some("https://".into()),
                ..oidc()
            },
            "jwks_uri",
        ),
        (
            Row {
                jwks_uri: Some("https://a:b@x/".into()),
                ..oidc()
            },
            "jwks_uri",
        ),
        (
            Row {
                jwks_uri: Some("https://x/#f".into()),
                ..oidc()
            },
            "jwks_uri",
        ),
        (
            Row {
                jwks_uri: Some("https://x/ y".into()),
                ..oidc()
            },
            "jwks_uri",
        ),
    ];
    for (row, argument) in cases {
        let shown = format!("{row:?}");
        assert_eq!(refused(row).argument, argument, "{shown}");
    }
}

#[test]
fn a_wide_clock_skew_and_open_parties_are_mentioned() {
    let (_, advice) = Row {
        clock_skew: 61.0,
        ..oidc()
    }
    .judge()
    .unwrap();
    assert_eq!(advice[0].level, AdviceLevel::Warning);
    let (_, advice) = row("clerk", "domain", "clerk.example.com").judge().unwrap();
    assert_eq!(advice[0].level, AdviceLevel::Notice);
    let (_, advice) = oidc().judge().unwrap();
    assert_eq!(advice, []);
}

#[test]
fn a_default_role_that_no_policy_binds_is_warned_of() {
    let supabase = |default_role: &str| {
        let row = Row {
            default_role: Some(default_role.into()),
            allowed_roles: Some(vec!["authenticated".into(), "service_role".into()]),
            ..row("supabase", "jwt_issuer", "https://auth.example.com")
        };
        row.judge().unwrap().1
    };
    assert_eq!(supabase("service_role")[0].level, AdviceLevel::Warning);
    assert_eq!(supabase("authenticated"), []);
}

#[test]
fn every_preset_is_complete() {
    for preset in ALL {
        assert!(
            !preset.own_arguments.is_empty() && !preset.algorithms.is_empty(),
            "{}",
            preset.kind
        );
        for (argument, default) in preset.default_options {
            assert!(preset.own_arguments.contains(argument), "{argument}");
            let value: Value = serde_json::from_str(default).unwrap();
            assert!(!value.is_null(), "{argument}");
        }
        assert!(preset.may_allow_service_role || !preset.allowed_roles.contains(&"service_role"));
        assert_eq!(
            ALL.iter().filter(|other| other.kind == preset.kind).count(),
            1
        );
    }
}

proptest! {
    #[test]
    fn no_row_makes_the_checks_panic(
        name in "\\PC{0,70}", value in "\\PC{0,40}", role_claim in "\\PC{0,20}", skew in any::<f64>(),
        jwks in proptest::option::of("\\PC{0,60}"), uri in proptest::option::of("\\PC{0,60}"),
        roles in proptest::option::of(prop::collection::vec("\\PC{0,10}", 0..4)), kind in 0usize..5,
    ) {
        let kinds = [("clerk", "domain"), ("firebase", "project_id"), ("oidc", "issuer"), ("supabase", "jwt_issuer"), ("x", "y")];
        let (kind, argument) = kinds[kind];
        let mut options = Map::new();
        options.insert(argument.to_owned(), json!(value));
        let row = Row {
            name, kind: kind.to_owned(), options, role_claim, clock_skew: skew, jwks, jwks_uri: uri,
            allowed_roles: roles, any_audience: kind == "oidc", ..Row::default()
        };
        if let Ok((provider, _)) = row.judge() {
            prop_assert!(!provider.issuers.is_empty() && !provider.issuers[0].as_str().is_empty());
            prop_assert!(!provider.algorithms.is_empty());
            prop_assert!(provider.clock_skew.as_secs() <= 300);
        }
    }
}

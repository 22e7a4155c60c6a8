//! WorkOS AuthKit by its exact rules.

use crate::mint::KeyPair;
use crate::trial::{Case, Draft, Kind};
use pg_third_party_auth::provider::{Issuer, KeyAddress, KeySource};
use pg_third_party_auth::verify::Reason;
use serde_json::{Value, json};

const BARE: &str = "https://api.workos.com";
const WITH_CLIENT: &str = "https://api.workos.com/user_management/client_01ABC";

fn workos() -> Kind {
    Kind {
        name: "workos",
        arguments: json!({"issuer_url": WITH_CLIENT}),
        // Session tokens have no `typ`.
        header: json!({}),
    }
}

/// Registers the bare issuer, which all older environments share, and a token of it.
fn bare(token: &mut Draft) {
    token.argument("issuer_url", json!(BARE));
    token.argument("client_id", json!("client_01ABC"));
    token.claim("iss", json!(BARE));
}

const CASES: [Case; 15] = [
    Case {
        line: "`iss` with another client id",
        reason: Reason::UnknownIssuer,
        change: |token| {
            token.claim("iss", json!(format!("{BARE}/user_management/client_01XYZ")));
        },
    },
    Case {
        line: "`iss` `https://api.workos.com`, unless it is registered",
        reason: Reason::UnknownIssuer,
        change: |token| token.claim("iss", json!(BARE)),
    },
    Case {
        line: "`iss` with a slash at its end, unless it is registered so",
        reason: Reason::UnknownIssuer,
        change: |token| token.claim("iss", json!(format!("{WITH_CLIENT}/"))),
    },
    Case {
        line: "`iss` of a custom domain that is not registered",
        reason: Reason::UnknownIssuer,
        change: |token| {
            let custom = "https://auth.example.com/user_management/client_01ABC";
            token.claim("iss", json!(custom));
        },
    },
    Case {
        line: "a token of WorkOS Connect (`https://<subdomain>.authkit.app`)",
        reason: Reason::UnknownIssuer,
        change: |token| token.claim("iss", json!("https://acme.authkit.app")),
    },
    Case {
        line: "another customer's token under the shared `iss` `https://api.workos.com`",
        reason: Reason::UnknownKey,
        change: |token| {
            bare(token);
            token.is_forged = true;
            token.head("kid", json!("sso_oidc_key_pair_01XYZ"));
        },
    },
    Case {
        line: "the same under the id of one of your keys",
        reason: Reason::BadSignature,
        change: |token| {
            bare(token);
            token.is_forged = true;
        },
    },
    Case {
        line: "an agent's credential, which has `aud` and `org_id` and no `sid`",
        reason: Reason::MissingClaim,
        change: |token| {
            token.without("sid");
            token.claim("aud", json!("client_01ABC"));
        },
    },
    Case {
        line: "`sid` that does not begin with `session_`",
        reason: Reason::InvalidClaim,
        change: |token| token.claim("sid", json!("app_session_01ABC")),
    },
    Case {
        line: "`sub` that is no user (`user_…`)",
        reason: Reason::InvalidClaim,
        change: |token| token.claim("sub", json!("client_01ABC")),
    },
    Case {
        line: "an access token of type `at+jwt`",
        reason: Reason::TokenTypeNotAllowed,
        change: |token| token.head("typ", json!("application/at+jwt")),
    },
    Case {
        line: "`role` that is not a text",
        reason: Reason::RoleNotAllowed,
        change: |token| token.claim("role", json!(["authenticated"])),
    },
    Case {
        line: "no `aud`, where `audiences` is registered",
        reason: Reason::MissingClaim,
        change: |token| token.argument("audiences", json!(["client_01ABC"])),
    },
    Case {
        line: "an algorithm other than RS256",
        reason: Reason::AlgorithmNotAllowed,
        change: |token| {
            token.head("alg", json!("ES256"));
            token.head("kid", json!("key-2"));
        },
    },
    Case {
        line: "a token of six minutes ago",
        reason: Reason::Expired,
        change: |token| token.now += 360.0,
    },
];

#[test]
fn workos_tokens_are_refused_for_the_reasons_of_the_page() {
    workos().holds(&CASES);
}

#[test]
fn every_issuer_form_is_accepted_with_the_keys_of_its_client_id() {
    for (issuer_url, client_id) in [
        (WITH_CLIENT, Value::Null),
        (WITH_CLIENT, json!("client_01ABC")),
        (BARE, json!("client_01ABC")),
        ("https://api.workos.com/", json!("client_01ABC")),
        ("https://auth.example.com", json!("client_01ABC")),
        ("https://auth.example.com/", json!("client_01ABC")),
        (
            "https://auth.example.com/user_management/client_01ABC",
            Value::Null,
        ),
        (
            "https://api.workos.com/user_management/client_01ABC/",
            Value::Null,
        ),
    ] {
        let registered = |token: &mut Draft| {
            token.argument("issuer_url", json!(issuer_url));
            token.argument("client_id", client_id.clone());
        };
        let provider = workos().provider(registered);
        let issuers: Vec<_> = provider.issuers.iter().map(Issuer::as_str).collect();
        assert_eq!(issuers, [issuer_url]);
        let KeySource::Fetched(KeyAddress::Direct { jwks_uri }) = &provider.keys else {
            panic!("not fetched from a fixed address");
        };
        assert_eq!(jwks_uri, "https://api.workos.com/sso/jwks/client_01ABC");
        let verdict = workos().verdict(|token| {
            registered(token);
            token.claim("iss", json!(issuer_url));
        });
        assert_eq!(verdict, None, "{issuer_url}");
    }
}

#[test]
fn a_former_issuer_goes_to_issuers() {
    for issuer in [BARE, WITH_CLIENT, "https://auth.example.com"] {
        let verdict = workos().verdict(|token| {
            token.argument("issuers", json!([BARE, "https://auth.example.com"]));
            token.claim("iss", json!(issuer));
        });
        assert_eq!(verdict, None, "{issuer}");
    }
}

#[test]
fn an_organisations_role_is_no_database_role() {
    let role = |claim: Value, default_role: Value| {
        let verified = workos().accepted(|token| {
            token.claim("role", claim);
            token.argument("default_role", default_role);
        });
        verified.role().map(str::to_owned)
    };
    for claim in [
        "member",
        "admin",
        "service_role",
        "postgres",
        "Authenticated",
        "anon",
        "",
    ] {
        assert_eq!(role(json!(claim), Value::Null), None, "{claim}");
        let default = role(json!(claim), json!("authenticated"));
        assert_eq!(default.as_deref(), Some("authenticated"), "{claim}");
    }
    let template = role(json!("authenticated"), Value::Null);
    assert_eq!(template.as_deref(), Some("authenticated"));
    assert_eq!(role(Value::Null, Value::Null), None);
}

#[test]
fn a_role_is_a_database_role_when_it_is_listed() {
    let verified = workos().accepted(|token| {
        token.claim("role", json!("member"));
        token.argument("allowed_roles", json!(["authenticated", "member"]));
    });
    assert_eq!(verified.role(), Some("member"));
    let argument = workos().wrong_argument(|token| {
        token.argument("allowed_roles", json!(["authenticated", "service_role"]));
    });
    assert_eq!(argument, "allowed_roles");
}

#[test]
fn a_credential_of_an_agent_is_refused_whatever_its_audience() {
    for audiences in [json!(null), json!(["client_01ABC"])] {
        for (sub, reason) in [
            ("user_01ABC", Reason::MissingClaim),
            ("agent_01ABC", Reason::InvalidClaim),
        ] {
            let verdict = workos().verdict(|token| {
                token.argument("audiences", audiences.clone());
                token.claim("aud", json!("client_01ABC"));
                token.claim("sub", json!(sub));
                token.without("sid");
            });
            assert_eq!(verdict, Some(reason), "{sub}");
        }
    }
}

#[test]
fn a_session_id_or_subject_of_another_type_is_refused() {
    for (claim, value) in [
        ("sid", json!("")),
        ("sid", json!(1)),
        ("sid", json!(["session_01ABC"])),
        ("sid", json!("SESSION_01ABC")),
        ("sub", json!("")),
        ("sub", json!("USER_01ABC")),
        ("sub", json!("xuser_01ABC")),
    ] {
        let verdict = workos().verdict(|token| token.claim(claim, value.clone()));
        assert_eq!(verdict, Some(Reason::InvalidClaim), "{claim} {value}");
    }
}

#[test]
fn certificates_beside_a_key_are_not_looked_at() {
    let verdict = workos().verdict(|token| {
        token.key_member("alg", json!("RS256"));
        token.key_member("x5c", json!(["MIIC"]));
        token.key_member("x5t#S256", json!("x"));
        token
            .jwks
            .push(KeyPair::rsa().jwk("sso_oidc_key_pair_01NEXT", Some("RS256")));
    });
    assert_eq!(verdict, None);
}

#[test]
fn wrong_arguments_are_named() {
    let cases = [
        (json!({"issuer_url": null}), "issuer_url"),
        (json!({"issuer_url": ""}), "issuer_url"),
        (json!({"issuer_url": "api.workos.com"}), "issuer_url"),
        (
            json!({"issuer_url": "http://api.workos.com", "client_id": "client_1"}),
            "issuer_url",
        ),
        (
            json!({"issuer_url": "https://API.workos.com", "client_id": "client_1"}),
            "issuer_url",
        ),
        (
            json!({"issuer_url": "https://user@api.workos.com", "client_id": "client_1"}),
            "issuer_url",
        ),
        (
            json!({"issuer_url": " https://api.workos.com", "client_id": "client_1"}),
            "issuer_url",
        ),
        (json!({"issuer_url": BARE}), "client_id"),
        (
            json!({"issuer_url": "https://auth.example.com"}),
            "client_id",
        ),
        (json!({"issuer_url": BARE, "client_id": ""}), "client_id"),
        (json!({"issuer_url": BARE, "client_id": 1}), "client_id"),
        (
            json!({"issuer_url": BARE, "client_id": "../../x"}),
            "client_id",
        ),
        (
            json!({"issuer_url": BARE, "client_id": "client_1?x"}),
            "client_id",
        ),
        (
            json!({"issuer_url": WITH_CLIENT, "client_id": "client_01XYZ"}),
            "client_id",
        ),
        (
            json!({"issuer_url": "https://api.workos.com/user_management/"}),
            "client_id",
        ),
        (
            json!({"issuer_url": "https://api.workos.com/user_management/a/b"}),
            "client_id",
        ),
        (
            json!({"issuer_url": WITH_CLIENT, "any_audience": true, "audiences": ["a"]}),
            "any_audience",
        ),
    ];
    for (arguments, at_fault) in cases {
        let named = workos().wrong_argument(|token| {
            for (name, value) in arguments.as_object().expect("arguments") {
                token.argument(name, value.clone());
            }
        });
        assert_eq!(named, at_fault, "{arguments}");
    }
}

//! Clerk by its exact rules.

use crate::court::NOW;
use crate::trial::{Case, Draft, Kind};
use pg_third_party_auth::verify::{Purpose, Reason};
use serde_json::{Value, json};

fn clerk() -> Kind {
    Kind {
        name: "clerk",
        arguments: json!({"domain": "clerk.example.com"}),
        header: json!({"typ": "JWT", "cat": "cl_B7d4PD111AAA", "oiat": 1_717_000_000}),
    }
}

const CASES: [Case; 24] = [
    Case {
        line: "`iss` of another instance",
        reason: Reason::UnknownIssuer,
        change: |token| token.claim("iss", json!("https://other.clerk.accounts.dev")),
    },
    Case {
        line: "`iss` with a trailing slash",
        reason: Reason::UnknownIssuer,
        change: |token| token.claim("iss", json!("https://clerk.example.com/")),
    },
    Case {
        line: "a token of another instance that says it is of this one: that instance's key id",
        reason: Reason::UnknownKey,
        change: |token| {
            token.is_forged = true;
            token.head("kid", json!("ins_other"));
        },
    },
    Case {
        line: "… and with the key id of this instance",
        reason: Reason::BadSignature,
        change: |token| token.is_forged = true,
    },
    Case {
        line: "a session that is not complete (`sts` is `pending`)",
        reason: Reason::SessionPending,
        change: |token| token.claim("sts", json!("pending")),
    },
    Case {
        line: "`sts` that is not a text",
        reason: Reason::InvalidClaim,
        change: |token| token.claim("sts", json!(["pending"])),
    },
    Case {
        line: "an OAuth access token of type `at+jwt`",
        reason: Reason::TokenTypeNotAllowed,
        change: |token| token.head("typ", json!("at+jwt")),
    },
    Case {
        line: "an OAuth access token of type `application/at+jwt`",
        reason: Reason::TokenTypeNotAllowed,
        change: |token| token.head("typ", json!("application/AT+JWT")),
    },
    Case {
        line: "a token of a JWT template, by the header's `cat`",
        reason: Reason::TokenTypeNotAllowed,
        change: |token| token.head("cat", json!("cl_B7d4PD222AAA")),
    },
    Case {
        line: "a machine token, by the header's `cat`",
        reason: Reason::TokenTypeNotAllowed,
        change: |token| token.head("cat", json!("cl_B7d4PD333AAA")),
    },
    Case {
        line: "a token of a JWT template or an OIDC ID token without `cat`: no `sid`",
        reason: Reason::MissingClaim,
        change: |token| {
            token.head("cat", Value::Null);
            token.without("sid");
        },
    },
    Case {
        line: "a machine token without `cat`: `sub` begins with `mch_`",
        reason: Reason::InvalidClaim,
        change: |token| {
            token.head("cat", Value::Null);
            token.claim("sub", json!("mch_2abc"));
        },
    },
    Case {
        line: "`sid` that is empty or not a text",
        reason: Reason::InvalidClaim,
        change: |token| token.claim("sid", json!("")),
    },
    Case {
        line: "`azp` of another origin, where `authorized_parties` is given",
        reason: Reason::AuthorizedPartyMismatch,
        change: |token| {
            token.argument("authorized_parties", json!(["https://example.com"]));
            token.claim("azp", json!("https://example.com.evil.example"));
        },
    },
    Case {
        line: "no `azp` (native applications send none), where `authorized_parties` is given",
        reason: Reason::AuthorizedPartyMismatch,
        change: |token| {
            token.argument("authorized_parties", json!(["https://example.com"]));
            token.without("azp");
        },
    },
    Case {
        line: "`aud` that is not there, where `audiences` is given",
        reason: Reason::MissingClaim,
        change: |token| token.argument("audiences", json!(["api"])),
    },
    Case {
        line: "`aud` of another audience, where `audiences` is given",
        reason: Reason::AudienceMismatch,
        change: |token| {
            token.argument("audiences", json!(["api"]));
            token.claim("aud", json!("another"));
        },
    },
    Case {
        line: "HS256, with which a JWT template can be signed",
        reason: Reason::AlgorithmNotAllowed,
        change: |token| {
            token.head("alg", json!("HS256"));
            token.secret = Some("the signing key of a JWT template");
        },
    },
    Case {
        line: "RS512, unless `algorithms` lists it",
        reason: Reason::AlgorithmNotAllowed,
        change: |token| token.head("alg", json!("RS512")),
    },
    Case {
        line: "no `exp`",
        reason: Reason::MissingClaim,
        change: |token| token.without("exp"),
    },
    Case {
        line: "a token that expired more than the clock skew ago",
        reason: Reason::Expired,
        change: |token| token.now = NOW + 60.0 + 30.0,
    },
    Case {
        line: "`nbf` in the future",
        reason: Reason::NotYetValid,
        change: |token| token.claim("nbf", json!(NOW as u64 + 31)),
    },
    Case {
        line: "`role` that is not allowed, `service_role` say",
        reason: Reason::RoleNotAllowed,
        change: |token| token.claim("role", json!("service_role")),
    },
    Case {
        line: "an opaque OAuth access token (`oat_…`)",
        reason: Reason::Malformed,
        change: |token| token.text = Some("oat_0ef5a7a33d87ed87ee7954c845d80450".to_owned()),
    },
];

/// A registration and a token of this domain.
fn of_domain(argument: &'static str, iss: &'static str) -> Option<Reason> {
    clerk().verdict(|token| {
        token.argument("domain", json!(argument));
        token.claim("iss", json!(iss));
    })
}

fn wrong(change: impl FnOnce(&mut Draft)) -> String {
    clerk().wrong_argument(change)
}

#[test]
fn clerk_tokens_are_refused_for_the_reasons_of_the_page() {
    clerk().holds(&CASES);
}

#[test]
fn session_tokens_count_for_requests() {
    assert_eq!(
        clerk().verdict(|token| token.purpose = Purpose::Request),
        None
    );
}

#[test]
fn production_and_development_domains_are_taken_as_the_dashboard_shows_them() {
    let production = "https://clerk.example.com";
    assert_eq!(of_domain("clerk.example.com", production), None);
    assert_eq!(of_domain("https://clerk.example.com", production), None);
    assert_eq!(of_domain("https://clerk.example.com/", production), None);
    let development = "https://happy-otter-1.clerk.accounts.dev";
    assert_eq!(
        of_domain("happy-otter-1.clerk.accounts.dev", development),
        None
    );
    assert_eq!(of_domain("localhost:8443", "https://localhost:8443"), None);
    let http = of_domain("clerk.example.com", "http://clerk.example.com");
    assert_eq!(http, Some(Reason::UnknownIssuer));
}

#[test]
fn an_unknown_or_missing_category_is_no_reason_to_refuse() {
    for category in [json!("cl_I7d4PD111III"), json!("cl_new"), Value::Null] {
        let verdict = clerk().verdict(|token| token.head("cat", category.clone()));
        assert_eq!(verdict, None, "{category}");
    }
}

#[test]
fn a_session_without_a_state_and_an_active_one_are_complete() {
    assert_eq!(clerk().verdict(|token| token.without("sts")), None);
    assert_eq!(
        clerk().verdict(|token| token.claim("sts", json!("active"))),
        None
    );
}

#[test]
fn a_machine_token_with_a_session_id_and_a_users_token_without_one_are_refused() {
    for sub in [
        "mch_2abc",
        "client_2abc",
        "User_2abc",
        " user_2abc",
        "xuser_2abc",
    ] {
        let verdict = clerk().verdict(|token| token.claim("sub", json!(sub)));
        assert_eq!(verdict, Some(Reason::InvalidClaim), "{sub}");
    }
    for sid in [json!(1), json!(["sess_2abc"]), Value::Null, json!(true)] {
        let verdict = clerk().verdict(|token| token.claim("sid", sid.clone()));
        assert_eq!(verdict, Some(Reason::InvalidClaim), "{sid}");
    }
    let nobody = clerk().verdict(|token| token.without("sub"));
    assert_eq!(nobody, Some(Reason::MissingClaim));
}

#[test]
fn the_origin_is_compared_byte_for_byte_where_parties_are_registered() {
    let of_party = |azp: Value| {
        clerk().verdict(|token| {
            token.argument(
                "authorized_parties",
                json!(["https://example.com", "https://app.example.com"]),
            );
            token.claim("azp", azp);
        })
    };
    let mismatch = Some(Reason::AuthorizedPartyMismatch);
    assert_eq!(of_party(json!("https://example.com")), None);
    assert_eq!(of_party(json!("https://app.example.com")), None);
    assert_eq!(of_party(json!("https://example.com/")), mismatch);
    assert_eq!(of_party(json!("HTTPS://example.com")), mismatch);
    assert_eq!(of_party(json!(["https://example.com"])), mismatch);
    assert_eq!(of_party(json!("")), mismatch);
    // The name of the party stands in azp alone.
    let elsewhere = clerk().verdict(|token| {
        token.argument("authorized_parties", json!(["https://example.com"]));
        token.without("azp");
        token.claim("client_id", json!("https://example.com"));
    });
    assert_eq!(elsewhere, mismatch);
}

#[test]
fn any_origin_counts_where_no_parties_are_registered() {
    let other = clerk().verdict(|token| token.claim("azp", json!("https://other.example")));
    assert_eq!(other, None);
    assert_eq!(clerk().verdict(|token| token.without("azp")), None);
}

#[test]
fn an_audience_is_checked_only_where_one_is_registered() {
    let any = clerk().verdict(|token| token.claim("aud", json!("whoever")));
    assert_eq!(any, None);
    let own = clerk().verdict(|token| {
        token.argument("audiences", json!(["api"]));
        token.claim("aud", json!(["other", "api"]));
    });
    assert_eq!(own, None);
}

#[test]
fn a_token_is_valid_for_its_minute_and_the_clock_skew() {
    let at = |seconds: f64, skew: &'static str| {
        clerk().verdict(|token| {
            token.now = NOW + seconds;
            token.argument("clock_skew", json!(skew));
        })
    };
    assert_eq!(at(89.9, "30 s"), None);
    assert_eq!(at(90.0, "30 s"), Some(Reason::Expired));
    assert_eq!(at(64.9, "5 s"), None);
    assert_eq!(at(65.0, "5 s"), Some(Reason::Expired));
    assert_eq!(at(60.0, "0 s"), Some(Reason::Expired));
    // iat comes before nbf, which Clerk sets 10 s back.
    assert_eq!(at(-30.0, "30 s"), None);
    assert_eq!(at(-30.1, "30 s"), Some(Reason::IssuedInFuture));
    assert_eq!(at(-40.1, "30 s"), Some(Reason::NotYetValid));
}

#[test]
fn other_rsa_algorithms_are_accepted_when_they_are_listed() {
    for alg in ["RS384", "RS512"] {
        let verdict = clerk().verdict(|token| {
            token.head("alg", json!(alg));
            token.argument("algorithms", json!(["RS256", "RS384", "RS512"]));
        });
        assert_eq!(verdict, None, "{alg}");
    }
}

#[test]
fn a_domain_that_cannot_stand_in_an_issuer_is_refused() {
    for domain in [
        json!(""),
        json!("http://clerk.example.com"),
        json!("https://"),
        json!("https://https://clerk.example.com"),
        json!("clerk.example.com//"),
        json!("clerk.example.com/v1"),
        json!("clerk.example.com?x"),
        json!("Clerk.example.com"),
        json!(" clerk.example.com"),
        json!("clerk.example.com."),
        json!("clerk..example.com"),
        json!("-clerk.example.com"),
        json!("clerk_1.example.com"),
        json!("user@clerk.example.com"),
        json!("clerk.example.com:"),
        json!("clerk.example.com:70000"),
        json!("clerk.example.com\n"),
        json!(["clerk.example.com"]),
        json!(null),
    ] {
        let argument = wrong(|token| token.argument("domain", domain.clone()));
        assert_eq!(argument, "domain", "{domain}");
    }
    assert_eq!(
        wrong(|token| token.argument("tenant", json!("x"))),
        "tenant"
    );
    let secret = wrong(|token| token.argument("jwt_secret", json!("x".repeat(40))));
    assert_eq!(secret, "jwt_secret");
    let role = wrong(|token| token.argument("allowed_roles", json!(["service_role"])));
    assert_eq!(role, "allowed_roles");
}

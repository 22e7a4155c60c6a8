//! Sign in with Apple by its exact rules.

use crate::mint::KeyPair;
use crate::trial::{Case, Draft, KEY, KID, Kind};
use pg_third_party_auth::provider::{Issuer, KeyAddress, KeySource};
use pg_third_party_auth::verify::{Purpose, Reason};
use serde_json::{Value, json};

/// The nonce whose digest the page's example has.
const NONCE: &str = "raw-nonce-of-this-sign-in";
const DIGEST: &str = "78267eca75c497a6aa6df71e5f7ffff07ccdb3fbc037d3b8806c930de48f67aa";

fn apple() -> Kind {
    Kind {
        name: "apple",
        arguments: json!({"client_ids": ["com.example.app", "com.example.web"]}),
        // Apple's tokens have no `typ`.
        header: json!({}),
    }
}

const CASES: [Case; 14] = [
    Case {
        line: "`iss` `https://account.apple.com`, which Apple's discovery document names",
        reason: Reason::UnknownIssuer,
        change: |token| token.claim("iss", json!("https://account.apple.com")),
    },
    Case {
        line: "`iss` with a slash at its end",
        reason: Reason::UnknownIssuer,
        change: |token| token.claim("iss", json!("https://appleid.apple.com/")),
    },
    Case {
        line: "no `aud`",
        reason: Reason::MissingClaim,
        change: |token| token.without("aud"),
    },
    Case {
        line: "a token for another team's app",
        reason: Reason::AudienceMismatch,
        change: |token| token.claim("aud", json!("org.example.other")),
    },
    Case {
        line: "`aud` in other letters, `com.example.App`",
        reason: Reason::AudienceMismatch,
        change: |token| token.claim("aud", json!("com.example.App")),
    },
    Case {
        line: "another nonce than the one that is passed",
        reason: Reason::NonceMismatch,
        change: |token| token.nonce = Some("raw-nonce-of-another-sign-in"),
    },
    Case {
        line: "no nonce in the token, although one is passed",
        reason: Reason::NonceMismatch,
        change: |token| {
            token.without("nonce");
            token.nonce = Some(NONCE);
        },
    },
    Case {
        line: "the nonce's digest in capitals",
        reason: Reason::NonceMismatch,
        change: |token| {
            token.claim("nonce", json!(DIGEST.to_uppercase()));
            token.nonce = Some(NONCE);
        },
    },
    Case {
        line: "no `sub`",
        reason: Reason::MissingClaim,
        change: |token| token.without("sub"),
    },
    Case {
        line: "a key that Apple has withdrawn",
        reason: Reason::UnknownKey,
        change: |token| token.head("kid", json!("86D88Kf")),
    },
    Case {
        line: "a signature of another key under the id of one of Apple's",
        reason: Reason::BadSignature,
        change: |token| token.is_forged = true,
    },
    Case {
        line: "ES256 (Apple's page speaks of `E256`, its tokens are RS256)",
        reason: Reason::AlgorithmNotAllowed,
        change: |token| {
            token.head("alg", json!("ES256"));
            token.head("kid", json!("key-2"));
        },
    },
    Case {
        line: "a token of yesterday",
        reason: Reason::Expired,
        change: |token| token.now += 86_430.0,
    },
    Case {
        line: "the token of a request, unless `for_requests => true`",
        reason: Reason::NotForRequests,
        change: |token| token.purpose = Purpose::Request,
    },
];

#[test]
fn apple_tokens_are_refused_for_the_reasons_of_the_page() {
    apple().holds(&CASES);
}

#[test]
fn neither_issuer_nor_keys_come_from_apples_discovery_document() {
    let provider = apple().provider(|_| {});
    let issuers: Vec<_> = provider.issuers.iter().map(Issuer::as_str).collect();
    assert_eq!(issuers, ["https://appleid.apple.com"]);
    let KeySource::Fetched(KeyAddress::Direct { jwks_uri }) = &provider.keys else {
        panic!("not fetched from a fixed address");
    };
    assert_eq!(jwks_uri, "https://appleid.apple.com/auth/keys");
}

#[test]
fn a_nonce_is_accepted_as_it_is_and_as_its_digest() {
    for nonce in [NONCE, DIGEST] {
        let verdict = apple().verdict(|token| {
            token.claim("nonce", json!(nonce));
            token.nonce = Some(NONCE);
        });
        assert_eq!(verdict, None, "{nonce}");
    }
}

#[test]
fn a_nonce_that_is_not_asked_for_is_not_looked_at() {
    for nonce in [json!(null), json!(""), json!(1), json!("any")] {
        let verdict = apple().verdict(|token| token.claim("nonce", nonce.clone()));
        assert_eq!(verdict, None, "{nonce}");
    }
    assert_eq!(apple().verdict(|token| token.without("nonce")), None);
}

#[test]
fn only_the_whole_nonce_of_the_right_type_is_the_nonce() {
    let asked = |expected: &'static str, found: Value| {
        apple().verdict(|token| {
            token.claim("nonce", found);
            token.nonce = Some(expected);
        })
    };
    let mismatch = Some(Reason::NonceMismatch);
    for found in [
        json!(null),
        json!(""),
        json!([NONCE]),
        json!({"nonce": NONCE}),
        json!(true),
        json!(&NONCE[1..]),
        json!(&DIGEST[..32]),
        json!(format!(" {NONCE}")),
    ] {
        assert_eq!(asked(NONCE, found.clone()), mismatch, "{found}");
    }
    // An empty nonce is a nonce that was asked for.
    assert_eq!(asked("", json!("")), mismatch);
    assert_eq!(asked("", json!(null)), mismatch);
    assert_eq!(apple().verdict(|token| token.nonce = Some("")), mismatch);
}

#[test]
fn bundle_ids_and_services_ids_count_side_by_side() {
    for (client_ids, aud) in [
        (
            json!(["com.example.app", "com.example.web"]),
            json!("com.example.app"),
        ),
        (
            json!(["com.example.app", "com.example.web"]),
            json!("com.example.web"),
        ),
        (
            json!(["com.example.app", "host.exp.Exponent"]),
            json!("host.exp.Exponent"),
        ),
        (json!(["com.example.app"]), json!(["com.example.app"])),
    ] {
        let verdict = apple().verdict(|token| {
            token.argument("client_ids", client_ids.clone());
            token.claim("aud", aud.clone());
        });
        assert_eq!(verdict, None, "{client_ids} {aud}");
    }
    let under_expo = apple().verdict(|token| token.claim("aud", json!("host.exp.Exponent")));
    assert_eq!(under_expo, Some(Reason::AudienceMismatch));
}

#[test]
fn one_of_several_keys_signs_and_one_may_vanish() {
    let others: Vec<_> = ["Kf3a", "Kf3b"]
        .into_iter()
        .map(|kid| KeyPair::rsa().jwk(kid, Some("RS256")))
        .collect();
    for place in 0..=others.len() {
        let mut jwks = others.clone();
        jwks.insert(place, KEY.jwk(KID, Some("RS256")));
        let verdict = apple().verdict(|token| token.jwks = jwks.clone());
        assert_eq!(verdict, None, "{place}");
    }
    let vanished = apple().verdict(|token| token.jwks = others.clone());
    assert_eq!(vanished, Some(Reason::UnknownKey));
}

#[test]
fn a_token_counts_for_requests_when_the_registration_says_so() {
    let in_request = |token: &mut Draft| {
        token.argument("for_requests", json!(true));
        token.purpose = Purpose::Request;
    };
    assert_eq!(apple().verdict(in_request), None);
    let explicit = apple().verdict(|token| token.argument("for_requests", json!(true)));
    assert_eq!(explicit, None);
}

#[test]
fn a_token_has_no_role_but_the_default_one() {
    assert_eq!(apple().accepted(|_| {}).role(), None);
    let default = |token: &mut Draft| token.argument("default_role", json!("authenticated"));
    assert_eq!(apple().accepted(default).role(), Some("authenticated"));
    let argument = apple().wrong_argument(|token| {
        token.argument("default_role", json!("service_role"));
        token.argument("allowed_roles", json!(["service_role"]));
    });
    assert_eq!(argument, "allowed_roles");
}

#[test]
fn ten_minutes_and_a_day_are_both_honoured() {
    for lifetime in [600.0, 86_400.0] {
        let after = |seconds: f64| {
            apple().verdict(|token| {
                token.claim("exp", json!(1_717_000_300.0 + lifetime));
                token.now += lifetime + seconds;
            })
        };
        assert_eq!(after(29.0), None, "{lifetime}");
        assert_eq!(after(30.0), Some(Reason::Expired), "{lifetime}");
    }
}

#[test]
fn wrong_arguments_are_named() {
    for (argument, value, at_fault) in [
        ("client_ids", json!(null), "audiences"),
        ("client_ids", json!([]), "audiences"),
        ("client_ids", json!([""]), "client_ids"),
        ("client_ids", json!([null]), "client_ids"),
        ("client_ids", json!(["com.example.app\n"]), "client_ids"),
        ("client_ids", json!("com.example.app"), "client_ids"),
        ("client_id", json!("com.example.app"), "client_id"),
        ("any_audience", json!(true), "any_audience"),
        ("skip_nonce_check", json!(true), "skip_nonce_check"),
    ] {
        let named = apple().wrong_argument(|token| token.argument(argument, value.clone()));
        assert_eq!(named, at_fault, "{argument} {value}");
    }
}

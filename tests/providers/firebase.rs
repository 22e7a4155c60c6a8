//! Firebase Authentication by its exact rules.

use crate::court::NOW;
use crate::mint::encode;
use crate::trial::{Case, Draft, Kind};
use pg_third_party_auth::verify::{Purpose, Reason};
use serde_json::{Value, json};

/// The audience of custom tokens.
const IDENTITY_TOOLKIT: &str =
    "https://identitytoolkit.googleapis.com/google.identity.identitytoolkit.v1.IdentityToolkit";

fn firebase() -> Kind {
    Kind {
        name: "firebase",
        arguments: json!({"project_id": "my-project"}),
        header: json!({"typ": "JWT"}),
    }
}

/// What the emulator issues, with a third part of its own.
fn emulator_token(signature: &str) -> String {
    let header = json!({"alg": "none", "typ": "JWT"}).to_string();
    let claims = json!({
        "iss": "https://securetoken.google.com/my-project", "aud": "my-project", "sub": "AbC123",
        "user_id": "AbC123", "auth_time": 1_717_000_000, "iat": 1_717_000_300,
        "exp": 1_717_003_900, "role": "authenticated",
    });
    let claims = claims.to_string();
    format!(
        "{}.{}.{signature}",
        encode(header.as_bytes()),
        encode(claims.as_bytes())
    )
}

const CASES: [Case; 26] = [
    Case {
        line: "a token of another project, signed by the same key",
        reason: Reason::UnknownIssuer,
        change: |token| {
            token.claim("iss", json!("https://securetoken.google.com/another"));
            token.claim("aud", json!("another"));
        },
    },
    Case {
        line: "a token of another project whose `aud` is this project",
        reason: Reason::UnknownIssuer,
        change: |token| token.claim("iss", json!("https://securetoken.google.com/another")),
    },
    Case {
        line: "a token for another project that says it is from this one",
        reason: Reason::AudienceMismatch,
        change: |token| token.claim("aud", json!("another")),
    },
    Case {
        line: "a token of the emulator (`alg` is `none`, no signature)",
        reason: Reason::Malformed,
        change: |token| token.text = Some(emulator_token("")),
    },
    Case {
        line: "… with some signature behind it",
        reason: Reason::AlgorithmNotAllowed,
        change: |token| token.text = Some(emulator_token("c2lnbmF0dXJl")),
    },
    Case {
        line: "a session cookie",
        reason: Reason::UnknownIssuer,
        change: |token| {
            token.claim(
                "iss",
                json!("https://session.firebase.google.com/my-project"),
            )
        },
    },
    Case {
        line: "a custom token of the Admin SDK, issued by a service account",
        reason: Reason::UnknownIssuer,
        change: |token| {
            let account = "firebase-adminsdk@my-project.iam.gserviceaccount.com";
            token.claim("iss", json!(account));
            token.claim("sub", json!(account));
            token.claim("aud", json!(IDENTITY_TOOLKIT));
            token.claim("uid", json!("AbC123"));
        },
    },
    Case {
        line: "a token for the service that custom tokens are for",
        reason: Reason::AudienceMismatch,
        change: |token| token.claim("aud", json!(IDENTITY_TOOLKIT)),
    },
    Case {
        line: "a token that Firebase sends to a blocking function",
        reason: Reason::AudienceMismatch,
        change: |token| {
            let function = "https://us-central1-my-project.cloudfunctions.net/beforesignedin";
            token.claim("aud", json!(function));
        },
    },
    Case {
        line: "`aud` in an array, even if it is the project id alone",
        reason: Reason::AudienceMismatch,
        change: |token| token.claim("aud", json!(["my-project"])),
    },
    Case {
        line: "no `aud`",
        reason: Reason::MissingClaim,
        change: |token| token.without("aud"),
    },
    Case {
        line: "no key id in the header",
        reason: Reason::UnknownKey,
        change: |token| token.head("kid", Value::Null),
    },
    Case {
        line: "a key id that Google does not publish",
        reason: Reason::UnknownKey,
        change: |token| token.head("kid", json!("1f88b814")),
    },
    Case {
        line: "somebody's own key under Google's key id",
        reason: Reason::BadSignature,
        change: |token| token.is_forged = true,
    },
    Case {
        line: "no `sub`",
        reason: Reason::MissingClaim,
        change: |token| token.without("sub"),
    },
    Case {
        line: "`sub` that is empty",
        reason: Reason::InvalidClaim,
        change: |token| token.claim("sub", json!("")),
    },
    Case {
        line: "`sub` of more than 128 characters",
        reason: Reason::InvalidClaim,
        change: |token| token.claim("sub", json!("s".repeat(129))),
    },
    Case {
        line: "no `auth_time`",
        reason: Reason::MissingClaim,
        change: |token| token.without("auth_time"),
    },
    Case {
        line: "`auth_time` in the future",
        reason: Reason::InvalidClaim,
        change: |token| token.claim("auth_time", json!(NOW as u64 + 31)),
    },
    Case {
        line: "no `iat`",
        reason: Reason::MissingClaim,
        change: |token| token.without("iat"),
    },
    Case {
        line: "`iat` in the future",
        reason: Reason::IssuedInFuture,
        change: |token| token.claim("iat", json!(NOW as u64 + 31)),
    },
    Case {
        line: "a token that expired more than the clock skew ago",
        reason: Reason::Expired,
        change: |token| token.now = NOW + 3600.0 + 30.0,
    },
    Case {
        line: "HS256",
        reason: Reason::AlgorithmNotAllowed,
        change: |token| {
            token.head("alg", json!("HS256"));
            token.secret = Some("a secret that somebody made up");
        },
    },
    Case {
        line: "RS512, unless `algorithms` lists it",
        reason: Reason::AlgorithmNotAllowed,
        change: |token| token.head("alg", json!("RS512")),
    },
    Case {
        line: "an access token of type `at+jwt`",
        reason: Reason::TokenTypeNotAllowed,
        change: |token| token.head("typ", json!("at+jwt")),
    },
    Case {
        line: "`role` that is not allowed, `service_role` say",
        reason: Reason::RoleNotAllowed,
        change: |token| token.claim("role", json!("service_role")),
    },
];

#[test]
fn firebase_tokens_are_refused_for_the_reasons_of_the_page() {
    firebase().holds(&CASES);
}

#[test]
fn id_tokens_count_for_requests() {
    let verdict = firebase().verdict(|token| token.purpose = Purpose::Request);
    assert_eq!(verdict, None);
}

#[test]
fn the_tokens_of_a_project_are_its_own_under_the_key_set_of_all_projects() {
    let of_project = |registered: &'static str, iss: &'static str, aud: &'static str| {
        firebase().verdict(|token| {
            token.argument("project_id", json!(registered));
            token.claim(
                "iss",
                json!(format!("https://securetoken.google.com/{iss}")),
            );
            token.claim("aud", json!(aud));
        })
    };
    assert_eq!(of_project("fir-1", "fir-1", "fir-1"), None);
    // Projects that belong to a domain have its name in their id.
    let scoped = "example.com:my-project";
    assert_eq!(of_project(scoped, scoped, scoped), None);
    let unknown = Some(Reason::UnknownIssuer);
    assert_eq!(of_project("fir-1", "fir-2", "fir-1"), unknown);
    assert_eq!(of_project("fir-1", "fir-1/", "fir-1"), unknown);
    assert_eq!(of_project("fir-1", "FIR-1", "fir-1"), unknown);
    assert_eq!(of_project("fir-1", "fir-1%2f", "fir-1"), unknown);
    let mismatch = Some(Reason::AudienceMismatch);
    assert_eq!(of_project("fir-1", "fir-1", "fir-2"), mismatch);
    assert_eq!(of_project("fir-1", "fir-1", "FIR-1"), mismatch);
    assert_eq!(of_project("fir-1", "fir-1", "fir-1 "), mismatch);
}

#[test]
fn another_issuer_of_the_registration_does_not_open_the_audience() {
    let verdict = |aud: &'static str| {
        firebase().verdict(|token| {
            let other = "https://securetoken.google.com/another";
            token.argument("issuers", json!([other]));
            token.claim("iss", json!(other));
            token.claim("aud", json!(aud));
        })
    };
    assert_eq!(verdict("another"), Some(Reason::AudienceMismatch));
}

#[test]
fn odd_audiences_are_refused() {
    for (aud, reason) in [
        (json!(null), Reason::InvalidClaim),
        (json!([]), Reason::InvalidClaim),
        (json!(""), Reason::InvalidClaim),
        (json!(["my-project", "another"]), Reason::AudienceMismatch),
        (json!(["another", "my-project"]), Reason::AudienceMismatch),
        (json!({"my-project": true}), Reason::InvalidClaim),
    ] {
        let verdict = firebase().verdict(|token| token.claim("aud", aud.clone()));
        assert_eq!(verdict, Some(reason), "{aud}");
    }
}

#[test]
fn a_subject_has_up_to_128_characters() {
    let of = |sub: String| firebase().verdict(|token| token.claim("sub", json!(sub)));
    assert_eq!(of("s".repeat(128)), None);
    assert_eq!(of("é".repeat(128)), None);
    assert_eq!(of("é".repeat(129)), Some(Reason::InvalidClaim));
    let number = firebase().verdict(|token| token.claim("sub", json!(12)));
    assert_eq!(number, Some(Reason::InvalidClaim));
}

#[test]
fn dates_in_the_past_are_judged_with_the_clock_skew() {
    let ahead = |claim: &'static str, seconds: u64, skew: &'static str| {
        firebase().verdict(|token| {
            token.claim(claim, json!(NOW as u64 + seconds));
            token.argument("clock_skew", json!(skew));
        })
    };
    assert_eq!(ahead("auth_time", 30, "30 s"), None);
    assert_eq!(ahead("iat", 30, "30 s"), None);
    assert_eq!(ahead("auth_time", 1, "0 s"), Some(Reason::InvalidClaim));
    assert_eq!(ahead("iat", 1, "0 s"), Some(Reason::IssuedInFuture));
    assert_eq!(ahead("auth_time", 300, "5 min"), None);
    for odd in [json!("1717000000"), json!(null), json!(true), json!(1.8e12)] {
        for claim in ["auth_time", "iat", "exp"] {
            let verdict = firebase().verdict(|token| token.claim(claim, odd.clone()));
            assert_eq!(verdict, Some(Reason::InvalidClaim), "{claim} {odd}");
        }
    }
}

#[test]
fn a_token_is_valid_for_its_hour_and_the_clock_skew() {
    let at = |seconds: f64| firebase().verdict(|token| token.now = NOW + seconds);
    assert_eq!(at(3629.9), None);
    assert_eq!(at(3630.0), Some(Reason::Expired));
}

#[test]
fn a_token_names_its_key_even_if_there_is_only_one() {
    let verdict = firebase().verdict(|token| {
        token.jwks.truncate(1);
        token.head("kid", Value::Null);
    });
    assert_eq!(verdict, Some(Reason::UnknownKey));
}

#[test]
fn a_token_without_a_role_claim_is_valid_and_has_none() {
    assert_eq!(firebase().verdict(|token| token.without("role")), None);
}

#[test]
fn what_is_no_project_id_is_refused() {
    for project in [
        json!(""),
        json!(null),
        json!("My-Project"),
        json!("my project"),
        json!("my-project/"),
        json!("https://securetoken.google.com/my-project"),
        json!(" my-project"),
        json!(["my-project"]),
        json!(123_456_789),
    ] {
        let change = |value: Value| move |token: &mut Draft| token.argument("project_id", value);
        let argument = firebase().wrong_argument(change(project.clone()));
        assert_eq!(argument, "project_id", "{project}");
    }
}

#[test]
fn the_audience_of_a_project_cannot_be_changed_or_left_unchecked() {
    let any = firebase().wrong_argument(|token| token.argument("any_audience", json!(true)));
    assert_eq!(any, "any_audience");
    let more = firebase().wrong_argument(|token| token.argument("audiences", json!(["another"])));
    assert_eq!(more, "audiences");
    let role =
        firebase().wrong_argument(|token| token.argument("allowed_roles", json!(["service_role"])));
    assert_eq!(role, "allowed_roles");
}

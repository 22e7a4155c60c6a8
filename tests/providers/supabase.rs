//! Supabase Auth by its exact rules. Its API keys, which are no user's tokens, are in `tests/api_keys.rs`.

use crate::court::NOW;
use crate::trial::{Case, Draft, Kind};
use pg_third_party_auth::verify::{Purpose, Reason};
use serde_json::{Value, json};

/// The registered issuer.
pub const ISSUER: &str = "https://abcdefghijklmnopqrst.supabase.co/auth/v1";
/// The issuer of the CLI.
pub const LOCAL: &str = "http://127.0.0.1:54321/auth/v1";
/// A secret of nobody else.
pub const SECRET: &str = "a secret of Supabase Auth, forty-two bytes";
/// What the CLI signs with unless it is told otherwise.
pub const PUBLISHED: &str = "super-secret-jwt-token-with-at-least-32-characters-long";
const APPLICATION: &str = "9a8b7c6d-5e4f-4a3b-8c2d-1e0f9a8b7c6d";

/// A registration as on the page.
pub fn supabase() -> Kind {
    Kind {
        name: "supabase",
        arguments: json!({ "jwt_issuer": ISSUER }),
        header: json!({"typ": "JWT"}),
    }
}

/// An ID token of the OAuth server.
fn id_token(token: &mut Draft) {
    token.claim("aud", json!(APPLICATION));
    token.claim("auth_time", json!(NOW as u64 - 100));
    token.claim("nonce", json!("n"));
    token.without("session_id");
    token.without("role");
}

const CASES: [Case; 22] = [
    Case {
        line: "a token of another project",
        reason: Reason::UnknownIssuer,
        change: |token| token.claim("iss", json!("https://another.supabase.co/auth/v1")),
    },
    Case {
        line: "`iss` with a trailing slash that `jwt_issuer` has not",
        reason: Reason::UnknownIssuer,
        change: |token| token.claim("iss", json!(format!("{ISSUER}/"))),
    },
    Case {
        line: "an API key as a user's token",
        reason: Reason::UnknownIssuer,
        change: |token| {
            token.claim("iss", json!("supabase"));
            token.claim("role", json!("anon"));
            token.without("sub");
            token.without("aud");
        },
    },
    Case {
        line: "an ID token of Supabase's OAuth server: its `aud` is an application",
        reason: Reason::AudienceMismatch,
        change: id_token,
    },
    Case {
        line: "… where that application is registered as an audience: it has no `session_id`",
        reason: Reason::MissingClaim,
        change: |token| {
            id_token(token);
            token.argument("audiences", json!(["authenticated", APPLICATION]));
        },
    },
    Case {
        line: "`session_id` that is empty or not a text",
        reason: Reason::InvalidClaim,
        change: |token| token.claim("session_id", json!("")),
    },
    Case {
        line: "no `aud`",
        reason: Reason::MissingClaim,
        change: |token| token.without("aud"),
    },
    Case {
        line: "HS256, where no `jwt_secret` is registered",
        reason: Reason::AlgorithmNotAllowed,
        change: |token| {
            token.head("alg", json!("HS256"));
            token.secret = Some(SECRET);
        },
    },
    Case {
        line: "HS256 by another secret than `jwt_secret`",
        reason: Reason::BadSignature,
        change: |token| {
            token.argument("jwt_secret", json!(SECRET));
            token.head("alg", json!("HS256"));
            token.secret = Some(PUBLISHED);
        },
    },
    Case {
        line: "HS512 by the very `jwt_secret`",
        reason: Reason::AlgorithmNotAllowed,
        change: |token| {
            token.argument("jwt_secret", json!(SECRET));
            token.head("alg", json!("HS512"));
            token.secret = Some(SECRET);
        },
    },
    Case {
        line: "RS512, unless `algorithms` lists it",
        reason: Reason::AlgorithmNotAllowed,
        change: |token| token.head("alg", json!("RS512")),
    },
    Case {
        line: "ES512, which is not supported",
        reason: Reason::AlgorithmNotAllowed,
        change: |token| token.head("alg", json!("ES512")),
    },
    Case {
        line: "`alg` is `none`, without a signature",
        reason: Reason::Malformed,
        change: |token| token.head("alg", json!("none")),
    },
    Case {
        line: "a key id that the project does not publish (a revoked signing key)",
        reason: Reason::UnknownKey,
        change: |token| token.head("kid", json!("0d3b8f5e-1c56-4e0e-9d34-6a2f0a9d1f10")),
    },
    Case {
        line: "another project's key under this project's key id",
        reason: Reason::BadSignature,
        change: |token| token.is_forged = true,
    },
    Case {
        line: "a token of type `at+jwt`",
        reason: Reason::TokenTypeNotAllowed,
        change: |token| token.head("typ", json!("at+jwt")),
    },
    Case {
        line: "the token of an application that is not among `authorized_parties`, where they are given",
        reason: Reason::AuthorizedPartyMismatch,
        change: |token| {
            token.argument("authorized_parties", json!([APPLICATION]));
            token.claim("client_id", json!("another"));
        },
    },
    Case {
        line: "a user's own session, where `authorized_parties` is given: it has no `client_id`",
        reason: Reason::AuthorizedPartyMismatch,
        change: |token| token.argument("authorized_parties", json!([APPLICATION])),
    },
    Case {
        line: "no `sub`",
        reason: Reason::MissingClaim,
        change: |token| token.without("sub"),
    },
    Case {
        line: "no `iat`",
        reason: Reason::MissingClaim,
        change: |token| token.without("iat"),
    },
    Case {
        line: "a token that expired more than the clock skew ago",
        reason: Reason::Expired,
        change: |token| token.now = NOW + 3600.0 + 30.0,
    },
    Case {
        line: "`role` that is not allowed, `postgres` say",
        reason: Reason::RoleNotAllowed,
        change: |token| token.claim("role", json!("postgres")),
    },
];

#[test]
fn supabase_tokens_are_refused_for_the_reasons_of_the_page() {
    supabase().holds(&CASES);
}

#[test]
fn session_tokens_count_for_requests() {
    let verdict = supabase().verdict(|token| token.purpose = Purpose::Request);
    assert_eq!(verdict, None);
}

#[test]
fn the_issuer_is_what_auth_says_hosted_local_or_self_hosted() {
    let of = |registered: &'static str, iss: &'static str| {
        supabase().verdict(|token| {
            token.argument("jwt_issuer", json!(registered));
            token.claim("iss", json!(iss));
        })
    };
    for issuer in [
        ISSUER,
        LOCAL,
        "http://localhost:8000/auth/v1",
        "https://api.example.com/auth/v1",
        "https://auth.example.com",
        "https://auth.example.com/",
    ] {
        assert_eq!(of(issuer, issuer), None, "{issuer}");
    }
    let unknown = Some(Reason::UnknownIssuer);
    assert_eq!(
        of("https://auth.example.com", "https://auth.example.com/"),
        unknown
    );
    assert_eq!(
        of("https://auth.example.com/", "https://auth.example.com"),
        unknown
    );
    assert_eq!(of(LOCAL, "http://localhost:54321/auth/v1"), unknown);
}

#[test]
fn every_asymmetric_algorithm_of_hosted_projects_is_accepted() {
    let es256 = supabase().verdict(|token| {
        token.head("alg", json!("ES256"));
        token.head("kid", json!("key-2"));
    });
    assert_eq!(es256, None);
    assert_eq!(supabase().verdict(|_| ()), None);
    let rs512 = supabase().verdict(|token| {
        token.head("alg", json!("RS512"));
        token.argument("algorithms", json!(["RS512"]));
    });
    assert_eq!(rs512, None);
}

#[test]
fn hs256_is_accepted_with_the_secret_whether_or_not_the_token_names_a_key() {
    for kid in [Value::Null, json!("a legacy key"), json!("key-1")] {
        let verdict = supabase().verdict(|token| {
            token.argument("jwt_secret", json!(SECRET));
            token.head("alg", json!("HS256"));
            token.head("kid", kid.clone());
            token.secret = Some(SECRET);
        });
        assert_eq!(verdict, None, "{kid}");
    }
    let asymmetric = supabase().verdict(|token| token.argument("jwt_secret", json!(SECRET)));
    assert_eq!(asymmetric, None, "the secret stands beside the keys");
}

#[test]
fn a_token_by_the_secret_is_judged_by_every_other_rule() {
    let verdict = |change: fn(&mut Draft)| {
        supabase().verdict(|token| {
            token.argument("jwt_secret", json!(SECRET));
            token.head("alg", json!("HS256"));
            token.secret = Some(SECRET);
            change(token);
        })
    };
    assert_eq!(
        verdict(|token| token.now = NOW + 3630.0),
        Some(Reason::Expired)
    );
    assert_eq!(verdict(id_token), Some(Reason::AudienceMismatch));
    let without_session = verdict(|token| token.without("session_id"));
    assert_eq!(without_session, Some(Reason::MissingClaim));
    let role = verdict(|token| token.claim("role", json!("postgres")));
    assert_eq!(role, Some(Reason::RoleNotAllowed));
    let other = verdict(|token| token.claim("iss", json!("https://another.supabase.co/auth/v1")));
    // Without a provider there is no secret, and no HS256.
    assert_eq!(other, Some(Reason::AlgorithmNotAllowed));
}

#[test]
fn the_audience_is_authenticated_in_a_text_or_among_others() {
    let of = |aud: Value| supabase().verdict(|token| token.claim("aud", aud));
    assert_eq!(of(json!(["authenticated"])), None);
    assert_eq!(of(json!(["other", "authenticated"])), None);
    assert_eq!(of(json!("Authenticated")), Some(Reason::AudienceMismatch));
    assert_eq!(of(json!("")), Some(Reason::InvalidClaim));
    let own = supabase().verdict(|token| {
        token.argument("audiences", json!(["api"]));
        token.claim("aud", json!("api"));
    });
    assert_eq!(own, None);
}

#[test]
fn all_roles_of_supabase_are_allowed_unless_the_registration_says_otherwise() {
    for role in ["anon", "authenticated", "service_role"] {
        let verdict = supabase().verdict(|token| token.claim("role", json!(role)));
        assert_eq!(verdict, None, "{role}");
    }
    let fewer = supabase().verdict(|token| {
        token.argument("allowed_roles", json!(["authenticated"]));
        token.claim("role", json!("service_role"));
    });
    assert_eq!(fewer, Some(Reason::RoleNotAllowed));
}

#[test]
fn an_application_of_the_oauth_server_is_named_by_client_id() {
    let verdict = supabase().verdict(|token| {
        token.argument("authorized_parties", json!([APPLICATION]));
        token.claim("client_id", json!(APPLICATION));
    });
    assert_eq!(verdict, None);
    let in_azp = supabase().verdict(|token| {
        token.argument("authorized_parties", json!([APPLICATION]));
        token.claim("azp", json!(APPLICATION));
    });
    assert_eq!(in_azp, Some(Reason::AuthorizedPartyMismatch));
}

#[test]
fn odd_sessions_are_refused() {
    for odd in [json!(null), json!(1), json!(["s"]), json!({}), json!(false)] {
        let verdict = supabase().verdict(|token| token.claim("session_id", odd.clone()));
        assert_eq!(verdict, Some(Reason::InvalidClaim), "{odd}");
    }
}

#[test]
fn an_old_api_key_is_no_users_token_with_and_without_the_secret() {
    for secret in [json!(SECRET), Value::Null] {
        for (issuer, role) in [("supabase", "anon"), ("supabase-demo", "service_role")] {
            let verdict = supabase().verdict(|token| {
                token.argument("jwt_secret", secret.clone());
                token.head("alg", json!("HS256"));
                token.head("kid", Value::Null);
                token.secret = Some(SECRET);
                token.claims = json!({
                    "iss": issuer, "role": role, "iat": NOW as u64, "exp": NOW as u64 + 1000,
                });
            });
            assert_eq!(
                verdict,
                Some(Reason::UnknownIssuer),
                "{issuer} {role} {secret}"
            );
        }
    }
}

//! Any OpenID Connect issuer by the general rules.

use crate::court::NOW;
use crate::trial::{Case, Draft, Kind};
use pg_third_party_auth::verify::{Purpose, Reason};
use serde_json::{Value, json};

/// The registered issuer.
pub const ISSUER: &str = "https://id.example.com/realms/main";

/// A registration as on the page.
pub fn oidc() -> Kind {
    Kind {
        name: "oidc",
        arguments: json!({"issuer": ISSUER, "audiences": ["https://api.example.com"]}),
        header: json!({"typ": "at+jwt"}),
    }
}

const CASES: [Case; 28] = [
    Case {
        line: "`iss` with a slash more or less than registered",
        reason: Reason::UnknownIssuer,
        change: |token| token.claim("iss", json!(format!("{ISSUER}/"))),
    },
    Case {
        line: "`iss` of another realm",
        reason: Reason::UnknownIssuer,
        change: |token| token.claim("iss", json!("https://id.example.com/realms/other")),
    },
    Case {
        line: "`iss` that is an array",
        reason: Reason::InvalidClaim,
        change: |token| token.claim("iss", json!([ISSUER])),
    },
    Case {
        line: "no `iss`",
        reason: Reason::MissingClaim,
        change: |token| token.without("iss"),
    },
    Case {
        line: "no `aud`",
        reason: Reason::MissingClaim,
        change: |token| token.without("aud"),
    },
    Case {
        line: "`aud` of another API",
        reason: Reason::AudienceMismatch,
        change: |token| token.claim("aud", json!("https://other.example.com")),
    },
    Case {
        line: "an ID token for several audiences whose `azp` is another one of them",
        reason: Reason::AuthorizedPartyMismatch,
        change: |token| {
            token.claim("aud", json!(["https://api.example.com", "other"]));
            token.claim("azp", json!("other"));
        },
    },
    Case {
        line: "a token of a client that is not among `authorized_parties`, where they are given",
        reason: Reason::AuthorizedPartyMismatch,
        change: |token| token.argument("authorized_parties", json!(["mobile"])),
    },
    Case {
        line: "a logout token of type `logout+jwt`",
        reason: Reason::TokenTypeNotAllowed,
        change: |token| token.head("typ", json!("logout+jwt")),
    },
    Case {
        line: "a logout token without a type of its own (it has `events`)",
        reason: Reason::InvalidClaim,
        change: |token| {
            let event = "http://schemas.openid.net/event/backchannel-logout";
            token.head("typ", Value::Null);
            token.claim("events", json!({ event: {} }));
        },
    },
    Case {
        line: "a security event of type `secevent+jwt`",
        reason: Reason::TokenTypeNotAllowed,
        change: |token| token.head("typ", json!("secevent+jwt")),
    },
    Case {
        line: "a token inside the token (`cty` is `JWT`)",
        reason: Reason::TokenTypeNotAllowed,
        change: |token| token.head("cty", json!("JWT")),
    },
    Case {
        line: "an encrypted token (five parts)",
        reason: Reason::Malformed,
        change: |token| token.text = Some("e30.e30.e30.e30.e30".to_owned()),
    },
    Case {
        line: "an opaque access token",
        reason: Reason::Malformed,
        change: |token| token.text = Some("ya29.a0AfH6SMBx".to_owned()),
    },
    Case {
        line: "`alg` is `none`, without a signature",
        reason: Reason::Malformed,
        change: |token| token.head("alg", json!("none")),
    },
    Case {
        line: "HS256 by the client's secret",
        reason: Reason::AlgorithmNotAllowed,
        change: |token| {
            token.head("alg", json!("HS256"));
            token.secret = Some("the secret of the client, as long as it may be");
        },
    },
    Case {
        line: "PS256 by a key that is published for RS256",
        reason: Reason::AlgorithmNotAllowed,
        change: |token| {
            token.key_member("alg", json!("RS256"));
            token.head("alg", json!("PS256"));
        },
    },
    Case {
        line: "RS256 by the name of an elliptic curve key",
        reason: Reason::AlgorithmNotAllowed,
        change: |token| token.head("kid", json!("key-2")),
    },
    Case {
        line: "an algorithm that is not among `algorithms`, where they are given",
        reason: Reason::AlgorithmNotAllowed,
        change: |token| token.argument("algorithms", json!(["ES256"])),
    },
    Case {
        line: "a critical extension in the header (`crit`)",
        reason: Reason::CriticalHeader,
        change: |token| {
            token.head("crit", json!(["exp"]));
            token.head("exp", json!(NOW as u64 + 60));
        },
    },
    Case {
        line: "a key id that the provider does not publish",
        reason: Reason::UnknownKey,
        change: |token| token.head("kid", json!("key-3")),
    },
    Case {
        line: "somebody's own key, in the header or under a published id",
        reason: Reason::BadSignature,
        change: |token| token.is_forged = true,
    },
    Case {
        line: "no `sub`",
        reason: Reason::MissingClaim,
        change: |token| token.without("sub"),
    },
    Case {
        line: "no `exp`",
        reason: Reason::MissingClaim,
        change: |token| token.without("exp"),
    },
    Case {
        line: "`exp` that is a text",
        reason: Reason::InvalidClaim,
        change: |token| token.claim("exp", json!("1717003900")),
    },
    Case {
        line: "a token that expired more than the clock skew ago",
        reason: Reason::Expired,
        change: |token| token.now = NOW + 3600.0 + 30.0,
    },
    Case {
        line: "`nbf` in the future",
        reason: Reason::NotYetValid,
        change: |token| token.claim("nbf", json!(NOW as u64 + 31)),
    },
    Case {
        line: "`role` that is not allowed",
        reason: Reason::RoleNotAllowed,
        change: |token| token.claim("role", json!("admin")),
    },
];

#[test]
fn oidc_tokens_are_refused_for_the_reasons_of_the_page() {
    oidc().holds(&CASES);
}

#[test]
fn access_tokens_count_for_requests() {
    let verdict = oidc().verdict(|token| token.purpose = Purpose::Request);
    assert_eq!(verdict, None);
}

#[test]
fn the_issuer_is_compared_byte_for_byte() {
    let of = |registered: &'static str, iss: &'static str| {
        oidc().verdict(|token| {
            token.argument("issuer", json!(registered));
            token.claim("iss", json!(iss));
        })
    };
    for issuer in [
        "https://id.example.com",
        "https://id.example.com/",
        "https://id.example.com/a//b/?x=%7E",
        "https://ID.example.com:443/Realms/main",
    ] {
        assert_eq!(of(issuer, issuer), None, "{issuer}");
    }
    for (registered, iss) in [
        ("https://id.example.com", "https://id.example.com/"),
        ("https://id.example.com/", "https://id.example.com"),
        ("https://id.example.com", "https://ID.example.com"),
        ("https://id.example.com", "https://id.example.com:443"),
        ("https://id.example.com", "http://id.example.com"),
        ("https://id.example.com/a", "https://id.example.com/b/../a"),
        ("https://id.example.com/~a", "https://id.example.com/%7Ea"),
        (
            "https://id.example.com",
            "https://id.example.com.evil.example",
        ),
        ("https://id.example.com", "https://id.example.com\u{200b}"),
        (
            "https://id.example.com/{tenantid}",
            "https://id.example.com/72f988bf-86f1-41af-91ab-2d7cd011db47",
        ),
    ] {
        assert_eq!(
            of(registered, iss),
            Some(Reason::UnknownIssuer),
            "{registered} {iss}"
        );
    }
}

#[test]
fn further_issuers_count_beside_the_first_one() {
    let verdict = |iss: &'static str| {
        oidc().verdict(|token| {
            token.argument("issuers", json!(["accounts.google.com"]));
            token.claim("iss", json!(iss));
        })
    };
    assert_eq!(verdict("accounts.google.com"), None);
    assert_eq!(verdict(ISSUER), None);
    let https = verdict("https://accounts.google.com");
    assert_eq!(https, Some(Reason::UnknownIssuer));
}

#[test]
fn access_tokens_id_tokens_and_tokens_without_a_type_are_accepted() {
    for typ in ["at+jwt", "AT+JWT", "application/at+jwt", "JWT", "jwt"] {
        let verdict = oidc().verdict(|token| token.head("typ", json!(typ)));
        assert_eq!(verdict, None, "{typ}");
    }
    assert_eq!(oidc().verdict(|token| token.head("typ", Value::Null)), None);
    for typ in [
        "JOSE",
        "JWT+x",
        "",
        "dpop+jwt",
        "application/logout+jwt",
        "at+jwt ",
    ] {
        let verdict = oidc().verdict(|token| token.head("typ", json!(typ)));
        assert_eq!(verdict, Some(Reason::TokenTypeNotAllowed), "{typ}");
    }
    for cty in ["jwt", "application/JWT"] {
        let verdict = oidc().verdict(|token| token.head("cty", json!(cty)));
        assert_eq!(verdict, Some(Reason::TokenTypeNotAllowed), "{cty}");
    }
}

#[test]
fn the_key_limits_the_algorithm() {
    let verdict = |alg: &'static str, kid: &'static str, of_key: Option<&'static str>| {
        oidc().verdict(|token| {
            token.head("alg", json!(alg));
            token.head("kid", json!(kid));
            if let Some(alg) = of_key {
                token.key_member("alg", json!(alg));
            }
        })
    };
    let unfit = Some(Reason::AlgorithmNotAllowed);
    for alg in ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"] {
        assert_eq!(verdict(alg, "key-1", None), None, "{alg}");
        assert_eq!(verdict(alg, "key-1", Some(alg)), None, "{alg}");
        let other = if alg == "RS256" { "PS256" } else { "RS256" };
        assert_eq!(verdict(alg, "key-1", Some(other)), unfit, "{alg}");
    }
    assert_eq!(verdict("ES256", "key-2", None), None);
    assert_eq!(verdict("ES384", "key-2", None), unfit);
    assert_eq!(verdict("EdDSA", "key-2", None), unfit);
    assert_eq!(verdict("ES256", "key-1", None), unfit);
    for alg in ["ES512", "ES256K", "rs256", "RSA-OAEP", "dir", ""] {
        assert_eq!(verdict(alg, "key-1", None), unfit, "{alg}");
    }
}

#[test]
fn a_token_that_names_no_key_is_tried_with_those_that_fit() {
    assert_eq!(oidc().verdict(|token| token.head("kid", Value::Null)), None);
    let forged = oidc().verdict(|token| {
        token.head("kid", Value::Null);
        token.is_forged = true;
    });
    assert_eq!(forged, Some(Reason::BadSignature));
    let none_fits = oidc().verdict(|token| {
        token.head("kid", Value::Null);
        token.jwks.remove(0);
    });
    assert_eq!(none_fits, Some(Reason::UnknownKey));
}

#[test]
fn keys_that_a_token_brings_along_are_not_looked_at() {
    for member in ["jwk", "jku", "x5u", "x5c", "x5t"] {
        for value in [
            json!("https://evil.example/keys"),
            json!({"kty": "RSA"}),
            json!([1]),
        ] {
            let honest = oidc().verdict(|token| token.head(member, value.clone()));
            assert_eq!(honest, None, "{member}");
            let forged = oidc().verdict(|token| {
                token.head(member, value.clone());
                token.is_forged = true;
            });
            assert_eq!(forged, Some(Reason::BadSignature), "{member}");
        }
    }
}

#[test]
fn any_of_several_audiences_is_enough() {
    let verdict = |aud: Value| oidc().verdict(|token| token.claim("aud", aud));
    assert_eq!(verdict(json!(["x", "https://api.example.com"])), None);
    let mismatch = Some(Reason::AudienceMismatch);
    assert_eq!(verdict(json!("https://api.example.com/")), mismatch);
    assert_eq!(verdict(json!("https://API.example.com")), mismatch);
    assert_eq!(verdict(json!([])), Some(Reason::InvalidClaim));
    assert_eq!(
        verdict(json!(["https://api.example.com", 1])),
        Some(Reason::InvalidClaim)
    );
    let any = oidc().verdict(|token| {
        token.argument("audiences", json!([]));
        token.argument("any_audience", json!(true));
        token.without("aud");
    });
    assert_eq!(any, None);
}

#[test]
fn the_party_stands_in_azp_or_else_in_client_id() {
    let verdict = |change: fn(&mut Draft)| {
        oidc().verdict(|token| {
            token.argument("authorized_parties", json!(["web"]));
            change(token);
        })
    };
    assert_eq!(verdict(|_| ()), None);
    let azp = verdict(|token| {
        token.without("client_id");
        token.claim("azp", json!("web"));
    });
    assert_eq!(azp, None);
    let mismatch = Some(Reason::AuthorizedPartyMismatch);
    assert_eq!(
        verdict(|token| token.claim("azp", json!("mobile"))),
        mismatch
    );
    assert_eq!(verdict(|token| token.claim("azp", json!(null))), mismatch);
    assert_eq!(verdict(|token| token.without("client_id")), mismatch);
}

#[test]
fn the_role_is_read_from_where_the_registration_says() {
    let verdict = oidc().verdict(|token| {
        token.argument("role_claim", json!("https://example.com/role"));
        token.claim("https://example.com/role", json!("service_role"));
    });
    assert_eq!(verdict, Some(Reason::RoleNotAllowed));
    let elsewhere = oidc().verdict(|token| {
        token.argument("role_claim", json!("https://example.com/role"));
        token.claim("role", json!("admin"));
    });
    assert_eq!(elsewhere, None);
}

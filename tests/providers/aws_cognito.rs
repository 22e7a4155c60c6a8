//! Amazon Cognito user pools by their exact rules.

use crate::mint::KeyPair;
use crate::page::Page;
use crate::trial::{Case, Draft, KEY, KID, Kind};
use pg_third_party_auth::provider::{Issuer, KeyAddress, KeySource};
use pg_third_party_auth::verify::Reason;
use serde_json::{Value, json};

const POOL: &str = "us-east-1_AbCdEfGhI";
const CLIENT: &str = "6i0o6sexample";

fn cognito() -> Kind {
    Kind {
        name: "aws_cognito",
        arguments: json!({"user_pool_id": POOL, "user_pool_region": "us-east-1",
                          "client_ids": [CLIENT]}),
        // Neither sort of token has a `typ`.
        header: json!({}),
    }
}

/// The page's ID token.
fn id_token(token: &mut Draft) {
    token.claims = Page::read("aws_cognito").examples().remove(1);
}

const CASES: [Case; 19] = [
    Case {
        line: "`iss` of another pool",
        reason: Reason::UnknownIssuer,
        change: |token| {
            let other = "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_OtherPool";
            token.claim("iss", json!(other));
        },
    },
    Case {
        line: "`iss` with another region before the same pool",
        reason: Reason::UnknownIssuer,
        change: |token| {
            let other = format!("https://issuer-cognito-idp.us-west-2.amazonaws.com/{POOL}");
            token.claim("iss", json!(other));
        },
    },
    Case {
        line: "`iss` with a slash at its end",
        reason: Reason::UnknownIssuer,
        change: |token| {
            let slash = format!("https://cognito-idp.us-east-1.amazonaws.com/{POOL}/");
            token.claim("iss", json!(slash));
        },
    },
    Case {
        line: "`iss` of the pool under China's domain",
        reason: Reason::UnknownIssuer,
        change: |token| {
            let china = format!("https://cognito-idp.us-east-1.amazonaws.com.cn/{POOL}");
            token.claim("iss", json!(china));
        },
    },
    Case {
        line: "a token of an identity pool (`https://cognito-identity.amazonaws.com`, RS512)",
        reason: Reason::UnknownIssuer,
        change: |token| {
            token.head("alg", json!("RS512"));
            token.head("kid", json!("us-east-15"));
            token.claim("iss", json!("https://cognito-identity.amazonaws.com"));
            token.claim(
                "aud",
                json!("us-east-1:2dd9e4c6-4f9b-4c6f-8d7e-9a1f3b5c7d90"),
            );
        },
    },
    Case {
        line: "RS512 with the pool's own `iss`",
        reason: Reason::AlgorithmNotAllowed,
        change: |token| token.head("alg", json!("RS512")),
    },
    Case {
        line: "no `token_use`",
        reason: Reason::MissingClaim,
        change: |token| token.without("token_use"),
    },
    Case {
        line: "`token_use` that is neither `access` nor `id`",
        reason: Reason::InvalidClaim,
        change: |token| token.claim("token_use", json!("refresh")),
    },
    Case {
        line: "`token_use` in capitals",
        reason: Reason::InvalidClaim,
        change: |token| token.claim("token_use", json!("ACCESS")),
    },
    Case {
        line: "an access token where `token_use => 'id'` is registered",
        reason: Reason::InvalidClaim,
        change: |token| token.argument("token_use", json!("id")),
    },
    Case {
        line: "an ID token where `token_use => 'access'` is registered",
        reason: Reason::InvalidClaim,
        change: |token| {
            id_token(token);
            token.argument("token_use", json!("access"));
        },
    },
    Case {
        line: "an access token of another app client",
        reason: Reason::AudienceMismatch,
        change: |token| {
            token.claim("client_id", json!("another_client"));
            token.claim("aud", json!(CLIENT));
        },
    },
    Case {
        line: "an access token without `client_id`, whatever its `aud` says",
        reason: Reason::MissingClaim,
        change: |token| {
            token.without("client_id");
            token.claim("aud", json!(CLIENT));
        },
    },
    Case {
        line: "an ID token for another app client",
        reason: Reason::AudienceMismatch,
        change: |token| {
            id_token(token);
            token.claim("aud", json!("another_client"));
            token.claim("client_id", json!(CLIENT));
        },
    },
    Case {
        line: "an ID token without `aud`, whatever its `client_id` says",
        reason: Reason::MissingClaim,
        change: |token| {
            id_token(token);
            token.without("aud");
            token.claim("client_id", json!(CLIENT));
        },
    },
    Case {
        line: "a refresh token, which is encrypted (five parts)",
        reason: Reason::Malformed,
        change: |token| token.text = Some("e30.e30.e30.e30.e30".to_owned()),
    },
    Case {
        line: "a key that the pool does not publish",
        reason: Reason::UnknownKey,
        change: |token| token.head("kid", json!("9n0xkGJ8yFzY3sVgC7l2mA1pQ+/4rT6uW8yZ0bB2dF4=")),
    },
    Case {
        line: "an access token under the id of the key for ID tokens",
        reason: Reason::BadSignature,
        change: |token| {
            token
                .jwks
                .push(KeyPair::rsa().jwk("for ID tokens", Some("RS256")));
            token.head("kid", json!("for ID tokens"));
        },
    },
    Case {
        line: "`exp` missing, which AWS's library lets through",
        reason: Reason::MissingClaim,
        change: |token| token.without("exp"),
    },
];

#[test]
fn cognito_tokens_are_refused_for_the_reasons_of_the_page() {
    cognito().holds(&CASES);
}

#[test]
fn both_issuers_of_a_pool_count_for_both_sorts_of_token() {
    for host in ["cognito-idp", "issuer-cognito-idp"] {
        let issuer = json!(format!("https://{host}.us-east-1.amazonaws.com/{POOL}"));
        let access = cognito().verdict(|token| token.claim("iss", issuer.clone()));
        assert_eq!(access, None, "{issuer}");
        let id = cognito().verdict(|token| {
            id_token(token);
            token.claim("iss", issuer.clone());
        });
        assert_eq!(id, None, "{issuer}");
    }
}

#[test]
fn issuers_and_keys_of_every_partition_are_built() {
    for (region, suffix) in [
        ("us-east-1", ""),
        ("eu-central-2", ""),
        ("us-gov-west-1", ""),
        ("cn-north-1", ".cn"),
    ] {
        let provider = cognito().provider(|token| {
            token.argument("user_pool_id", json!(format!("{region}_AbC123")));
            token.argument("user_pool_region", json!(region));
        });
        let at =
            |host: &str| format!("https://{host}.{region}.amazonaws.com{suffix}/{region}_AbC123");
        let issuers: Vec<_> = provider.issuers.iter().map(Issuer::as_str).collect();
        assert_eq!(issuers, [at("cognito-idp"), at("issuer-cognito-idp")]);
        let KeySource::Fetched(KeyAddress::Direct { jwks_uri }) = &provider.keys else {
            panic!("not fetched from a fixed address");
        };
        assert_eq!(
            *jwks_uri,
            format!("{}/.well-known/jwks.json", at("cognito-idp"))
        );
    }
}

#[test]
fn a_token_of_a_pool_in_china_is_accepted() {
    let verdict = cognito().verdict(|token| {
        token.argument("user_pool_id", json!("cn-north-1_AbC123"));
        token.argument("user_pool_region", json!("cn-north-1"));
        let issuer = "https://cognito-idp.cn-north-1.amazonaws.com.cn/cn-north-1_AbC123";
        token.claim("iss", json!(issuer));
    });
    assert_eq!(verdict, None);
}

#[test]
fn access_and_id_tokens_are_signed_by_a_key_each() {
    // As Cognito writes them: base64 with the characters that base64url does not have.
    let (for_access, for_id) = (
        "Zq3+b/0Vd1c7mA8xkGJ9yFzY3sVgC7l2==",
        "Zq3+b/0Vd1c7mA8xkGJ9yFzY3sVgC7l3==",
    );
    let id_key = KeyPair::rsa();
    let signed = |change: fn(&mut Draft), pair: &KeyPair, kid: &str| {
        cognito().verdict(|token| {
            change(token);
            token.jwks = vec![
                KEY.jwk(for_access, Some("RS256")),
                id_key.jwk(for_id, Some("RS256")),
            ];
            token.head("kid", json!(kid));
            token.text = Some(pair.sign(&token.header, &token.claims));
        })
    };
    assert_eq!(signed(|_| {}, &KEY, for_access), None);
    assert_eq!(signed(id_token, &id_key, for_id), None);
    let exchanged = signed(id_token, &id_key, for_access);
    assert_eq!(exchanged, Some(Reason::BadSignature));
}

#[test]
fn an_issuer_with_escaped_slashes_is_the_same_issuer() {
    let verdict = cognito().verdict(|token| {
        let payload = token.claims.to_string().replace('/', "\\/");
        assert!(payload.contains(r"https:\/\/cognito-idp"));
        let header = json!({"alg": "RS256", "kid": KID}).to_string();
        token.text = Some(KEY.sign_texts("RS256", &header, &payload));
    });
    assert_eq!(verdict, None);
}

#[test]
fn a_registered_token_use_takes_that_sort_alone_and_any_takes_both() {
    for (token_use, access, id) in [
        (json!("access"), None, Some(Reason::InvalidClaim)),
        (json!("id"), Some(Reason::InvalidClaim), None),
        (json!("any"), None, None),
        (Value::Null, None, None),
    ] {
        let verdict = |change: fn(&mut Draft)| {
            cognito().verdict(|token| {
                change(token);
                token.argument("token_use", token_use.clone());
            })
        };
        assert_eq!(verdict(|_| {}), access, "{token_use}");
        assert_eq!(verdict(id_token), id, "{token_use}");
    }
}

#[test]
fn any_audience_takes_every_client_and_still_wants_a_sort_of_token() {
    let of_client = |token: &mut Draft| {
        token.argument("client_ids", json!(null));
        token.argument("any_audience", json!(true));
        token.claim("client_id", json!("another_client"));
    };
    assert_eq!(cognito().verdict(of_client), None);
    let without = cognito().verdict(|token| {
        of_client(token);
        token.without("token_use");
    });
    assert_eq!(without, Some(Reason::MissingClaim));
}

#[test]
fn the_shortest_and_the_longest_lifetime_are_both_honoured() {
    for lifetime in [300.0, 86_400.0] {
        let at = |seconds: f64, skew: &'static str| {
            cognito().verdict(|token| {
                token.claim("exp", json!(1_717_000_300.0 + lifetime));
                token.argument("clock_skew", json!(skew));
                token.now += lifetime + seconds;
            })
        };
        assert_eq!(at(29.0, "30 s"), None);
        assert_eq!(at(30.0, "30 s"), Some(Reason::Expired));
        assert_eq!(at(-1.0, "0 s"), None);
        assert_eq!(at(0.0, "0 s"), Some(Reason::Expired));
    }
}

#[test]
fn wrong_arguments_are_named() {
    for (argument, value, at_fault) in [
        ("user_pool_id", json!(null), "user_pool_id"),
        ("user_pool_id", json!(""), "user_pool_id"),
        ("user_pool_id", json!("AbCdEfGhI"), "user_pool_id"),
        ("user_pool_id", json!("us-east-1_"), "user_pool_id"),
        ("user_pool_id", json!("us-east-1_Ab/../x"), "user_pool_id"),
        ("user_pool_id", json!("us-east-1_A_B"), "user_pool_id"),
        ("user_pool_id", json!("eu-west-1_AbCdEfGhI"), "user_pool_id"),
        (
            "user_pool_id",
            json!(" us-east-1_AbCdEfGhI"),
            "user_pool_id",
        ),
        ("user_pool_id", json!(7), "user_pool_id"),
        ("user_pool_region", json!(null), "user_pool_region"),
        ("user_pool_region", json!("useast1"), "user_pool_region"),
        ("user_pool_region", json!("US-EAST-1"), "user_pool_region"),
        ("user_pool_region", json!("us-east"), "user_pool_region"),
        ("user_pool_region", json!("us-east-0"), "user_pool_region"),
        (
            "user_pool_region",
            json!("us-east-1.evil.example/"),
            "user_pool_region",
        ),
        ("client_ids", json!(null), "audiences"),
        ("client_ids", json!([]), "audiences"),
        ("client_ids", json!([""]), "client_ids"),
        ("client_ids", json!("6i0o6sexample"), "client_ids"),
        ("token_use", json!("refresh"), "token_use"),
        ("token_use", json!("Access"), "token_use"),
        ("any_audience", json!(true), "any_audience"),
    ] {
        let named = cognito().wrong_argument(|token| token.argument(argument, value.clone()));
        assert_eq!(named, at_fault, "{argument} {value}");
    }
}

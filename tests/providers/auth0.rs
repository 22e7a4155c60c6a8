//! Auth0 by its exact rules.

use crate::trial::{Case, Kind};
use pg_third_party_auth::verify::Reason;
use serde_json::json;

fn auth0() -> Kind {
    Kind {
        name: "auth0",
        arguments: json!({"tenant": "my-tenant", "tenant_region": "us",
                          "audiences": ["https://api.example.com"]}),
        header: json!({"typ": "JWT"}),
    }
}

const CASES: [Case; 13] = [
    Case {
        line: "`iss` without the trailing slash",
        reason: Reason::UnknownIssuer,
        change: |token| token.claim("iss", json!("https://my-tenant.us.auth0.com")),
    },
    Case {
        line: "`iss` of another tenant, or of the same tenant name in another region",
        reason: Reason::UnknownIssuer,
        change: |token| token.claim("iss", json!("https://my-tenant.eu.auth0.com/")),
    },
    Case {
        line: "`iss` of a custom domain that is not registered",
        reason: Reason::UnknownIssuer,
        change: |token| token.claim("iss", json!("https://login.example.com/")),
    },
    Case {
        line: "no `aud`",
        reason: Reason::MissingClaim,
        change: |token| token.without("aud"),
    },
    Case {
        line: "a token for another API of the tenant",
        reason: Reason::AudienceMismatch,
        change: |token| token.claim("aud", json!(["https://other.example.com"])),
    },
    Case {
        line: "an ID token whose `aud` is a client id that is not registered",
        reason: Reason::AudienceMismatch,
        change: |token| token.claim("aud", json!("another_client")),
    },
    Case {
        line: "an ID token for several audiences whose `azp` is another application",
        reason: Reason::AuthorizedPartyMismatch,
        change: |token| {
            token.claim("aud", json!(["https://api.example.com", "another_client"]));
            token.claim("azp", json!("another_client"));
        },
    },
    Case {
        line: "HS256, the algorithm of old APIs",
        reason: Reason::AlgorithmNotAllowed,
        change: |token| token.head("alg", json!("HS256")),
    },
    Case {
        line: "PS256, unless `algorithms` lists it",
        reason: Reason::AlgorithmNotAllowed,
        change: |token| token.head("alg", json!("PS256")),
    },
    Case {
        line: "an opaque access token (no `audience` was asked for)",
        reason: Reason::Malformed,
        change: |token| token.text = Some("kTw1vnDqyBgYJbZeJQFOmP8WvVlOWqNd".to_owned()),
    },
    Case {
        line: "an encrypted access token (five parts)",
        reason: Reason::Malformed,
        change: |token| token.text = Some("e30.e30.e30.e30.e30".to_owned()),
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
            token.claim("events", json!({ event: {} }));
        },
    },
];

#[test]
fn auth0_tokens_are_refused_for_the_reasons_of_the_page() {
    auth0().holds(&CASES);
}

#[test]
fn both_domains_of_a_tenant_issue_tokens_and_share_its_keys() {
    let on_custom_domain = auth0().verdict(|token| {
        token.argument("custom_domain", json!("login.example.com"));
        token.claim("iss", json!("https://login.example.com/"));
    });
    assert_eq!(on_custom_domain, None);
    let on_own_domain =
        auth0().verdict(|token| token.argument("custom_domain", json!("login.example.com")));
    assert_eq!(on_own_domain, None);
}

#[test]
fn access_tokens_of_rfc_9068_are_checked_by_their_client_id() {
    let of_client = |client: &'static str| {
        auth0().verdict(|token| {
            token.head("typ", json!("at+jwt"));
            token.without("azp");
            token.claim("client_id", json!(client));
            token.argument("authorized_parties", json!(["my_client"]));
        })
    };
    assert_eq!(of_client("my_client"), None);
    assert_eq!(of_client("other"), Some(Reason::AuthorizedPartyMismatch));
}

#[test]
fn an_id_token_of_a_registered_client_is_accepted() {
    let id_token = |azp: &'static str| {
        auth0().verdict(|token| {
            token.argument("audiences", json!(["my_client"]));
            token.claim("aud", json!(["my_client", "https://other.example.com"]));
            token.claim("azp", json!(azp));
        })
    };
    assert_eq!(id_token("my_client"), None);
}

#[test]
fn ps256_is_accepted_when_it_is_listed() {
    let verdict = auth0().verdict(|token| {
        token.head("alg", json!("PS256"));
        token.argument("algorithms", json!(["RS256", "PS256"]));
    });
    assert_eq!(verdict, None);
}

//! Microsoft Entra ID by its exact rules: tenants, versions, audiences.

use crate::trial::{Case, Draft, KEY, KID, Kind};
use pg_third_party_auth::verify::Reason;
use serde_json::{Value, json};

pub const TENANT: &str = "72f988bf-86f1-41af-91ab-2d7cd011db47";
/// Another organisation.
pub const OTHER: &str = "31537af4-6d77-4bb9-a681-d2394888ea26";
/// Personal accounts.
pub const CONSUMERS: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";
pub const CLIENT: &str = "6e74172b-be56-4843-9ff4-e66a39bb12e3";

pub fn azure() -> Kind {
    Kind {
        name: "azure",
        arguments: json!({"tenant": TENANT, "client_ids": [CLIENT],
                          "audiences": [format!("api://{CLIENT}")]}),
        header: json!({"typ": "JWT", "x5t": "L1KfKFI_jnXbwWc22xZxw1sUHH0"}),
    }
}

pub fn version_2(tenant: &str) -> Value {
    json!(format!("https://login.microsoftonline.com/{tenant}/v2.0"))
}

pub fn version_1(tenant: &str) -> Value {
    json!(format!("https://sts.windows.net/{tenant}/"))
}

/// A token of version 2.0 of this tenant.
pub fn of_tenant(token: &mut Draft, tenant: &str) {
    token.claim("iss", version_2(tenant));
    token.claim("tid", json!(tenant));
}

/// A token of version 1.0 of this tenant.
pub fn of_version_1(token: &mut Draft, tenant: &str) {
    token.claim("iss", version_1(tenant));
    token.claim("tid", json!(tenant));
    token.claim("ver", json!("1.0"));
}

/// Registers `common` or `organizations`, for these tenants.
pub fn for_several(token: &mut Draft, tenant: &str, tenants: &[&str]) {
    token.argument("tenant", json!(tenant));
    token.argument("tenants", json!(tenants));
}

/// Graph hashes the header's nonce after the token was signed with it.
fn of_graph(token: &mut Draft) {
    token.claim("aud", json!("00000003-0000-0000-c000-000000000000"));
    let header = |nonce: &str| json!({"typ": "JWT", "alg": "RS256", "kid": KID, "nonce": nonce});
    let signed = KEY.sign(&header("what was signed"), &token.claims);
    let sent = KEY.sign(&header("what is sent"), &token.claims);
    let (_, signature) = signed.rsplit_once('.').expect("a signature");
    let (input, _) = sent.rsplit_once('.').expect("a signature");
    token.text = Some(format!("{input}.{signature}"));
}

const CASES: [Case; 25] = [
    Case {
        line: "`iss` of another tenant",
        reason: Reason::UnknownIssuer,
        change: |token| of_tenant(token, OTHER),
    },
    Case {
        line: "`iss` of version 2.0 with a slash at its end",
        reason: Reason::UnknownIssuer,
        change: |token| {
            let slash = format!("https://login.microsoftonline.com/{TENANT}/v2.0/");
            token.claim("iss", json!(slash));
        },
    },
    Case {
        line: "`iss` of version 1.0 without the slash at its end",
        reason: Reason::UnknownIssuer,
        change: |token| {
            of_version_1(token, TENANT);
            token.claim("iss", json!(format!("https://sts.windows.net/{TENANT}")));
        },
    },
    Case {
        line: "`iss` with `{tenantid}` or `common` where the tenant belongs",
        reason: Reason::UnknownIssuer,
        change: |token| {
            for_several(token, "common", &[TENANT]);
            token.claim("iss", version_2("{tenantid}"));
        },
    },
    Case {
        line: "`iss` of a national cloud that is not registered",
        reason: Reason::UnknownIssuer,
        change: |token| {
            let government = format!("https://login.microsoftonline.us/{TENANT}/v2.0");
            token.claim("iss", json!(government));
        },
    },
    Case {
        line: "a personal account, where a tenant is registered",
        reason: Reason::UnknownIssuer,
        change: |token| of_tenant(token, CONSUMERS),
    },
    Case {
        line: "a tenant that `tenants` does not list, with `organizations`",
        reason: Reason::TenantNotAllowed,
        change: |token| {
            for_several(token, "organizations", &[TENANT]);
            of_tenant(token, OTHER);
        },
    },
    Case {
        line: "a personal account, with `common` and without `consumers` in `tenants`",
        reason: Reason::TenantNotAllowed,
        change: |token| {
            for_several(token, "common", &[TENANT, OTHER]);
            of_tenant(token, CONSUMERS);
        },
    },
    Case {
        line: "`tid` of another tenant than the one in `iss`",
        reason: Reason::TenantNotAllowed,
        change: |token| token.claim("tid", json!(OTHER)),
    },
    Case {
        line: "the same, though both are listed in `tenants`",
        reason: Reason::TenantNotAllowed,
        change: |token| {
            for_several(token, "organizations", &[TENANT, OTHER]);
            token.claim("tid", json!(OTHER));
        },
    },
    Case {
        line: "no `tid`",
        reason: Reason::MissingClaim,
        change: |token| token.without("tid"),
    },
    Case {
        line: "`tid` in capitals",
        reason: Reason::InvalidClaim,
        change: |token| token.claim("tid", json!(TENANT.to_uppercase())),
    },
    Case {
        line: "`tid` that is no GUID",
        reason: Reason::InvalidClaim,
        change: |token| token.claim("tid", json!("contoso.onmicrosoft.com")),
    },
    Case {
        line: "a second `Tid` beside `tid`",
        reason: Reason::InvalidClaim,
        change: |token| token.claim("Tid", json!(OTHER)),
    },
    Case {
        line: "`ver` of the other version than `iss`",
        reason: Reason::InvalidClaim,
        change: |token| token.claim("ver", json!("1.0")),
    },
    Case {
        line: "a key that names another tenant's issuer",
        reason: Reason::UnknownKey,
        change: |token| token.key_member("issuer", version_2(OTHER)),
    },
    Case {
        line: "a key of personal accounts under the `iss` of a tenant",
        reason: Reason::UnknownKey,
        change: |token| {
            for_several(token, "common", &[TENANT, "consumers"]);
            token.key_member("issuer", version_2(CONSUMERS));
        },
    },
    Case {
        line: "an access token for Microsoft Graph",
        reason: Reason::AudienceMismatch,
        change: of_graph,
    },
    Case {
        line: "the same with `any_audience`: it is signed over another header",
        reason: Reason::BadSignature,
        change: |token| {
            of_graph(token);
            token.argument("client_ids", json!(null));
            token.argument("audiences", json!(null));
            token.argument("any_audience", json!(true));
        },
    },
    Case {
        line: "a token for another application",
        reason: Reason::AudienceMismatch,
        change: |token| token.claim("aud", json!("0c2d1f5e-7f0b-4a53-9d4f-6f2a8b3c4d5e")),
    },
    Case {
        line: "`aud` `api://…` with a slash at its end, unless it is registered so",
        reason: Reason::AudienceMismatch,
        change: |token| token.claim("aud", json!(format!("api://{CLIENT}/"))),
    },
    Case {
        line: "no `aud`",
        reason: Reason::MissingClaim,
        change: |token| token.without("aud"),
    },
    Case {
        line: "a client that `authorized_parties` does not list",
        reason: Reason::AuthorizedPartyMismatch,
        change: |token| token.argument("authorized_parties", json!([OTHER])),
    },
    Case {
        line: "app roles taken for the role (`role_claim => 'roles'`): an array",
        reason: Reason::RoleNotAllowed,
        change: |token| token.argument("role_claim", json!("roles")),
    },
    Case {
        line: "an algorithm other than RS256",
        reason: Reason::AlgorithmNotAllowed,
        change: |token| {
            token.head("alg", json!("ES256"));
            token.head("kid", json!("key-2"));
        },
    },
];

#[test]
fn entra_tokens_are_refused_for_the_reasons_of_the_page() {
    azure().holds(&CASES);
}

#[test]
fn what_stands_for_a_tenant_is_no_tenant() {
    for tenant in [
        "common",
        "organizations",
        "consumers",
        "{tenantid}",
        "{tenant}",
        "",
    ] {
        for change in [of_tenant, of_version_1] {
            let verdict = azure().verdict(|token| {
                for_several(token, "common", &[TENANT, "consumers"]);
                change(token, tenant);
                token.claim("tid", json!(TENANT));
            });
            assert_eq!(verdict, Some(Reason::UnknownIssuer), "{tenant}");
        }
    }
}

#[test]
fn both_versions_count_for_every_way_to_register_a_tenant() {
    for (tenant, tenants, of) in [
        (TENANT, json!(null), TENANT),
        (TENANT, json!([]), TENANT),
        ("72F988BF-86F1-41AF-91AB-2D7CD011DB47", json!(null), TENANT),
        ("consumers", json!(null), CONSUMERS),
        (CONSUMERS, json!(null), CONSUMERS),
        ("organizations", json!([TENANT, OTHER]), TENANT),
        ("organizations", json!([TENANT, OTHER]), OTHER),
        ("Organizations", json!([OTHER.to_uppercase()]), OTHER),
        ("common", json!([TENANT, "consumers"]), TENANT),
        ("common", json!([TENANT, "consumers"]), CONSUMERS),
        ("common", json!([CONSUMERS]), CONSUMERS),
    ] {
        for change in [of_tenant, of_version_1] {
            let verdict = azure().verdict(|token| {
                token.argument("tenant", json!(tenant));
                token.argument("tenants", tenants.clone());
                change(token, of);
            });
            assert_eq!(verdict, None, "{tenant} {tenants} {of}");
        }
    }
}

#[test]
fn an_odd_tenant_is_refused_however_it_is_written() {
    let tid = |value: Value| {
        azure().verdict(|token| {
            for_several(token, "common", &[TENANT, OTHER]);
            token.claim("tid", value);
        })
    };
    for value in [
        json!(null),
        json!(""),
        json!(1),
        json!([TENANT]),
        json!(format!("{{{TENANT}}}")),
        json!(TENANT.replace('-', "")),
        json!(format!("{TENANT} ")),
        json!(format!("{TENANT}-0")),
        json!("common"),
    ] {
        assert_eq!(tid(value.clone()), Some(Reason::InvalidClaim), "{value}");
    }
    // In the issuer as well as in `tid`.
    let capitals = azure().verdict(|token| of_tenant(token, &TENANT.to_uppercase()));
    assert_eq!(capitals, Some(Reason::UnknownIssuer));
    // Instead of `tid`.
    let renamed = azure().verdict(|token| {
        token.without("tid");
        token.claim("TID", json!(TENANT));
    });
    assert_eq!(renamed, Some(Reason::InvalidClaim));
    // Twice, once with an escaped letter.
    let twice = azure().verdict(|token| {
        let tid = format!(r#""tid":"{TENANT}""#);
        let both = format!(r#""t\u0069d":"{OTHER}",{tid}"#);
        let payload = token.claims.to_string().replace(&tid, &both);
        let header = json!({"alg": "RS256", "kid": KID}).to_string();
        token.text = Some(KEY.sign_texts("RS256", &header, &payload));
    });
    assert_eq!(twice, Some(Reason::DuplicateMember));
}

#[test]
fn a_version_fits_the_issuer_or_is_not_told() {
    for (change, ver, reason) in [
        (of_tenant as fn(&mut Draft, &str), json!("2.0"), None),
        (of_version_1, json!("1.0"), None),
        (of_tenant, json!("1.0"), Some(Reason::InvalidClaim)),
        (of_version_1, json!("2.0"), Some(Reason::InvalidClaim)),
        (of_tenant, json!(2.0), Some(Reason::InvalidClaim)),
        (of_tenant, json!("3.0"), Some(Reason::InvalidClaim)),
        (of_tenant, json!(""), Some(Reason::InvalidClaim)),
    ] {
        let verdict = azure().verdict(|token| {
            change(token, TENANT);
            token.claim("ver", ver.clone());
        });
        assert_eq!(verdict, reason, "{ver}");
    }
    for change in [of_tenant, of_version_1] {
        let untold = azure().verdict(|token| {
            change(token, TENANT);
            token.without("ver");
        });
        assert_eq!(untold, None);
    }
}

#[test]
fn every_form_of_audience_counts_as_it_is_registered() {
    for audience in [
        CLIENT.to_owned(),
        format!("api://{CLIENT}"),
        format!("api://{CLIENT}/"),
        format!("spn:{CLIENT}"),
        "https://contoso.example/api".to_owned(),
    ] {
        let registered = azure().verdict(|token| {
            of_version_1(token, TENANT);
            token.argument("audiences", json!([audience]));
            token.claim("aud", json!(audience));
        });
        assert_eq!(registered, None, "{audience}");
        let other = azure().verdict(|token| {
            of_version_1(token, TENANT);
            token.argument("client_ids", json!([OTHER]));
            token.argument("audiences", json!(null));
            token.claim("aud", json!(audience));
        });
        assert_eq!(other, Some(Reason::AudienceMismatch), "{audience}");
    }
}

#[test]
fn the_party_is_azp_in_version_2_and_appid_in_version_1() {
    let listed = |token: &mut Draft| token.argument("authorized_parties", json!([CLIENT]));
    assert_eq!(azure().verdict(listed), None);
    let appid = |client: &'static str| {
        azure().verdict(|token| {
            listed(token);
            of_version_1(token, TENANT);
            token.without("azp");
            token.claim("appid", json!(client));
        })
    };
    assert_eq!(appid(CLIENT), None);
    assert_eq!(appid(OTHER), Some(Reason::AuthorizedPartyMismatch));
}

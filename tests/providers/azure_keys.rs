//! Microsoft Entra ID by its exact rules: keys, issuers beside its own, registration.

use crate::azure::{
    CLIENT, CONSUMERS, OTHER, TENANT, azure, for_several, of_tenant, of_version_1, version_1,
    version_2,
};
use crate::court::{Keys, QUESTION, judge, key_set, reason};
use crate::page::Page;
use crate::trial::{Draft, KEY, KID};
use pg_third_party_auth::provider::{Issuer, KeyAddress, KeySource, Registry, Revocation};
use pg_third_party_auth::verify::Reason;
use serde_json::{Value, json};
use std::sync::Arc;

/// What the key sets for several tenants have as a key's issuer.
const TEMPLATE: &str = "https://login.microsoftonline.com/{tenantid}/v2.0";

/// How tokens of a tenant are made.
type Version = fn(&mut Draft, &str);

fn with_key_issuer(issuer: Value, version: Version, tenant: &str) -> Option<Reason> {
    azure().verdict(|token| {
        for_several(token, "common", &[TENANT, OTHER, "consumers"]);
        version(token, tenant);
        token.key_member("issuer", issuer);
    })
}

#[test]
fn a_key_signs_for_the_issuer_that_it_names() {
    let unknown = Some(Reason::UnknownKey);
    for (issuer, version, tenant, reason) in [
        (json!(TEMPLATE), of_tenant as Version, TENANT, None),
        (json!(TEMPLATE), of_tenant, OTHER, None),
        (json!(TEMPLATE), of_tenant, CONSUMERS, None),
        (version_2(CONSUMERS), of_tenant, CONSUMERS, None),
        (version_2(CONSUMERS), of_tenant, TENANT, unknown),
        (version_2(TENANT), of_tenant, TENANT, None),
        (version_2(TENANT), of_tenant, OTHER, unknown),
        // A token of version 1.0 is judged by the issuer of version 2.0.
        (json!(TEMPLATE), of_version_1, TENANT, None),
        (version_2(CONSUMERS), of_version_1, CONSUMERS, None),
        (version_2(CONSUMERS), of_version_1, TENANT, unknown),
        (version_1(TENANT), of_version_1, TENANT, None),
        // And not the other way round.
        (version_1(TENANT), of_tenant, TENANT, unknown),
        (version_1("{tenantid}"), of_tenant, TENANT, unknown),
        // Nearly the issuer.
        (
            version_2(&TENANT.to_uppercase()),
            of_tenant,
            TENANT,
            unknown,
        ),
        (json!(format!("{TEMPLATE}/")), of_tenant, TENANT, unknown),
        (
            json!("https://login.microsoftonline.us/{tenantid}/v2.0"),
            of_tenant,
            TENANT,
            unknown,
        ),
        (
            json!("https://login.microsoftonline.com/common/v2.0"),
            of_tenant,
            TENANT,
            unknown,
        ),
        (json!("{tenantid}"), of_tenant, TENANT, unknown),
        (json!(""), of_tenant, TENANT, unknown),
        // A restriction that cannot be read is none that could be ignored: the key is not used.
        (json!(null), of_tenant, TENANT, unknown),
        (json!([TEMPLATE]), of_tenant, TENANT, unknown),
    ] {
        let verdict = with_key_issuer(issuer.clone(), version, tenant);
        assert_eq!(verdict, reason, "{issuer} {tenant}");
    }
}

#[test]
fn a_key_that_names_no_issuer_signs_for_every_tenant_that_is_listed() {
    for version in [of_tenant as Version, of_version_1] {
        for tenant in [TENANT, OTHER, CONSUMERS] {
            let verdict = azure().verdict(|token| {
                for_several(token, "common", &[TENANT, OTHER, "consumers"]);
                version(token, tenant);
            });
            assert_eq!(verdict, None, "{tenant}");
        }
    }
}

#[test]
fn keys_without_an_algorithm_and_with_certificates_are_used() {
    let verdict = azure().verdict(|token| {
        assert!(token.jwks[0].get("alg").is_none());
        token.key_member("x5t", json!("L1KfKFI_jnXbwWc22xZxw1sUHH0"));
        token.key_member("x5c", json!(["MIIC"]));
        token.key_member("cloud_instance_name", json!("microsoftonline.com"));
        token.key_member("issuer", version_2(TENANT));
    });
    assert_eq!(verdict, None);
    // They are used for RS256 alone, although they would allow more.
    for algorithm in ["RS384", "RS512", "PS256"] {
        let verdict = azure().verdict(|token| token.head("alg", json!(algorithm)));
        assert_eq!(verdict, Some(Reason::AlgorithmNotAllowed), "{algorithm}");
    }
}

#[test]
fn a_token_that_names_its_key_by_x5t_alone_is_tried_with_every_key() {
    let old = |token: &mut Draft| {
        of_version_1(token, TENANT);
        token.head("kid", Value::Null);
        token.head("x5t", json!("kriMPdmBvx68skT8-mPAB3BseeA"));
    };
    assert_eq!(azure().verdict(old), None);
    let forged = azure().verdict(|token| {
        old(token);
        token.is_forged = true;
    });
    assert_eq!(forged, Some(Reason::BadSignature));
    // Among keys of other tenants it has none.
    let of_others = azure().verdict(|token| {
        old(token);
        token.key_member("issuer", version_2(OTHER));
        token.jwks.truncate(1);
    });
    assert_eq!(of_others, Some(Reason::UnknownKey));
}

#[test]
fn an_exact_issuer_goes_before_a_template() {
    let several = azure().provider(|token| {
        token.argument("name", json!("a several"));
        for_several(token, "organizations", &[TENANT, OTHER]);
    });
    let single = azure().provider(|token| token.argument("name", json!("b single")));
    let keys = key_set(&[KEY.jwk(KID, None)]);
    for providers in [[several.clone(), single.clone()], [single, several]] {
        let registry = Registry {
            providers: providers.into_iter().map(Arc::new).collect(),
            ..Registry::default()
        };
        for (version, tenant, name) in [
            (of_tenant as Version, TENANT, "b single"),
            (of_version_1, TENANT, "b single"),
            (of_tenant, OTHER, "a several"),
            (of_version_1, OTHER, "a several"),
        ] {
            let mut draft = azure().draft(Page::read("azure").examples().remove(0));
            version(&mut draft, tenant);
            let text = KEY.sign(&draft.header, &draft.claims);
            let mut known = Keys::of("a several", keys.clone());
            known.current.insert("b single".to_owned(), keys.clone());
            let verified = judge(&text, &registry, &QUESTION, &mut known).expect("a good token");
            assert_eq!(verified.provider().name, name, "{tenant}");
        }
    }
}

#[test]
fn tokens_of_a_disabled_exact_issuer_do_not_fall_to_a_template() {
    let several = azure().provider(|token| {
        token.argument("name", json!("several"));
        for_several(token, "organizations", &[TENANT, OTHER]);
    });
    let mut single = azure().provider(|token| token.argument("name", json!("single")));
    single.enabled = false;
    let registry = Registry {
        providers: vec![Arc::new(several), Arc::new(single)],
        ..Registry::default()
    };
    let mut draft = azure().draft(Page::read("azure").examples().remove(0));
    of_tenant(&mut draft, TENANT);
    let text = KEY.sign(&draft.header, &draft.claims);
    let mut known = Keys::of("several", key_set(&[KEY.jwk(KID, None)]));
    let verdict = reason(&text, &registry, &QUESTION, &mut known);
    assert_eq!(verdict, Some(Reason::UnknownIssuer));
}

#[test]
fn a_revocation_holds_for_a_tenant_and_for_its_template() {
    let several = azure().provider(|token| for_several(token, "organizations", &[TENANT, OTHER]));
    let single = azure().provider(|_| {});
    let keys = key_set(&[KEY.jwk(KID, None)]);
    for (registered_when_revoked, now) in [(&several, &single), (&single, &several)] {
        let revoked = registered_when_revoked
            .issuers
            .iter()
            .map(|issuer| Revocation {
                issuer: issuer.as_str().to_owned(),
                kid: KID.to_owned(),
                thumbprint: None,
            });
        let registry = Registry {
            providers: vec![Arc::new(now.clone())],
            revoked: revoked.collect(),
            ..Registry::default()
        };
        let mut draft = azure().draft(Page::read("azure").examples().remove(0));
        of_tenant(&mut draft, TENANT);
        let text = KEY.sign(&draft.header, &draft.claims);
        let mut known = Keys::of(&now.name, keys.clone());
        let verdict = reason(&text, &registry, &QUESTION, &mut known);
        assert_eq!(verdict, Some(Reason::KeyRevoked));
    }
}

#[test]
fn issuers_of_b2c_ciam_and_national_clouds_count_when_they_are_registered() {
    let b2c = format!("https://contoso.b2clogin.com/{TENANT}/v2.0/");
    let old_b2c = format!("https://login.microsoftonline.com/{TENANT}/v2.0/");
    let ciam = format!("https://contoso.ciamlogin.com/{TENANT}/v2.0");
    let government = format!("https://login.microsoftonline.us/{TENANT}/v2.0");
    for (issuer, ver, tid) in [
        (&b2c, "1.0", json!(null)),
        (&b2c, "1.0", json!(TENANT)),
        (&old_b2c, "1.0", json!(null)),
        (&old_b2c, "1.0", json!(TENANT)),
        (&ciam, "2.0", json!(TENANT)),
        (&government, "2.0", json!(TENANT)),
    ] {
        let of_issuer = |token: &mut Draft| {
            token.argument("issuers", json!([issuer]));
            token.claim("iss", json!(issuer));
            token.claim("ver", json!(ver));
            match &tid {
                Value::Null => token.without("tid"),
                tid => token.claim("tid", tid.clone()),
            }
        };
        assert_eq!(azure().verdict(of_issuer), None, "{issuer} {tid}");
        let unregistered = azure().verdict(|token| {
            of_issuer(token);
            token.argument("issuers", json!(null));
        });
        assert_eq!(unregistered, Some(Reason::UnknownIssuer), "{issuer}");
        let of_another = azure().verdict(|token| {
            of_issuer(token);
            token.claim("tid", json!(OTHER));
        });
        assert_eq!(of_another, Some(Reason::TenantNotAllowed), "{issuer}");
    }
}

#[test]
fn a_registered_template_of_another_cloud_holds_the_same_rules() {
    let template = "https://login.microsoftonline.us/{tenantid}/v2.0";
    let of_cloud = |tenant: &str, tid: Value| {
        let iss = template.replace("{tenantid}", tenant);
        azure().verdict(|token| {
            token.argument("issuers", json!([template]));
            token.claim("iss", json!(iss));
            match tid {
                Value::Null => token.without("tid"),
                tid => token.claim("tid", tid),
            }
        })
    };
    assert_eq!(of_cloud(TENANT, json!(TENANT)), None);
    let not_allowed = Some(Reason::TenantNotAllowed);
    assert_eq!(of_cloud(OTHER, json!(TENANT)), not_allowed);
    assert_eq!(of_cloud(OTHER, json!(OTHER)), not_allowed);
    assert_eq!(of_cloud(TENANT, json!(null)), Some(Reason::MissingClaim));
    assert_eq!(
        of_cloud("common", json!(TENANT)),
        Some(Reason::UnknownIssuer)
    );
}

#[test]
fn clock_skew_is_half_a_minute_unless_it_is_registered() {
    // The example begins now and lasts for 3900 seconds.
    let at = |seconds: f64, skew: Value| {
        azure().verdict(|token| {
            token.argument("clock_skew", skew);
            token.now += seconds;
        })
    };
    let microsofts = || json!("5 min");
    assert_eq!(at(-30.0, json!(null)), None);
    assert_eq!(at(-31.0, json!(null)), Some(Reason::NotYetValid));
    assert_eq!(at(-300.0, microsofts()), None);
    assert_eq!(at(-301.0, microsofts()), Some(Reason::NotYetValid));
    assert_eq!(at(3929.0, json!(null)), None);
    assert_eq!(at(3930.0, json!(null)), Some(Reason::Expired));
    assert_eq!(at(4199.0, microsofts()), None);
    assert_eq!(at(4200.0, microsofts()), Some(Reason::Expired));
}

#[test]
fn each_registration_has_both_issuers_and_its_own_keys() {
    for (tenant, tenants, in_issuer, in_keys) in [
        (TENANT, json!(null), TENANT, TENANT),
        (&TENANT.to_uppercase(), json!(null), TENANT, TENANT),
        ("consumers", json!(null), CONSUMERS, "consumers"),
        ("common", json!([TENANT]), "{tenantid}", "common"),
        (
            "organizations",
            json!([TENANT]),
            "{tenantid}",
            "organizations",
        ),
    ] {
        let provider = azure().provider(|token| {
            token.argument("tenant", json!(tenant));
            token.argument("tenants", tenants.clone());
        });
        let issuers: Vec<_> = provider.issuers.iter().map(Issuer::as_str).collect();
        assert_eq!(issuers, [version_2(in_issuer), version_1(in_issuer)]);
        let KeySource::Fetched(KeyAddress::Direct { jwks_uri }) = &provider.keys else {
            panic!("not fetched from a fixed address");
        };
        let address = format!("https://login.microsoftonline.com/{in_keys}/discovery/v2.0/keys");
        assert_eq!(*jwks_uri, address);
    }
}

#[test]
fn wrong_arguments_are_named() {
    let whole_url = format!("https://login.microsoftonline.com/{TENANT}");
    for (arguments, at_fault) in [
        (json!({"tenant": null}), "tenant"),
        (json!({"tenant": ""}), "tenant"),
        (json!({"tenant": "contoso.onmicrosoft.com"}), "tenant"),
        (json!({"tenant": whole_url}), "tenant"),
        (json!({"tenant": "{tenantid}"}), "tenant"),
        (json!({"tenant": format!("{TENANT}-0")}), "tenant"),
        (json!({"tenant": TENANT.replace('-', "")}), "tenant"),
        (json!({"tenant": format!("{TENANT}/../common")}), "tenant"),
        (json!({"tenant": null, "tenants": [TENANT]}), "tenant"),
        (json!({"tenant": "common"}), "tenants"),
        (json!({"tenant": "organizations"}), "tenants"),
        (json!({"tenant": "organizations", "tenants": []}), "tenants"),
        (
            json!({"tenant": "organizations", "tenants": [""]}),
            "tenants",
        ),
        (
            json!({"tenant": "organizations", "tenants": ["common"]}),
            "tenants",
        ),
        (
            json!({"tenant": "organizations", "tenants": [TENANT, "contoso.com"]}),
            "tenants",
        ),
        (
            json!({"tenant": "organizations", "tenants": TENANT}),
            "tenants",
        ),
        (json!({"tenants": [TENANT]}), "tenants"),
        (
            json!({"tenant": "consumers", "tenants": [TENANT]}),
            "tenants",
        ),
        (json!({"client_ids": null, "audiences": null}), "audiences"),
        (json!({"client_ids": [""]}), "client_ids"),
        (json!({"client_ids": CLIENT}), "client_ids"),
        (json!({"any_audience": true}), "any_audience"),
        (json!({"url": whole_url}), "url"),
    ] {
        let named = azure().wrong_argument(|token| {
            for (name, value) in arguments.as_object().expect("arguments") {
                token.argument(name, value.clone());
            }
        });
        assert_eq!(named, at_fault, "{arguments}");
    }
}

//! What policies ask about the sign-in: how long ago it was, and whether the e-mail address was verified.

#[path = "policy/token.rs"]
#[allow(dead_code)]
mod token;

use pg_third_party_auth::policy::{authentication, email};
use serde_json::{Value, json};
use token::{NOW, verified};

/// Seconds since the user signed in, as far as they can be asked for.
fn signed_in(kind: &str, changes: Value) -> Option<u32> {
    let token = verified(kind, changes);
    (0..10_000).find(|age| authentication::is_within(&token, f64::from(*age), NOW))
}

fn email_verified(kind: &str, changes: Value) -> bool {
    email::is_verified(&verified(kind, changes))
}

#[test]
fn a_sign_in_in_the_future_is_none() {
    assert_eq!(signed_in("oidc", json!({"auth_time": NOW + 30.0})), Some(0));
    assert_eq!(signed_in("oidc", json!({"auth_time": NOW + 31.0})), None);
    let amr = json!([{"method": "password", "timestamp": NOW + 31.0}, {"method": "otp", "timestamp": NOW - 9.0}]);
    assert_eq!(signed_in("supabase", json!({"amr": amr})), Some(9));
}

#[test]
fn auth_time_tells_when_somebody_signed_in() {
    for kind in [
        "apple",
        "auth0",
        "aws_cognito",
        "azure",
        "firebase",
        "oidc",
        "workos",
    ] {
        assert_eq!(signed_in(kind, json!({})), Some(100), "{kind}");
        let others = json!({"auth_time": null, "fva": [0, 0],
                            "amr": [{"method": "password", "timestamp": NOW}]});
        if kind != "firebase" {
            assert_eq!(signed_in(kind, others), None, "{kind}");
        }
    }
    for odd in [
        json!((NOW - 100.0).to_string()),
        json!(true),
        json!([NOW - 100.0]),
        json!(0),
        json!(-1),
        json!((NOW - 100.0) * 1000.0),
    ] {
        assert_eq!(signed_in("oidc", json!({"auth_time": odd})), None, "{odd}");
    }
}

#[test]
fn an_age_that_is_no_age_is_asked_in_vain() {
    let token = verified("oidc", json!({"auth_time": NOW}));
    assert!(authentication::is_within(&token, 0.0, NOW));
    for max_age in [-0.001, -1.0, f64::NEG_INFINITY, f64::NAN] {
        assert!(
            !authentication::is_within(&token, max_age, NOW),
            "{max_age}"
        );
    }
    // A time that the clock skew lets through is now, not later.
    let later = verified("oidc", json!({"auth_time": NOW + 20.0}));
    assert!(authentication::is_within(&later, 0.0, NOW));
    assert!(!authentication::is_within(&later, -1.0, NOW));
    for now in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert!(!authentication::is_within(&token, 1e300, now), "{now}");
    }
}

#[test]
fn clerk_signs_in_with_the_first_factor_else_the_second() {
    // As of iat, a minute ago.
    let fva = |fva: Value| signed_in("clerk", json!({"fva": fva}));
    assert_eq!(fva(json!([2, -1])), Some(180));
    assert_eq!(fva(json!([2, 0])), Some(180));
    assert_eq!(fva(json!([-1, 3])), Some(240));
    for odd in [
        json!([-1, -1]),
        json!([2]),
        json!([2, "0"]),
        json!([2.0, 0]),
        json!(null),
    ] {
        assert_eq!(fva(odd.clone()), None, "{odd}");
    }
}

#[test]
fn supabase_signs_in_by_methods_that_prove_something() {
    let method = |name: &str| {
        let amr = json!([
            {"method": name, "timestamp": NOW - 7.0},
            {"method": "password", "timestamp": NOW - 99.0},
        ]);
        signed_in("supabase", json!({"amr": amr}))
    };
    for name in [
        "oauth",
        "password",
        "otp",
        "totp",
        "recovery",
        "invite",
        "sso/saml",
        "magiclink",
        "email/signup",
        "email_change",
        "mfa/phone",
        "mfa/webauthn",
        "web3",
        "passkey",
    ] {
        assert_eq!(method(name), Some(7), "{name}");
    }
    for name in [
        "token_refresh",
        "anonymous",
        "oauth_provider/authorization_code",
        "",
        "x",
    ] {
        assert_eq!(method(name), Some(99), "{name}");
    }
}

#[test]
fn entries_without_a_usable_time_do_not_count() {
    for entry in [
        json!("password"),
        json!({"method": "password"}),
        json!({"method": "password", "timestamp": NOW.to_string()}),
        json!({"method": "password", "timestamp": null}),
        json!({"method": "password", "timestamp": 0}),
        json!({"method": ["password"], "timestamp": NOW}),
        json!({"timestamp": NOW}),
        json!(["password", NOW]),
        json!(null),
    ] {
        assert_eq!(
            signed_in("supabase", json!({"amr": [entry]})),
            None,
            "{entry}"
        );
        let beside = json!([entry, {"method": "otp", "timestamp": NOW - 9.0}]);
        assert_eq!(signed_in("supabase", json!({"amr": beside})), Some(9));
    }
    let object = json!({"0": {"method": "password", "timestamp": NOW}});
    assert_eq!(signed_in("supabase", json!({"amr": object})), None);
    // auth_time is not Supabase's.
    assert_eq!(signed_in("supabase", json!({})), None);
}

#[test]
fn an_email_is_verified_by_a_boolean_or_by_one_of_two_texts() {
    let claims = [
        ("apple", "email_verified"),
        ("auth0", "email_verified"),
        ("aws_cognito", "email_verified"),
        ("azure", "xms_edov"),
        ("clerk", "email_verified"),
        ("firebase", "email_verified"),
        ("oidc", "email_verified"),
        ("supabase", "email_verified"),
        ("workos", "email_verified"),
    ];
    for (kind, claim) in claims {
        for yes in [json!(true), json!("true"), json!("1")] {
            let changes = json!({claim: yes, "email": "user@example.com"});
            assert!(email_verified(kind, changes), "{kind} {yes}");
        }
        for no in [
            json!(false),
            json!("false"),
            json!("0"),
            json!(1),
            json!(1.0),
            json!(0),
            json!("TRUE"),
            json!("True"),
            json!("yes"),
            json!(" true"),
            json!(""),
            json!([true]),
            json!({"true": true}),
            json!(null),
        ] {
            let changes = json!({claim: no, "email": "user@example.com"});
            assert!(!email_verified(kind, changes), "{kind} {no}");
        }
        let nested = json!({"user_metadata": {claim: true}, "app_metadata": {claim: true},
                            "firebase": {claim: true}, "email": "user@example.com"});
        assert!(!email_verified(kind, nested), "{kind}");
    }
}

#[test]
fn entras_email_is_verified_by_no_other_claim() {
    assert!(!email_verified(
        "azure",
        json!({"email_verified": true, "email": "a@example.com"})
    ));
    assert!(!email_verified(
        "azure",
        json!({"email": "a@example.com", "verified_primary_email": ["a@example.com"]})
    ));
    for kind in ["oidc", "apple", "firebase"] {
        assert!(!email_verified(kind, json!({"xms_edov": true})), "{kind}");
    }
}

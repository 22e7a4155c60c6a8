//! What policies ask about how and when the user signed in: second factor, time, Clerk's levels, e-mail.

#[path = "policy/token.rs"]
#[allow(dead_code)]
mod token;

use pg_third_party_auth::policy::{authentication, email, reverification, second_factor};
use serde_json::{Value, json};
use token::{NOW, verified};

/// The value of `acr` in Auth0's ID tokens after a second factor.
const AUTH0_CONTEXT: &str = "http://schemas.openid.net/pape/policies/2007/06/multi-factor";

/// Whether a second factor was used: at any time, and in the last 100 s, which is when [`token::base`] says
/// that somebody signed in.
fn factor(kind: &str, changes: Value) -> (bool, bool) {
    let token = verified(kind, changes);
    (
        second_factor::is_verified(&token, NOW),
        second_factor::is_verified_within(&token, 100.0, NOW),
    )
}

/// Seconds since the user signed in, as far as they can be asked for.
fn signed_in(kind: &str, changes: Value) -> Option<u32> {
    let token = verified(kind, changes);
    (0..10_000).find(|age| authentication::is_within(&token, f64::from(*age), NOW))
}

fn email_verified(kind: &str, changes: Value) -> bool {
    email::is_verified(&verified(kind, changes))
}

#[test]
fn clerks_second_factor_is_a_whole_number_of_minutes() {
    for (fva, expected) in [
        (json!([0, 5]), true),
        (json!([-1, 5]), true),
        (json!([0, 99_999]), true),
        (json!([0, -1]), false),
        (json!([0, -1.0]), false),
        (json!([0, true]), false),
        (json!([0, []]), false),
        (json!([0, ""]), false),
        (json!([0, "5"]), false),
        (json!([0, -2]), false),
        (json!([0, 1, 2]), false),
        (json!(null), false),
    ] {
        assert_eq!(factor("clerk", json!({"fva": fva})).0, expected, "{fva}");
    }
}

#[test]
fn the_age_of_a_second_factor_grows_with_the_token() {
    // 5 minutes when it was issued, a minute ago.
    let token = verified("clerk", json!({"fva": [0, 5]}));
    assert!(second_factor::is_verified_within(&token, 360.0, NOW));
    assert!(!second_factor::is_verified_within(&token, 359.0, NOW));
    assert!(!second_factor::is_verified_within(&token, f64::NAN, NOW));
    assert!(!second_factor::is_verified_within(&token, -1.0, NOW));
}

#[test]
fn without_iat_the_age_of_a_second_factor_is_unknown() {
    for iat in [json!(null), json!(NOW - 1e15), json!(0)] {
        let token = verified("clerk", json!({"fva": [0, 5], "iat": iat}));
        assert!(second_factor::is_verified(&token, NOW));
        assert!(!second_factor::is_verified_within(&token, 1e12, NOW));
        assert!(!authentication::is_within(&token, 1e12, NOW));
        assert!(!reverification::is_reverified(&token, "lax", NOW));
    }
}

#[test]
fn supabases_second_factor_needs_aal2_and_for_an_age_its_method() {
    let amr = json!([{"method": "totp", "timestamp": NOW - 50.0}, {"method": "password", "timestamp": NOW - 1.0}]);
    let token = verified("supabase", json!({"aal": "aal2", "amr": amr}));
    assert!(second_factor::is_verified(&token, NOW));
    assert!(second_factor::is_verified_within(&token, 50.0, NOW));
    assert!(
        !second_factor::is_verified_within(&token, 49.0, NOW),
        "a password is no second factor"
    );
    for aal in [
        json!(null),
        json!("aal1"),
        json!("AAL2"),
        json!(2),
        json!(["aal2"]),
        json!("aal3"),
    ] {
        let changes = json!({"aal": aal, "amr": amr});
        assert_eq!(factor("supabase", changes), (false, false), "{aal}");
    }
    let hook = json!({"aal": "aal2", "amr": ["totp"]});
    assert_eq!(factor("supabase", hook), (true, false));
    assert_eq!(factor("supabase", json!({"aal": "aal2"})), (true, false));
    // What other kinds tell it by.
    let others = json!({"amr": ["mfa"], "acr": AUTH0_CONTEXT, "fva": [0, 0],
                        "firebase": {"sign_in_second_factor": "phone"}});
    assert_eq!(factor("supabase", others), (false, false));
}

#[test]
fn every_second_factor_of_supabase_has_an_age() {
    for method in ["totp", "mfa/phone", "mfa/webauthn"] {
        let amr = json!([{"method": method, "timestamp": NOW - 50.0}]);
        let changes = json!({"aal": "aal2", "amr": amr});
        assert_eq!(factor("supabase", changes), (true, true), "{method}");
    }
    for method in ["otp", "password", "passkey", "phone", "mfa", "webauthn"] {
        let amr = json!([{"method": method, "timestamp": NOW - 50.0}]);
        let changes = json!({"aal": "aal2", "amr": amr});
        assert_eq!(factor("supabase", changes), (true, false), "{method}");
    }
}

#[test]
fn firebase_names_the_second_factor_of_the_sign_in() {
    let token = verified(
        "firebase",
        json!({"firebase": {"sign_in_second_factor": "phone"}}),
    );
    assert!(second_factor::is_verified(&token, NOW));
    assert!(second_factor::is_verified_within(&token, 100.0, NOW));
    assert!(!second_factor::is_verified_within(&token, 99.0, NOW));
    for firebase in [
        json!({"sign_in_provider": "password"}),
        json!({"sign_in_second_factor": ""}),
        json!({"sign_in_second_factor": true}),
        json!({"sign_in_second_factor": ["phone"]}),
        json!({"second_factor_identifier": "d3adb33f"}),
        json!("phone"),
    ] {
        let changes = json!({"firebase": firebase, "sign_in_second_factor": "phone"});
        assert_eq!(factor("firebase", changes), (false, false), "{firebase}");
    }
}

#[test]
fn mfa_among_the_methods_is_a_second_factor() {
    for kind in ["oidc", "auth0", "aws_cognito", "azure"] {
        let amr = |amr: Value| factor(kind, json!({"amr": amr}));
        assert_eq!(amr(json!(["pwd", "mfa"])), (true, true), "{kind}");
        for odd in [
            json!(["pwd"]),
            json!(["pwd", "otp"]),
            json!([]),
            json!("mfa"),
            json!("pwd mfa"),
            json!(["MFA"]),
            json!(["mfa", 1]),
            json!([["mfa"]]),
            json!([{"method": "mfa", "timestamp": NOW}]),
            json!({"mfa": true}),
            json!(null),
        ] {
            assert_eq!(amr(odd.clone()), (false, false), "{kind} {odd}");
        }
        let untimed = json!({"amr": ["mfa"], "auth_time": null});
        assert_eq!(factor(kind, untimed), (true, false), "{kind}");
        let old = json!({"amr": ["mfa"], "auth_time": NOW - 101.0});
        assert_eq!(factor(kind, old), (true, false), "{kind}");
    }
}

#[test]
fn auth0_alone_tells_a_second_factor_by_its_context() {
    let acr = json!({"acr": AUTH0_CONTEXT});
    assert_eq!(factor("auth0", acr.clone()), (true, true));
    for kind in ["oidc", "aws_cognito", "azure", "apple", "workos", "clerk"] {
        assert_eq!(factor(kind, acr.clone()), (false, false), "{kind}");
    }
    for odd in [
        json!("multi-factor"),
        json!([AUTH0_CONTEXT]),
        json!(""),
        json!(null),
    ] {
        assert_eq!(
            factor("auth0", json!({"acr": odd})),
            (false, false),
            "{odd}"
        );
    }
}

#[test]
fn apple_and_work_os_never_tell_a_second_factor() {
    let all = json!({"amr": ["mfa"], "acr": AUTH0_CONTEXT, "fva": [0, 0], "aal": "aal2",
                     "firebase": {"sign_in_second_factor": "phone"}});
    for kind in ["apple", "workos"] {
        assert_eq!(factor(kind, all.clone()), (false, false), "{kind}");
    }
}

#[test]
fn a_moment_in_the_future_is_no_evidence() {
    let later = verified(
        "firebase",
        json!({"firebase": {"sign_in_second_factor": "phone"}, "auth_time": NOW + 20.0}),
    );
    assert!(
        second_factor::is_verified_within(&later, 0.0, NOW),
        "within the clock skew"
    );
    assert!(!second_factor::is_verified_within(&later, 1e9, NOW - 100.0));
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
fn what_clerk_no_longer_counts_is_within_no_time() {
    let token = verified("clerk", json!({"fva": [99_999, 99_999]}));
    assert!(!authentication::is_within(&token, 1e12, NOW));
    assert!(!second_factor::is_verified_within(&token, 1e12, NOW));
    let token = verified("clerk", json!({"fva": [99_998, 99_998]}));
    assert!(authentication::is_within(&token, 1e12, NOW));
    assert!(second_factor::is_verified_within(&token, 1e12, NOW));
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
fn reverification_is_clerks_alone() {
    let reverified = |kind, level| {
        let token = verified(kind, json!({"fva": [0, 5]}));
        reverification::is_reverified(&token, level, NOW)
    };
    assert!(reverified("clerk", "strict"));
    for level in ["STRICT", "", "strictest", "strict ", "10"] {
        assert!(!reverified("clerk", level), "{level}");
    }
    for kind in [
        "apple",
        "auth0",
        "aws_cognito",
        "azure",
        "firebase",
        "oidc",
        "supabase",
        "workos",
    ] {
        assert!(!reverified(kind, "lax"), "{kind}");
    }
}

/// Clerk's rule, stated anew: -1 is never; a factor is fresh below the limit; where the user has no second
/// factor, the first one stands in for it.
fn clerk_says(wants_both: bool, limit: i64, first: i64, second: i64) -> bool {
    let fresh = |age: i64| age != -1 && age < limit;
    if first == -1 && second == -1 {
        return false;
    }
    if second == -1 {
        return fresh(first);
    }
    if wants_both {
        fresh(first) && fresh(second)
    } else {
        fresh(second)
    }
}

#[test]
fn clerks_truth_table_holds_for_every_level() {
    let levels = [
        ("strict_mfa", true, 10),
        ("strict", false, 10),
        ("moderate", false, 60),
        ("lax", false, 1440),
    ];
    for (level, wants_both, limit) in levels {
        let ages = [-1, 0, limit - 1, limit, 99_999];
        for (first, second) in ages.iter().flat_map(|f| ages.map(|s| (*f, s))) {
            let token = verified("clerk", json!({"fva": [first, second], "iat": NOW}));
            let expected = clerk_says(wants_both, limit, first, second);
            let found = reverification::is_reverified(&token, level, NOW);
            assert_eq!(found, expected, "{level} [{first}, {second}]");
        }
    }
}

#[test]
fn a_level_grows_stale_with_the_token() {
    for (level, limit) in [
        ("strict_mfa", 10),
        ("strict", 10),
        ("moderate", 60),
        ("lax", 1440),
    ] {
        // A minute old: one minute less than the limit is the limit by now.
        for (age, expected) in [(limit - 2, true), (limit - 1, false)] {
            let token = verified("clerk", json!({"fva": [age, age]}));
            let found = reverification::is_reverified(&token, level, NOW);
            assert_eq!(found, expected, "{level} {age}");
        }
    }
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

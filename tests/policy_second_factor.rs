//! What policies ask about the second factor, and Clerk's levels.

#[path = "policy/token.rs"]
#[allow(dead_code)]
mod token;

use pg_third_party_auth::policy::{authentication, reverification, second_factor};
use serde_json::{Value, json};
use token::{NOW, verified};

/// The value of `acr` in Auth0's ID tokens after a second factor.
const AUTH0_CONTEXT: &str = "http://schemas.openid.net/pape/policies/2007/06/multi-factor";

/// Whether a second factor was used: at any time, and in the last 100 s, which is when [`token::base`] says
/// that somebody signed in.
fn factor(kind: &str, changes: Value) -> (bool, bool) {
    let token = verified(kind, changes);
    (
        second_factor::is_verified(&token),
        second_factor::is_verified_within(&token, 100.0, NOW),
    )
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
        assert!(second_factor::is_verified(&token));
        assert!(!second_factor::is_verified_within(&token, 1e12, NOW));
        assert!(!authentication::is_within(&token, 1e12, NOW));
        assert!(!reverification::is_reverified(&token, "lax", NOW));
    }
}

#[test]
fn supabases_second_factor_needs_aal2_and_for_an_age_its_method() {
    let amr = json!([{"method": "totp", "timestamp": NOW - 50.0}, {"method": "password", "timestamp": NOW - 1.0}]);
    let token = verified("supabase", json!({"aal": "aal2", "amr": amr}));
    assert!(second_factor::is_verified(&token));
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
    assert!(second_factor::is_verified(&token));
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
fn what_clerk_no_longer_counts_is_within_no_time() {
    let token = verified("clerk", json!({"fva": [99_999, 99_999]}));
    assert!(!authentication::is_within(&token, 1e12, NOW));
    assert!(!second_factor::is_verified_within(&token, 1e12, NOW));
    let token = verified("clerk", json!({"fva": [99_998, 99_998]}));
    assert!(authentication::is_within(&token, 1e12, NOW));
    assert!(second_factor::is_verified_within(&token, 1e12, NOW));
}

#[test]
fn a_second_factor_in_the_future_has_no_age_or_none_below_zero() {
    let later = verified(
        "firebase",
        json!({"firebase": {"sign_in_second_factor": "phone"}, "auth_time": NOW + 20.0}),
    );
    assert!(
        second_factor::is_verified_within(&later, 0.0, NOW),
        "within the clock skew"
    );
    assert!(!second_factor::is_verified_within(&later, 1e9, NOW - 100.0));
    assert!(!second_factor::is_verified_within(&later, -1.0, NOW));
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

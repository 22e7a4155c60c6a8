//! How long ago something was, with tokens of now.

#[pgrx::pg_schema]
mod tests {
    use crate::pg_test::support::{Issuer, failure, now, run, set_token, truth};
    use pgrx::prelude::*;
    use serde_json::json;

    /// Asks one question of tokens with these claims.
    fn check(issuer: &Issuer, cases: &[(serde_json::Value, &str, bool)]) {
        for (changes, question, expected) in cases {
            set_token(&issuer.token(changes.clone()));
            assert!(truth("is_third_party_jwt()"), "{changes}");
            assert_eq!(truth(question), *expected, "{question} of {changes}");
        }
    }

    #[pg_test]
    fn clerk_levels_count_the_age_of_the_token_too() {
        let ago = |minutes: u64| now() - minutes * 60;
        check(
            &Issuer::clerk(),
            &[
                (json!({"fva": [0, 5]}), "jwt_reverified('strict')", true),
                (
                    json!({"fva": [0, 5], "iat": ago(4)}),
                    "jwt_reverified('strict')",
                    true,
                ),
                (
                    json!({"fva": [0, 5], "iat": ago(6)}),
                    "jwt_reverified('strict')",
                    false,
                ),
                (
                    json!({"fva": [0, 5], "iat": ago(6)}),
                    "jwt_reverified('moderate')",
                    true,
                ),
                (
                    json!({"fva": [0, 59], "iat": ago(2)}),
                    "jwt_reverified('moderate')",
                    false,
                ),
                (
                    json!({"fva": [0, 59], "iat": ago(2)}),
                    "jwt_reverified('lax')",
                    true,
                ),
                (
                    json!({"fva": [11, 5]}),
                    "jwt_reverified('strict_mfa')",
                    false,
                ),
                (json!({"fva": [9, 5]}), "jwt_reverified('strict_mfa')", true),
                // No second factor: Clerk's levels fall back to the first one.
                (json!({"fva": [3, -1]}), "jwt_reverified('strict')", true),
                (
                    json!({"fva": [3, -1]}),
                    "jwt_second_factor_verified()",
                    false,
                ),
                (json!({"fva": [3, -1.0]}), "jwt_reverified('strict')", false),
                (
                    json!({"fva": [0, 0], "iat": null}),
                    "jwt_reverified('lax')",
                    false,
                ),
                (json!({"fva": [0, 0]}), "jwt_reverified('STRICT')", false),
            ],
        );
    }

    #[pg_test]
    fn a_second_factor_is_as_old_as_its_evidence() {
        let within = |age: &'static str| -> String {
            format!("jwt_second_factor_verified(interval '{age}')")
        };
        let (six, four) = (within("6 min"), within("4 min"));
        let ago = |minutes: u64| now() - minutes * 60;
        check(
            &Issuer::clerk(),
            &[
                (json!({"fva": [0, 5]}), &six, true),
                (json!({"fva": [0, 5]}), &four, false),
                (json!({"fva": [0, 3], "iat": ago(4)}), &six, false),
                (json!({"fva": [0, 5], "iat": null}), &six, false),
                (
                    json!({"fva": [0, 5], "iat": null}),
                    "jwt_second_factor_verified()",
                    true,
                ),
            ],
        );
        let method = |name: &str, time: u64| {
            let methods = json!([{"method": name, "timestamp": time}, {"method": "password", "timestamp": now()}]);
            json!({"aal": "aal2", "amr": methods})
        };
        check(
            &Issuer::supabase(),
            &[
                (method("totp", ago(5)), &six, true),
                (method("totp", ago(5)), &four, false),
                (method("mfa/phone", ago(1)), &four, true),
                (method("mfa/webauthn", ago(1)), &four, true),
                // A password is no second factor, however fresh.
                (method("password", ago(1)), &six, false),
                // Evidence from the future is none.
                (method("totp", now() + 600), &six, false),
                (
                    json!({"aal": "aal1", "amr": [{"method": "totp", "timestamp": now()}]}),
                    &six,
                    false,
                ),
            ],
        );
        let factor =
            |time: u64| json!({"auth_time": time, "firebase": {"sign_in_second_factor": "phone"}});
        check(
            &Issuer::firebase(),
            &[
                (factor(ago(5)), &six, true),
                (factor(ago(5)), &four, false),
                (json!({}), &six, false),
            ],
        );
    }

    #[pg_test]
    fn the_clock_skew_is_the_providers() {
        let issuer = Issuer::oidc("a");
        let cases = [
            ("30 s", json!({"exp": now() - 20}), true),
            ("30 s", json!({"exp": now() - 40}), false),
            ("0", json!({"exp": now() - 2}), false),
            // The token is made after this statement has begun, which would be its future.
            ("0", json!({"exp": now() + 60, "iat": now() - 5}), true),
            ("5 min", json!({"exp": now() - 280}), true),
            ("5 min", json!({"exp": now() - 310}), false),
            ("30 s", json!({"nbf": now() + 20}), true),
            ("30 s", json!({"nbf": now() + 40}), false),
            ("0", json!({"nbf": now() + 20}), false),
            ("30 s", json!({"iat": now() + 20}), true),
            ("30 s", json!({"iat": now() + 40}), false),
        ];
        run("set local client_min_messages = error");
        for (skew, changes, expected) in cases {
            run(&format!(
                "update third_party_auth.provider set clock_skew = '{skew}'"
            ));
            set_token(&issuer.token(changes.clone()));
            assert_eq!(truth("is_third_party_jwt()"), expected, "{skew} {changes}");
        }
    }

    #[pg_test]
    fn a_token_that_was_good_is_judged_anew() {
        let issuer = Issuer::oidc("a");
        let token = issuer.token(json!({"exp": now() - 20}));
        let verify = format!("select verify_third_party_jwt('{token}')");
        run(&verify);
        run("update third_party_auth.provider set clock_skew = '0'");
        assert_eq!(failure(&verify).detail, "reason=expired provider=a");
    }
}

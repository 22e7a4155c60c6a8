//! What the settings take and mean.

#[pgrx::pg_schema]
mod tests {
    use crate::pg_test::support::{Issuer, failure, run, text, truth, value};
    use pgrx::prelude::*;
    use serde_json::json;

    #[pg_test]
    fn a_token_source_that_is_none_is_refused() {
        let odd = [
            "request.jwt.claims",
            "request.jwt, request.cookies",
            "request.headers:",
            "request.headers:a b",
            "request.header:authorization",
            "jwt",
        ];
        for value in odd {
            let failure = failure(&format!(
                "set local third_party_auth.token_sources = '{value}'"
            ));
            assert_eq!(failure.sqlstate, "22023", "{value}: {failure:?}");
            assert!(failure.detail.contains("is not request.jwt"), "{failure:?}");
        }
        let sources = "current_setting('third_party_auth.token_sources')";
        assert_eq!(
            text(sources).as_deref(),
            Some("request.jwt, request.headers:authorization")
        );
    }

    #[pg_test]
    fn only_the_sources_that_are_named_count() {
        let (a, b) = (Issuer::oidc("a"), Issuer::oidc("b"));
        let (a, b) = (a.token(json!({})), b.token(json!({})));
        run(&format!(
            "select set_config('request.jwt', '{a}', true), \
             set_config('request.headers', '{{\"x-token\": \"Bearer {b}\"}}', true)"
        ));
        let cases = [
            ("request.jwt", Some("a")),
            ("request.headers:x-token", Some("b")),
            ("REQUEST.HEADERS:X-Token", Some("b")),
            ("request.headers", None),
            ("request.jwt,request.headers:authorization", Some("a")),
            ("", None),
            // Two different tokens.
            ("request.headers:x-token,request.jwt", None),
        ];
        for (sources, provider) in cases {
            run(&format!(
                "set local third_party_auth.token_sources = '{sources}'"
            ));
            assert_eq!(text("jwt_provider()").as_deref(), provider, "{sources}");
        }
    }

    #[pg_test]
    fn an_odd_header_is_no_token() {
        let token = Issuer::oidc("a").token(json!({}));
        let cases = [
            (format!(r#"{{"authorization": "Bearer {token}"}}"#), true),
            (format!(r#"{{"authorization": "BEARER   {token}"}}"#), true),
            (format!(r#"{{"authorization": "{token}"}}"#), false),
            (format!(r#"{{"authorization": "Basic {token}"}}"#), false),
            (format!(r#"{{"authorization": ["Bearer {token}"]}}"#), false),
            (format!(r#"["Bearer {token}"]"#), false),
            (format!("Bearer {token}"), false),
            (r#"{"authorization": "Bearer "}"#.to_owned(), false),
            (r#"{"authorization": null}"#.to_owned(), false),
            ("{}".to_owned(), false),
            ("{".to_owned(), false),
        ];
        for (headers, is_token) in cases {
            run(&format!(
                "select set_config('request.headers', $h${headers}$h$, true)"
            ));
            assert_eq!(truth("is_third_party_jwt()"), is_token, "{headers}");
        }
    }

    #[pg_test]
    fn a_token_of_this_transaction_counts_with_either_lifetime() {
        let token = Issuer::oidc("a").token(json!({}));
        for lifetime in ["transaction", "session"] {
            run(&format!(
                "set local third_party_auth.token_lifetime = '{lifetime}'"
            ));
            for is_local in ["true", "false"] {
                run(&format!(
                    "select set_config('request.jwt', '{token}', {is_local})"
                ));
                assert!(truth("is_third_party_jwt()"), "{lifetime} {is_local}");
            }
            run("select set_config('request.jwt', '', false)");
            assert!(!truth("is_third_party_jwt()"), "{lifetime}");
        }
    }

    #[pg_test]
    fn a_token_as_long_as_allowed_is_read() {
        let issuer = Issuer::oidc("a");
        let limit: i32 = value(
            "select setting::int from pg_settings where name = 'third_party_auth.max_token_bytes'",
        )
        .expect("a limit");
        assert_eq!(limit, 16_384);
        let bare = issuer.token(json!({"filler": ""})).len();
        // Three octets of the payload are four characters of the token.
        let room = (limit as usize - bare) / 4 * 3;
        let longest = issuer.token(json!({"filler": "x".repeat(room)}));
        assert!(longest.len() <= limit as usize && longest.len() + 8 > limit as usize);
        assert!(truth(&format!(
            "verify_third_party_jwt('{longest}') is not null"
        )));
        let too_long = issuer.token(json!({"filler": "x".repeat(room + 6)}));
        let failure = failure(&format!("select verify_third_party_jwt('{too_long}')"));
        assert_eq!(failure.detail, "reason=too_large");
    }

    #[pg_test]
    fn request_jwt_is_not_shown_with_all_settings() {
        run("select set_config('request.jwt', 'a-token', true)");
        let shown =
            "select count(*) from pg_settings where setting = 'a-token' or name = 'request.jwt'";
        assert_eq!(value::<i64>(shown), Some(0));
    }
}

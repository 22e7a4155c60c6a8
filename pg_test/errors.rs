//! SQLSTATE, DETAIL and HINT of what is raised.

#[pgrx::pg_schema]
mod tests {
    use crate::pg_test::support::{Issuer, failure, now, run, set_token, truth};
    use pgrx::prelude::*;
    use serde_json::json;

    #[pg_test]
    fn each_error_has_its_sqlstate_and_a_hint() {
        Issuer::oidc("a");
        let cases = [
            ("select verify_third_party_jwt('not-a-token')", "28000"),
            (
                "select verify_third_party_jwt('not-a-token', 'no-such-provider')",
                "42704",
            ),
            (
                "select third_party_auth.revoke_key('no-such-provider', 'key_1')",
                "42704",
            ),
            ("select third_party_auth.unrevoke_key('a', '')", "22023"),
            (
                "select third_party_auth.refresh('no-such-provider')",
                "42704",
            ),
            ("select third_party_auth.add_firebase('')", "22023"),
            (
                "select third_party_auth.add_oidc('https://x', name => 'a', audiences => '{api}')",
                "42710",
            ),
            (
                "select third_party_auth.add_oidc('https://a.example.com', audiences => '{api}')",
                "42710",
            ),
        ];
        for (statement, sqlstate) in cases {
            let failure = failure(statement);
            assert_eq!(failure.sqlstate, sqlstate, "{statement}: {failure:?}");
            assert!(!failure.hint.is_empty(), "{statement}: {failure:?}");
        }
    }

    #[pg_test]
    fn an_error_repeats_nothing_of_the_token() {
        let issuer = Issuer::oidc("a");
        let secret = "hunter2";
        let mark = json!({"sub": secret, "email": secret, "jti": secret});
        let with = |name: &str, value: serde_json::Value| {
            let mut changes = mark.clone();
            changes[name] = value;
            issuer.token(changes)
        };
        let mut header = issuer.header();
        header["kid"] = json!(secret);
        let mut claims = issuer.claims.clone();
        claims["exp"] = json!(now() + 60);
        claims["sub"] = json!(secret);
        let good = with("nonce", json!(secret));
        let cases = [
            ("malformed", format!("{secret}.{secret}.{secret}")),
            ("expired", with("exp", json!(1))),
            ("unknown_issuer", with("iss", json!(secret))),
            ("audience_mismatch", with("aud", json!(secret))),
            ("invalid_claim", with("nbf", json!(secret))),
            ("unknown_key", issuer.key.sign(&header, &claims)),
            (
                "bad_signature",
                good.replace(&good[good.len() - 60..good.len() - 50], "AAAAAAAAAA"),
            ),
            ("nonce_mismatch", with("nonce", json!("another"))),
            ("role_not_allowed", with("role", json!(secret))),
            (
                "token_type_not_allowed",
                issuer
                    .key
                    .sign(&json!({"alg": "EdDSA", "typ": secret}), &claims),
            ),
            (
                "algorithm_not_allowed",
                issuer.key.sign(&json!({"alg": secret}), &claims),
            ),
        ];
        for (reason, token) in cases {
            let nonce = match reason {
                "nonce_mismatch" => format!("'{secret}'"),
                _ => "null".to_owned(),
            };
            let failure = failure(&format!(
                "select verify_third_party_jwt('{token}', nonce => {nonce})"
            ));
            assert_eq!(failure.sqlstate, "28000");
            let named = failure.detail.split(' ').next();
            assert_eq!(named, Some(&*format!("reason={reason}")), "{failure:?}");
            // The context is PL/pgSQL's: it shows the statement that the test itself runs.
            let said = [failure.message, failure.detail, failure.hint].concat();
            assert!(!said.contains(secret), "{said}");
            for part in token.split('.') {
                assert!(!said.contains(part), "{said}");
            }
        }
    }

    #[pg_test]
    fn the_provider_is_named_only_where_the_issuer_selected_it() {
        let (a, b) = (Issuer::oidc("a"), Issuer::oidc("b"));
        let detail =
            |token: &str| failure(&format!("select verify_third_party_jwt('{token}')")).detail;
        assert_eq!(
            detail(&a.token(json!({"exp": 1}))),
            "reason=expired provider=a"
        );
        assert_eq!(
            detail(&a.token(json!({"iss": "https://x"}))),
            "reason=unknown_issuer"
        );
        // Signed by a, says that it is of b.
        let forged = a.key.sign(&a.header(), &{
            let mut claims = b.claims.clone();
            claims["exp"] = json!(now() + 60);
            claims
        });
        assert_eq!(detail(&forged), "reason=bad_signature provider=b");
    }

    #[pg_test]
    fn what_cannot_be_decided_raises_in_policies_too() {
        let a = Issuer::oidc("a");
        set_token(&a.token(json!({})));
        assert!(truth("is_third_party_jwt()"));
        // Nothing is fetched for a provider before it is committed.
        run(
            "update third_party_auth.provider set jwks = null, jwks_uri = 'https://a.example.com/jwks'",
        );
        let questions = [
            "is_third_party_jwt()",
            "jwt_subject()",
            "third_party_jwt()",
            "jwt_org_id('a')",
        ];
        for question in questions {
            let failure = failure(&format!("select {question}"));
            assert_eq!(failure.sqlstate, "58000", "{question}: {failure:?}");
            assert_eq!(failure.detail, "reason=keys_not_fetched provider=a");
            assert!(failure.hint.contains("Commit"), "{failure:?}");
        }
        // What is refused before the key is needed is refused.
        set_token(&a.token(json!({"aud": "another"})));
        assert!(!truth("is_third_party_jwt()"));
        let failure = failure("select third_party_auth.refresh('a')");
        assert_eq!(failure.sqlstate, "55000", "{failure:?}");
        assert!(!failure.hint.is_empty());
    }

    #[pg_test]
    fn a_session_goes_on_after_an_error() {
        let a = Issuer::oidc("a");
        let token = a.token(json!({}));
        for _ in 0..100 {
            failure("select verify_third_party_jwt('not-a-token')");
            assert!(truth(&format!(
                "verify_third_party_jwt('{token}') is not null"
            )));
        }
    }
}

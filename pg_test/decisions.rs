//! Which token and which registry an answer is about.

#[pgrx::pg_schema]
mod tests {
    use crate::pg_test::support::{Issuer, now, run, set_token, text, truth, value};
    use pgrx::prelude::*;
    use serde_json::json;

    #[pg_test]
    fn a_decision_follows_the_token_within_one_do_block() {
        let (a, b) = (Issuer::oidc("a"), Issuer::oidc("b"));
        let (a, b) = (a.token(json!({})), b.token(json!({})));
        run(&format!(
            "do $$ begin
                 perform set_config('request.jwt', '{a}', true);
                 assert jwt_subject() = 'user of a';
                 perform set_config('request.jwt', '{b}', true);
                 assert jwt_subject() = 'user of b';
                 assert is_third_party_jwt('b') and not is_third_party_jwt('a');
                 perform set_config('request.jwt', 'not-a-token', true);
                 assert not is_third_party_jwt() and jwt_subject() is null;
                 perform set_config('request.jwt', '', true);
                 assert not is_third_party_jwt();
                 perform set_config('request.jwt', '{a}', true);
                 assert jwt_subject() = 'user of a';
             end $$"
        ));
    }

    #[pg_test]
    fn a_decision_follows_the_header_within_one_do_block() {
        let (a, b) = (Issuer::oidc("a"), Issuer::oidc("b"));
        let (a, b) = (a.token(json!({})), b.token(json!({})));
        run(&format!(
            "do $$ begin
                 perform set_config('request.headers', '{{\"authorization\": \"Bearer {a}\"}}', true);
                 assert (select jwt_subject()) = 'user of a';
                 perform set_config('request.headers', '{{\"authorization\": \"bearer {b}\"}}', true);
                 assert (select jwt_subject()) = 'user of b';
                 perform set_config('request.headers', '{{\"authorization\": \"Basic YTpi\"}}', true);
                 assert (select jwt_subject()) is null;
                 perform set_config('request.headers', '', true);
                 assert (select jwt_subject()) is null;
             end $$"
        ));
    }

    #[pg_test]
    fn a_header_that_a_utility_statement_changed_counts_for_the_next_statement() {
        let a = Issuer::oidc("a").token(json!({}));
        run(&format!(
            "set local request.headers = '{{\"authorization\": \"Bearer {a}\"}}'"
        ));
        assert_eq!(text("jwt_subject()").as_deref(), Some("user of a"));
        run("do $$ begin
                 begin
                     set local request.headers = '{}';
                     assert (select jwt_subject()) is null;
                     raise division_by_zero;
                 exception when division_by_zero then null;
                 end;
                 assert jwt_subject() = 'user of a';
             end $$");
    }

    #[pg_test]
    fn a_header_that_is_undone_is_no_token() {
        let a = Issuer::oidc("a").token(json!({}));
        run(&format!(
            "do $$ begin
                 begin
                     perform set_config('request.headers', '{{\"authorization\": \"Bearer {a}\"}}', true);
                     assert is_third_party_jwt();
                     raise division_by_zero;
                 exception when division_by_zero then null;
                 end;
                 assert not is_third_party_jwt();
             end $$"
        ));
    }

    #[pg_test]
    fn a_subtransaction_that_is_undone_brings_the_earlier_token_back() {
        let (a, b) = (Issuer::oidc("a"), Issuer::oidc("b"));
        set_token(&a.token(json!({})));
        assert_eq!(text("jwt_subject()").as_deref(), Some("user of a"));
        let b = b.token(json!({}));
        run(&format!(
            "do $$ begin
                 begin
                     perform set_config('request.jwt', '{b}', true);
                     assert jwt_subject() = 'user of b';
                     raise division_by_zero;
                 exception when division_by_zero then
                     assert jwt_subject() = 'user of a';
                 end;
             end $$"
        ));
        assert_eq!(text("jwt_subject()").as_deref(), Some("user of a"));
    }

    #[pg_test]
    fn a_function_with_a_token_of_its_own_keeps_it_to_itself() {
        let (a, b) = (Issuer::oidc("a"), Issuer::oidc("b"));
        set_token(&a.token(json!({})));
        run(
            "create function pg_temp.own() returns text language sql as 'select public.jwt_subject()'",
        );
        let b = b.token(json!({}));
        run(&format!(
            "alter function pg_temp.own() set request.jwt = '{b}'"
        ));
        let answers: Option<Vec<String>> =
            value("select array[jwt_subject(), pg_temp.own(), jwt_subject(), pg_temp.own()]");
        let expected = ["user of a", "user of b", "user of a", "user of b"];
        assert_eq!(answers, Some(expected.map(str::to_owned).into()));
    }

    #[pg_test]
    fn forged_claims_are_no_token() {
        let issuer = Issuer::oidc("a");
        let claims = issuer.claims.to_string();
        run(&format!(
            "select set_config('request.jwt.claims', '{claims}', true), \
                    set_config('request.jwt.claim', '{claims}', true), \
                    set_config('request.jwt.claim.sub', 'user of a', true)"
        ));
        assert!(!truth("is_third_party_jwt()"));
        assert_eq!(text("third_party_jwt()"), None);
        // Nor beside a token that is refused.
        set_token(&issuer.token(json!({"exp": 1})));
        assert!(!truth("is_third_party_jwt()"));
        assert_eq!(text("jwt_subject()"), None);
    }

    #[pg_test]
    fn a_registration_that_is_undone_leaves_no_trust() {
        let a = Issuer::oidc("a");
        set_token(&a.token(json!({})));
        run("delete from third_party_auth.provider");
        assert!(!truth("is_third_party_jwt()"));
        let jwks = crate::pg_test::mint::jwks(&[a.key.jwk("key_1", None)]);
        run(&format!(
            "do $$ begin
                 begin
                     perform third_party_auth.add_oidc('https://a.example.com', audiences => '{{api}}',
                         jwks => '{jwks}');
                     assert is_third_party_jwt(), 'registered';
                     raise division_by_zero;
                 exception when division_by_zero then
                     assert not is_third_party_jwt(), 'undone';
                 end;
             end $$"
        ));
        assert!(!truth("is_third_party_jwt()"));
    }

    #[pg_test]
    fn a_removal_that_is_undone_takes_nothing_away() {
        let a = Issuer::oidc("a");
        set_token(&a.token(json!({})));
        run("do $$ begin
                 assert is_third_party_jwt();
                 begin
                     perform third_party_auth.remove_provider('a');
                     assert not is_third_party_jwt(), 'removed';
                     raise division_by_zero;
                 exception when division_by_zero then
                     assert is_third_party_jwt(), 'undone';
                 end;
                 begin
                     perform third_party_auth.revoke_key('a', 'key_1');
                     assert not is_third_party_jwt(), 'revoked';
                     raise division_by_zero;
                 exception when division_by_zero then
                     assert is_third_party_jwt(), 'revocation undone';
                 end;
                 truncate third_party_auth.provider cascade;
                 assert not is_third_party_jwt(), 'truncated';
             end $$");
    }

    #[pg_test]
    fn a_revoked_key_survives_its_provider_and_its_id() {
        let a = Issuer::oidc("a");
        let token = a.token(json!({}));
        run("select third_party_auth.revoke_key('a', 'key_1')");
        run("select third_party_auth.remove_provider('a')");
        let under_another_id = crate::pg_test::mint::jwks(&[a.key.jwk("key_2", None)]);
        run(&format!(
            "select third_party_auth.add_oidc('https://a.example.com', audiences => '{{api}}', \
             jwks => '{under_another_id}')"
        ));
        let mut header = a.header();
        header["kid"] = json!("key_2");
        let mut claims = a.claims.clone();
        claims["exp"] = json!(now() + 60);
        for token in [token, a.key.sign(&header, &claims)] {
            set_token(&token);
            assert!(!truth("is_third_party_jwt()"));
            let rule = "select rule from third_party_auth.explain() where not ok";
            assert_eq!(value::<String>(rule).as_deref(), Some("key_revoked"));
        }
    }

    #[pg_test]
    fn a_row_that_got_past_the_checks_verifies_nothing() {
        let a = Issuer::oidc("a");
        set_token(&a.token(json!({})));
        assert!(truth("is_third_party_jwt()"));
        // As a restore without triggers does. The change itself is not noticed, so it is told.
        run("set local session_replication_role = replica");
        run("update third_party_auth.provider set audiences = '{}'");
        run("set local session_replication_role = origin");
        assert!(!truth("is_third_party_jwt()"));
        let problem = "select problem from third_party_auth.status where provider = 'a'";
        assert!(value::<String>(problem).is_some());
    }

    #[pg_test]
    fn an_issuer_that_replication_brought_twice_selects_the_first_name() {
        let (a, z) = (Issuer::oidc("a"), Issuer::oidc("z"));
        // What the apply worker does: a refusal would stop it.
        run("set local session_replication_role = replica");
        run(
            "update third_party_auth.provider set options = '{\"issuer\": \"https://a.example.com\"}' where name = 'z'",
        );
        run("set local session_replication_role = origin");
        set_token(&a.token(json!({})));
        assert_eq!(text("jwt_provider()").as_deref(), Some("a"));
        set_token(&z.token(json!({"iss": "https://a.example.com"})));
        assert!(!truth("is_third_party_jwt()"));
        set_token(&z.token(json!({})));
        assert!(!truth("is_third_party_jwt()"));
        let told: Option<Vec<bool>> = value(
            "select array(select problem is not null from third_party_auth.status order by provider)",
        );
        assert_eq!(told, Some(vec![false, true]));
    }

    #[pg_test]
    fn a_prepared_statement_decides_each_time() {
        let (a, b) = (Issuer::oidc("a"), Issuer::oidc("b"));
        run("prepare subject as select jwt_subject()");
        run("set local plan_cache_mode = force_generic_plan");
        for (issuer, name) in [(&a, "user of a"), (&b, "user of b"), (&a, "user of a")] {
            set_token(&issuer.token(json!({})));
            assert_eq!(value::<String>("execute subject").as_deref(), Some(name));
        }
        run("select third_party_auth.remove_provider('a')");
        assert_eq!(value::<String>("execute subject"), None);
    }
}

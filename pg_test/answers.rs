//! Values as PostgreSQL sees them, and what the catalog declares about the functions.

#[pgrx::pg_schema]
mod tests {
    use crate::pg_test::support::{Issuer, now, run, set_token, text, truth, value};
    use pgrx::prelude::*;
    use serde_json::json;

    /// Odd and large numbers, characters outside the basic plane, escapes, nesting, empty things.
    fn odd_claims() -> String {
        format!(
            r#"{{"iss":"https://a.example.com","aud":"api","sub":"u","exp":{},"n":[18446744073709551617,
            9007199254740993,0.1000000000000000055511151231257827,1.50,-0.0,1e20,1E-300,12345678901234567890.5],
            "text":"\ud83d\ude00 \u00e4\n\"\\ \/","deep":{{"a":[{{"b":[null,true,false,"",{{}},[]]}}]}}}}"#,
            now() + 60
        )
    }

    #[pg_test]
    fn claims_are_exactly_what_the_token_says() {
        let issuer = Issuer::oidc("a");
        let payload = odd_claims();
        let token = issuer.token_of_text(&payload);
        let exact = text(&format!("$p${payload}$p$::jsonb"));
        assert_eq!(text(&format!("verify_third_party_jwt('{token}')")), exact);
        set_token(&token);
        assert_eq!(text("third_party_jwt()"), exact);
        // Built once, copied each time.
        assert_eq!(text("third_party_jwt()"), exact);
    }

    /// Nothing of this kind gets past `token`; should something do, no policy raises.
    #[pg_test]
    fn what_jsonb_refuses_is_no_answer_and_no_error() {
        use crate::pg::claims::to_jsonb;
        for text in [r#"{"n":1e999999}"#, r#"{"t":"\u0000"}"#, "{"] {
            assert!(to_jsonb(text).is_none(), "{text}");
        }
        assert!(to_jsonb(r#"{"n":1}"#).is_some());
        run("select 1");
    }

    #[pg_test]
    fn what_came_out_as_null_is_built_again() {
        use crate::pg::answers::{self, Answer, Moment};
        let mut built = 0;
        answers::forget();
        for value in [
            answers::NULL,
            answers::boolean(true),
            answers::boolean(true),
        ] {
            answers::remember(Answer::Claims, Moment::NEVER, || {
                built += 1;
                value
            });
        }
        answers::forget();
        assert_eq!(built, 2);
    }

    #[pg_test]
    fn claims_handed_out_survive_a_change_of_the_token_in_the_same_row() {
        let (a, b) = (Issuer::oidc("a"), Issuer::oidc("b"));
        let filler = "x".repeat(4000);
        let a = a.token(json!({"filler": filler}));
        let b = b.token(json!({}));
        let wrong: Option<i64> = value(&format!(
            "select count(*) from (
                 select jsonb_build_array(
                     set_config('request.jwt', '{a}', true), third_party_jwt(),
                     set_config('request.jwt', '{b}', true), third_party_jwt(),
                     set_config('request.jwt', '', true), third_party_jwt(),
                     set_config('request.jwt', '{a}', true), third_party_jwt()
                 ) as row from generate_series(1, 2500) offset 0
             ) as t
             where row->1->>'sub' is distinct from 'user of a' or length(row->1->>'filler') <> 4000
                or row->3->>'sub' is distinct from 'user of b'
                or row->5 <> 'null'
                or row->7 is distinct from row->1"
        ));
        assert_eq!(wrong, Some(0));
    }

    #[pg_test]
    fn texts_handed_out_survive_a_change_of_the_token_in_the_same_row() {
        let (a, b) = (Issuer::oidc("a"), Issuer::oidc("b"));
        let (a, b) = (a.token(json!({})), b.token(json!({})));
        let wrong: Option<i64> = value(&format!(
            "select count(*) from (
                 select array[
                     set_config('request.jwt', '{a}', true), jwt_subject(), jwt_provider(), jwt_issuer(),
                     set_config('request.jwt', '{b}', true), jwt_subject(), jwt_provider(), jwt_issuer(),
                     set_config('request.jwt', '', true), jwt_subject(), jwt_provider(), jwt_issuer()
                 ] as row from generate_series(1, 2500) offset 0
             ) as t
             where row[2:4] is distinct from array['user of a', 'a', 'https://a.example.com']
                or row[6:8] is distinct from array['user of b', 'b', 'https://b.example.com']
                or row[10:12] is distinct from array[null, null, null]"
        ));
        assert_eq!(wrong, Some(0));
    }

    #[pg_test]
    fn a_cursor_decides_at_each_fetch() {
        let (a, b) = (Issuer::oidc("a"), Issuer::oidc("b"));
        let (a, b) = (a.token(json!({})), b.token(json!({})));
        run(&format!(
            "create function pg_temp.fetched() returns text[] language plpgsql as $$
             declare
                 c refcursor;
                 answers text[];
                 answer text;
             begin
                 perform set_config('request.jwt', '{a}', true);
                 open c for select jwt_subject() from generate_series(1, 10);
                 fetch c into answer;
                 answers = answers || answer;
                 perform set_config('request.jwt', '{b}', true);
                 fetch c into answer;
                 answers = answers || answer;
                 perform set_config('request.jwt', '', true);
                 fetch c into answer;
                 return answers || answer;
             end $$"
        ));
        let answers: Option<Vec<Option<String>>> = value("select pg_temp.fetched()");
        let expected = [Some("user of a"), Some("user of b"), None];
        assert_eq!(answers, Some(expected.map(|a| a.map(str::to_owned)).into()));
    }

    /// Every function of the extension that answers a boolean and is for policies.
    const BOOLEAN: &str = "select p.oid::regproc::text || '(' || array_to_string(array(
            select 'null::' || t::regtype from unnest(p.proargtypes) with ordinality as a (t, n) order by n
        ), ', ') || ')'
        from pg_proc p
        join pg_depend d on d.objid = p.oid and d.classid = 'pg_proc'::regclass and d.deptype = 'e'
        join pg_extension e on e.oid = d.refobjid and e.extname = 'pg_third_party_auth'
        where p.prorettype = 'boolean'::regtype
          and p.pronamespace <> 'third_party_auth'::regnamespace";

    #[pg_test]
    fn boolean_functions_never_answer_null() {
        let token = Issuer::clerk().token(json!({"fva": [0, 0], "email_verified": true}));
        let calls: Option<Vec<String>> = value(&format!("select array({BOOLEAN})"));
        let calls = calls.expect("functions");
        assert!(calls.len() >= 14, "{calls:?}");
        for token in ["", "not-a-token", &token] {
            set_token(token);
            for call in &calls {
                let expected = !token.is_empty() && token != "not-a-token" && call.ends_with("()");
                let of_supabase_or_firebase = call.starts_with("is_supabase_or_firebase");
                assert_eq!(truth(call), expected && !of_supabase_or_firebase, "{call}");
            }
        }
    }

    /// Rows ask with arguments of their own: what was answered to one is not the answer to the next, whatever was
    /// remembered, and the token may change between two rows.
    #[pg_test]
    fn answers_follow_their_argument_from_row_to_row() {
        let long = "x".repeat(100);
        let clerk = Issuer::clerk();
        let admin = clerk.token(json!({
            "fva": [1, 30], "iat": now() - 60, "scope": format!("read {long}"), "aud": ["api", "other"],
            "o": {"id": "org_a", "rol": "admin", "per": "read", "fpm": "1"}, "fea": "o:a",
        }));
        let member = clerk.token(json!({"o": {"id": "org_b", "rol": "member"}, "fva": [50, -1]}));
        let calls = [
            (
                "jwt_has_audience(%L)",
                &["api", "other", "apis", "", "api"][..],
            ),
            (
                "jwt_has_org_role(%L)",
                &["admin", "org:admin", "member", "", "admin"],
            ),
            (
                "jwt_has_org_role(%L, 'org_a')",
                &["admin", "member", "org:admin"],
            ),
            (
                "jwt_has_org_role('admin', %L)",
                &["org_a", "org_b", "", "org_a", "org_ab"],
            ),
            (
                "jwt_has_org_role('member', %L)",
                &["org_b", "org_a", "org_b"],
            ),
            (
                "jwt_has_scope(%L)",
                &["read", "write", &long, "rea", &long[1..]],
            ),
            ("jwt_has_org_permission(%L)", &["a:read", "b:read", ""]),
            ("jwt_has_org_permission('a:read', %L)", &["org_a", "org_b"]),
            (
                "jwt_authenticated_within(%L::interval)",
                &["1 hour", "1 s", "60 min", "3 min"],
            ),
            (
                "jwt_second_factor_verified(%L::interval)",
                &["1 day", "1 min", "24:00:00", "35 min"],
            ),
            (
                "jwt_reverified(%L)",
                &["strict", "lax", "strict_mfa", "none"],
            ),
        ];
        for (call, arguments) in calls {
            let with = |argument: &str| call.replace("%L", &format!("'{argument}'"));
            // Each alone in a statement of its own.
            let alone = [&admin, &member].map(|token| {
                set_token(token);
                let answers = arguments.iter().map(|argument| truth(&with(argument)));
                answers.collect::<Vec<_>>()
            });
            assert!(
                [true, false].map(|answer| alone.concat().contains(&answer)) == [true; 2],
                "{call}"
            );
            // All in turn in the rows of one, each twice.
            let twice = arguments
                .iter()
                .map(|argument| format!("'{argument}', '{argument}'"));
            let twice: Vec<_> = twice.collect();
            for (token, alone) in [&admin, &member].into_iter().zip(&alone) {
                set_token(token);
                let rows: Option<Vec<bool>> = value(&format!(
                    "select array_agg({}) from unnest(array[{}]) argument",
                    call.replace("%L", "argument"),
                    twice.join(",")
                ));
                let expected = alone.iter().flat_map(|answer| [*answer; 2]);
                assert_eq!(rows, Some(expected.collect()), "{call}");
            }
            // The same in all rows, whose tokens take turns.
            for (position, argument) in arguments.iter().enumerate() {
                let rows: Option<Vec<bool>> = value(&format!(
                    "select array_agg(set_config('request.jwt', token, true) is not null and {})
                     from unnest(array['{admin}', '{member}', '{admin}']) token",
                    with(argument)
                ));
                let [of_admin, of_member] = [&alone[0], &alone[1]].map(|alone| alone[position]);
                assert_eq!(rows, Some(vec![of_admin, of_member, of_admin]), "{call}");
            }
        }
        // NULL never widens access, whatever was answered before.
        set_token(&admin);
        let nulls: Option<bool> = value(
            "select bool_or(jwt_has_org_role(role, org)) from
             (values ('admin', null), (null, 'org_a'), (null, null)) as t (role, org)
             where jwt_has_org_role('admin', 'org_a')",
        );
        assert_eq!(nulls, Some(false));
    }

    #[pg_test]
    fn functions_for_policies_are_declared_stable_and_parallel_safe() {
        let odd: Option<Vec<String>> = value(
            "select array(select p.oid::regprocedure::text
             from pg_proc p
             join pg_depend d on d.objid = p.oid and d.classid = 'pg_proc'::regclass and d.deptype = 'e'
             join pg_extension e on e.oid = d.refobjid and e.extname = 'pg_third_party_auth'
             where p.pronamespace = e.extnamespace and p.pronamespace <> 'third_party_auth'::regnamespace
               and (p.provolatile <> 's' or p.proparallel <> 's' or p.proisstrict or p.prosecdef
                    or p.proleakproof or p.proretset))",
        );
        assert_eq!(odd, Some(vec![]));
    }

    #[pg_test]
    fn a_policy_that_calls_unwrapped_is_a_plain_filter() {
        run("create table pg_temp.t (organization_id text)");
        run(
            "create function pg_temp.plan(query text) returns text language plpgsql as $$
             declare
                 line text;
                 plan text = '';
             begin
                 for line in execute 'explain (costs off) ' || query loop
                     plan = plan || line || e'\\n';
                 end loop;
                 return plan;
             end $$",
        );
        let plan: Option<String> = value(
            "select pg_temp.plan('select from pg_temp.t where organization_id = jwt_org_id()')",
        );
        let plan = plan.expect("a plan");
        assert!(
            plan.contains("Filter: (organization_id = jwt_org_id())"),
            "{plan}"
        );
    }
}

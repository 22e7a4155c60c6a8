//! What the planner knows of policies, and that its plans outlive the token that they were made with.

#[pgrx::pg_schema]
mod tests {
    use crate::pg_test::support::{Issuer, run, set_token, value};
    use pgrx::prelude::*;
    use serde_json::json;

    /// A table of 1,000 rows, half of them of this subject, with a policy, and a role that it binds.
    fn table(policy: &str) {
        run("create role reader");
        run("create table note as select g as id, case g % 2 when 0 then 'ada' else 'bob' end as owner
                 from generate_series(1, 1000) g");
        run("alter table note enable row level security");
        run(&format!("create policy p on note using ({policy})"));
        run("grant select on note to reader");
        run("analyze note");
    }

    /// How many rows the planner expects of the table.
    fn expected_rows() -> f64 {
        run("set local role reader");
        let plan: pgrx::Json = value("explain (format json) select * from note").expect("a plan");
        run("reset role");
        plan.0[0]["Plan"]["Plan Rows"].as_f64().expect("a number")
    }

    #[pg_test]
    fn a_condition_that_is_the_same_for_every_row_lets_every_row_through() {
        for policy in [
            "is_third_party_jwt()",
            "is_third_party_jwt('a')",
            "is_supabase_or_firebase_project_jwt()",
            "jwt_second_factor_verified() and jwt_email_verified()",
            "jwt_second_factor_verified('10 minutes')",
            "jwt_authenticated_within('1 hour') and jwt_reverified('strict')",
            "jwt_has_org_role('admin') or jwt_has_org_permission('read')",
            "jwt_has_scope('read') and jwt_has_audience('api')",
        ] {
            table(policy);
            assert_eq!(expected_rows(), 1000.0, "{policy}");
            run("drop table note; drop role reader");
        }
    }

    #[pg_test]
    fn a_condition_on_a_column_is_not_taken_for_one_that_is_the_same_for_every_row() {
        table("is_third_party_jwt(owner)");
        assert!(expected_rows() < 500.0);
    }

    #[pg_test]
    fn a_plan_that_is_kept_answers_for_the_token_of_the_day() {
        let issuer = Issuer::oidc("a");
        table("is_third_party_jwt() and owner = jwt_subject()");
        run("set local plan_cache_mode = force_generic_plan");
        run("prepare notes(text) as select count(*) from note where owner = $1");
        run("set local role reader");
        let count =
            |owner: &str| -> i64 { value(&format!("execute notes('{owner}')")).expect("a count") };
        let of = |subject: &str| issuer.token(json!({"sub": subject}));
        for _ in 0..3 {
            set_token(&of("ada"));
            assert_eq!((count("ada"), count("bob")), (500, 0));
            set_token(&of("bob"));
            assert_eq!((count("ada"), count("bob")), (0, 500));
            set_token(&issuer.token(json!({"sub": "ada", "aud": "somebody else"})));
            assert_eq!((count("ada"), count("bob")), (0, 0));
            set_token("");
            assert_eq!((count("ada"), count("bob")), (0, 0));
        }
    }
}

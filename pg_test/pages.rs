//! The pages in `docs/providers` as they stand: their registrations, policies and example tokens.

#[pgrx::pg_schema]
mod tests {
    use crate::pg_test::mint::{KeyPair, jwks};
    use crate::pg_test::support::{now, run, set_token, take_turn, truth, value};
    use crate::provider::presets::ALL;
    use pgrx::prelude::*;
    use serde_json::{Value, json};

    const PAGES: [(&str, &str); 9] = [
        ("apple", include_str!("../docs/providers/apple.md")),
        ("auth0", include_str!("../docs/providers/auth0.md")),
        (
            "aws_cognito",
            include_str!("../docs/providers/aws_cognito.md"),
        ),
        ("azure", include_str!("../docs/providers/azure.md")),
        ("clerk", include_str!("../docs/providers/clerk.md")),
        ("firebase", include_str!("../docs/providers/firebase.md")),
        ("oidc", include_str!("../docs/providers/oidc.md")),
        ("supabase", include_str!("../docs/providers/supabase.md")),
        ("workos", include_str!("../docs/providers/workos.md")),
    ];

    /// What stands in the page's blocks of a language.
    fn blocks(page: &str, language: &str) -> Vec<String> {
        let opening = format!("```{language}\n");
        let parts = page.split(&opening).skip(1);
        parts
            .map(|part| part.split("```").next().unwrap_or_default().to_owned())
            .collect()
    }

    /// Moves every moment of an example to where it would be in a token that was issued now.
    fn moved(value: &Value, by: i64) -> Value {
        match value {
            Value::Number(number) => match number.as_i64() {
                Some(moment @ 1_600_000_000..1_800_000_000) => json!(moment + by),
                _ => value.clone(),
            },
            Value::Array(items) => items.iter().map(|item| moved(item, by)).collect(),
            Value::Object(members) => members
                .iter()
                .map(|(name, member)| (name.clone(), moved(member, by)))
                .collect(),
            other => other.clone(),
        }
    }

    #[pg_test]
    fn each_providers_page_runs_as_it_stands() {
        take_turn();
        let key = KeyPair::rsa();
        let jwks = jwks(&[key.jwk("key_1", None)]);
        assert_eq!(PAGES.map(|(kind, _)| kind), ALL.map(|preset| preset.kind));
        for (kind, page) in PAGES {
            let statements = blocks(page, "sql");
            assert!(statements.len() >= 2, "{kind}: a registration and policies");
            // Registered in a transaction that is rolled back: nothing is ever fetched for it.
            statements.iter().for_each(|statement| run(statement));
            run(&format!(
                "update third_party_auth.provider set jwks = '{jwks}', jwks_uri = null, for_requests = true,
                     algorithms = '{{RS256}}' where name = '{kind}'"
            ));
            let example = blocks(page, "json").remove(0);
            let example: Value = serde_json::from_str(&example).unwrap();
            let by = now() as i64 - example["iat"].as_i64().unwrap();
            let header = json!({"alg": "RS256", "kid": "key_1"});
            set_token(&key.sign(&header, &moved(&example, by)));
            assert!(truth(&format!("is_third_party_jwt('{kind}')")), "{kind}");
            // A row of the token's own: its subject, its organisation, its tenant.
            run("create or replace function pg_temp.holds(target oid, expression text) returns boolean
                     language plpgsql as $$
                 declare
                     own text;
                     answer boolean;
                 begin
                     select string_agg(format('(%s)::%s as %I', case attname
                             when 'owner' then $own$coalesce(third_party_jwt()->>'oid', jwt_subject())$own$
                             when 'organization_id' then 'jwt_org_id()'
                             when 'tenant' then $own$third_party_jwt()->>'tid'$own$
                             else 'null'
                         end, format_type(atttypid, atttypmod), attname), ', ') into own
                     from pg_attribute where attrelid = target and attnum > 0;
                     execute format('select %s from (select %s) as own', expression, own) into answer;
                     return answer;
                 end $$");
            let holding: Option<i64> = value(
                "select count(*) from pg_policy where pg_temp.holds(
                     polrelid, pg_get_expr(coalesce(polqual, polwithcheck), polrelid))",
            );
            assert!(holding > Some(0), "{kind}: no policy lets the example pass");
            let policies: Option<i64> = value("select count(*) from pg_policy");
            assert!(policies >= Some(3), "{kind}: three policies");
            run("do $$ declare t regclass; begin
                     for t in select distinct polrelid::regclass from pg_policy loop
                         execute 'drop table ' || t || ' cascade';
                     end loop;
                 end $$");
            run(&format!(
                "select third_party_auth.remove_provider('{kind}')"
            ));
        }
    }
}

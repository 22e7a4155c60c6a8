//! What many calls leave behind in the backend.

#[pgrx::pg_schema]
mod tests {
    use crate::pg_test::support::{Issuer, run, value};
    use pgrx::prelude::*;
    use serde_json::json;

    /// Bytes in PostgreSQL's memory contexts, and bytes of the whole process.
    fn memory() -> (i64, i64) {
        let contexts = "select sum(total_bytes)::bigint from pg_backend_memory_contexts";
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let resident = status
            .lines()
            .find_map(|line| line.strip_prefix("RssAnon:"))
            .and_then(|line| line.split_whitespace().next()?.parse::<i64>().ok())
            .unwrap_or(0);
        (value(contexts).expect("a sum"), resident * 1024)
    }

    /// Runs it once so that caches are filled, then again: the second time must not cost memory.
    fn leaves_nothing_behind(name: &str, statement: &str) {
        run(statement);
        let (contexts, resident) = memory();
        run(statement);
        let (contexts_after, resident_after) = memory();
        let grown = (contexts_after - contexts, resident_after - resident);
        assert!(
            grown.0 < 100_000,
            "{name}: memory contexts grew by {} bytes",
            grown.0
        );
        // 50,000 calls that lost 64 bytes each would be 3 MB.
        assert!(
            grown.1 < 2_000_000,
            "{name}: the process grew by {} bytes",
            grown.1
        );
    }

    #[pg_test]
    fn verifying_leaves_nothing_behind() {
        let issuer = Issuer::oidc("a");
        let token = issuer.token(json!({"filler": "x".repeat(500)}));
        leaves_nothing_behind(
            "verify_third_party_jwt",
            &format!(
                "select count(verify_third_party_jwt('{token}')) from generate_series(1, 50000)"
            ),
        );
        // In one row after the other another token: more of them than a backend remembers.
        let tokens: Vec<_> = (0..20).map(|n| issuer.token(json!({"n": n}))).collect();
        leaves_nothing_behind(
            "a token that changes",
            &format!(
                "select count(third_party_jwt()) from (
                     select set_config('request.jwt', ('{{{}}}'::text[])[i % 20 + 1], true)
                     from generate_series(1, 20000) i offset 0
                 ) as t (token)
                 where token is not null and jwt_subject() = 'user of a' and jwt_has_audience('api')",
                tokens.join(",")
            ),
        );
    }

    #[pg_test]
    fn refusing_leaves_nothing_behind() {
        let issuer = Issuer::oidc("a");
        let refused = [
            issuer.token(json!({"exp": 1})),
            issuer.token(json!({"aud": "another"})),
            format!("{}AAAA", &issuer.token(json!({}))[..100]),
            "not-a-token".to_owned(),
            format!("{}A", issuer.token(json!({}))),
        ];
        let refused = refused.join(",");
        leaves_nothing_behind(
            "refused tokens of requests",
            &format!(
                "select count(*) from (
                     select set_config('request.jwt', ('{{{refused}}}'::text[])[i % 5 + 1], true)
                     from generate_series(1, 50000) i offset 0
                 ) as t (token)
                 where token is not null and is_third_party_jwt()"
            ),
        );
        leaves_nothing_behind(
            "errors",
            &format!(
                "do $$ declare tokens text[] = '{{{refused}}}'; begin
                     for i in 1 .. 10000 loop
                         begin
                             perform verify_third_party_jwt(tokens[i % 5 + 1]);
                             raise 'not refused';
                         exception when invalid_authorization_specification then null;
                         end;
                     end loop;
                 end $$"
            ),
        );
    }

    #[pg_test]
    fn changing_the_registry_leaves_nothing_behind() {
        let issuer = Issuer::oidc("a");
        let token = issuer.token(json!({}));
        leaves_nothing_behind(
            "changes of the registry",
            &format!(
                "do $$ begin
                     perform set_config('request.jwt', '{token}', true);
                     for i in 1 .. 500 loop
                         update third_party_auth.provider set default_role = case i % 2 when 0 then 'authenticated' end;
                         assert is_third_party_jwt();
                     end loop;
                 end $$"
            ),
        );
    }
}

//! Jobs of pg_cron on guarded tables. Debian has pg_cron for its own version of PostgreSQL only.

use crate::setting::{text, trusting};

/// The owner's job, one of a role that policies bind, and one of a role that needs no token.
const JOBS: &str = "
    CREATE EXTENSION pg_cron;
    CREATE ROLE bound LOGIN; CREATE ROLE exempt LOGIN;
    CREATE SCHEMA app; GRANT USAGE ON SCHEMA app TO bound, exempt;
    CREATE TABLE app.note (author text NOT NULL DEFAULT current_user);
    GRANT SELECT, INSERT, TRUNCATE ON app.note TO bound, exempt;
    SELECT FROM third_party_auth.guard_schema('app', rls_off => 'open', exempt_roles => '{exempt}');
    SELECT cron.schedule_in_database(
        login, '* * * * *', 'INSERT INTO app.note DEFAULT VALUES', 'postgres', login)
    FROM unnest('{postgres,bound,exempt}'::text[]) login;
    SELECT cron.schedule_in_database('truncate', '* * * * *', 'TRUNCATE app.note', 'postgres', 'bound');
";

#[test]
#[cfg_attr(
    not(feature = "pg15"),
    ignore = "there is a pg_cron for PostgreSQL 15 only"
)]
fn jobs_of_pg_cron_need_a_role_that_guards_do_not_bind() {
    let conf = [
        "shared_preload_libraries = 'pg_cron, pg_third_party_auth'",
        "cron.database_name = 'postgres'",
        "cron.use_background_workers = on",
        "max_worker_processes = 20",
    ];
    let (cluster, _) = trusting("jobs", &conf, "");
    let mut client = cluster.superuser();
    client.batch_execute(JOBS).unwrap();
    // Jobs begin with the minute.
    let mut ended = || {
        let query = "SELECT string_agg(j.jobname || ' ' || d.status, ', ' ORDER BY j.jobname) \
                     FROM cron.job j JOIN LATERAL (SELECT * FROM cron.job_run_details d \
                     WHERE d.jobid = j.jobid AND d.end_time IS NOT NULL ORDER BY d.runid LIMIT 1) d ON true \
                     HAVING count(*) = 4";
        client
            .query_opt(query, &[])
            .unwrap()
            .map(|row| row.get::<_, String>(0))
    };
    let mut outcome = None;
    cluster.eventually_within(
        std::time::Duration::from_secs(80),
        "every job has run",
        || {
            outcome = ended();
            outcome.is_some()
        },
    );
    let expected = "bound failed, exempt succeeded, postgres succeeded, truncate failed";
    assert_eq!(outcome.as_deref(), Some(expected));
    let why = "SELECT string_agg(DISTINCT return_message, '') FROM cron.job_run_details \
               WHERE status = 'failed' AND command LIKE 'INSERT%'";
    let why = text(&mut client, why).unwrap();
    assert!(why.contains("row-level security"), "{why}");
    let authors = "SELECT string_agg(DISTINCT author, ' ' ORDER BY author) FROM app.note";
    assert_eq!(text(&mut client, authors).unwrap(), "exempt postgres");
}

//! Decisions are counted once, whichever session makes them and however it ends.

use crate::cluster::Stop;
use crate::setting::{
    Setting, Signer, add_oidc, add_pinned, create_extension, refusal, set, text, trusting, verify,
};
use postgres::Client;
use std::thread;

/// What is counted in a database, in one line.
fn stats(client: &mut Client) -> String {
    let query = "SELECT string_agg(concat_ws(' ', coalesce(provider, '-'), outcome, reason, count), ', ' \
                 ORDER BY provider, outcome, reason) FROM third_party_auth.stats";
    text(client, query).unwrap_or_default()
}

#[test]
fn decisions_of_all_sessions_are_counted_and_each_once() {
    const SESSIONS: usize = 8;
    const STATEMENTS: usize = 200;
    let (cluster, signer) = trusting("counts", &[], "");
    let mut owner = cluster.superuser();
    owner
        .batch_execute(
            "CREATE TABLE t AS SELECT FROM generate_series(1, 1000); GRANT SELECT ON t TO app; \
             ALTER TABLE t ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON t USING (is_third_party_jwt())",
        )
        .unwrap();
    let sessions: Vec<_> = (0..SESSIONS)
        .map(|session| {
            let mut client = cluster.connect("app", "postgres");
            let token = signer.pinned(&format!("user {session}"));
            thread::spawn(move || {
                set(&mut client, "request.jwt", &token);
                for _ in 0..STATEMENTS {
                    let rows = text(&mut client, "SELECT count(*)::text FROM t").unwrap();
                    assert_eq!(rows, "1000");
                }
                // Without a token there is nothing to decide.
                set(&mut client, "request.jwt", "");
                text(&mut client, "SELECT count(*)::text FROM t").unwrap();
            })
        })
        .collect();
    for session in sessions {
        session.join().unwrap();
    }
    let cached = SESSIONS * STATEMENTS - SESSIONS;
    let all = format!("pinned cached {cached}, pinned verified {SESSIONS}");
    assert_eq!(stats(&mut owner), all);

    // A session that is ended in the middle of a transaction has decided all the same.
    let mut victim = cluster.superuser();
    let pid = text(&mut victim, "SELECT pg_backend_pid()::text").unwrap();
    victim.batch_execute("BEGIN").unwrap();
    verify(&mut victim, &signer.pinned("eve")).unwrap();
    assert_eq!(stats(&mut owner), all, "not before its transaction ends");
    owner
        .batch_execute(&format!("SELECT pg_terminate_backend({pid})"))
        .unwrap();
    let all = format!("pinned cached {cached}, pinned verified {}", SESSIONS + 1);
    cluster.eventually("it is counted", || stats(&mut owner) == all);

    // A crash forgets, as a restart does.
    cluster.restart(Stop::Immediate);
    let mut owner = cluster.superuser();
    assert_eq!(stats(&mut owner), "");
}

#[test]
fn each_database_has_counts_of_its_own_and_they_go_with_what_they_are_of() {
    let setting = Setting::new("own_counts");
    let cluster = &setting.cluster;
    let mut first = cluster.superuser();
    first.batch_execute("CREATE DATABASE second").unwrap();
    let mut second = cluster.connect("postgres", "second");
    second
        .batch_execute("CREATE EXTENSION pg_third_party_auth")
        .unwrap();
    let (one, other) = (Signer::new("one"), Signer::new("other"));
    first.batch_execute(&add_pinned(&one, "")).unwrap();
    second.batch_execute(&add_pinned(&other, "")).unwrap();
    verify(&mut first, &one.pinned("ada")).unwrap();
    assert_eq!(
        refusal(&mut second, &one.pinned("ada")),
        "28000 unknown_key"
    );
    assert_eq!(stats(&mut first), "pinned verified 1");
    assert_eq!(stats(&mut second), "pinned refused unknown_key 1");
    // What cannot be decided counts too.
    setting.idp.stop();
    first
        .batch_execute(&add_oidc("idp", &setting.idp.issuer()))
        .unwrap();
    let token = setting.token(&one);
    assert_eq!(refusal(&mut first, &token), "58000 keys_not_fetched");
    let both = "idp undecided keys_not_fetched 1, pinned verified 1";
    assert_eq!(stats(&mut first), both);

    second
        .batch_execute("SELECT third_party_auth.reset_stats()")
        .unwrap();
    assert_eq!(
        (stats(&mut second), stats(&mut first).as_str()),
        (String::new(), both)
    );
    // A name that was never committed is nobody's to see.
    first.batch_execute("BEGIN").unwrap();
    let more = add_pinned(&other, "").replace("issuer.example", "more.example");
    first
        .batch_execute(&more.replace("'pinned'", "'more'"))
        .unwrap();
    let mut claims = crate::setting::claims("https://more.example");
    claims["sub"] = "ada".into();
    verify(&mut first, &other.token(&claims)).unwrap();
    first.batch_execute("ROLLBACK").unwrap();
    assert_eq!(stats(&mut first), both);
    assert_eq!(refusal(&mut first, &token), "58000 keys_not_fetched");
    assert_eq!(stats(&mut first), both.replace("fetched 1", "fetched 2"));
    first
        .batch_execute("SELECT third_party_auth.remove_provider('idp')")
        .unwrap();
    cluster.eventually("what a removed provider has counted is gone", || {
        stats(&mut first) == "pinned verified 1"
    });
    // And comes not back with another one of that name.
    first
        .batch_execute(&add_oidc("idp", &setting.idp.issuer()))
        .unwrap();
    assert_eq!(refusal(&mut first, &token), "58000 keys_not_fetched");
    assert_eq!(stats(&mut first), both);
}

#[test]
fn more_providers_than_there_are_counters_cost_no_more_memory() {
    // 2 * 1 + 16 rows.
    let lines = ["third_party_auth.max_providers = 1"];
    let cluster = crate::cluster::Cluster::start("rows", &lines);
    let mut client = cluster.superuser();
    create_extension(&mut client);
    let signer = Signer::new("one");
    for number in 0..30 {
        let add = add_pinned(&signer, "").replace("issuer.example", &format!("i{number}.example"));
        client
            .batch_execute(&add.replace("'pinned'", &format!("'p{number}'")))
            .unwrap();
        let token = signer.token(&crate::setting::claims(&format!(
            "https://i{number}.example"
        )));
        // The first one counts most, and stays.
        for _ in 0..if number == 0 { 3 } else { 1 } {
            verify(&mut client, &token).unwrap();
        }
    }
    let query = "SELECT concat_ws(' ', count(DISTINCT provider), \
                 sum(count) FILTER (WHERE provider = 'p0'), bool_or(provider = 'p29')) \
                 FROM third_party_auth.stats";
    assert_eq!(text(&mut client, query).unwrap(), "18 3 t");
}

//! What is registered or revoked counts at once, everywhere in its database and nowhere else.

use crate::cluster::Cluster;
use crate::setting::{
    IN_PARALLEL, Signer, add_pinned, bearer, create_extension, failure, refusal, set, subject,
    text, verify,
};
use postgres::Client;
use std::time::{Duration, Instant};

const REMOVE: &str = "SELECT third_party_auth.remove_provider('pinned')";

/// A server, a superuser's session with the extension, and a key.
fn setting(name: &str) -> (Cluster, Client, Signer) {
    let cluster = Cluster::start(name, &[]);
    let mut client = cluster.superuser();
    create_extension(&mut client);
    (cluster, client, Signer::new("one"))
}

#[test]
fn databases_keep_their_providers_apart() {
    let (cluster, mut first, signer) = setting("databases");
    first.batch_execute("CREATE DATABASE second").unwrap();
    let mut second = cluster.connect("postgres", "second");
    second
        .batch_execute("CREATE EXTENSION pg_third_party_auth")
        .unwrap();
    let token = signer.pinned("ada");
    first.batch_execute(&add_pinned(&signer, "")).unwrap();
    assert_eq!(verify(&mut first, &token).unwrap(), "ada");
    assert_eq!(refusal(&mut second, &token), "28000 unknown_issuer");

    // The same issuer with other keys and another rule.
    let other = Signer::new("one");
    second
        .batch_execute(&add_pinned(&other, ", allowed_roles => '{member}'"))
        .unwrap();
    assert_eq!(refusal(&mut second, &token), "28000 bad_signature");
    assert_eq!(
        refusal(&mut second, &other.pinned("ada")),
        "28000 role_not_allowed"
    );
    second
        .batch_execute("SELECT third_party_auth.revoke_key('pinned', 'one')")
        .unwrap();
    assert_eq!(refusal(&mut second, &token), "28000 key_revoked");
    assert_eq!(verify(&mut first, &token).unwrap(), "ada");
}

#[test]
fn a_snapshot_does_not_hide_what_was_registered_after_it() {
    for level in ["REPEATABLE READ", "SERIALIZABLE"] {
        let (cluster, mut other, signer) = setting("snapshot");
        let token = signer.pinned("ada");
        let mut client = cluster.superuser();
        client
            .batch_execute(&format!("BEGIN ISOLATION LEVEL {level}"))
            .unwrap();
        let count = "SELECT count(*)::text FROM third_party_auth.provider";
        assert_eq!(text(&mut client, count).unwrap(), "0");
        set(&mut client, "request.jwt", &token);
        assert_eq!(subject(&mut client), None);
        other.batch_execute(&add_pinned(&signer, "")).unwrap();
        assert_eq!(subject(&mut client).as_deref(), Some("ada"), "{level}");
        // The snapshot is what it was.
        assert_eq!(text(&mut client, count).unwrap(), "0", "{level}");
        other.batch_execute(REMOVE).unwrap();
        assert_eq!(subject(&mut client), None, "{level}");
    }
}

#[test]
fn removal_and_revocation_count_from_the_next_statement() {
    let (cluster, mut other, signer) = setting("removal");
    let add = add_pinned(&signer, "");
    other.batch_execute(&add).unwrap();
    other
        .batch_execute(
            "CREATE TABLE t (n int); INSERT INTO t VALUES (1); ALTER TABLE t ENABLE ROW LEVEL SECURITY; \
             CREATE POLICY p ON t USING (is_third_party_jwt()); GRANT SELECT ON t TO app",
        )
        .unwrap();
    let mut client = cluster.connect("app", "postgres");
    set(&mut client, "request.jwt", &signer.pinned("ada"));
    client
        .batch_execute("SET plan_cache_mode = force_generic_plan")
        .unwrap();
    let prepared = client.prepare("SELECT count(*) FROM t").unwrap();
    client.batch_execute("BEGIN").unwrap();
    let mut rows = || client.query_one(&prepared, &[]).unwrap().get::<_, i64>(0);
    // Often enough that the plan is cached.
    for _ in 0..8 {
        assert_eq!(rows(), 1);
    }
    for (deny, allow) in [
        (REMOVE, add.as_str()),
        (
            "SELECT third_party_auth.revoke_key('pinned', 'one')",
            "SELECT third_party_auth.unrevoke_key('pinned', 'one')",
        ),
        (
            "UPDATE third_party_auth.provider SET enabled = false",
            "UPDATE third_party_auth.provider SET enabled = true",
        ),
        (
            "UPDATE third_party_auth.provider SET audiences = '{other}'",
            "UPDATE third_party_auth.provider SET audiences = '{api}'",
        ),
        ("TRUNCATE third_party_auth.provider CASCADE", add.as_str()),
    ] {
        other.batch_execute(deny).unwrap();
        assert_eq!(rows(), 0, "{deny}");
        other.batch_execute(allow).unwrap();
        assert_eq!(rows(), 1, "{allow}");
    }
    // What is not committed does not count elsewhere.
    other.batch_execute("BEGIN").unwrap();
    other.batch_execute(REMOVE).unwrap();
    assert_eq!(rows(), 1);
    other.batch_execute("ROLLBACK").unwrap();
    assert_eq!(rows(), 1);
}

#[test]
fn what_is_rolled_back_has_never_been() {
    let (_cluster, mut client, signer) = setting("rolled_back");
    let add = add_pinned(&signer, "");
    set(&mut client, "request.jwt", &signer.pinned("ada"));
    let ada = Some("ada".to_owned());

    client.batch_execute(&format!("BEGIN; {add}")).unwrap();
    assert_eq!(subject(&mut client), ada);
    client.batch_execute("ROLLBACK").unwrap();
    assert_eq!(subject(&mut client), None);

    client
        .batch_execute(&format!("BEGIN; SAVEPOINT s; {add}"))
        .unwrap();
    assert_eq!(subject(&mut client), ada);
    client.batch_execute("ROLLBACK TO s").unwrap();
    assert_eq!(subject(&mut client), None);
    client.batch_execute(&format!("{add}; COMMIT")).unwrap();
    assert_eq!(subject(&mut client), ada);

    for forbid in [
        REMOVE,
        "SELECT third_party_auth.revoke_key('pinned', 'one')",
    ] {
        client.batch_execute(&format!("BEGIN; {forbid}")).unwrap();
        assert_eq!(subject(&mut client), None, "{forbid}");
        client.batch_execute("ROLLBACK").unwrap();
        assert_eq!(subject(&mut client), ada, "{forbid}");
        client
            .batch_execute(&format!("BEGIN; SAVEPOINT s; {forbid}"))
            .unwrap();
        assert_eq!(subject(&mut client), None, "{forbid}");
        client.batch_execute("ROLLBACK TO s").unwrap();
        assert_eq!(subject(&mut client), ada, "{forbid}");
        client.batch_execute("COMMIT").unwrap();
        assert_eq!(subject(&mut client), ada, "{forbid}");
    }
}

#[test]
fn parallel_workers_answer_as_their_leader_does() {
    let (cluster, mut owner, signer) = setting("parallel");
    owner.batch_execute(&add_pinned(&signer, "")).unwrap();
    owner
        .batch_execute(
            "CREATE TABLE t AS SELECT n, CASE n % 3 WHEN 0 THEN 'ada' ELSE 'eve' END AS owner \
             FROM generate_series(1, 100000) n; \
             ALTER TABLE t ENABLE ROW LEVEL SECURITY; ANALYZE t; GRANT SELECT ON t TO app; \
             CREATE POLICY p ON t USING (is_third_party_jwt() AND owner = jwt_subject() \
                 AND third_party_jwt()->>'sub' = owner AND jwt_has_audience('api'))",
        )
        .unwrap();
    let mut client = cluster.connect("app", "postgres");
    let sum = "SELECT format('%s %s', count(*), sum(n)) FROM t";
    let serial = "SET max_parallel_workers_per_gather = 0";
    for (source, value, has_rows) in [
        ("request.jwt", signer.pinned("ada"), true),
        ("request.headers", bearer(&signer.pinned("ada")), true),
        ("request.jwt", signer.pinned("nobody"), false),
        (
            "request.headers",
            bearer(&Signer::new("one").pinned("ada")),
            false,
        ),
    ] {
        client.batch_execute("RESET ALL").unwrap();
        set(&mut client, source, &value);
        client.batch_execute(serial).unwrap();
        let expected = text(&mut client, sum).unwrap();
        assert_eq!(expected != "0 ", has_rows, "{source}: {expected}");
        client.batch_execute(IN_PARALLEL).unwrap();
        assert_eq!(text(&mut client, sum).unwrap(), expected, "{source}");
    }
    // Workers were really at work.
    set(
        &mut client,
        "request.headers",
        &bearer(&signer.pinned("ada")),
    );
    let plan = client
        .simple_query(&format!("EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) {sum}"))
        .unwrap();
    let plan = format!("{plan:?}");
    assert!(plan.contains("Workers Launched: 2"), "{plan}");
}

#[test]
fn a_locked_registry_is_waited_for_no_longer_than_key_wait() {
    let (cluster, mut holder, signer) = setting("locked");
    holder.batch_execute(&add_pinned(&signer, "")).unwrap();
    let token = signer.pinned("ada");
    for table in ["provider", "revoked"] {
        // A session that has read nothing yet.
        let mut client = cluster.superuser();
        client
            .batch_execute("SET third_party_auth.key_wait = '400 ms'")
            .unwrap();
        let lock = format!("BEGIN; LOCK third_party_auth.{table} IN ACCESS EXCLUSIVE MODE");
        holder.batch_execute(&lock).unwrap();
        let start = Instant::now();
        assert_eq!(
            refusal(&mut client, &token),
            "58000 registry_locked",
            "{table}"
        );
        let waited = start.elapsed();
        assert!(
            (Duration::from_millis(350)..Duration::from_secs(3)).contains(&waited),
            "{waited:?}"
        );
        // Whoever holds the lock is not in their own way.
        assert_eq!(verify(&mut holder, &token).unwrap(), "ada", "{table}");
        holder.batch_execute("COMMIT").unwrap();
        assert_eq!(verify(&mut client, &token).unwrap(), "ada", "{table}");
    }
}

#[test]
fn the_extension_can_be_dropped_and_created_again() {
    let (cluster, mut owner, signer) = setting("again");
    owner.batch_execute(&add_pinned(&signer, "")).unwrap();
    let token = signer.pinned("ada");
    let mut client = cluster.superuser();
    for _ in 0..2 {
        assert_eq!(verify(&mut client, &token).unwrap(), "ada");
        assert_eq!(verify(&mut owner, &token).unwrap(), "ada");
        owner
            .batch_execute("DROP EXTENSION pg_third_party_auth")
            .unwrap();
        assert_eq!(failure(verify(&mut client, &token)).0, "42883");
        owner
            .batch_execute("CREATE EXTENSION pg_third_party_auth")
            .unwrap();
        for session in [&mut client, &mut owner] {
            assert_eq!(refusal(session, &token), "28000 unknown_issuer");
        }
        let other = add_pinned(&Signer::new("one"), "");
        owner.batch_execute(&other).unwrap();
        for session in [&mut client, &mut owner] {
            assert_eq!(refusal(session, &token), "28000 bad_signature");
        }
        owner.batch_execute(REMOVE).unwrap();
        owner.batch_execute(&add_pinned(&signer, "")).unwrap();
    }
}

//! Logical replication, snapshots, cursors.

use super::known_keys;
use crate::cluster::Cluster;
use crate::invariants::Invariants;
use crate::setting::{
    Setting, Signer, add_oidc, another_idp, claims, create_extension, refusal, set, text, trust,
    verify,
};
use postgres::{IsolationLevel, SimpleQueryMessage};
use std::thread;

#[test]
fn f35_logical_replication_of_all_tables_never_stops_for_keys() {
    let setting = Setting::with("publisher", &["wal_level = logical"]);
    let mut publisher = setting.cluster.superuser();
    let [ca_file, networks] = trust(&setting.authority);
    let subscriber = Cluster::start("subscriber", &[&ca_file, &networks]);
    let mut client = subscriber.superuser();
    create_extension(&mut client);
    let mut signers = vec![Signer::new("key 0")];
    setting.idp.publish(vec![signers[0].jwk()]);
    // Both have registered the same, and each stores keys of its own.
    for session in [&mut publisher, &mut client] {
        session
            .batch_execute(&add_oidc("idp", &setting.idp.issuer()))
            .unwrap();
        session
            .batch_execute("CREATE TABLE marker (number int PRIMARY KEY)")
            .unwrap();
    }
    setting.wait_until_stored(&mut publisher, "idp");
    publisher
        .batch_execute("CREATE PUBLICATION everything FOR ALL TABLES")
        .unwrap();
    let subscribe = format!(
        "CREATE SUBSCRIPTION everything CONNECTION 'host={} user=postgres dbname=postgres' \
         PUBLICATION everything WITH (copy_data = false)",
        setting.cluster.directory().display()
    );
    client.batch_execute(&subscribe).unwrap();
    let arrives = |publisher: &mut postgres::Client, client: &mut postgres::Client, number: i32| {
        publisher
            .execute("INSERT INTO marker VALUES ($1)", &[&number])
            .unwrap();
        let arrived = "SELECT count(*) FROM marker WHERE number = $1";
        subscriber.eventually("changes are applied", || {
            client
                .query_one(arrived, &[&number])
                .unwrap()
                .get::<_, i64>(0)
                == 1
        });
    };
    for rotation in 1..=4 {
        let new = Signer::new(&format!("key {rotation}"));
        let token = setting.token(&new);
        signers.push(new);
        setting
            .idp
            .publish(signers.iter().map(Signer::jwk).collect());
        assert_eq!(verify(&mut publisher, &token).unwrap(), "ada");
        setting.wait_until_stored(&mut publisher, "idp");
        arrives(&mut publisher, &mut client, rotation);
        subscriber.eventually("the key is known here too", || {
            verify(&mut client, &token).is_ok()
        });
    }
    // What is registered, revoked and removed there counts here.
    let (other, signer) = (another_idp(&setting.authority), Signer::new("one"));
    other.publish(vec![signer.jwk()]);
    publisher
        .batch_execute(&add_oidc("other", &other.issuer()))
        .unwrap();
    let token = signer.token(&claims(&other.issuer()));
    subscriber.eventually("the registration counts", || {
        verify(&mut client, &token).is_ok()
    });
    let revoke = "SELECT third_party_auth.revoke_key('idp', 'key 0')";
    publisher.batch_execute(revoke).unwrap();
    arrives(&mut publisher, &mut client, 100);
    assert_eq!(
        refusal(&mut client, &setting.token(&signers[0])),
        "28000 key_revoked"
    );
    publisher
        .batch_execute("SELECT third_party_auth.remove_provider('other')")
        .unwrap();
    arrives(&mut publisher, &mut client, 101);
    assert_eq!(refusal(&mut client, &token), "28000 unknown_issuer");

    let errors =
        "SELECT (apply_error_count + sync_error_count)::text FROM pg_stat_subscription_stats";
    assert_eq!(text(&mut client, errors).as_deref(), Some("0"));
    Invariants::of(&subscriber).hold(&subscriber, 0);
    client
        .batch_execute("DROP SUBSCRIPTION everything")
        .unwrap();
    Invariants::of(&setting.cluster).hold(&setting.cluster, 0);
}

#[test]
fn f36_one_statement_has_one_answer_whatever_happens_to_the_keys() {
    let setting = Setting::new("statement");
    let invariants = Invariants::of(&setting.cluster);
    let mut client = setting.cluster.superuser();
    let (signers, _) = known_keys(&setting, &mut client);
    client
        .batch_execute(
            "CREATE TABLE guarded AS SELECT g AS id FROM generate_series(1, 100) g; \
             GRANT SELECT ON guarded TO app; ALTER TABLE guarded ENABLE ROW LEVEL SECURITY; \
             CREATE POLICY valid ON guarded USING (is_third_party_jwt())",
        )
        .unwrap();
    // The second name is that of PostgreSQL 16 and later.
    let parallel = [
        "SET force_parallel_mode = on",
        "SET debug_parallel_query = on",
    ];
    for (number, settings) in [&[][..], &parallel[..]].into_iter().enumerate() {
        let signer = &signers[number];
        let mut app = setting.cluster.connect("app", "postgres");
        for setting in settings {
            let _ = app.batch_execute(setting);
        }
        set(&mut app, "request.jwt", &setting.token(signer));
        let pid = text(&mut app, "SELECT pg_backend_pid()::text").unwrap();
        let asks = thread::spawn(move || {
            let slowly = "SELECT count(pg_sleep(0.01))::text FROM guarded";
            let rows = text(&mut app, slowly);
            (app, rows)
        });
        let asking = format!(
            "SELECT count(*)::text FROM pg_stat_activity WHERE wait_event = 'PgSleep' \
             AND (pid = {pid} OR leader_pid = {pid})"
        );
        setting.cluster.eventually("it has begun", || {
            text(&mut client, &asking).is_some_and(|number| number != "0")
        });
        let kid = signer.jwk()["kid"].as_str().unwrap().to_owned();
        client
            .execute("SELECT third_party_auth.revoke_key('idp', $1)", &[&kid])
            .unwrap();
        let (mut app, rows) = asks.join().unwrap();
        assert_eq!(rows.as_deref(), Some("100"), "{number}");
        assert_eq!(
            text(&mut app, "SELECT count(*)::text FROM guarded").as_deref(),
            Some("0")
        );
    }

    // A cursor that is open over a rotation: every FETCH has one answer, and the next knows better.
    let signer = &signers[2];
    let mut app = setting.cluster.connect("app", "postgres");
    set(&mut app, "request.jwt", &setting.token(signer));
    app.batch_execute("BEGIN; DECLARE open CURSOR FOR SELECT id FROM guarded")
        .unwrap();
    let mut fetch = |number: usize| {
        let messages = app
            .simple_query(&format!("FETCH {number} FROM open"))
            .unwrap();
        let is_row = |message: &&SimpleQueryMessage| matches!(message, SimpleQueryMessage::Row(_));
        messages.iter().filter(is_row).count()
    };
    assert_eq!(fetch(10), 10);
    let new = Signer::new("new");
    setting.idp.publish(vec![new.jwk(), signer.jwk()]);
    assert_eq!(verify(&mut client, &setting.token(&new)).unwrap(), "ada");
    assert_eq!(fetch(10), 10);
    client
        .batch_execute("SELECT third_party_auth.revoke_key('idp', 'ed')")
        .unwrap();
    assert_eq!(fetch(10), 0);

    // A snapshot does not hide a key that is younger.
    let mut old = setting.cluster.superuser();
    let mut transaction = old
        .build_transaction()
        .isolation_level(IsolationLevel::RepeatableRead)
        .start()
        .unwrap();
    transaction
        .batch_execute("SELECT count(*) FROM guarded")
        .unwrap();
    let newer = Signer::new("newer");
    setting.idp.publish(vec![new.jwk(), newer.jwk()]);
    assert_eq!(verify(&mut client, &setting.token(&newer)).unwrap(), "ada");
    let query = "SELECT verify_third_party_jwt($1)->>'sub'";
    for signer in [&new, &newer] {
        let row = transaction
            .query_one(query, &[&setting.token(signer)])
            .unwrap();
        assert_eq!(row.get::<_, &str>(0), "ada");
    }
    transaction.commit().unwrap();
    invariants.hold(&setting.cluster, 0);
}

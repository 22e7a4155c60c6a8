//! Extensions and databases that come and go under load.

use super::known_keys;
use crate::cluster::Stop;
use crate::invariants::Invariants;
use crate::load::{Expected, Load, Pool};
use crate::setting::{Setting, Signer, add_oidc, add_pinned, another_idp, text, verify};
use crate::support::Behaviour;
use std::time::{Duration, Instant};

const PROVIDERS: &str = "SELECT providers::text FROM third_party_auth.worker";

/// What statements in flight may meet when their extension goes: functions, schemas and tables that are
/// not there, and keys that are not there yet.
const CLEAN: [&str; 6] = [
    "42883",
    "3F000",
    "42P01",
    "58000 keys_not_fetched",
    "58000 budget_spent",
    "lost",
];

#[test]
fn f22_an_extension_that_is_dropped_and_created_under_load_ends_no_process() {
    let setting = Setting::new("dropped");
    let invariants = Invariants::of(&setting.cluster);
    let mut client = setting.cluster.superuser();
    let signer = Signer::new("one");
    setting.idp.publish(vec![signer.jwk()]);
    setting.register(&mut client);
    client
        .batch_execute("CREATE ROLE other SUPERUSER LOGIN")
        .unwrap();
    let mut other = setting.cluster.connect("other", "postgres");
    let pool = Pool::new();
    let case = pool.add(setting.token(&signer), Expected::Valid);
    super::add_refused(&setting, &pool, &signer);
    let load = Load::start(setting.cluster.config("postgres", "postgres"), 4, &pool);
    load.answers_more(100);
    case.expect(Expected::Either);
    let again = "DROP EXTENSION pg_third_party_auth CASCADE; CREATE EXTENSION pg_third_party_auth";
    let add = add_oidc("idp", &setting.idp.issuer());
    for round in 0..8 {
        let session = if round % 2 == 0 {
            &mut other
        } else {
            &mut client
        };
        session.batch_execute(again).unwrap();
        session.batch_execute(&add).unwrap();
        load.answers_more(20);
    }
    let token = setting.token(&signer);
    setting.cluster.eventually("the token is accepted", || {
        verify(&mut client, &token).is_ok()
    });
    case.expect(Expected::Valid);
    load.take().assert_only(&CLEAN);
    load.answers_more(100);
    load.take();
    load.answers_more(100);
    load.stop().assert_only(&[]);
    setting.cluster.eventually("one slot is used", || {
        text(&mut client, PROVIDERS).as_deref() == Some("1")
    });
    assert!(!setting.cluster.log().contains("deadlock"));
    invariants.hold(&setting.cluster, 0);
}

#[test]
fn f23_dropped_and_created_in_one_transaction_by_another_owner_it_has_one_set_of_slots() {
    let setting = Setting::new("transaction");
    let invariants = Invariants::of(&setting.cluster);
    let mut client = setting.cluster.superuser();
    let signer = Signer::new("one");
    setting.idp.publish(vec![signer.jwk()]);
    setting.register(&mut client);
    client
        .batch_execute("CREATE ROLE other SUPERUSER LOGIN")
        .unwrap();
    let mut other = setting.cluster.connect("other", "postgres");
    let token = setting.token(&signer);
    for end in ["ROLLBACK", "COMMIT"] {
        let script = format!(
            "BEGIN; DROP EXTENSION pg_third_party_auth; CREATE EXTENSION pg_third_party_auth; {}; {end}",
            add_oidc("idp", &setting.idp.issuer())
        );
        other.batch_execute(&script).unwrap();
        for session in [&mut client, &mut other] {
            setting
                .cluster
                .eventually("the token is accepted", || verify(session, &token).is_ok());
        }
    }
    setting.wait_until_stored(&mut client, "idp");
    assert_eq!(text(&mut client, PROVIDERS).as_deref(), Some("1"));
    let owner = "SELECT extowner::regrole::text FROM pg_extension WHERE extname LIKE 'pg_third%'";
    assert_eq!(text(&mut client, owner).as_deref(), Some("other"));
    invariants.hold(&setting.cluster, 0);
}

#[test]
fn f24_databases_are_created_renamed_closed_and_dropped_while_a_provider_hangs() {
    let setting = Setting::new("hanging");
    let invariants = Invariants::of(&setting.cluster);
    let mut client = setting.cluster.superuser();
    client.batch_execute("CREATE DATABASE app").unwrap();
    let mut app = setting.cluster.connect("postgres", "app");
    app.batch_execute("CREATE EXTENSION pg_third_party_auth")
        .unwrap();
    setting.idp.behave(Behaviour::TlsStall);
    app.batch_execute(&add_oidc("idp", &setting.idp.issuer()))
        .unwrap();
    drop(app);
    setting
        .cluster
        .eventually("the provider is being asked", || {
            setting.idp.connections() > 0
        });
    // An application that leaves may still be in its database for a moment.
    let alone = "SELECT count(*)::text FROM pg_stat_activity WHERE datname = 'app'";
    setting.cluster.eventually("nobody is in it", || {
        text(&mut client, alone).as_deref() == Some("0")
    });
    for statement in [
        "CREATE DATABASE copy TEMPLATE app",
        "ALTER DATABASE app RENAME TO renamed",
        "ALTER DATABASE copy ALLOW_CONNECTIONS false",
        "DROP DATABASE copy",
        "DROP DATABASE renamed WITH (FORCE)",
    ] {
        let start = Instant::now();
        client.batch_execute(statement).unwrap();
        // PostgreSQL itself waits so long for a worker that is about to go; the provider is given up
        // after 5 s.
        let took = start.elapsed();
        assert!(took < Duration::from_secs(3), "{statement}: {took:?}");
    }
    for number in 0..20 {
        let name = format!("brief{number}");
        client
            .batch_execute(&format!("CREATE DATABASE {name}"))
            .unwrap();
        client
            .batch_execute(&format!("DROP DATABASE {name}"))
            .unwrap();
    }
    // One that is gone before its keys have come.
    let slow = another_idp(&setting.authority);
    slow.publish(vec![Signer::new("one").jwk()]);
    slow.behave(Behaviour::Slow(Duration::from_millis(1_500)));
    client.batch_execute("CREATE DATABASE gone").unwrap();
    let mut gone = setting.cluster.connect("postgres", "gone");
    gone.batch_execute("CREATE EXTENSION pg_third_party_auth")
        .unwrap();
    gone.batch_execute(&add_oidc("slow", &slow.issuer()))
        .unwrap();
    drop(gone);
    assert!(slow.wait_for_fetches(1, Duration::from_secs(10)));
    client
        .batch_execute("DROP DATABASE gone WITH (FORCE)")
        .unwrap();
    let fatal = || setting.cluster.log().matches("FATAL:").count();
    let before = fatal();
    setting
        .cluster
        .eventually("its keys cannot be stored", || fatal() > before);
    // Databases that are gone are not tried again and again.
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(2) {
        client.batch_execute("CREATE DATABASE brief").unwrap();
        client.batch_execute("DROP DATABASE brief").unwrap();
    }
    let log = setting.cluster.log();
    let failures = log.matches("FATAL:").count();
    assert!(failures <= 6, "{log}");
    assert!(!log.contains("still waiting for backend"), "{log}");
    // The others are served as before.
    setting.idp.behave(Behaviour::Normal);
    let signer = Signer::new("one");
    setting.idp.publish(vec![signer.jwk()]);
    client
        .batch_execute(&add_oidc("idp", &setting.idp.issuer()))
        .unwrap();
    setting.wait_until_stored(&mut client, "idp");
    assert_eq!(verify(&mut client, &setting.token(&signer)).unwrap(), "ada");
    invariants.hold(&setting.cluster, 0);
}

#[test]
fn f25_a_database_without_the_extension_is_looked_at_once() {
    let setting = Setting::with("absent", &["autovacuum = off"]);
    let mut client = setting.cluster.superuser();
    let (mut signers, _) = known_keys(&setting, &mut client);
    client.batch_execute("CREATE DATABASE empty").unwrap();
    drop(client);
    setting.cluster.restart(Stop::Fast);
    let invariants = Invariants::of(&setting.cluster);
    let mut client = setting.cluster.superuser();
    let transactions = "SELECT (xact_commit + xact_rollback)::text FROM pg_stat_database \
                        WHERE datname = 'empty'";
    setting.cluster.eventually("it is looked at", || {
        text(&mut client, transactions).is_some_and(|number| number != "0")
    });
    let looked = text(&mut client, transactions);
    // Workers come by the other database all the time, for longer than any retry would wait.
    let start = Instant::now();
    let pinned = add_pinned(&signers[0], "");
    while start.elapsed() < Duration::from_secs(4) {
        client.batch_execute(&pinned).unwrap();
        let remove = "SELECT third_party_auth.remove_provider('pinned')";
        client.batch_execute(remove).unwrap();
    }
    for number in 0..3 {
        signers.push(Signer::new(&format!("new {number}")));
        setting
            .idp
            .publish(signers.iter().map(Signer::jwk).collect());
        let new = setting.token(&signers[signers.len() - 1]);
        assert_eq!(verify(&mut client, &new).unwrap(), "ada");
        setting.wait_until_stored(&mut client, "idp");
    }
    assert_eq!(text(&mut client, transactions), looked);
    invariants.hold(&setting.cluster, 0);
}

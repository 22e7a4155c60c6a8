//! Standbys, promotion, backups.

use super::{fetcher, known_keys};
use crate::cluster::Stop;
use crate::invariants::Invariants;
use crate::load::Load;
use crate::setting::{Setting, Signer, add_oidc, another_idp, refusal, text, verify};
use postgres::NoTls;
use std::time::{Duration, Instant};

#[test]
fn f19_a_standby_verifies_what_its_primary_knows_without_a_network_of_its_own() {
    let setting = Setting::new("primary");
    let mut primary = setting.cluster.superuser();
    let (signers, pool) = known_keys(&setting, &mut primary);
    let fetches = setting.idp.fetches();
    let standby = setting.cluster.standby("standby", &[]);
    let mut client = standby.superuser();
    assert_eq!(
        text(&mut client, "SELECT pg_is_in_recovery()::text").unwrap(),
        "true"
    );
    let load = Load::start(standby.config("postgres", "postgres"), 4, &pool);

    // A key that the standby cannot know yet: raised at once, and nothing is fetched from here.
    let second = Signer::new("second");
    let keys = signers.iter().chain([&second]).map(Signer::jwk);
    setting.idp.publish(keys.collect());
    let token = setting.token(&second);
    let start = Instant::now();
    assert_eq!(refusal(&mut client, &token), "58000 standby");
    assert!(
        start.elapsed() < Duration::from_secs(1),
        "{:?}",
        start.elapsed()
    );
    assert_eq!(setting.idp.fetches(), fetches);

    // What the primary learns arrives by itself.
    assert_eq!(verify(&mut primary, &token).unwrap(), "ada");
    standby.eventually("the standby has the new key", || {
        verify(&mut client, &token).is_ok()
    });
    assert_eq!(setting.idp.fetches(), fetches + 1);
    load.answers_more(100);
    load.stop().assert_only(&[]);
    Invariants::of(&setting.cluster).hold(&setting.cluster, 0);
    // Nor would it fetch anything: it looks every second, and has no address to look at.
    let addresses = "SELECT providers::text FROM third_party_auth.worker";
    assert_eq!(text(&mut client, addresses).as_deref(), Some("0"));
    setting.idp.stop();
    standby.restart(Stop::Immediate);
    assert_eq!(verify(&mut standby.superuser(), &token).unwrap(), "ada");
    Invariants::of(&standby).hold(&standby, 0);
}

#[test]
fn f20_a_promoted_standby_fetches_by_itself_and_never_lacks_a_key() {
    let setting = Setting::new("old_primary");
    let (signers, pool) = known_keys(&setting, &mut setting.cluster.superuser());
    let standby = setting.cluster.standby("promoted", &[]);
    let invariants = Invariants::of(&standby);
    let mut client = standby.superuser();
    let load = Load::start(standby.config("postgres", "postgres"), 4, &pool);
    load.answers_more(100);
    setting.cluster.stop(Stop::Immediate);
    let new = Signer::new("new");
    let keys = signers.iter().chain([&new]).map(Signer::jwk);
    setting.idp.publish(keys.collect());
    client.batch_execute("SELECT pg_promote()").unwrap();
    let (promoted, token) = (Instant::now(), setting.token(&new));
    standby.eventually("the promoted server accepts the new key", || {
        verify(&mut client, &token).is_ok()
    });
    assert!(
        promoted.elapsed() < Duration::from_secs(5),
        "{:?}",
        promoted.elapsed()
    );
    load.answers_more(100);
    load.stop().assert_only(&[]);
    setting.wait_until_stored(&mut client, "idp");
    fetcher(&standby, &mut client);
    invariants.hold(&standby, 0);
}

#[test]
fn f20_a_promoted_standby_looks_at_databases_that_came_while_it_was_one() {
    let setting = Setting::new("primary");
    let mut primary = setting.cluster.superuser();
    known_keys(&setting, &mut primary);
    let fetches = "third_party_auth.fetch_on_standby = on";
    let standby = setting.cluster.standby("looks", &[fetches]);
    let mut client = standby.superuser();
    let source = "SELECT source FROM third_party_auth.status";
    standby.eventually("it has looked at its databases", || {
        text(&mut client, source).as_deref() == Some("fetched")
    });
    primary.batch_execute("CREATE DATABASE later").unwrap();
    let mut later = setting.cluster.connect("postgres", "later");
    later
        .batch_execute("CREATE EXTENSION pg_third_party_auth")
        .unwrap();
    let other = another_idp(&setting.authority);
    other.publish(vec![Signer::new("one").jwk()]);
    let add = add_oidc("other", &other.issuer());
    later.batch_execute(&add).unwrap();
    setting.wait_until_stored(&mut later, "other");
    let mut there = None;
    standby.eventually("its keys have arrived", || {
        there = standby.config("postgres", "later").connect(NoTls).ok();
        let stored =
            "SELECT FROM third_party_auth.provider_state WHERE json_typeof(keys) IS NOT NULL";
        let there = there.as_mut();
        there.is_some_and(|there| there.query(stored, &[]).is_ok_and(|rows| rows.len() == 1))
    });
    let mut there = there.unwrap();
    assert_eq!(text(&mut there, source).as_deref(), Some("stored"));
    let invariants = Invariants::of(&standby);
    setting.cluster.stop(Stop::Immediate);
    client.batch_execute("SELECT pg_promote()").unwrap();
    // Nobody has asked for them.
    standby.eventually("its keys are confirmed", || {
        text(&mut there, source).as_deref() == Some("fetched")
    });
    invariants.hold(&standby, 0);
}

#[test]
fn f21_an_idle_primary_refreshes_for_those_who_read_from_its_standby() {
    let setting = Setting::with("idle", &["third_party_auth.refresh_interval = '5 s'"]);
    let (first, second) = (Signer::new("first"), Signer::new("second"));
    setting.idp.publish(vec![first.jwk()]);
    setting.register(&mut setting.cluster.superuser());
    let standby = setting.cluster.standby("reads", &[]);
    let mut client = standby.superuser();
    assert_eq!(verify(&mut client, &setting.token(&first)).unwrap(), "ada");
    setting.idp.publish(vec![first.jwk(), second.jwk()]);
    let token = setting.token(&second);
    // No session of the primary has asked for anything.
    standby.eventually("the standby has the new key", || {
        verify(&mut client, &token).is_ok()
    });
    Invariants::of(&standby).hold(&standby, 0);
    Invariants::of(&setting.cluster).hold(&setting.cluster, 0);
}

#[test]
fn f37_a_missing_synchronous_standby_holds_up_neither_keys_nor_the_shutdown() {
    let setting = Setting::new("synchronous");
    let invariants = Invariants::of(&setting.cluster);
    let mut client = setting.cluster.superuser();
    let (signers, pool) = known_keys(&setting, &mut client);
    client
        .batch_execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
        .unwrap();
    setting.reload(&mut client);
    let load = Load::start(setting.cluster.config("postgres", "postgres"), 4, &pool);
    let new = Signer::new("new");
    let keys = signers.iter().chain([&new]).map(Signer::jwk);
    setting.idp.publish(keys.collect());
    let start = Instant::now();
    assert_eq!(verify(&mut client, &setting.token(&new)).unwrap(), "ada");
    assert!(
        start.elapsed() < Duration::from_secs(2),
        "{:?}",
        start.elapsed()
    );
    // They are stored too: that does not wait for a standby.
    setting.wait_until_stored(&mut client, "idp");
    load.answers_more(100);
    load.stop().assert_only(&[]);
    invariants.hold(&setting.cluster, 0);
    drop(client);
    let start = Instant::now();
    setting.cluster.stop(Stop::Fast);
    assert!(
        start.elapsed() < Duration::from_secs(1),
        "{:?}",
        start.elapsed()
    );
}

#[test]
fn f38_keys_of_an_old_backup_are_not_trusted_until_they_are_confirmed() {
    let setting = Setting::with("backup", &["third_party_auth.max_stale = '5 s'"]);
    let mut client = setting.cluster.superuser();
    let signer = Signer::new("one");
    setting.idp.publish(vec![signer.jwk()]);
    setting.register(&mut client);
    let backup = setting.cluster.backup("restored", &[]);
    setting.idp.stop();
    let token = setting.token(&signer);
    setting.cluster.eventually("the keys are too old", || {
        verify(&mut client, &token).is_err()
    });
    backup.start_again();
    let invariants = Invariants::of(&backup);
    let mut restored = backup.superuser();
    assert_eq!(refusal(&mut restored, &token), "58000 keys_stale");
    setting.idp.resume();
    backup.eventually("the keys are confirmed", || {
        verify(&mut restored, &token).is_ok()
    });
    invariants.hold(&backup, 0);
}

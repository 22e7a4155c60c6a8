//! Keys outlive crashes, restarts and the loss of the network; standbys have them.

use crate::cluster::Stop;
use crate::setting::{Setting, Signer, refusal, text, verify};
use postgres::{Client, NoTls};
use std::process::Command;
use std::time::{Duration, Instant};

/// A setting whose identity provider was there once, and a token of it.
fn orphaned(name: &str) -> (Setting, String) {
    let setting = Setting::new(name);
    let signer = Signer::new("one");
    setting.idp.publish(vec![signer.jwk()]);
    let mut client = setting.cluster.superuser();
    setting.register(&mut client);
    // Keys are stored without waiting for the disk, because they can be fetched again; the commit of
    // somebody else brings them there.
    client.batch_execute("CREATE TABLE anything ()").unwrap();
    setting.idp.stop();
    let token = setting.token(&signer);
    (setting, token)
}

fn unknown_key_is_undecided(setting: &Setting, client: &mut Client) {
    let unknown = setting.token(&Signer::new("unknown"));
    assert_eq!(refusal(client, &unknown), "58000 keys_not_fetched");
}

#[test]
fn keys_survive_a_restart() {
    for how in [Stop::Fast, Stop::Immediate] {
        let (setting, token) = orphaned("restart");
        setting.cluster.restart(how);
        let mut client = setting.cluster.superuser();
        assert_eq!(verify(&mut client, &token).unwrap(), "ada", "{how:?}");
        let source = "SELECT source FROM third_party_auth.status";
        assert_eq!(
            text(&mut client, source).as_deref(),
            Some("stored"),
            "{how:?}"
        );
        unknown_key_is_undecided(&setting, &mut client);
    }
}

#[test]
fn keys_survive_the_crash_of_a_backend() {
    let (setting, token) = orphaned("crash");
    let mut victim = setting.cluster.superuser();
    assert_eq!(verify(&mut victim, &token).unwrap(), "ada");
    let pid = text(&mut victim, "SELECT pg_backend_pid()::text").unwrap();
    assert!(
        Command::new("kill")
            .args(["-9", &pid])
            .status()
            .unwrap()
            .success()
    );
    let after_crash = || {
        setting
            .cluster
            .log()
            .contains("all server processes terminated; reinitializing")
    };
    setting
        .cluster
        .eventually("the server starts again", after_crash);
    let mut client = None;
    setting.cluster.eventually("the server takes sessions", || {
        client = setting
            .cluster
            .config("postgres", "postgres")
            .connect(NoTls)
            .ok();
        client.is_some()
    });
    let mut client = client.expect("a session");
    assert_eq!(verify(&mut client, &token).unwrap(), "ada");
    let worker = "SELECT (pid IS NOT NULL)::text FROM third_party_auth.worker";
    setting.cluster.eventually("the fetcher is back", || {
        text(&mut client, worker).unwrap() == "true"
    });
    unknown_key_is_undecided(&setting, &mut client);
}

#[test]
fn the_fetcher_comes_back_and_catches_up() {
    let setting = Setting::new("catch_up");
    let (old, new) = (Signer::new("old"), Signer::new("new"));
    setting.idp.publish(vec![old.jwk()]);
    let mut client = setting.cluster.superuser();
    setting.register(&mut client);
    setting.idp.publish(vec![old.jwk(), new.jwk()]);
    let pid = text(&mut client, "SELECT pid::text FROM third_party_auth.worker").unwrap();
    assert!(Command::new("kill").arg(&pid).status().unwrap().success());
    let token = setting.token(&new);
    setting.cluster.eventually("the new key is accepted", || {
        verify(&mut client, &token).is_ok()
    });
    let worker =
        "SELECT (pid <> $1::text::int AND restarts = 1)::text FROM third_party_auth.worker";
    assert_eq!(
        crate::setting::row(&mut client, worker, &[&pid]).unwrap(),
        "true"
    );
}

#[test]
fn a_standby_verifies_without_a_network_of_its_own() {
    let setting = Setting::new("primary");
    let (first, second) = (Signer::new("first"), Signer::new("second"));
    setting.idp.publish(vec![first.jwk()]);
    let mut primary = setting.cluster.superuser();
    setting.register(&mut primary);
    let standby = setting.cluster.standby("standby", &[]);
    let mut client = standby.superuser();
    assert_eq!(
        text(&mut client, "SELECT pg_is_in_recovery()::text").unwrap(),
        "true"
    );
    assert_eq!(verify(&mut client, &setting.token(&first)).unwrap(), "ada");

    // A key that the standby cannot know yet: raised at once, and nothing is fetched from here.
    setting.idp.publish(vec![first.jwk(), second.jwk()]);
    let fetches = setting.idp.fetches();
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
    setting.idp.stop();
    standby.restart(Stop::Immediate);
    assert_eq!(verify(&mut standby.superuser(), &token).unwrap(), "ada");
}

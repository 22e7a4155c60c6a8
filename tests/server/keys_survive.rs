//! Keys outlive crashes, restarts and the loss of the network; standbys have them.

use crate::cluster::Stop;
use crate::cluster::programs::{run, server_command};
use crate::setting::{Setting, Signer, add_oidc, another_idp, refusal, text, verify};
use std::time::{Duration, Instant};

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

#[test]
fn a_promoted_standby_fetches_by_itself() {
    let setting = Setting::new("old_primary");
    let (first, second) = (Signer::new("first"), Signer::new("second"));
    setting.idp.publish(vec![first.jwk()]);
    setting.register(&mut setting.cluster.superuser());
    let standby = setting.cluster.standby("promoted", &[]);
    let mut client = standby.superuser();
    assert_eq!(verify(&mut client, &setting.token(&first)).unwrap(), "ada");
    setting.cluster.stop(Stop::Immediate);
    client.batch_execute("SELECT pg_promote()").unwrap();
    setting.idp.publish(vec![first.jwk(), second.jwk()]);
    let token = setting.token(&second);
    standby.eventually("the promoted server accepts the new key", || {
        // Never a moment without the keys that it had.
        assert_eq!(verify(&mut client, &setting.token(&first)).unwrap(), "ada");
        verify(&mut client, &token).is_ok()
    });
    setting.wait_until_stored(&mut client, "idp");
}

#[test]
fn keys_that_could_not_be_stored_are_not_called_stored() {
    let setting = Setting::new("not_stored");
    let signer = Signer::new("one");
    setting.idp.publish(vec![signer.jwk()]);
    let mut client = setting.cluster.superuser();
    setting.register(&mut client);
    let persisted = "SELECT persisted::text FROM third_party_auth.status";
    // Somebody holds the table: keys count all the same, and are stored once it is free.
    let mut holder = setting.cluster.superuser();
    let lock = "BEGIN; LOCK third_party_auth.provider_state IN SHARE MODE";
    holder.batch_execute(lock).unwrap();
    let new = Signer::new("new");
    setting.idp.publish(vec![new.jwk()]);
    let token = setting.token(&new);
    assert_eq!(verify(&mut client, &token).unwrap(), "ada");
    assert_eq!(text(&mut client, persisted).unwrap(), "false");
    holder.batch_execute("COMMIT").unwrap();
    setting.cluster.eventually("the keys are stored", || {
        text(&mut client, persisted).unwrap() == "true"
    });

    // There is no row to store them in.
    let delete = "DELETE FROM third_party_auth.provider_state";
    client.batch_execute(delete).unwrap();
    setting.idp.publish(vec![Signer::new("newest").jwk()]);
    let refresh = "SELECT third_party_auth.refresh()";
    client.batch_execute(refresh).unwrap();
    // What is stored for another provider shows that a sync worker has come by.
    let other = another_idp(&setting.authority);
    other.publish(vec![signer.jwk()]);
    let add = add_oidc("other", &other.issuer());
    client.batch_execute(&add).unwrap();
    setting.wait_until_stored(&mut client, "other");
    let query = "SELECT format('%s %s', s.persisted, p.keys IS NOT NULL) \
                 FROM third_party_auth.status s \
                 LEFT JOIN third_party_auth.provider_state p USING (provider) \
                 WHERE provider = 'idp'";
    let told_and_true = text(&mut client, query).unwrap();
    assert!(
        ["f f", "t t"].contains(&told_and_true.as_str()),
        "{told_and_true}"
    );
}

#[test]
fn a_restored_dump_brings_providers_and_revocations_back() {
    let setting = Setting::new("dump");
    let (good, bad) = (Signer::new("good"), Signer::new("bad"));
    setting.idp.publish(vec![good.jwk(), bad.jwk()]);
    let mut client = setting.cluster.superuser();
    setting.register(&mut client);
    client
        .batch_execute("SELECT third_party_auth.revoke_key('idp', 'bad')")
        .unwrap();
    client.batch_execute("CREATE DATABASE restored").unwrap();
    let directory = setting.cluster.directory();
    let file = directory.join("dump.sql");
    for (program, option, database) in [("pg_dump", "-f", "postgres"), ("psql", "-qf", "restored")]
    {
        let mut command = server_command(program);
        command.args(
            ["-X", "-v", "ON_ERROR_STOP=1"]
                .iter()
                .skip(if program == "psql" { 0 } else { 3 }),
        );
        command.args(["-U", "postgres", "-h"]).arg(directory);
        run(command.arg(option).arg(&file).arg(database));
    }
    drop(client);
    let mut client = setting.cluster.connect("postgres", "restored");
    setting.wait_until_stored(&mut client, "idp");
    assert_eq!(verify(&mut client, &setting.token(&good)).unwrap(), "ada");
    assert_eq!(
        refusal(&mut client, &setting.token(&bad)),
        "28000 key_revoked"
    );
    // The dump holds no keys: they were fetched, or taken over from the other database.
    let dump = std::fs::read_to_string(file).unwrap();
    assert!(dump.contains(&setting.idp.issuer()));
    let material = good.jwk()["x"].as_str().unwrap().to_owned();
    assert!(!dump.contains(&material));
}

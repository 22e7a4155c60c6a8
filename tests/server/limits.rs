//! However many tokens, sessions and databases there are, an identity provider is asked rarely.

use crate::setting::{Setting, Signer, refusal, text, verify};
use crate::support::Behaviour;
use postgres::{Client, NoTls};
use std::thread;
use std::time::{Duration, Instant};

/// Longer than a machine under load needs, shorter than anything that was not meant to be waited for.
const QUICK: Duration = Duration::from_secs(2);

#[test]
fn an_absent_key_id_is_not_looked_for_twice() {
    let setting = Setting::new("absent");
    let mut client = setting.cluster.superuser();
    setting.idp.publish(vec![Signer::new("known").jwk()]);
    setting.register(&mut client);
    let token = setting.token(&Signer::new("unknown"));
    assert_eq!(refusal(&mut client, &token), "28000 unknown_key");
    let fetches = setting.idp.fetches();
    assert_eq!(fetches, 2);
    for mut client in [client, setting.cluster.superuser()] {
        assert_eq!(refusal(&mut client, &token), "28000 unknown_key");
    }
    assert_eq!(setting.idp.fetches(), fetches);
}

#[test]
fn sessions_that_meet_a_new_key_together_share_its_fetch() {
    let setting = Setting::new("together");
    let mut client = setting.cluster.superuser();
    let (first, second) = (Signer::new("first"), Signer::new("second"));
    setting.idp.publish(vec![first.jwk()]);
    setting.register(&mut client);
    setting.idp.publish(vec![second.jwk()]);
    // Slow enough that all of them wait.
    setting
        .idp
        .behave(Behaviour::Slow(Duration::from_millis(500)));
    let token = setting.token(&second);
    let clients: Vec<Client> = (0..4).map(|_| setting.cluster.superuser()).collect();
    let together = clients.into_iter().map(|mut client| {
        let token = token.clone();
        thread::spawn(move || {
            client
                .batch_execute("SET third_party_auth.key_wait = '10 s'")
                .unwrap();
            verify(&mut client, &token).unwrap()
        })
    });
    for session in together.collect::<Vec<_>>() {
        assert_eq!(session.join().unwrap(), "ada");
    }
    // One that asks when the first fetch has begun has to wait for the second: the first might have
    // read the old keys.
    let fetches = setting.idp.fetches() - 1;
    assert!((1..=2).contains(&fetches), "{fetches} fetches");
}

#[test]
fn no_more_than_four_sessions_wait_for_one_provider() {
    let setting = Setting::new("waiters");
    let mut client = setting.cluster.superuser();
    setting.idp.publish(vec![Signer::new("known").jwk()]);
    setting.register(&mut client);
    setting.idp.behave(Behaviour::TlsStall);
    let token = setting.token(&Signer::new("unknown"));
    let waiters = "SELECT waiters::text FROM third_party_auth.worker";
    let waiting: Vec<_> = (1..=4)
        .map(|number| {
            let mut waiter = setting.cluster.superuser();
            let cancel = waiter.cancel_token();
            let pid: i32 = waiter
                .query_one("SELECT pg_backend_pid()", &[])
                .unwrap()
                .get(0);
            let token = token.clone();
            let thread = thread::spawn(move || {
                waiter
                    .batch_execute("SET third_party_auth.key_wait = '10 s'")
                    .unwrap();
                let error = verify(&mut waiter, &token).expect_err("nobody answers");
                // A session that is terminated may lose its connection before it hears why.
                error.code().map(|code| code.code().to_owned())
            });
            setting.cluster.eventually("one more waits", || {
                text(&mut client, waiters).unwrap() == number.to_string()
            });
            (cancel, pid, thread)
        })
        .collect();
    let start = Instant::now();
    let mut fifth = setting.cluster.superuser();
    assert_eq!(refusal(&mut fifth, &token), "58000 too_many_waiters");
    assert!(start.elapsed() < QUICK, "{:?}", start.elapsed());
    // Every wait can be cancelled or terminated, and gives its place back.
    for (number, (cancel, pid, thread)) in waiting.into_iter().enumerate() {
        let code = if number % 2 == 0 {
            cancel.cancel_query(NoTls).unwrap();
            "57014"
        } else {
            let terminate = "SELECT pg_terminate_backend($1)";
            client.execute(terminate, &[&pid]).unwrap();
            "57P01"
        };
        let told = thread.join().unwrap();
        let is_lost = code == "57P01" && told.is_none();
        assert!(is_lost || told.as_deref() == Some(code), "{told:?}");
    }
    setting.cluster.eventually("no place is taken", || {
        text(&mut client, waiters).unwrap() == "0"
    });
    assert!(start.elapsed() < 3 * QUICK, "{:?}", start.elapsed());
    assert!(!setting.cluster.log().contains("terminated by signal"));
}

#[test]
fn a_statement_that_misses_many_keys_waits_no_longer_than_key_wait_in_all() {
    let setting = Setting::new("patience");
    let mut client = setting.cluster.superuser();
    setting.idp.publish(vec![Signer::new("known").jwk()]);
    setting.register(&mut client);
    setting.idp.behave(Behaviour::TlsStall);
    let tokens: Vec<String> = (0..8)
        .map(|number| setting.token(&Signer::new(&format!("unknown {number}"))))
        .collect();
    let script = format!(
        "SET third_party_auth.key_wait = '500 ms';
         DO $$ DECLARE t text; BEGIN
             FOREACH t IN ARRAY '{{{}}}'::text[] LOOP
                 BEGIN
                     PERFORM verify_third_party_jwt(t);
                     RAISE 'a token of an unknown key is accepted';
                 EXCEPTION WHEN system_error THEN NULL;
                 END;
             END LOOP;
         END $$",
        tokens.join(",")
    );
    let start = Instant::now();
    client.batch_execute(&script).unwrap();
    // Eight waits of its own for each would be four seconds.
    assert!(start.elapsed() < QUICK, "{:?}", start.elapsed());
    assert!(
        start.elapsed() >= Duration::from_millis(400),
        "it has waited"
    );
}

#[test]
fn databases_that_share_a_provider_share_its_fetches() {
    let setting = Setting::new("shared");
    let mut first = setting.cluster.superuser();
    let (known, new) = (Signer::new("known"), Signer::new("new"));
    setting.idp.publish(vec![known.jwk()]);
    setting.register(&mut first);
    first.batch_execute("CREATE DATABASE second").unwrap();
    let mut second = setting.cluster.connect("postgres", "second");
    second
        .batch_execute("CREATE EXTENSION pg_third_party_auth")
        .unwrap();
    setting.register(&mut second);
    assert_eq!(verify(&mut second, &setting.token(&known)).unwrap(), "ada");
    assert_eq!(setting.idp.fetches(), 1);

    setting.idp.publish(vec![new.jwk()]);
    for client in [&mut first, &mut second] {
        assert_eq!(verify(client, &setting.token(&new)).unwrap(), "ada");
    }
    assert_eq!(setting.idp.fetches(), 2);
    // One database less is no reason to stop.
    drop(first);
    second.batch_execute("DROP DATABASE postgres").unwrap();
    assert_eq!(verify(&mut second, &setting.token(&new)).unwrap(), "ada");
}

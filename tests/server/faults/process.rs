//! Processes that fail, are killed or are cancelled.

use super::{after_crash, fetcher, known_keys};
use crate::cluster::Stop;
use crate::cluster::programs::{is_running, signal};
use crate::invariants::{Invariants, children};
use crate::load::Load;
use crate::setting::{Setting, Signer, refusal, text, verify};
use crate::support::Behaviour;
use postgres::error::SqlState;
use postgres::{Client, NoTls};
use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

const WAITERS: &str = "SELECT waiters::text FROM third_party_auth.worker";

fn restarts(client: &mut Client) -> Option<String> {
    text(client, "SELECT restarts::text FROM third_party_auth.worker")
}

#[test]
fn f01_a_fetcher_that_panics_or_fails_comes_back_and_no_session_notices() {
    let setting = Setting::new("panics");
    let invariants = Invariants::of(&setting.cluster);
    let mut client = setting.cluster.superuser();
    let (_, pool) = known_keys(&setting, &mut client);
    let load = Load::start(setting.cluster.config("postgres", "postgres"), 4, &pool);
    let asked = setting.cluster.data().join("third_party_auth.fault");
    for (number, how) in ["panic", "error"].iter().enumerate() {
        fs::write(&asked, how).unwrap();
        setting
            .cluster
            .eventually("the fault is taken (in the build of the tests)", || {
                !asked.exists()
            });
        let expected = Some((number + 1).to_string());
        setting
            .cluster
            .eventually("the fetcher is back", || restarts(&mut client) == expected);
    }
    let log = setting.cluster.log();
    assert_eq!(log.matches("a test asked for").count(), 2, "{log}");
    assert_eq!(log.matches("exited with exit code 1").count(), 2, "{log}");
    let new = Signer::new("new");
    setting.idp.publish(vec![new.jwk()]);
    let token = setting.token(&new);
    setting.cluster.eventually("the new key is accepted", || {
        verify(&mut client, &token).is_ok()
    });
    load.stop().assert_only(&[]);
    invariants.hold(&setting.cluster, 0);
}

#[test]
fn f01_a_fetcher_that_is_terminated_comes_back_and_catches_up() {
    let setting = Setting::new("catch_up");
    let invariants = Invariants::of(&setting.cluster);
    let (old, new) = (Signer::new("old"), Signer::new("new"));
    setting.idp.publish(vec![old.jwk()]);
    let mut client = setting.cluster.superuser();
    setting.register(&mut client);
    setting.idp.publish(vec![old.jwk(), new.jwk()]);
    let pid = fetcher(&setting.cluster, &mut client);
    // In the middle of a fetch, which nobody ends.
    setting.idp.behave(Behaviour::TlsStall);
    let connections = setting.idp.connections();
    let (mut asking, token) = (setting.cluster.superuser(), setting.token(&new));
    let asked = token.clone();
    let asks = thread::spawn(move || refusal(&mut asking, &asked));
    setting.cluster.eventually("it is being asked", || {
        setting.idp.connections() > connections
    });
    signal("TERM", pid);
    assert_eq!(asks.join().unwrap(), "58000 keys_not_fetched");
    setting.idp.behave(Behaviour::Normal);
    setting.cluster.eventually("the new key is accepted", || {
        verify(&mut client, &token).is_ok()
    });
    assert_ne!(fetcher(&setting.cluster, &mut client), pid);
    assert_eq!(restarts(&mut client).as_deref(), Some("1"));
    invariants.hold(&setting.cluster, 0);
}

#[test]
fn f01_a_fetcher_that_is_terminated_while_it_starts_comes_back() {
    let setting = Setting::new("early");
    let (signers, _) = known_keys(&setting, &mut setting.cluster.superuser());
    let mut terminated = 0;
    for step in 0..8 {
        setting.cluster.restart(Stop::Immediate);
        let postmaster = setting.cluster.postmaster();
        let mut found = Vec::new();
        setting.cluster.eventually("it starts", || {
            found = children(postmaster, "pg_third_party_auth fetcher");
            !found.is_empty()
        });
        // A moment of its start, and not a wait for anything.
        thread::sleep(Duration::from_millis(3 * step));
        signal("TERM", found[0]);
        terminated += 1;
        let mut client = setting.cluster.superuser();
        assert_eq!(
            verify(&mut client, &setting.token(&signers[0])).unwrap(),
            "ada"
        );
    }
    Invariants::of(&setting.cluster).hold(&setting.cluster, 0);
    let log = setting.cluster.log();
    assert!(
        log.matches("exited with exit code 1").count() <= terminated,
        "{log}"
    );
}

#[test]
fn f02_after_the_fetcher_is_killed_every_known_key_verifies_at_once() {
    let setting = Setting::new("killed");
    let invariants = Invariants::of(&setting.cluster);
    let mut client = setting.cluster.superuser();
    let (signers, pool) = known_keys(&setting, &mut client);
    setting.idp.stop();
    let load = Load::start(setting.cluster.config("postgres", "postgres"), 4, &pool);
    for (number, how) in ["KILL", "SEGV"].iter().enumerate() {
        load.answers_more(50);
        let pid = fetcher(&setting.cluster, &mut client);
        let start = Instant::now();
        signal(how, pid);
        client = after_crash(&setting.cluster, number + 1);
        for signer in &signers {
            assert_eq!(
                verify(&mut client, &setting.token(signer)).unwrap(),
                "ada",
                "{how}"
            );
        }
        assert!(
            start.elapsed() < Duration::from_secs(5),
            "{:?}",
            start.elapsed()
        );
    }
    load.answers_more(50);
    load.stop().assert_only(&["lost"]);
    // What is not known stays undecided.
    fetcher(&setting.cluster, &mut client);
    let unknown = setting.token(&Signer::new("unknown"));
    assert_eq!(refusal(&mut client, &unknown), "58000 keys_not_fetched");
    invariants.hold(&setting.cluster, 2);
}

#[test]
fn f03_a_backend_that_is_killed_leaves_no_waiter_and_no_old_key_behind() {
    let setting = Setting::new("crash");
    let invariants = Invariants::of(&setting.cluster);
    let mut client = setting.cluster.superuser();
    let (signers, pool) = known_keys(&setting, &mut client);
    let load = Load::start(setting.cluster.config("postgres", "postgres"), 4, &pool);
    // One that waits for keys, and one that has them.
    setting.idp.behave(Behaviour::TlsStall);
    let mut waiter = setting.cluster.superuser();
    let mut victims = vec![text(&mut waiter, "SELECT pg_backend_pid()::text").unwrap()];
    let unknown = setting.token(&Signer::new("unknown"));
    let waits = thread::spawn(move || {
        let wait = "SET third_party_auth.key_wait = '10 s'";
        waiter.batch_execute(wait).unwrap();
        verify(&mut waiter, &unknown).is_err() && waiter.is_closed()
    });
    setting.cluster.eventually("it waits", || {
        text(&mut client, WAITERS).as_deref() == Some("1")
    });
    let mut open = Vec::new();
    for number in 0..2 {
        let victim = victims.pop().unwrap();
        signal("KILL", victim.parse().unwrap());
        client = after_crash(&setting.cluster, number + 1);
        for signer in &signers {
            assert_eq!(verify(&mut client, &setting.token(signer)).unwrap(), "ada");
        }
        setting.cluster.eventually("nobody waits", || {
            text(&mut client, WAITERS).as_deref() == Some("0")
        });
        let mut other = setting.cluster.superuser();
        assert_eq!(
            verify(&mut other, &setting.token(&signers[0])).unwrap(),
            "ada"
        );
        victims.push(text(&mut other, "SELECT pg_backend_pid()::text").unwrap());
        open.push(other);
    }
    assert!(waits.join().unwrap(), "it lost its server");
    // What is withdrawn now is not taken for what was known before.
    setting.idp.behave(Behaviour::Normal);
    let new = Signer::new("ec");
    setting
        .idp
        .publish(vec![new.jwk(), signers[1].jwk(), signers[2].jwk()]);
    load.answers_more(50);
    load.stop().assert_only(&["lost"]);
    fetcher(&setting.cluster, &mut client);
    let token = setting.token(&new);
    setting.cluster.eventually("the new key is accepted", || {
        verify(&mut client, &token).is_ok()
    });
    assert_eq!(
        refusal(&mut client, &setting.token(&signers[0])),
        "28000 bad_signature"
    );
    invariants.hold(&setting.cluster, 2);
}

#[test]
fn f04_a_wait_ends_at_once_when_it_is_cancelled_terminated_or_timed_out() {
    let setting = Setting::new("cancelled");
    let invariants = Invariants::of(&setting.cluster);
    let mut client = setting.cluster.superuser();
    let known = Signer::new("known");
    setting.idp.publish(vec![known.jwk()]);
    setting.register(&mut client);
    setting.idp.behave(Behaviour::Slow(Duration::from_secs(4)));
    let unknown = setting.token(&Signer::new("unknown"));
    let waiting: Vec<_> = (1..=3)
        .map(|number| {
            let mut waiter = setting.cluster.superuser();
            let pid: i32 = waiter
                .query_one("SELECT pg_backend_pid()", &[])
                .unwrap()
                .get(0);
            let cancel = waiter.cancel_token();
            let timeout = if number == 3 { "1500ms" } else { "0" };
            let unknown = unknown.clone();
            let ends = thread::spawn(move || {
                let set = format!(
                    "SET third_party_auth.key_wait = '10 s'; SET statement_timeout = '{timeout}'"
                );
                waiter.batch_execute(&set).unwrap();
                let start = Instant::now();
                let error = verify(&mut waiter, &unknown).expect_err("nobody knows it");
                (error.code().cloned(), start, Instant::now())
            });
            setting.cluster.eventually("it waits", || {
                text(&mut client, WAITERS) == Some(number.to_string())
            });
            (pid, cancel, ends)
        })
        .collect();
    let quick = Duration::from_millis(500);
    for (number, (pid, cancel, ends)) in waiting.into_iter().enumerate() {
        let mut asked = Instant::now();
        match number {
            0 => cancel.cancel_query(NoTls).unwrap(),
            1 => drop(
                client
                    .execute("SELECT pg_terminate_backend($1)", &[&pid])
                    .unwrap(),
            ),
            _ => {}
        }
        let (code, start, end) = ends.join().unwrap();
        let expected = match number {
            1 => SqlState::ADMIN_SHUTDOWN,
            _ => SqlState::QUERY_CANCELED,
        };
        if number == 2 {
            asked = start + Duration::from_millis(1_500);
        }
        // One that is terminated may lose its connection before it hears why.
        let is_lost = number == 1 && code.is_none();
        assert!(is_lost || code == Some(expected), "{code:?}");
        let took = end.saturating_duration_since(asked);
        assert!(took < quick, "{number}: {took:?}");
    }
    setting.cluster.eventually("nobody waits", || {
        text(&mut client, WAITERS).as_deref() == Some("0")
    });
    // The address is as before.
    let new = Signer::new("new");
    setting.idp.behave(Behaviour::Normal);
    setting.idp.publish(vec![known.jwk(), new.jwk()]);
    client
        .batch_execute("SET third_party_auth.key_wait = '10 s'")
        .unwrap();
    assert_eq!(verify(&mut client, &setting.token(&new)).unwrap(), "ada");
    assert!(setting.idp.fetches() <= 3, "{}", setting.idp.fetches());
    invariants.hold(&setting.cluster, 0);
}

#[test]
fn f05_after_a_restart_however_it_came_every_known_key_verifies_at_once() {
    let setting = Setting::new("restart");
    let mut client = setting.cluster.superuser();
    let (signers, _) = known_keys(&setting, &mut client);
    drop(client);
    setting.idp.stop();
    for how in [Stop::Immediate, Stop::Fast] {
        setting.cluster.restart(how);
        let invariants = Invariants::of(&setting.cluster);
        let mut client = setting.cluster.superuser();
        for signer in &signers {
            assert_eq!(
                verify(&mut client, &setting.token(signer)).unwrap(),
                "ada",
                "{how:?}"
            );
        }
        let source = "SELECT source FROM third_party_auth.status";
        assert_eq!(
            text(&mut client, source).as_deref(),
            Some("stored"),
            "{how:?}"
        );
        let unknown = setting.token(&Signer::new("unknown"));
        assert_eq!(refusal(&mut client, &unknown), "58000 keys_not_fetched");
        invariants.hold(&setting.cluster, 0);
    }
}

#[test]
fn f06_a_fast_shutdown_does_not_wait_for_an_identity_provider() {
    let setting = Setting::new("shutdown");
    let mut client = setting.cluster.superuser();
    known_keys(&setting, &mut client);
    drop(client);
    for behaviour in [
        Behaviour::TlsStall,
        Behaviour::Drip,
        Behaviour::SlowEverywhere(Duration::from_secs(20)),
    ] {
        setting.idp.behave(behaviour.clone());
        let connections = setting.idp.connections();
        setting.cluster.restart(Stop::Immediate);
        setting.cluster.eventually("it is being asked", || {
            setting.idp.connections() > connections
        });
        let processes = children(setting.cluster.postmaster(), "");
        let start = Instant::now();
        setting.cluster.stop(Stop::Fast);
        let took = start.elapsed();
        assert!(took < Duration::from_secs(1), "{behaviour:?}: {took:?}");
        assert!(!processes.into_iter().any(is_running), "{behaviour:?}");
        setting.cluster.start_again();
    }
    Invariants::of(&setting.cluster).hold(&setting.cluster, 0);
}

#[test]
fn f40_a_fetcher_without_postmaster_is_gone_at_once_and_its_threads_with_it() {
    let setting = Setting::new("orphan");
    let mut client = setting.cluster.superuser();
    let (signers, _) = known_keys(&setting, &mut client);
    setting.idp.behave(Behaviour::TlsStall);
    let connections = setting.idp.connections();
    let mut asking = setting.cluster.superuser();
    let unknown = setting.token(&Signer::new("unknown"));
    let waits = thread::spawn(move || verify(&mut asking, &unknown).is_err());
    setting.cluster.eventually("it is being asked", || {
        setting.idp.connections() > connections
    });
    let fetcher = fetcher(&setting.cluster, &mut client);
    let postmaster = setting.cluster.postmaster();
    let processes = children(postmaster, "");
    assert!(processes.contains(&fetcher), "{processes:?}");
    let start = Instant::now();
    signal("KILL", postmaster);
    setting
        .cluster
        .eventually("the fetcher is gone", || !is_running(fetcher));
    assert!(
        start.elapsed() < Duration::from_secs(1),
        "{:?}",
        start.elapsed()
    );
    drop(client);
    assert!(waits.join().unwrap());
    setting.cluster.eventually("every process is gone", || {
        !processes.iter().copied().any(is_running)
    });
    // It counts as running for who starts the next one until its parent has heard of its end.
    let trace = Path::new("/proc").join(postmaster.to_string());
    setting
        .cluster
        .eventually("the postmaster is gone", || !trace.exists());
    setting.idp.behave(Behaviour::Normal);
    setting.cluster.start_again();
    let mut client = setting.cluster.superuser();
    for signer in &signers {
        assert_eq!(verify(&mut client, &setting.token(signer)).unwrap(), "ada");
    }
    Invariants::of(&setting.cluster).hold(&setting.cluster, 0);
}

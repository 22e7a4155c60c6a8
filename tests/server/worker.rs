//! The process that fetches keys says how it is, comes back when it is told to, and does not take the
//! server down again and again.

use crate::cluster::{Cluster, Stop};
use crate::setting::{
    Setting, Signer, add_oidc, add_pinned, claims, create_extension, failure, refusal, text, verify,
};
use crate::support::Behaviour;
use postgres::{Client, NoTls};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

const SAFE_MODE: &str = "SELECT safe_mode::text FROM third_party_auth.worker";

/// The process id of the fetcher, once there is one other than `than`.
fn fetcher(cluster: &Cluster, client: &mut Client, than: Option<&str>) -> String {
    let query = "SELECT pid::text FROM third_party_auth.worker";
    let mut pid = None;
    cluster.eventually("a fetcher runs", || {
        pid = text(client, query).filter(|pid| Some(pid.as_str()) != than);
        pid.is_some()
    });
    pid.expect("a fetcher")
}

fn kill(signal: &str, pid: &str) {
    let killed = Command::new("kill").args([signal, pid]).status();
    assert!(killed.expect("kill").success(), "{signal} {pid}");
}

/// What `ps` shows of a process.
fn title(pid: &str) -> String {
    let title = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&title)
        .trim_matches(['\0', ' '])
        .to_owned()
}

/// Where the guard keeps what it knows.
fn file(cluster: &Cluster, name: &str) -> PathBuf {
    let name = format!("data/pg_stat_tmp/pg_third_party_auth.{name}");
    cluster.directory().join(name)
}

/// Waits until the server has started again after a crash, for the n-th time, and takes sessions.
fn after_crash(cluster: &Cluster, number: usize) -> Client {
    let mut client = None;
    cluster.eventually("the server is back", || {
        let restarts = cluster.log().matches("reinitializing").count();
        if restarts >= number {
            client = cluster.config("postgres", "postgres").connect(NoTls).ok();
        }
        client.is_some()
    });
    client.expect("a session")
}

/// Waits until the fetcher asks, and has said so in its mark.
fn is_asked(setting: &Setting) {
    let mark = file(&setting.cluster, "fetching");
    setting.cluster.eventually("the provider is asked", || {
        fs::read_to_string(&mark).is_ok_and(|mark| mark.contains(&setting.idp.issuer()))
    });
}

#[test]
fn the_worker_ends_and_comes_back_when_it_is_told_to() {
    let setting = Setting::new("restart_worker");
    let cluster = &setting.cluster;
    let signer = Signer::new("one");
    setting.idp.publish(vec![signer.jwk()]);
    let mut client = cluster.superuser();
    setting.register(&mut client);
    let first = fetcher(cluster, &mut client, None);
    let restart = "SELECT third_party_auth.restart_worker()::text";
    assert_eq!(text(&mut client, restart).unwrap(), "true");
    fetcher(cluster, &mut client, Some(&first));
    let row = "SELECT concat_ws(' ', restarts, safe_mode, missing_slot, heartbeat_age < 3, \
               started_at > now() - interval '1 minute', providers, keys, waiters) \
               FROM third_party_auth.worker";
    cluster.eventually("it has taken up its work", || {
        text(&mut client, row).unwrap() == "1 f f t t 1 1 0"
    });
    let log = cluster.log();
    assert!(log.contains("as restart_worker() asks"), "{log}");
    assert!(log.contains("exited with exit code 1"), "{log}");
    // Nobody else noticed, and nobody else may.
    assert!(
        !log.contains("terminated by signal") && !log.contains("crashed"),
        "{log}"
    );
    assert_eq!(verify(&mut client, &setting.token(&signer)).unwrap(), "ada");
    let mut app = cluster.connect("app", "postgres");
    assert_eq!(failure(app.query(restart, &[])).0, "42501");
}

#[test]
fn a_server_without_a_slot_for_the_worker_says_so() {
    let lines = [
        "max_worker_processes = 0",
        "max_logical_replication_workers = 0",
    ];
    let setting = Setting::with("no_slot", &lines);
    let cluster = &setting.cluster;
    let mut client = cluster.superuser();
    let signer = Signer::new("one");
    client.batch_execute(&add_pinned(&signer, "")).unwrap();
    client
        .batch_execute(&add_oidc("idp", &setting.idp.issuer()))
        .unwrap();
    let row = "SELECT row_to_json(w)::text FROM third_party_auth.worker w";
    let expected = r#"{"pid":null,"started_at":null,"heartbeat_age":null,"restarts":null,"safe_mode":null,"providers":null,"keys":null,"waiters":null,"missing_slot":true}"#;
    cluster.eventually("the view tells", || {
        text(&mut client, row).as_deref() == Some(expected)
    });
    let problem = "SELECT problem FROM third_party_auth.status WHERE provider = 'idp'";
    let problem = text(&mut client, problem).unwrap();
    assert!(problem.contains("max_worker_processes"), "{problem}");
    for call in ["restart_worker()", "refresh()", "refresh('idp')"] {
        let (code, error) = failure(client.query(&format!("SELECT third_party_auth.{call}"), &[]));
        assert_eq!(code, "55000", "{call}");
        let hint = error.hint().unwrap_or_default();
        assert!(hint.contains("max_worker_processes"), "{call}: {error:?}");
    }
    // What does not need it works.
    assert_eq!(verify(&mut client, &signer.pinned("ada")).unwrap(), "ada");
    let token = setting.token(&signer);
    assert_eq!(refusal(&mut client, &token), "58000 keys_not_fetched");

    // A slot for the fetcher alone: it cannot look at databases.
    cluster.configure(&["max_worker_processes = 1"]);
    cluster.restart(Stop::Fast);
    let mut client = cluster.superuser();
    let row = "SELECT concat_ws(' ', pid > 0, missing_slot) FROM third_party_auth.worker";
    cluster.eventually("the view tells", || {
        text(&mut client, row).unwrap() == "t t"
    });
    let problem = "SELECT problem FROM third_party_auth.status WHERE provider = 'idp'";
    let problem = text(&mut client, problem).unwrap();
    assert!(problem.contains("max_worker_processes"), "{problem}");
    let log = cluster.log();
    assert_eq!(log.matches("no worker slot is left").count(), 1, "{log}");
}

#[test]
fn a_worker_that_crashes_three_times_while_it_fetches_stops_fetching() {
    let setting = Setting::new("safe_mode");
    let cluster = &setting.cluster;
    let (signer, other) = (Signer::new("one"), Signer::new("other"));
    setting.idp.publish(vec![signer.jwk()]);
    let mut client = cluster.superuser();
    setting.register(&mut client);
    client.batch_execute("CREATE TABLE anything ()").unwrap();
    // As if this answer killed whoever reads it.
    setting.idp.behave(Behaviour::TlsStall);
    cluster.restart(Stop::Fast);
    for crash in 1..=3 {
        is_asked(&setting);
        let mut client = after_crash(cluster, crash - 1);
        assert_eq!(text(&mut client, SAFE_MODE).unwrap(), "false");
        let pid = fetcher(cluster, &mut client, None);
        kill("-9", &pid);
        after_crash(cluster, crash);
    }
    let mut client = after_crash(cluster, 3);
    cluster.eventually("it is in safe mode", || {
        text(&mut client, SAFE_MODE).unwrap() == "true"
    });
    let pid = fetcher(cluster, &mut client, None);
    cluster.eventually("ps shows it", || {
        title(&pid) == "postgres: pg_third_party_auth fetcher in safe mode"
    });
    let log = cluster.log();
    let url = format!("{}/.well-known/openid-configuration", setting.idp.issuer());
    assert_eq!(
        log.matches(&format!("crashed while it asked {url}"))
            .count(),
        2,
        "{log}"
    );
    let begins =
        format!("crashed 3 times within 60 s, the last time while it asked {url}: safe mode");
    assert!(log.contains(&begins), "{log}");

    // Known keys verify, nothing is asked, and everything says why.
    let connections = setting.idp.connections();
    assert_eq!(verify(&mut client, &setting.token(&signer)).unwrap(), "ada");
    let unknown = setting.token(&other);
    assert_eq!(refusal(&mut client, &unknown), "58000 keys_not_fetched");
    let (code, error) = failure(client.query("SELECT third_party_auth.refresh('idp')", &[]));
    assert_eq!(code, "55000");
    let hint = error.hint().unwrap_or_default();
    assert!(hint.contains("restart_worker()"), "{error:?}");
    let problem = "SELECT problem FROM third_party_auth.status";
    let problem = text(&mut client, problem).unwrap();
    assert!(problem.contains("safe mode"), "{problem}");

    // It is no matter of a copy of this server.
    assert!(file(cluster, "guard").exists());
    let standby = cluster.standby("safe_mode_standby", &[]);
    assert!(!file(&standby, "guard").exists());
    assert_eq!(text(&mut standby.superuser(), SAFE_MODE).unwrap(), "false");
    drop(standby);

    // A restart of the server does not end it; restart_worker() does.
    cluster.restart(Stop::Fast);
    let mut client = cluster.superuser();
    let pid = fetcher(cluster, &mut client, None);
    cluster.eventually("it is in safe mode", || {
        text(&mut client, SAFE_MODE).unwrap() == "true"
    });
    assert_eq!(setting.idp.connections(), connections);
    setting.idp.behave(Behaviour::Normal);
    setting.idp.publish(vec![signer.jwk(), other.jwk()]);
    client
        .batch_execute("SELECT third_party_auth.restart_worker()")
        .unwrap();
    fetcher(cluster, &mut client, Some(&pid));
    cluster.eventually("the new key is accepted", || {
        verify(&mut client, &unknown).is_ok()
    });
    assert_eq!(text(&mut client, SAFE_MODE).unwrap(), "false");
}

#[test]
fn what_is_not_the_workers_fault_begins_no_safe_mode() {
    let setting = Setting::new("no_fault");
    let cluster = &setting.cluster;
    let signer = Signer::new("one");
    setting.idp.publish(vec![signer.jwk()]);
    let mut client = cluster.superuser();
    setting.register(&mut client);
    client.batch_execute("CREATE TABLE anything ()").unwrap();
    let mark = file(cluster, "fetching");
    cluster.eventually("nothing is fetched", || !mark.exists());
    // It dies, but of nothing that it read.
    let pid = fetcher(cluster, &mut client, None);
    kill("-9", &pid);
    drop(after_crash(cluster, 1));
    setting.idp.behave(Behaviour::TlsStall);
    // Others die while it reads: a session, thrice, and the whole server, in several ways.
    cluster.restart(Stop::Immediate);
    for crash in 2..=4 {
        is_asked(&setting);
        let mut victim = after_crash(cluster, crash - 1);
        let pid = text(&mut victim, "SELECT pg_backend_pid()::text").unwrap();
        kill("-9", &pid);
        after_crash(cluster, crash);
    }
    is_asked(&setting);
    cluster.restart(Stop::Immediate);
    is_asked(&setting);
    cluster.restart(Stop::Fast);
    is_asked(&setting);
    // Nor does a request to end blame it.
    let mut client = cluster.superuser();
    let pid = fetcher(cluster, &mut client, None);
    kill("-TERM", &pid);
    fetcher(cluster, &mut client, Some(&pid));
    is_asked(&setting);
    assert_eq!(text(&mut client, SAFE_MODE).unwrap(), "false");
    let log = cluster.log();
    assert!(!log.contains("crashed"), "{log}");
}

#[test]
fn a_guard_that_finds_rubbish_or_cannot_write_stops_nothing() {
    let setting = Setting::new("rubbish");
    let cluster = &setting.cluster;
    let signer = Signer::new("one");
    setting.idp.publish(vec![signer.jwk()]);
    cluster.stop(Stop::Fast);
    for name in ["guard", "fetching"] {
        fs::write(file(cluster, name), [0xff, 0x00, b'\n', b'9']).unwrap();
    }
    let directory = cluster.directory().join("data/pg_stat_tmp");
    fs::set_permissions(&directory, Permissions::from_mode(0o500)).unwrap();
    cluster.start_again();
    let mut client = cluster.superuser();
    setting.register(&mut client);
    assert_eq!(verify(&mut client, &setting.token(&signer)).unwrap(), "ada");
    client
        .batch_execute("SELECT third_party_auth.refresh()")
        .unwrap();
    assert_eq!(text(&mut client, SAFE_MODE).unwrap(), "false");
    fs::set_permissions(&directory, Permissions::from_mode(0o700)).unwrap();
    let log = cluster.log();
    assert_eq!(log.matches("cannot be written").count(), 1, "{log}");
}

#[test]
fn ps_shows_what_the_worker_does() {
    let setting = Setting::new("titles");
    let cluster = &setting.cluster;
    let mut client = cluster.superuser();
    let pid = fetcher(cluster, &mut client, None);
    let shows = |title_of: &str| {
        let expected = format!("postgres: pg_third_party_auth fetcher {title_of}");
        cluster.eventually(title_of, || title(&pid) == expected);
    };
    shows("idle");
    setting.idp.behave(Behaviour::TlsStall);
    client
        .batch_execute(&add_oidc("idp", &setting.idp.issuer()))
        .unwrap();
    shows("fetching 1");
    setting.idp.behave(Behaviour::Normal);
    shows("idle");
}

#[test]
fn the_log_tells_of_changes_and_not_of_every_failure() {
    let setting = Setting::with(
        "transitions",
        &["third_party_auth.refresh_interval = '1 s'"],
    );
    let cluster = &setting.cluster;
    let (one, two) = (Signer::new("one"), Signer::new("two"));
    setting.idp.publish(vec![one.jwk()]);
    let mut client = cluster.superuser();
    setting.register(&mut client);
    let url = format!("{}/.well-known/openid-configuration", setting.idp.issuer());
    let lines = |what: &str| cluster.log().matches(what).count();
    let changed = format!("LOG:  pg_third_party_auth: the keys of {url} have changed");
    assert_eq!(lines(&format!("{changed}: 1 added, 0 withdrawn")), 1);
    setting.idp.publish(vec![two.jwk()]);
    cluster.eventually("the new key is there", || {
        verify(&mut client, &setting.token(&two)).is_ok()
    });
    assert_eq!(lines(&format!("{changed}: 1 added, 1 withdrawn")), 1);

    setting.idp.behave(Behaviour::Status(500));
    let failures = |at_least: i32| {
        let query = "SELECT consecutive_failures FROM third_party_auth.status";
        move |client: &mut Client| {
            client.query_one(query, &[]).unwrap().get::<_, i32>(0) >= at_least
        }
    };
    cluster.eventually("it fails twice", || failures(2)(&mut client));
    let failed =
        format!("WARNING:  pg_third_party_auth: the keys of {url} cannot be fetched (1): ");
    assert_eq!(lines(&failed), 1);
    assert_eq!(lines("cannot be fetched"), 1, "{}", cluster.log());
    setting.idp.behave(Behaviour::Normal);
    cluster.eventually("it recovers", || !failures(1)(&mut client));
    let again = format!("LOG:  pg_third_party_auth: {url} answers again after ");
    assert_eq!(lines(&again), 1);
    assert_eq!(lines("have changed"), 2, "{}", cluster.log());
}

#[test]
fn a_registration_waits_for_another_no_longer_than_lock_timeout() {
    let cluster = Cluster::start("registrations", &[]);
    let mut first = cluster.superuser();
    create_extension(&mut first);
    let signer = Signer::new("one");
    first.batch_execute("BEGIN").unwrap();
    first.batch_execute(&add_pinned(&signer, "")).unwrap();
    let mut second = cluster.superuser();
    second
        .batch_execute("SET lock_timeout = '100 ms'; SET statement_timeout = '10 s'")
        .unwrap();
    let other = add_pinned(&signer, "").replace("issuer.example", "other.example");
    let other = other.replace("'pinned'", "'other'");
    let (code, error) = failure(second.batch_execute(&other));
    assert_eq!(code, "55P03", "{error:?}");
    assert!(
        error
            .hint()
            .is_some_and(|hint| hint.contains("lock_timeout"))
    );
    first.batch_execute("COMMIT").unwrap();
    second.batch_execute(&other).unwrap();
    let token = signer.token(&claims("https://other.example"));
    assert_eq!(verify(&mut first, &token).unwrap(), "ada");
}

#[test]
fn a_provider_without_a_slot_gets_the_next_that_is_free() {
    // Slots of removed providers are kept until their budget is full again; the first was asked once.
    let setting = Setting::with("next_slot", &["third_party_auth.max_providers = 1"]);
    let cluster = &setting.cluster;
    let signer = Signer::new("one");
    setting.idp.publish(vec![signer.jwk()]);
    let mut client = cluster.superuser();
    setting.register(&mut client);
    let other = crate::setting::another_idp(&setting.authority);
    other.publish(vec![signer.jwk()]);
    client
        .batch_execute(&add_oidc("other", &other.issuer()))
        .unwrap();
    client
        .batch_execute("SELECT third_party_auth.remove_provider('idp')")
        .unwrap();
    // Nobody asks for it, and the next reconcile is minutes away.
    let fetched = "SELECT (key_count > 0)::text FROM third_party_auth.status";
    cluster.eventually("its keys are fetched", || {
        text(&mut client, fetched).unwrap() == "true"
    });
}

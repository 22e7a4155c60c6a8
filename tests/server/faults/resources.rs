//! Full tables, full slots, no processes left.

use super::{fetcher, known_keys};
use crate::cluster::programs::{as_server_user, ask, run};
use crate::cluster::{Cluster, Stop};
use crate::invariants::Invariants;
use crate::load::Load;
use crate::setting::{
    Setting, Signer, add_direct, add_oidc, another_idp, claims, create_extension, failure, refusal,
    text, trust, verify,
};
use crate::support::{Authority, IdentityProvider};
use postgres::{Client, NoTls};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const PERSISTED: &str = "SELECT persisted::text FROM third_party_auth.status";
const MISSING_SLOT: &str = "SELECT missing_slot::text FROM third_party_auth.worker";

/// One more key, published with the others.
fn rotate(setting: &Setting, signers: &mut Vec<Signer>) -> String {
    signers.push(Signer::new(&format!("new {}", signers.len())));
    setting
        .idp
        .publish(signers.iter().map(Signer::jwk).collect());
    setting.token(&signers[signers.len() - 1])
}

#[test]
fn f30_without_worker_slots_the_server_works_and_stored_keys_verify() {
    let setting = Setting::new("slots");
    let mut client = setting.cluster.superuser();
    let (mut signers, _) = known_keys(&setting, &mut client);
    let known = setting.token(&signers[0]);
    drop(client);

    // Not even for the fetcher.
    setting.cluster.configure(&["max_worker_processes = 0"]);
    setting.cluster.restart(Stop::Fast);
    let mut client = setting.cluster.superuser();
    assert_eq!(verify(&mut client, &known).unwrap(), "ada");
    let unknown = setting.token(&Signer::new("unknown"));
    let start = Instant::now();
    let (code, error) = failure(verify(&mut client, &unknown));
    assert_eq!(code, "58000");
    assert!(
        error.hint().is_some_and(|hint| hint.contains("status")),
        "{error:?}"
    );
    assert!(
        start.elapsed() < Duration::from_secs(1),
        "{:?}",
        start.elapsed()
    );
    let absent = "SELECT (pid IS NULL)::text FROM third_party_auth.worker";
    assert_eq!(text(&mut client, absent).as_deref(), Some("true"));
    drop(client);

    // For the fetcher alone: keys are fetched, and not stored as long as that is so.
    setting.cluster.configure(&[
        "max_worker_processes = 2",
        "max_logical_replication_workers = 0",
    ]);
    setting.cluster.restart(Stop::Fast);
    let invariants = Invariants::of(&setting.cluster);
    let mut client = setting.cluster.superuser();
    fetcher(&setting.cluster, &mut client);
    setting
        .cluster
        .eventually("it has looked at its databases", || {
            text(&mut client, "SELECT source FROM third_party_auth.status").as_deref()
                == Some("fetched")
        });
    let mut other = setting.cluster.superuser();
    let cancel = other.cancel_token();
    let is_over = Arc::new(AtomicBool::new(false));
    let end = Arc::clone(&is_over);
    let takes_the_slot = std::thread::spawn(move || {
        let set = "SET force_parallel_mode = on; SET debug_parallel_query = on";
        // The name of the setting is the second since PostgreSQL 16.
        for set in set.split("; ") {
            let _ = other.batch_execute(set);
        }
        while !end.load(Ordering::SeqCst) {
            let _ = other.batch_execute("SELECT pg_sleep(60)");
        }
    });
    let parallel =
        "SELECT count(*)::text FROM pg_stat_activity WHERE backend_type = 'parallel worker'";
    // A sync worker may have it just now; then the statement runs without, and is to begin again.
    let alone = "SELECT count(*)::text FROM pg_stat_activity WHERE backend_type = 'client backend' \
                 AND query LIKE 'SELECT pg_sleep%' AND query_start < now() - interval '300 ms'";
    setting.cluster.eventually("the slot is taken", || {
        let is_taken = text(&mut client, parallel).as_deref() == Some("1");
        if !is_taken && text(&mut client, alone).as_deref() == Some("1") {
            cancel.cancel_query(NoTls).unwrap();
        }
        is_taken
    });
    let token = rotate(&setting, &mut signers);
    assert_eq!(verify(&mut client, &token).unwrap(), "ada");
    setting.cluster.eventually("it is told", || {
        text(&mut client, MISSING_SLOT).as_deref() == Some("true")
    });
    assert_eq!(text(&mut client, PERSISTED).as_deref(), Some("false"));
    assert!(setting.cluster.log().contains("max_worker_processes"));
    // Without a restart.
    is_over.store(true, Ordering::SeqCst);
    setting.cluster.eventually("the slot is given back", || {
        cancel.cancel_query(NoTls).unwrap();
        takes_the_slot.is_finished()
    });
    setting.wait_until_stored(&mut client, "idp");
    assert_eq!(text(&mut client, MISSING_SLOT).as_deref(), Some("false"));
    invariants.hold(&setting.cluster, 0);
}

#[test]
fn f31_keys_that_cannot_be_stored_count_all_the_same_and_are_not_called_stored() {
    let setting = Setting::new("not_stored");
    let invariants = Invariants::of(&setting.cluster);
    let mut client = setting.cluster.superuser();
    let (mut signers, pool) = known_keys(&setting, &mut client);
    let load = Load::start(setting.cluster.config("postgres", "postgres"), 2, &pool);
    // Somebody holds the table; it refuses to be written, as on a full disk.
    for (disturb, heal) in [
        (
            "BEGIN; LOCK third_party_auth.provider_state IN SHARE MODE",
            "COMMIT",
        ),
        (
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS \
             'BEGIN RAISE disk_full; END'; \
             CREATE TRIGGER refuse BEFORE UPDATE ON third_party_auth.provider_state \
             EXECUTE FUNCTION refuse()",
            "DROP FUNCTION refuse CASCADE",
        ),
    ] {
        let mut other = setting.cluster.superuser();
        other.batch_execute(disturb).unwrap();
        let token = rotate(&setting, &mut signers);
        assert_eq!(verify(&mut client, &token).unwrap(), "ada");
        assert_eq!(text(&mut client, PERSISTED).unwrap(), "false");
        let failed = "exited with exit code 1";
        let before = setting.cluster.log().matches(failed).count();
        setting.cluster.eventually("it was tried", || {
            setting.cluster.log().matches(failed).count() > before
        });
        assert_eq!(text(&mut client, PERSISTED).unwrap(), "false");
        other.batch_execute(heal).unwrap();
        setting.wait_until_stored(&mut client, "idp");
    }
    // What is read-only for everybody else is not for keys.
    client
        .batch_execute("ALTER SYSTEM SET default_transaction_read_only = on")
        .unwrap();
    setting.reload(&mut client);
    let token = rotate(&setting, &mut signers);
    assert_eq!(verify(&mut client, &token).unwrap(), "ada");
    setting.wait_until_stored(&mut client, "idp");
    // Ever more patiently: not an error a second.
    let log = setting.cluster.log();
    assert!(log.matches("exited with exit code 1").count() <= 6, "{log}");
    load.stop().assert_only(&[]);
    invariants.hold(&setting.cluster, 0);
}

#[test]
fn f31_keys_without_a_row_to_store_them_in_are_not_called_stored() {
    let setting = Setting::new("no_row");
    let mut client = setting.cluster.superuser();
    let (mut signers, _) = known_keys(&setting, &mut client);
    client
        .batch_execute("DELETE FROM third_party_auth.provider_state")
        .unwrap();
    rotate(&setting, &mut signers);
    client
        .batch_execute("SELECT third_party_auth.refresh()")
        .unwrap();
    // What is stored for another provider shows that a sync worker has come by.
    let other = another_idp(&setting.authority);
    other.publish(vec![signers[0].jwk()]);
    client
        .batch_execute(&add_oidc("other", &other.issuer()))
        .unwrap();
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
    Invariants::of(&setting.cluster).hold(&setting.cluster, 0);
}

/// A session that notes what it is warned of.
fn warned(cluster: &Cluster) -> (Client, Arc<Mutex<Vec<String>>>) {
    let warnings = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&warnings);
    let mut config = cluster.config("postgres", "postgres");
    config.notice_callback(move |notice| {
        if notice.severity() == "WARNING" {
            noted.lock().unwrap().push(format!("{notice:?}"));
        }
    });
    (config.connect(NoTls).unwrap(), warnings)
}

/// One provider too many: what it is told of, and how it behaves.
fn assert_has_no_slot(client: &mut Client, idp: &IdentityProvider, name: &str, token: &str) {
    let refresh = client.query("SELECT * FROM third_party_auth.refresh($1)", &[&name]);
    let (code, error) = failure(refresh);
    assert_eq!(code, "53400");
    assert!(
        error
            .hint()
            .is_some_and(|hint| hint.contains("max_providers")),
        "{error:?}"
    );
    assert_eq!(refusal(client, token), "58000 keys_not_fetched");
    let problem = "SELECT problem FROM third_party_auth.status WHERE provider = $1";
    let told: String = client.query_one(problem, &[&name]).unwrap().get(0);
    assert!(told.contains("max_providers"), "{told}");
    assert_eq!(idp.connections(), 0);
}

#[test]
fn f34_a_provider_beyond_max_providers_is_registered_with_a_warning() {
    let authority = Authority::new();
    let [ca_file, networks] = trust(&authority);
    let one = "third_party_auth.max_providers = 1";
    let cluster = Cluster::start("slots", &[one, &ca_file, &networks]);
    let invariants = Invariants::of(&cluster);
    let (mut client, warnings) = warned(&cluster);
    create_extension(&mut client);
    let (first, second) = (another_idp(&authority), another_idp(&authority));
    let signer = Signer::new("one");
    for idp in [&first, &second] {
        idp.publish(vec![signer.jwk()]);
    }
    client
        .batch_execute(&add_oidc("first", &first.issuer()))
        .unwrap();
    let known = signer.token(&claims(&first.issuer()));
    assert_eq!(verify(&mut client, &known).unwrap(), "ada");
    assert_eq!(warnings.lock().unwrap().len(), 0, "{warnings:?}");
    client
        .batch_execute(&add_direct("second", &second.issuer(), &second.jwks_uri()))
        .unwrap();
    let told = warnings.lock().unwrap().join(" ");
    assert!(told.contains("max_providers"), "{told}");
    let token = signer.token(&claims(&second.issuer()));
    assert_has_no_slot(&mut client, &second, "second", &token);
    assert_eq!(verify(&mut client, &known).unwrap(), "ada");

    // Its place becomes free with the first one's removal.
    client
        .batch_execute("SELECT third_party_auth.remove_provider('first')")
        .unwrap();
    cluster.eventually("the second is fetched", || {
        verify(&mut client, &token).is_ok()
    });
    invariants.hold(&cluster, 0);
}

#[test]
fn f34_128_providers_with_1024_keys_work_and_the_129th_verifies_from_its_row() {
    const PROVIDERS: usize = 128;
    const KEYS: usize = 8;
    let setting = Setting::new("full");
    let invariants = Invariants::of(&setting.cluster);
    let (mut client, warnings) = warned(&setting.cluster);
    let issuer = |number: usize| format!("https://idp{number}.example");
    let signers: Vec<Vec<Signer>> = (0..PROVIDERS)
        .map(|_| (0..KEYS).map(|key| Signer::new(&key.to_string())).collect())
        .collect();
    // In one transaction: one sync worker carries them all.
    let mut transaction = client.transaction().unwrap();
    for (number, keys) in signers.iter().enumerate() {
        let path = format!("/{number}");
        setting
            .idp
            .publish_at(&path, keys.iter().map(Signer::jwk).collect());
        let (name, uri) = (format!("idp{number}"), setting.idp.jwks_uri_at(&path));
        transaction
            .batch_execute(&add_direct(&name, &issuer(number), &uri))
            .unwrap();
    }
    transaction.commit().unwrap();
    let counts = "SELECT format('%s %s', providers, keys) FROM third_party_auth.worker";
    setting.cluster.eventually("all keys are there", || {
        text(&mut client, counts).as_deref() == Some("128 1024")
    });
    let all = "SELECT format('%s %s', count(*), sum(key_count)) FROM third_party_auth.status \
               WHERE source = 'fetched' AND persisted AND problem IS NULL";
    setting.cluster.eventually("all keys are stored", || {
        text(&mut client, all).as_deref() == Some("128 1024")
    });
    for (number, keys) in signers.iter().enumerate() {
        for key in [&keys[0], &keys[KEYS - 1]] {
            let token = key.token(&claims(&issuer(number)));
            assert_eq!(verify(&mut client, &token).unwrap(), "ada", "{number}");
        }
    }
    // Keys are looked up within their provider only, though all of them have the same ids.
    let foreign = signers[0][0].token(&claims(&issuer(1)));
    assert_eq!(refusal(&mut client, &foreign), "28000 bad_signature");

    assert_eq!(warnings.lock().unwrap().len(), 0, "{warnings:?}");
    let (late, signer) = (another_idp(&setting.authority), Signer::new("late"));
    late.publish(vec![signer.jwk()]);
    client
        .batch_execute(&add_direct("late", &late.issuer(), &late.jwks_uri()))
        .unwrap();
    assert!(
        warnings.lock().unwrap().join(" ").contains("max_providers"),
        "{warnings:?}"
    );
    let token = signer.token(&claims(&late.issuer()));
    assert_has_no_slot(&mut client, &late, "late", &token);
    // What its row holds is enough: keys that were stored when it had a slot, or by a primary.
    let keys = crate::mint::jwks(&[signer.jwk()]).to_string();
    let store = "UPDATE third_party_auth.provider_state SET keys = $1::text::json, \
                 fetched_at = now(), address = $2 WHERE provider = 'late'";
    let address = "SELECT address FROM third_party_auth.provider_state WHERE provider = 'idp0'";
    let address = text(&mut client, address).unwrap();
    let address = address.replace(&setting.idp.jwks_uri_at("/0"), &late.jwks_uri());
    client.execute(store, &[&keys, &address]).unwrap();
    assert_eq!(verify(&mut client, &token).unwrap(), "ada");
    invariants.hold(&setting.cluster, 0);
}

/// Lets a process start no other, nor a thread: its user has more than one already. Dropping it ends that.
struct Alone {
    pid: i32,
    before: String,
}

impl Alone {
    fn of(pid: i32) -> Alone {
        let mut ask_limit = prlimit(pid);
        let before = ask(ask_limit.args(["--nproc", "-o", "SOFT", "--noheadings"]));
        run(prlimit(pid).arg("--nproc=1:"));
        Alone { pid, before }
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        // It may have ended meanwhile.
        let _ = prlimit(self.pid)
            .arg(format!("--nproc={}:", self.before))
            .status();
    }
}

fn prlimit(pid: i32) -> Command {
    let mut command = as_server_user("prlimit");
    command.args(["--pid", &pid.to_string()]);
    command
}

#[test]
fn f39_a_worker_or_thread_that_cannot_be_started_is_tried_again_and_told() {
    let setting = Setting::new("fork");
    let invariants = Invariants::of(&setting.cluster);
    let mut client = setting.cluster.superuser();
    let (mut signers, pool) = known_keys(&setting, &mut client);
    let load = Load::start(setting.cluster.config("postgres", "postgres"), 2, &pool);
    load.answers_more(100);
    // Every fork of the postmaster fails.
    let alone = Alone::of(setting.cluster.postmaster());
    let token = rotate(&setting, &mut signers);
    assert_eq!(verify(&mut client, &token).unwrap(), "ada");
    setting
        .cluster
        .eventually("a worker could not be started", || {
            // Between the two, PostgreSQL 17 and later say "background".
            let is_told =
                |line: &str| line.contains("could not fork ") && line.contains("worker process");
            setting.cluster.log().lines().any(is_told)
        });
    assert_eq!(text(&mut client, PERSISTED).unwrap(), "false");
    drop(alone);
    setting.wait_until_stored(&mut client, "idp");

    // The fetcher cannot start a thread.
    let alone = Alone::of(fetcher(&setting.cluster, &mut client));
    let refresh = "SELECT last_error FROM third_party_auth.refresh('idp')";
    let told = text(&mut client, refresh).unwrap();
    assert!(told.contains("thread"), "{told}");
    drop(alone);
    let token = rotate(&setting, &mut signers);
    setting.cluster.eventually("the new key is accepted", || {
        verify(&mut client, &token).is_ok()
    });
    load.stop().assert_only(&[]);
    invariants.hold(&setting.cluster, 0);
}

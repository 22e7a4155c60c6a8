//! Settings that change, clocks that jump.

use super::known_keys;
use crate::cluster::Cluster;
use crate::cluster::programs::signal;
use crate::invariants::Invariants;
use crate::load::{Expected, Load, Pool};
use crate::setting::{
    Setting, Signer, another_idp, claims, create_extension, now, text, trust, verify,
};
use crate::support::{Authority, Behaviour};
use postgres::Client;
use serde_json::json;
use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

#[test]
fn f32_changed_settings_count_within_a_second_and_disturb_no_fetch() {
    let setting = Setting::new("settings");
    let invariants = Invariants::of(&setting.cluster);
    let mut client = setting.cluster.superuser();
    let (signers, pool) = known_keys(&setting, &mut client);
    let load = Load::start(setting.cluster.config("postgres", "postgres"), 2, &pool);
    // In the middle of a fetch, again and again.
    let new = Signer::new("new");
    let keys = signers.iter().chain([&new]).map(Signer::jwk);
    setting.idp.publish(keys.collect());
    setting.idp.behave(Behaviour::Slow(Duration::from_secs(1)));
    let (mut asking, token) = (setting.cluster.superuser(), setting.token(&new));
    let asks = thread::spawn(move || {
        asking
            .batch_execute("SET third_party_auth.key_wait = '10 s'")
            .unwrap();
        verify(&mut asking, &token)
    });
    let mut reloads = 0;
    while !asks.is_finished() {
        client.batch_execute("SELECT pg_reload_conf()").unwrap();
        reloads += 1;
    }
    assert!(reloads > 10, "{reloads}");
    assert_eq!(asks.join().unwrap().unwrap(), "ada");
    assert_eq!(setting.idp.fetches(), 2);
    let failures = "SELECT consecutive_failures::text FROM third_party_auth.status";
    assert_eq!(text(&mut client, failures).as_deref(), Some("0"));

    // A shorter interval counts for the fetch that is planned already.
    setting.idp.behave(Behaviour::Normal);
    let next =
        "SELECT (next_refresh_at < now() + interval '4 s')::text FROM third_party_auth.status";
    assert_eq!(text(&mut client, next).as_deref(), Some("false"));
    client
        .batch_execute("ALTER SYSTEM SET third_party_auth.refresh_interval = '3 s'")
        .unwrap();
    let start = Instant::now();
    client.batch_execute("SELECT pg_reload_conf()").unwrap();
    setting.cluster.eventually("the plan is another", || {
        text(&mut client, next).as_deref() == Some("true")
    });
    assert!(
        start.elapsed() < Duration::from_secs(1),
        "{:?}",
        start.elapsed()
    );
    assert!(setting.idp.wait_for_fetches(3, Duration::from_secs(6)));
    load.stop().assert_only(&[]);
    invariants.hold(&setting.cluster, 0);
}

/// The library that gives processes another time.
fn faketime() -> PathBuf {
    let directories = fs::read_dir("/usr/lib").expect("/usr/lib").flatten();
    let candidates = directories.map(|entry| entry.path().join("faketime/libfaketime.so.1"));
    let found = candidates.into_iter().find(|path| path.exists());
    found.expect("Debian's package faketime is not installed: run `make setup`")
}

/// Lets every process of the server have a time that is so many seconds off.
fn jump(setting: &Setting, client: &mut Client, seconds: i64) {
    let file = setting.authority.ca_file().with_file_name("time");
    // In one step, so that nobody reads half of it.
    let new = file.with_extension("new");
    fs::write(&new, format!("{seconds:+}")).unwrap();
    fs::rename(new, &file).unwrap();
    let mut seen = |query: &str| {
        let time: Option<i64> = client.query_one(query, &[]).expect("a time").get(0);
        time.is_some_and(|time| (time - now() as i64 - seconds).abs() < 600)
    };
    let clock = "SELECT extract(epoch FROM clock_timestamp())::bigint";
    setting
        .cluster
        .eventually("sessions have the time", || seen(clock));
    // The library keeps an old time in a process with threads for a while: another one takes its place.
    let started = "SELECT extract(epoch FROM started_at)::bigint FROM third_party_auth.worker";
    let pid = "SELECT coalesce(pid, 0)::bigint FROM third_party_auth.worker";
    let mut other = setting.cluster.superuser();
    let mut asked = 0;
    setting.cluster.eventually("the fetcher has the time", || {
        let pid: i64 = other.query_one(pid, &[]).expect("its row").get(0);
        let has_it = pid != 0 && seen(started);
        if !has_it && pid != 0 && pid != asked {
            signal("TERM", pid as i32);
            asked = pid;
        }
        has_it
    });
}

#[test]
fn f33_a_clock_that_jumps_by_a_day_causes_few_fetches_and_no_refusal() {
    const DAY: i64 = 24 * 3600;
    let authority = Authority::new();
    let idp = another_idp(&authority);
    let [ca_file, networks] = trust(&authority);
    let file = authority.ca_file().with_file_name("time");
    fs::write(&file, "+0").unwrap();
    let environment = [
        ("LD_PRELOAD", faketime().display().to_string()),
        ("FAKETIME_TIMESTAMP_FILE", file.display().to_string()),
        ("FAKETIME_NO_CACHE", "1".to_owned()),
        // Clocks jump; the time since the machine started does not.
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
    ];
    let environment: Vec<(&str, &str)> = environment
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let cluster = Cluster::start_in("clock", &[&ca_file, &networks], &environment);
    create_extension(&mut cluster.superuser());
    let setting = Setting {
        cluster,
        idp,
        authority,
    };
    let invariants = Invariants::of(&setting.cluster);
    let mut client = setting.cluster.superuser();
    let signer = Signer::new("one");
    setting.idp.publish(vec![signer.jwk()]);
    setting.register(&mut client);
    // Valid on every day of the test.
    let mut claims = claims(&setting.idp.issuer());
    claims["iat"] = json!(now() - 3 * DAY as u64);
    claims["exp"] = json!(now() + 3 * DAY as u64);
    let pool = Pool::new();
    pool.add(signer.token(&claims), Expected::Valid);
    // Beyond max_stale, which is a day, and to before the keys were fetched. Each costs up to two of the
    // five fetches that the address gets at once.
    for day in [DAY + 3600, -DAY] {
        let fetches = setting.idp.fetches();
        jump(&setting, &mut client, day);
        let config = setting.cluster.config("postgres", "postgres");
        let load = Load::start(config, 3, &pool);
        load.answers_more(300);
        load.stop().assert_only(&[]);
        let fetches = setting.idp.fetches() - fetches;
        assert!(fetches <= 2, "{fetches} fetches after a jump to {day}");
    }
    invariants.hold(&setting.cluster, 0);
}

//! Settings that change, clocks that jump.

use super::{known_keys, preloaded};
use crate::cluster::Cluster;
use crate::invariants::Invariants;
use crate::load::{Expected, Load, Pool};
use crate::setting::{
    Setting, Signer, another_idp, claims, create_extension, now, text, trust, verify,
};
use crate::support::{Authority, Behaviour};
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

/// Lets the server have a time that is so many seconds off. In one step, so that nobody reads half of it.
fn set_clock(authority: &Authority, seconds: i64) -> PathBuf {
    let file = authority.ca_file().with_file_name("offset");
    let new = file.with_extension("new");
    fs::write(&new, seconds.to_string()).unwrap();
    fs::rename(new, &file).unwrap();
    file
}

#[test]
fn f33_a_clock_that_jumps_by_a_day_causes_few_fetches_and_no_refusal() {
    const DAY: i64 = 24 * 3600;
    let authority = Authority::new();
    let idp = another_idp(&authority);
    let [ca_file, networks] = trust(&authority);
    let offset = set_clock(&authority, 0).display().to_string();
    let library = preloaded(&authority, "clock");
    let environment = [
        ("LD_PRELOAD", library.as_str()),
        ("CLOCK_OFFSET", offset.as_str()),
    ];
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
    let token = signer.token(&claims);
    pool.add(token.clone(), Expected::Valid);
    let load = Load::start(setting.cluster.config("postgres", "postgres"), 3, &pool);
    // Beyond max_stale, which is a day, and to before the keys were fetched. Each costs up to two of the
    // five fetches that the address gets at once: one confirms the keys, one is for those who asked
    // meanwhile.
    for day in [DAY + 3600, -DAY] {
        load.answers_more(100);
        let fetches = setting.idp.fetches();
        set_clock(&setting.authority, day);
        let clock = "SELECT extract(epoch FROM clock_timestamp())::bigint";
        let seen: i64 = client.query_one(clock, &[]).unwrap().get(0);
        assert!((seen - now() as i64 - day).abs() < 600, "{seen}");
        // On a busy machine the fetch that confirms the keys may take longer than a session waits for it.
        setting.cluster.eventually("the keys are confirmed", || {
            verify(&mut client, &token).is_ok()
        });
        load.answers_more(10);
        load.take().assert_only(&["58000 keys_stale"]);
        // Sessions that had parsed the keys before notice too that they were confirmed.
        load.answers_more(300);
        load.take().assert_only(&[]);
        let fetches = setting.idp.fetches() - fetches;
        assert!((1..=3).contains(&fetches), "{fetches} fetches");
    }
    drop(load);
    invariants.hold(&setting.cluster, 0);
}

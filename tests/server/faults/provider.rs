//! Identity providers that are down, slow, wrong or out of reach.

use super::{fetcher, known_keys, preloaded};
use crate::cluster::Stop;
use crate::invariants::Invariants;
use crate::load::Load;
use crate::setting::{
    Setting, Signer, add_direct, add_oidc, another_idp, claims, refusal, report, text, trust,
    verify,
};
use crate::support::{Authority, Behaviour, IdentityProvider};
use crate::symmetric;
use postgres::Client;
use serde_json::json;
use std::fs;
use std::io::ErrorKind;
use std::net::TcpListener;
use std::time::{Duration, Instant};

/// Longer than a machine under load needs, shorter than anything that was not meant to be waited for.
const QUICK: Duration = Duration::from_secs(2);

const PROBLEM: &str = "SELECT problem FROM third_party_auth.status WHERE provider = 'idp'";

#[test]
fn f07_an_identity_provider_that_is_down_changes_nothing_for_known_keys() {
    let setting = Setting::new("down");
    let invariants = Invariants::of(&setting.cluster);
    let mut client = setting.cluster.superuser();
    let (signers, pool) = known_keys(&setting, &mut client);
    let load = Load::start(setting.cluster.config("postgres", "postgres"), 4, &pool);
    let new = Signer::new("new");
    let token = setting.token(&new);
    let (refused, discoveries) = (Instant::now(), setting.idp.discovery_fetches());
    setting.idp.behave(Behaviour::DiscoveryStatus(503));
    // New keys fail fast, and nobody asks again and again.
    let mut longest = Duration::ZERO;
    while refused.elapsed() < Duration::from_secs(7) {
        let start = Instant::now();
        assert_eq!(refusal(&mut client, &token), "58000 keys_not_fetched");
        longest = longest.max(start.elapsed());
    }
    assert!(longest < QUICK, "{longest:?}");
    let asked = setting.idp.discovery_fetches() - discoveries;
    assert!((1..=2).contains(&asked), "asked {asked} times");
    setting.idp.stop();
    load.answers_more(200);
    let problem = text(&mut client, PROBLEM).unwrap();
    assert!(problem.contains("failed"), "{problem}");
    let log = setting.cluster.log();
    assert_eq!(log.matches("cannot be fetched").count(), 1, "{log}");

    let keys = signers.iter().chain([&new]).map(Signer::jwk);
    setting.idp.publish(keys.collect());
    setting.idp.behave(Behaviour::Normal);
    setting.idp.resume();
    setting.cluster.eventually("the new key is accepted", || {
        verify(&mut client, &token).is_ok()
    });
    assert_eq!(text(&mut client, PROBLEM), None);
    load.stop().assert_only(&[]);
    invariants.hold(&setting.cluster, 0);
}

#[test]
fn f08_keys_that_could_not_be_confirmed_for_max_stale_are_not_trusted_until_they_are() {
    let setting = Setting::with("stale", &["third_party_auth.max_stale = '6 s'"]);
    let mut client = setting.cluster.superuser();
    let (signers, pool) = known_keys(&setting, &mut client);
    setting.idp.stop();
    let load = Load::start(setting.cluster.config("postgres", "postgres"), 4, &pool);
    load.answers_more(100);
    load.take().assert_only(&[]);
    let token = setting.token(&signers[0]);
    setting
        .cluster
        .eventually("they are too old", || verify(&mut client, &token).is_err());
    load.answers_more(100);
    load.take();
    load.answers_more(100);
    let tally = load.take();
    assert!(tally.wrong.is_empty(), "{:?}", tally.wrong);
    let events: Vec<&str> = tally.events.keys().map(String::as_str).collect();
    assert_eq!(events, ["58000 keys_stale"]);
    let error = verify(&mut client, &token).unwrap_err();
    let told = report(&error);
    // Since when: an age in words or a moment.
    assert!(told.message().contains("confirmed"), "{told:?}");
    assert!(
        told.message().chars().any(|one| one.is_ascii_digit()),
        "{told:?}"
    );
    assert!(text(&mut client, PROBLEM).unwrap().starts_with("stale"));

    // No restart makes them fresh.
    setting.cluster.restart(Stop::Immediate);
    let invariants = Invariants::of(&setting.cluster);
    let mut client = setting.cluster.superuser();
    assert_eq!(refusal(&mut client, &token), "58000 keys_stale");
    setting.idp.resume();
    setting
        .cluster
        .eventually("they are confirmed", || verify(&mut client, &token).is_ok());
    setting
        .cluster
        .eventually("all is well", || text(&mut client, PROBLEM).is_none());
    drop(load);
    invariants.hold(&setting.cluster, 0);
}

#[test]
fn f09_an_identity_provider_that_hangs_is_cut_off_and_disturbs_no_other() {
    let setting = Setting::with("hangs", &["third_party_auth.http_timeout = '1500 ms'"]);
    let invariants = Invariants::of(&setting.cluster);
    let mut client = setting.cluster.superuser();
    let mut other = setting.cluster.superuser();
    let (_, pool) = known_keys(&setting, &mut client);
    client
        .batch_execute("SET third_party_auth.key_wait = '300 ms'")
        .unwrap();
    let load = Load::start(setting.cluster.config("postgres", "postgres"), 2, &pool);
    let long = Duration::from_secs(20);
    for (number, behaviour) in [
        Behaviour::TlsStall,
        Behaviour::SlowEverywhere(long),
        Behaviour::DripHeader,
        Behaviour::Drip,
    ]
    .into_iter()
    .enumerate()
    {
        // One of its own for each: an address that has failed is left in peace for some seconds.
        let idp = another_idp(&setting.authority);
        let (name, signer) = (format!("hangs{number}"), Signer::new("one"));
        idp.publish(vec![signer.jwk()]);
        client
            .batch_execute(&add_oidc(&name, &idp.issuer()))
            .unwrap();
        setting.wait_until_stored(&mut client, &name);
        idp.behave(behaviour.clone());
        let connections = idp.connections();
        let claims = claims(&idp.issuer());
        let start = Instant::now();
        let unknown = Signer::new("unknown").token(&claims);
        assert_eq!(refusal(&mut client, &unknown), "58000 keys_not_fetched");
        let waited = start.elapsed();
        assert!(
            (Duration::from_millis(250)..QUICK).contains(&waited),
            "{behaviour:?}: {waited:?}"
        );
        assert!(idp.connections() > connections, "{behaviour:?}");
        // Meanwhile the other one rotates.
        let new = Signer::new(&format!("new {number}"));
        setting.idp.publish(vec![new.jwk()]);
        let start = Instant::now();
        assert_eq!(
            verify(&mut other, &setting.token(&new)).unwrap(),
            "ada",
            "{behaviour:?}"
        );
        assert!(
            start.elapsed() < Duration::from_secs(1),
            "{:?}",
            start.elapsed()
        );
        assert_eq!(verify(&mut client, &signer.token(&claims)).unwrap(), "ada");
        let failures = format!(
            "SELECT consecutive_failures::text FROM third_party_auth.status WHERE provider = '{name}'"
        );
        let start = Instant::now();
        setting.cluster.eventually("it is given up", || {
            text(&mut client, &failures).as_deref() == Some("1")
        });
        // http_timeout for discovery and keys together.
        assert!(
            start.elapsed() < 2 * QUICK,
            "{behaviour:?}: {:?}",
            start.elapsed()
        );
    }
    let tally = load.stop();
    tally.assert_only(&[]);
    let longest = tally.latencies.iter().max().copied().unwrap_or_default();
    assert!(longest < Duration::from_secs(1), "{longest:?}");
    invariants.hold(&setting.cluster, 0);
}

#[test]
fn f10_a_bad_answer_never_replaces_good_keys() {
    let setting = Setting::with("bad", &["third_party_auth.http_timeout = '1 s'"]);
    let invariants = Invariants::of(&setting.cluster);
    let mut client = setting.cluster.superuser();
    for (number, behaviour) in [
        Behaviour::Slow(Duration::from_secs(10)),
        Behaviour::Drip,
        Behaviour::DripHeader,
        Behaviour::Reset,
        Behaviour::Truncated,
        Behaviour::Garbage,
        Behaviour::NotHttp,
        Behaviour::Html,
        Behaviour::EmptyBody,
        Behaviour::EmptySet,
        Behaviour::Status(500),
        Behaviour::Status(404),
        Behaviour::Redirect("https://localhost/".to_owned()),
        Behaviour::Huge,
        Behaviour::HugeHeader,
        Behaviour::ClaimsGzip,
        Behaviour::OnlyOddKeys,
        Behaviour::DiscoveryStatus(404),
        Behaviour::WrongDiscoveryIssuer,
    ]
    .into_iter()
    .enumerate()
    {
        // One of its own for each: an address that has failed is left in peace for some seconds.
        let (idp, signer) = (another_idp(&setting.authority), Signer::new("one"));
        let name = format!("idp{number}");
        idp.publish(vec![signer.jwk()]);
        client
            .batch_execute(&add_oidc(&name, &idp.issuer()))
            .unwrap();
        setting.wait_until_stored(&mut client, &name);
        idp.publish(vec![Signer::new("two").jwk()]);
        idp.behave(behaviour.clone());
        let query = "SELECT last_error IS NOT NULL, consecutive_failures, key_count, persisted \
                     FROM third_party_auth.refresh($1)";
        let row = client.query_one(query, &[&name]).unwrap();
        let row: (bool, i32, i32, bool) = (row.get(0), row.get(1), row.get(2), row.get(3));
        assert_eq!(row, (true, 1, 1, true), "{behaviour:?}");
        let claims = claims(&idp.issuer());
        assert_eq!(
            verify(&mut client, &signer.token(&claims)).unwrap(),
            "ada",
            "{behaviour:?}"
        );
    }
    invariants.hold(&setting.cluster, 0);
}

#[test]
fn f10_odd_keys_are_left_out_and_a_symmetric_one_is_never_a_key() {
    let setting = Setting::new("odd");
    let mut client = setting.cluster.superuser();
    let signer = Signer::new("one");
    setting.idp.publish(vec![signer.jwk()]);
    setting.idp.behave(Behaviour::OddKeys);
    setting.register(&mut client);
    assert_eq!(verify(&mut client, &setting.token(&signer)).unwrap(), "ada");
    let kids = "SELECT string_agg(kid, ' ') FROM third_party_auth.signing_key";
    assert_eq!(text(&mut client, kids).as_deref(), Some("one"));
    // The secret that it published signs nothing, under whatever name and algorithm.
    let claims = claims(&setting.idp.issuer());
    for kid in ["secret", "one"] {
        for algorithm in ["HS256", "HS384", "HS512"] {
            let header = json!({"alg": algorithm, "kid": kid});
            let token = symmetric::sign(&header, &claims, b"secret");
            assert_eq!(refusal(&mut client, &token), "28000 algorithm_not_allowed");
        }
    }
    Invariants::of(&setting.cluster).hold(&setting.cluster, 0);
}

#[test]
fn f10_an_answer_without_cause_is_a_failure_and_max_age_0_is_no_reason_to_ask_all_the_time() {
    let setting = Setting::new("headers");
    let mut client = setting.cluster.superuser();
    let signer = Signer::new("one");
    setting.idp.publish(vec![signer.jwk()]);
    // "Not modified" although nothing was there.
    setting.idp.behave(Behaviour::WrongEtag304);
    client
        .batch_execute(&add_oidc("idp", &setting.idp.issuer()))
        .unwrap();
    let failures = "SELECT (consecutive_failures > 0 AND key_count = 0)::text \
                    FROM third_party_auth.status";
    setting.cluster.eventually("it counts as a failure", || {
        text(&mut client, failures).as_deref() == Some("true")
    });
    setting.idp.behave(Behaviour::MaxAge(0));
    setting.wait_until_stored(&mut client, "idp");
    assert_eq!(verify(&mut client, &setting.token(&signer)).unwrap(), "ada");
    let next = "SELECT (next_refresh_at > now() + interval '4 min')::text \
                FROM third_party_auth.status";
    assert_eq!(text(&mut client, next).as_deref(), Some("true"));
    // The same answer where it has a cause confirms the keys that are there.
    setting.idp.behave(Behaviour::WrongEtag304);
    let refresh = "SELECT format('%s %s', consecutive_failures, key_count) \
                   FROM third_party_auth.refresh('idp')";
    assert_eq!(text(&mut client, refresh).as_deref(), Some("0 1"));
    assert_eq!(verify(&mut client, &setting.token(&signer)).unwrap(), "ada");
    Invariants::of(&setting.cluster).hold(&setting.cluster, 0);
}

/// A setting whose server knows the names of tests, and whose identity provider is `host`.
fn setting_with_names(name: &str, host: &str, network: &str) -> Setting {
    let authority = Authority::new();
    let config = authority.server_config(&[host]);
    let idp = IdentityProvider::start_with(host, Some(config));
    let [ca_file, _] = trust(&authority);
    let networks = format!("third_party_auth.allowed_networks = '{network}'");
    let library = preloaded(&authority, "names");
    let environment = [("LD_PRELOAD", library.as_str())];
    let cluster = crate::cluster::Cluster::start_in(name, &[&ca_file, &networks], &environment);
    crate::setting::create_extension(&mut cluster.superuser());
    Setting {
        cluster,
        idp,
        authority,
    }
}

fn last_error(setting: &Setting, client: &mut Client, provider: &str) -> String {
    let query =
        format!("SELECT last_error FROM third_party_auth.status WHERE provider = '{provider}'");
    let mut told = None;
    setting.cluster.eventually("it fails", || {
        told = text(client, &query);
        told.is_some()
    });
    told.expect("an error")
}

#[test]
fn f11_a_redirect_and_an_address_that_is_not_allowed_are_never_connected_to() {
    let setting = setting_with_names("addresses", "moving.test", "127.0.0.1/32");
    let mut client = setting.cluster.superuser();
    // It would answer on any address of this machine, and its own is not allowed.
    let trap = TcpListener::bind("127.0.0.2:0").expect("a free port on 127.0.0.2");
    trap.set_nonblocking(true).unwrap();
    let port = trap.local_addr().unwrap().port();
    for (number, host) in [
        "127.0.0.2",
        "0x7f.0.0.2",
        "0x7f000002",
        "2130706434",
        "0177.0.0.2",
        "127.2",
        "[::ffff:127.0.0.2]",
        "[::ffff:7f00:2]",
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("trap{number}");
        let uri = format!("https://{host}:{port}/keys");
        let add = add_direct(&name, &format!("https://{name}.example"), &uri);
        // Some are no URL for anybody: those cannot be registered.
        if client.batch_execute(&add).is_ok() {
            let told = last_error(&setting, &mut client, &name);
            assert!(
                told.contains("allowed_networks") || told.contains("cannot be fetched"),
                "{host}: {told}"
            );
        }
    }
    // To another provider, which would answer.
    let elsewhere = another_idp(&setting.authority);
    elsewhere.publish(vec![Signer::new("one").jwk()]);
    for (name, behaviour) in [
        ("redirect", Behaviour::Redirect(elsewhere.jwks_uri())),
        ("discovery", Behaviour::JwksUri(elsewhere.jwks_uri())),
        (
            "trap",
            Behaviour::JwksUri(format!("https://127.0.0.2:{port}/keys")),
        ),
    ] {
        let config = setting.authority.server_config(&["127.0.0.1"]);
        let idp = IdentityProvider::start_with("127.0.0.1", Some(config));
        idp.publish(vec![Signer::new("one").jwk()]);
        idp.behave(behaviour);
        client
            .batch_execute(&add_oidc(name, &idp.issuer()))
            .unwrap();
        last_error(&setting, &mut client, name);
        assert!(idp.discovery_fetches() > 0, "{name}");
    }
    assert_eq!(elsewhere.connections(), 0);

    // A name that has another address every time: every fetch judges the one that it connects to.
    let signer = Signer::new("one");
    setting.idp.publish(vec![signer.jwk()]);
    let moving = add_direct("idp", &setting.idp.issuer(), &setting.idp.jwks_uri());
    client.batch_execute(&moving).unwrap();
    setting.wait_until_stored(&mut client, "idp");
    client
        .batch_execute("SELECT third_party_auth.refresh('idp')")
        .unwrap();
    let told = text(&mut client, PROBLEM).unwrap();
    assert!(
        told.contains("127.0.0.2") || told.contains("allowed_networks"),
        "{told}"
    );
    assert_eq!(verify(&mut client, &setting.token(&signer)).unwrap(), "ada");
    assert_eq!(trap.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    Invariants::of(&setting.cluster).hold(&setting.cluster, 0);
}

#[test]
fn f12_a_name_that_nobody_answers_for_disturbs_no_other_and_leaves_few_threads() {
    let setting = setting_with_names("dns", "localhost", "127.0.0.0/8, ::1/128");
    let invariants = Invariants::of(&setting.cluster);
    let mut client = setting.cluster.superuser();
    let (_, pool) = known_keys(&setting, &mut client);
    let load = Load::start(setting.cluster.config("postgres", "postgres"), 2, &pool);
    for number in 0..6 {
        let name = format!("dead{number}");
        let uri = format!("https://dead.test/{number}");
        client
            .batch_execute(&add_direct(&name, &format!("https://{name}.example"), &uri))
            .unwrap();
    }
    let threads = format!("/proc/{}/task", fetcher(&setting.cluster, &mut client));
    let count = || {
        fs::read_dir(&threads)
            .expect("the fetcher's threads")
            .count()
    };
    let mut most = 0;
    for number in 0..6 {
        let told = last_error(&setting, &mut client, &format!("dead{number}"));
        assert!(told.contains("dead.test"), "{told}");
        most = most.max(count());
    }
    // The main one, four that fetch, one that looks up the dead name and one for the other.
    assert!(most <= 7, "{most} threads");
    // Lookups that nobody waits for any more go on, and others are made all the same.
    for number in 0..2 {
        let new = Signer::new(&format!("new {number}"));
        setting.idp.publish(vec![new.jwk()]);
        let start = Instant::now();
        assert_eq!(verify(&mut client, &setting.token(&new)).unwrap(), "ada");
        assert!(start.elapsed() < QUICK, "{:?}", start.elapsed());
    }
    setting
        .cluster
        .eventually("no more threads linger than may", || count() <= 5);
    load.stop().assert_only(&[]);
    invariants.hold(&setting.cluster, 0);
}

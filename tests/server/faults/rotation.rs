//! Keys that come, change and go.

use crate::invariants::Invariants;
use crate::load::{Expected, Load, Pool};
use crate::setting::{Setting, Signer, refusal, text, verify};
use crate::support::Behaviour;
use std::thread;
use std::time::{Duration, Instant};

/// Sessions that never wait together for one key in such number that one is sent away.
const FEW: u64 = 4;

/// Answers after which every session has asked about every token.
const ROUND: u64 = 200;

const PATIENTLY: &str = "SET third_party_auth.key_wait = '10 s'";

#[test]
fn f13_an_announced_rotation_causes_no_error() {
    let setting = Setting::with("announced", &["third_party_auth.refresh_interval = '2 s'"]);
    let invariants = Invariants::of(&setting.cluster);
    let (old, new) = (Signer::new("old"), Signer::new("new"));
    setting.idp.publish(vec![old.jwk()]);
    let mut client = setting.cluster.superuser();
    setting.register(&mut client);
    let pool = Pool::new();
    pool.add(setting.token(&old), Expected::Known);
    let load = Load::start(setting.cluster.config("postgres", "postgres"), 16, &pool);
    load.answers_more(ROUND);

    setting.idp.publish(vec![old.jwk(), new.jwk()]);
    let count = "SELECT key_count::text FROM third_party_auth.status";
    setting.cluster.eventually("the new key is known", || {
        text(&mut client, count).as_deref() == Some("2")
    });
    pool.add(setting.token(&new), Expected::Valid);
    load.answers_more(ROUND);
    // Nobody has asked for it: the schedule brought it.
    load.stop().assert_only(&[]);
    assert_eq!(setting.idp.fetches(), 2);
    invariants.hold(&setting.cluster, 0);
}

#[test]
fn f14_in_an_unannounced_rotation_under_load_tokens_of_either_key_verify() {
    let setting = Setting::new("unannounced");
    let invariants = Invariants::of(&setting.cluster);
    let mut keys = vec![Signer::new("key 0")];
    setting.idp.publish(vec![keys[0].jwk()]);
    setting.register(&mut setting.cluster.superuser());
    let pool = Pool::new();
    pool.add(setting.token(&keys[0]), Expected::Valid);
    let load = Load::start(setting.cluster.config("postgres", "postgres"), FEW, &pool);
    for rotation in 1..=2 {
        load.answers_more(ROUND);
        let before = setting.idp.fetches();
        keys.push(Signer::new(&format!("key {rotation}")));
        // The old key is not published any more from the moment that the new one is.
        setting.idp.publish(vec![keys[rotation].jwk()]);
        pool.add(setting.token(&keys[rotation]), Expected::Valid);
        load.answers_more(ROUND);
        let fetches = setting.idp.fetches() - before;
        assert!((1..=2).contains(&fetches), "{fetches} fetches");
    }
    let tally = load.stop();
    tally.assert_only(&[]);
    // Nobody waited for more than two fetches, which take milliseconds.
    let longest = tally.latencies.iter().max().copied().unwrap_or_default();
    assert!(longest < Duration::from_secs(2), "{longest:?}");
    invariants.hold(&setting.cluster, 0);
}

#[test]
fn f14_a_fetch_that_began_before_a_key_was_published_proves_nothing_about_it() {
    let setting = Setting::new("began_before");
    let invariants = Invariants::of(&setting.cluster);
    let mut client = setting.cluster.superuser();
    let old = Signer::new("old");
    setting.idp.publish(vec![old.jwk()]);
    setting.register(&mut client);
    let fetches = setting.idp.fetches();
    // The answer is as of now, and comes later.
    setting
        .idp
        .behave(Behaviour::Slow(Duration::from_millis(1_500)));
    let (mut asking, unknown) = (setting.cluster.superuser(), Signer::new("unknown"));
    let unknown = setting.token(&unknown);
    let asks = thread::spawn(move || {
        asking.batch_execute(PATIENTLY).unwrap();
        refusal(&mut asking, &unknown)
    });
    let patience = Duration::from_secs(10);
    assert!(setting.idp.wait_for_fetches(fetches + 1, patience));
    let new = Signer::new("new");
    setting.idp.publish(vec![old.jwk(), new.jwk()]);
    setting.idp.behave(Behaviour::Normal);
    client.batch_execute(PATIENTLY).unwrap();
    assert_eq!(verify(&mut client, &setting.token(&new)).unwrap(), "ada");
    assert_eq!(asks.join().unwrap(), "28000 unknown_key");
    assert_eq!(setting.idp.fetches(), fetches + 2);
    invariants.hold(&setting.cluster, 0);
}

#[test]
fn f14_an_answer_that_confirms_keys_which_are_not_there_any_more_proves_nothing() {
    let setting = Setting::new("confirmed");
    let invariants = Invariants::of(&setting.cluster);
    let mut client = setting.cluster.superuser();
    let old = Signer::new("old");
    setting.idp.publish(vec![old.jwk()]);
    setting.register(&mut client);
    let fetches = setting.idp.fetches();
    // "Not modified", in a while.
    setting.idp.behave(Behaviour::Slow(Duration::from_secs(3)));
    let (mut asking, unknown) = (setting.cluster.superuser(), Signer::new("unknown"));
    let unknown = setting.token(&unknown);
    let asks = thread::spawn(move || refusal(&mut asking, &unknown));
    let patience = Duration::from_secs(10);
    assert!(setting.idp.wait_for_fetches(fetches + 1, patience));
    setting.idp.behave(Behaviour::Normal);
    // Meanwhile the workers forget the provider and its keys, and hear of it again.
    for (enabled, slots) in [(false, "0"), (true, "1")] {
        let update = format!("UPDATE third_party_auth.provider SET enabled = {enabled}");
        client.batch_execute(&update).unwrap();
        let used = "SELECT providers::text FROM third_party_auth.worker";
        setting.cluster.eventually("the workers have heard", || {
            text(&mut client, used).as_deref() == Some(slots)
        });
    }
    let new = Signer::new("new");
    setting.idp.publish(vec![old.jwk(), new.jwk()]);
    client.batch_execute(PATIENTLY).unwrap();
    for signer in [&old, &new] {
        assert_eq!(verify(&mut client, &setting.token(signer)).unwrap(), "ada");
    }
    assert!(asks.join().unwrap().starts_with("58000 "));
    assert_eq!(setting.idp.fetches(), fetches + 2);
    invariants.hold(&setting.cluster, 0);
}

#[test]
fn f14_more_sessions_than_may_wait_are_told_to_try_again_and_never_that_a_token_is_bad() {
    let setting = Setting::new("many");
    let invariants = Invariants::of(&setting.cluster);
    let (old, new) = (Signer::new("old"), Signer::new("new"));
    setting.idp.publish(vec![old.jwk()]);
    setting.register(&mut setting.cluster.superuser());
    let pool = Pool::new();
    pool.add(setting.token(&old), Expected::Valid);
    let load = Load::start(setting.cluster.config("postgres", "postgres"), 32, &pool);
    load.answers_more(ROUND);
    let fetches = setting.idp.fetches();
    // Slow enough that all of them come while nobody knows it.
    setting
        .idp
        .behave(Behaviour::Slow(Duration::from_millis(300)));
    setting.idp.publish(vec![new.jwk()]);
    pool.add(setting.token(&new), Expected::Valid);
    let (mut client, token) = (setting.cluster.superuser(), setting.token(&new));
    setting.cluster.eventually("the new key is accepted", || {
        verify(&mut client, &token).is_ok()
    });
    // Those that were asking at that moment have their answers too.
    load.answers_more(ROUND);
    let tally = load.take();
    tally.assert_only(&["58000 too_many_waiters"]);
    assert!(!tally.events.is_empty(), "nobody was sent away");
    load.answers_more(ROUND);
    load.stop().assert_only(&[]);
    let fetches = setting.idp.fetches() - fetches;
    assert!((1..=2).contains(&fetches), "{fetches} fetches");
    invariants.hold(&setting.cluster, 0);
}

#[test]
fn f15_a_key_that_is_withdrawn_is_refused_after_the_interval_and_its_grace() {
    let (interval, grace) = (Duration::from_secs(2), Duration::from_secs(1));
    let conf = [
        "third_party_auth.refresh_interval = '2 s'",
        "third_party_auth.removed_key_grace = '1 s'",
    ];
    let setting = Setting::with("withdrawn", &conf);
    let invariants = Invariants::of(&setting.cluster);
    let (old, new) = (Signer::new("old"), Signer::new("new"));
    setting.idp.publish(vec![old.jwk(), new.jwk()]);
    let mut client = setting.cluster.superuser();
    setting.register(&mut client);
    let pool = Pool::new();
    pool.add(setting.token(&new), Expected::Known);
    let withdrawn = pool.add(setting.token(&old), Expected::Valid);
    let load = Load::start(setting.cluster.config("postgres", "postgres"), FEW, &pool);
    load.answers_more(ROUND);

    let (start, fetches) = (Instant::now(), setting.idp.fetches());
    withdrawn.expect(Expected::Either);
    setting.idp.publish(vec![new.jwk()]);
    let token = setting.token(&old);
    setting.cluster.eventually("the key is refused", || {
        verify(&mut client, &token).is_err()
    });
    let took = start.elapsed();
    // The grace begins when the fetcher has seen it, which looks every second.
    assert!(took < interval + grace + Duration::from_secs(2), "{took:?}");
    assert!(took > grace, "{took:?}");
    assert!(setting.idp.fetches() > fetches);
    // From now on nobody accepts it, whatever they had cached.
    withdrawn.expect(Expected::Refused);
    load.answers_more(ROUND);
    assert_eq!(refusal(&mut client, &token), "28000 unknown_key");
    load.stop()
        .assert_only(&["58000 too_many_waiters", "58000 budget_spent"]);
    invariants.hold(&setting.cluster, 0);
}

#[test]
fn f16_new_material_under_an_old_key_id_is_picked_up_by_one_fetch() {
    let setting = Setting::new("material");
    let invariants = Invariants::of(&setting.cluster);
    let mut client = setting.cluster.superuser();
    let (old, new) = (Signer::new("same"), Signer::new("same"));
    setting.idp.publish(vec![old.jwk()]);
    setting.register(&mut client);
    let before = setting.token(&old);
    let mut other = setting.cluster.superuser();
    for session in [&mut client, &mut other] {
        assert_eq!(verify(session, &before).unwrap(), "ada");
    }
    setting.idp.publish(vec![new.jwk()]);
    assert_eq!(verify(&mut client, &setting.token(&new)).unwrap(), "ada");
    assert_eq!(setting.idp.fetches(), 2);
    // It stands in the place of the old one, without grace, for every session.
    let forged = setting.token(&Signer::new("same"));
    for mut session in [client, other, setting.cluster.superuser()] {
        for token in [&before, &forged] {
            assert_eq!(refusal(&mut session, token), "28000 bad_signature");
        }
    }
    invariants.hold(&setting.cluster, 0);
}

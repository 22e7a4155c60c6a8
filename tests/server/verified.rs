//! Signatures that one session has checked and others need not check again: everything else about a token is
//! judged anew by each of them.

use crate::cluster::Stop;
use crate::load::{Expected, Load, Pool};
use crate::setting::{
    PINNED_ISSUER, Setting, Signer, add_pinned, claims, now, refusal, text, trusting, verify,
};
use postgres::Client;
use serde_json::json;

/// How many decisions had this outcome, in committed transactions.
fn count(client: &mut Client, outcome: &str) -> i64 {
    let query =
        "SELECT coalesce(sum(count), 0)::bigint FROM third_party_auth.stats WHERE outcome = $1";
    client.query_one(query, &[&outcome]).expect("a sum").get(0)
}

#[test]
fn a_signature_that_one_session_has_checked_is_not_checked_by_another() {
    let (cluster, signer) = trusting("checked_once", &[], "");
    let token = signer.pinned("ada");
    let mut owner = cluster.superuser();
    for expected in [(1, 0), (1, 1), (1, 2)] {
        let mut session = cluster.connect("app", "postgres");
        assert_eq!(verify(&mut session, &token).unwrap(), "ada");
        drop(session);
        cluster.eventually("it is counted", || {
            (count(&mut owner, "verified"), count(&mut owner, "cached")) == expected
        });
    }
    // A restart forgets.
    cluster.restart(Stop::Fast);
    let mut owner = cluster.superuser();
    verify(&mut owner, &token).unwrap();
    assert_eq!(count(&mut owner, "verified"), 1);
}

#[test]
fn with_no_room_each_session_checks_for_itself() {
    let conf = ["third_party_auth.verified_tokens = 0"];
    let (cluster, signer) = trusting("checked_twice", &conf, "");
    let token = signer.pinned("ada");
    for _ in 0..2 {
        verify(&mut cluster.connect("app", "postgres"), &token).unwrap();
    }
    let mut owner = cluster.superuser();
    cluster.eventually("both have checked", || count(&mut owner, "verified") == 2);
    assert_eq!(count(&mut owner, "cached"), 0);
}

#[test]
fn a_remembered_signature_does_not_outlive_what_makes_it_count() {
    let (cluster, signer) = trusting("outlived", &[], ", clock_skew => '0'");
    let mut owner = cluster.superuser();
    let (token, bobs) = (signer.pinned("ada"), signer.pinned("bob"));
    for token in [&token, &bobs] {
        verify(&mut owner, token).unwrap();
    }
    let elsewhere = |token: &str| refusal(&mut cluster.connect("app", "postgres"), token);

    // Another signature of the same token, and another token under the same signature.
    let (content, signature) = token.rsplit_once('.').unwrap();
    let (other_content, _) = bobs.rsplit_once('.').unwrap();
    let other = Signer::new("one").pinned("ada");
    let other_signature = other.rsplit_once('.').unwrap().1;
    for forged in [
        format!("{content}.{other_signature}"),
        format!("{other_content}.{signature}"),
    ] {
        assert_eq!(elsewhere(&forged), "28000 bad_signature");
    }

    // Its key is revoked.
    let revoke = "SELECT third_party_auth.revoke_key('pinned', 'one')";
    owner.batch_execute(revoke).unwrap();
    assert_eq!(elsewhere(&token), "28000 key_revoked");
    owner
        .batch_execute("SELECT third_party_auth.unrevoke_key('pinned', 'one')")
        .unwrap();

    // Its audience is not wanted any more.
    owner
        .batch_execute("UPDATE third_party_auth.provider SET audiences = '{other}'")
        .unwrap();
    assert_eq!(elsewhere(&token), "28000 audience_mismatch");
    owner
        .batch_execute("UPDATE third_party_auth.provider SET audiences = '{api}'")
        .unwrap();
    verify(&mut cluster.connect("app", "postgres"), &token).unwrap();

    // Another key has its id.
    let replaced = Signer::new("one");
    let remove = "SELECT third_party_auth.remove_provider('pinned')";
    owner.batch_execute(remove).unwrap();
    assert_eq!(elsewhere(&token), "28000 unknown_issuer");
    owner
        .batch_execute(&add_pinned(&replaced, ", clock_skew => '0'"))
        .unwrap();
    assert_eq!(elsewhere(&token), "28000 bad_signature");

    // Its key comes back, and the time of one is soon over.
    owner.batch_execute(remove).unwrap();
    owner
        .batch_execute(&add_pinned(&signer, ", clock_skew => '0'"))
        .unwrap();
    let mut claims = claims(PINNED_ISSUER);
    claims["exp"] = json!(now() + 4);
    let short = signer.token(&claims);
    verify(&mut owner, &short).unwrap();
    cluster.eventually("it has expired", || {
        now() >= claims["exp"].as_u64().unwrap()
    });
    assert_eq!(elsewhere(&short), "28000 expired");
    verify(&mut cluster.connect("app", "postgres"), &token).unwrap();
}

#[test]
fn sixty_four_sessions_that_evict_each_others_signatures_give_no_wrong_answer() {
    let conf = [
        "third_party_auth.verified_tokens = 8",
        "max_connections = 100",
    ];
    let setting = Setting::with("evicted", &conf);
    let mut owner = setting.cluster.superuser();
    let signers = [Signer::new("ec"), Signer::rsa("rsa"), Signer::ed25519("ed")];
    setting
        .idp
        .publish(signers.iter().map(Signer::jwk).collect());
    setting.register(&mut owner);
    let strangers = [Signer::new("ec"), Signer::rsa("rsa"), Signer::ed25519("ed")];
    let pool = Pool::new();
    for (signer, stranger) in signers.iter().zip(&strangers) {
        for number in 0..12 {
            let mut claims = claims(&setting.idp.issuer());
            claims["sub"] = json!(format!("user {number}"));
            let good = signer.token(&claims);
            // The same claims, signed by somebody else.
            pool.add(stranger.token(&claims), Expected::Refused);
            pool.add(good, Expected::Valid);
        }
    }
    let config = setting.cluster.config("app", "postgres");
    let load = Load::start(config, 64, &pool);
    load.answers_more(20_000);
    let tally = load.stop();
    tally.assert_only(&["58000 too_many_waiters", "58000 budget_spent"]);
    let entries = text(
        &mut owner,
        "SELECT setting FROM pg_settings WHERE name = 'third_party_auth.verified_tokens'",
    );
    assert_eq!(entries.as_deref(), Some("8"));
    assert!(count(&mut owner, "verified") > 100, "they were evicted");
    assert!(count(&mut owner, "cached") > 100, "they were found");
}

//! A token that was accepted is not judged anew by every statement. It falls all the same with whatever it was accepted
//! on: each of these sessions asks again and again, and something changes between two of its questions.

use crate::setting::{
    PINNED_ISSUER, Setting, Signer, bearer, claims, now, set, subject, text, trusting,
};
use postgres::Client;
use serde_json::json;

/// The token stands: several statements have said so, the first of which may have judged it.
fn stands(session: &mut Client, why: &str) {
    for _ in 0..3 {
        assert_eq!(subject(session).as_deref(), Some("ada"), "{why}");
    }
}

#[test]
fn a_standing_token_falls_and_rises_with_what_is_registered() {
    let (cluster, signer) = trusting("standing", &[], "");
    let mut owner = cluster.superuser();
    let keys_of = |signer: &Signer| json!({ "keys": [signer.jwk()] }).to_string();
    let replaced = format!("jwks = '{}'", keys_of(&Signer::new("one")));
    let own = format!("jwks = '{}'", keys_of(&signer));
    let update = |what: &str| format!("UPDATE third_party_auth.provider SET {what}");
    let changes = [
        (
            "SELECT third_party_auth.revoke_key('pinned', 'one')".to_owned(),
            "SELECT third_party_auth.unrevoke_key('pinned', 'one')".to_owned(),
        ),
        (
            update("audiences = '{other}'"),
            update("audiences = '{api}'"),
        ),
        (update("enabled = false"), update("enabled = true")),
        (
            update("allowed_roles = '{other}'"),
            update("allowed_roles = '{authenticated}'"),
        ),
        (
            update("for_requests = false"),
            update("for_requests = true"),
        ),
        (update(&replaced), update(&own)),
    ];
    let token = signer.pinned("ada");
    for (setting, value) in [
        ("request.jwt", token.clone()),
        ("request.headers", bearer(&token)),
    ] {
        let mut session = cluster.connect("app", "postgres");
        set(&mut session, setting, &value);
        for (change, undo) in &changes {
            stands(&mut session, change);
            owner.batch_execute(change).expect(change);
            assert_eq!(subject(&mut session), None, "{setting}: {change}");
            owner.batch_execute(undo).expect(undo);
            stands(&mut session, undo);
        }
    }
}

#[test]
fn what_is_answered_about_a_standing_token_is_what_is_registered() {
    let (cluster, signer) = trusting("standing_answers", &[], ", default_role => 'authenticated'");
    let mut owner = cluster.superuser();
    let mut session = cluster.connect("app", "postgres");
    let mut claims = claims(PINNED_ISSUER);
    claims.as_object_mut().unwrap().remove("role");
    set(&mut session, "request.jwt", &signer.token(&claims));
    let ask = "SELECT format('%s %s %s', jwt_provider(), jwt_role(), third_party_jwt()->>'sub')";
    for _ in 0..3 {
        let answers = text(&mut session, ask);
        assert_eq!(answers.as_deref(), Some("pinned authenticated ada"));
    }
    owner
        .batch_execute(
            "UPDATE third_party_auth.provider \
             SET allowed_roles = '{authenticated,editor}', default_role = 'editor'",
        )
        .unwrap();
    let answers = text(&mut session, ask);
    assert_eq!(answers.as_deref(), Some("pinned editor ada"));
}

#[test]
fn a_standing_token_falls_when_it_expires() {
    let (cluster, signer) = trusting("standing_expiry", &[], ", clock_skew => '0'");
    let mut session = cluster.connect("app", "postgres");
    let mut claims = claims(PINNED_ISSUER);
    let expires_at = now() + 3;
    claims["exp"] = json!(expires_at);
    set(&mut session, "request.jwt", &signer.token(&claims));
    stands(&mut session, "not expired yet");
    let clock = "SELECT clock_timestamp()::text";
    cluster.eventually("it has expired", || {
        // Asked with every statement, so that it stands until the last moment.
        let before = subject(&mut session);
        let is_over = now() >= expires_at;
        assert!(
            is_over || before.is_some(),
            "{:?}",
            text(&mut session, clock)
        );
        is_over
    });
    assert_eq!(subject(&mut session), None);
}

#[test]
fn a_standing_token_falls_with_its_key_and_with_the_limit_of_its_size() {
    let conf = ["third_party_auth.removed_key_grace = 0"];
    let setting = Setting::with("standing_key", &conf);
    let mut owner = setting.cluster.superuser();
    let (one, two) = (Signer::new("one"), Signer::new("two"));
    setting.idp.publish(vec![one.jwk()]);
    setting.register(&mut owner);
    let mut claims = claims(&setting.idp.issuer());
    claims["filling"] = json!("x".repeat(2_000));
    let mut session = setting.cluster.connect("app", "postgres");
    set(
        &mut session,
        "request.headers",
        &bearer(&one.token(&claims)),
    );
    stands(&mut session, "its key is published");

    let refresh = "SELECT third_party_auth.refresh('idp')";
    setting.idp.publish(vec![two.jwk()]);
    owner.batch_execute(refresh).unwrap();
    assert_eq!(subject(&mut session), None, "its key was withdrawn");
    setting.idp.publish(vec![one.jwk()]);
    owner.batch_execute(refresh).unwrap();
    stands(&mut session, "its key is published again");

    let limit =
        |bytes: &str| format!("ALTER SYSTEM SET third_party_auth.max_token_bytes = {bytes}");
    for (bytes, expected) in [("1024", None), ("16384", Some("ada"))] {
        owner.batch_execute(&limit(bytes)).unwrap();
        owner.batch_execute("SELECT pg_reload_conf()").unwrap();
        let seen =
            "SELECT setting FROM pg_settings WHERE name = 'third_party_auth.max_token_bytes'";
        setting.cluster.eventually("the session has read it", || {
            text(&mut session, seen).as_deref() == Some(bytes)
        });
        assert_eq!(subject(&mut session).as_deref(), expected, "{bytes}");
    }
}

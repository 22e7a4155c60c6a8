//! A token that was accepted is not judged anew by every statement. It falls all the same with whatever it was accepted
//! on: each of these sessions asks again and again, and something changes between two of its questions.

use crate::cluster::Cluster;
use crate::setting::{
    PINNED_ISSUER, Setting, Signer, bearer, claims, create_extension, failure, now, set, subject,
    text, trusting,
};
use crate::symmetric;
use postgres::Client;
use serde_json::json;

/// The token stands: several statements have said so, the first of which may have judged it.
fn stands(session: &mut Client, why: &str) {
    for _ in 0..3 {
        assert_eq!(subject(session).as_deref(), Some("ada"), "{why}");
    }
}

/// What makes the token of the pinned key fall, and what raises it again.
struct Change {
    fall: String,
    rise: String,
    /// It is about the key: a gateway's claims stay.
    is_about_the_key: bool,
}

fn changes(signer: &Signer) -> Vec<Change> {
    let update = |what: &str| format!("UPDATE third_party_auth.provider SET {what}");
    let keys = |signer: &Signer| {
        let keys = json!({ "keys": [signer.jwk()] });
        update(&format!("jwks = '{keys}'"))
    };
    let about_the_provider = [
        ("audiences = '{other}'", "audiences = '{api}'"),
        ("enabled = false", "enabled = true"),
        (
            "allowed_roles = '{other}'",
            "allowed_roles = '{authenticated}'",
        ),
        ("for_requests = false", "for_requests = true"),
    ];
    let about_the_key = [
        (
            "SELECT third_party_auth.revoke_key('pinned', 'one')".to_owned(),
            "SELECT third_party_auth.unrevoke_key('pinned', 'one')".to_owned(),
        ),
        (keys(&Signer::new("one")), keys(signer)),
    ];
    let about_the_provider = about_the_provider.map(|(fall, rise)| Change {
        fall: update(fall),
        rise: update(rise),
        is_about_the_key: false,
    });
    let about_the_key = about_the_key.map(|(fall, rise)| Change {
        fall,
        rise,
        is_about_the_key: true,
    });
    about_the_provider
        .into_iter()
        .chain(about_the_key)
        .collect()
}

#[test]
fn a_standing_token_falls_and_rises_with_what_is_registered() {
    let servers = [
        ("standing", ""),
        (
            "standing_not_owned",
            "third_party_auth.own_request_jwt = off",
        ),
        ("standing_unloaded", "shared_preload_libraries = ''"),
    ];
    for (server, conf) in servers {
        let (cluster, signer) = trusting(server, &[conf], "");
        let mut owner = cluster.superuser();
        let token = signer.pinned("ada");
        for (setting, value) in [
            ("request.jwt", token.clone()),
            ("request.headers", bearer(&token)),
        ] {
            let mut session = cluster.connect("app", "postgres");
            set(&mut session, setting, &value);
            for Change { fall, rise, .. } in changes(&signer) {
                stands(&mut session, &fall);
                owner.batch_execute(&fall).expect(&fall);
                assert_eq!(subject(&mut session), None, "{server}, {setting}: {fall}");
                owner.batch_execute(&rise).expect(&rise);
                stands(&mut session, &rise);
            }
        }
    }
}

#[test]
fn standing_claims_of_a_gateway_fall_and_rise_with_what_is_registered() {
    let conf = ["third_party_auth.gateway_roles = 'app'"];
    let (cluster, signer) = trusting("standing_claims", &conf, "");
    let mut owner = cluster.superuser();
    let mut session = cluster.connect("app", "postgres");
    let claims = claims(PINNED_ISSUER).to_string();
    set(&mut session, "request.jwt.claims", &claims);
    for change in changes(&signer) {
        stands(&mut session, &change.fall);
        owner.batch_execute(&change.fall).expect(&change.fall);
        let expected = change.is_about_the_key.then_some("ada");
        let found = subject(&mut session);
        assert_eq!(found.as_deref(), expected, "{}", change.fall);
        owner.batch_execute(&change.rise).expect(&change.rise);
    }
}

#[test]
fn a_standing_token_falls_with_the_secret_that_it_was_signed_with() {
    let cluster = Cluster::start("standing_secret", &[]);
    let mut owner = cluster.superuser();
    create_extension(&mut owner);
    let [secret, other] =
        ["a", "b"].map(|letter| format!("{letter}-secret-of-this-test-and-nobody-else"));
    owner
        .batch_execute(&format!(
            "SELECT third_party_auth.add_supabase('https://ref.supabase.co/auth/v1', jwt_secret => '{secret}', jwks => '{}')",
            json!({ "keys": [Signer::new("one").jwk()] })
        ))
        .unwrap();
    let mut claims = claims("https://ref.supabase.co/auth/v1");
    claims["aud"] = json!("authenticated");
    claims["session_id"] = json!("s1");
    let header = json!({"alg": "HS256", "typ": "JWT"});
    let token = symmetric::sign(&header, &claims, secret.as_bytes());
    let mut session = cluster.connect("app", "postgres");
    set(&mut session, "request.jwt", &token);
    stands(&mut session, "its secret is registered");
    let replace =
        |secret: &str| format!("UPDATE third_party_auth.provider_secret SET secret = '{secret}'");
    owner.batch_execute(&replace(&other)).unwrap();
    assert_eq!(subject(&mut session), None, "the secret is another one");
    owner.batch_execute(&replace(&secret)).unwrap();
    stands(&mut session, "the secret is back");
}

#[test]
fn a_standing_token_falls_when_its_keys_could_not_be_confirmed_for_too_long() {
    let setting = Setting::with("standing_stale", &["third_party_auth.max_stale = '5 s'"]);
    let mut owner = setting.cluster.superuser();
    let signer = Signer::new("one");
    setting.idp.publish(vec![signer.jwk()]);
    setting.register(&mut owner);
    let mut session = setting.cluster.connect("app", "postgres");
    set(&mut session, "request.jwt", &setting.token(&signer));
    stands(&mut session, "its keys were just fetched");
    setting.idp.stop();
    let ask = "SELECT jwt_subject()";
    setting
        .cluster
        .eventually("they are too old", || session.query_one(ask, &[]).is_err());
    let (code, error) = failure(session.query_one(ask, &[]));
    let reason = error.detail().unwrap_or_default();
    assert_eq!(
        (code.as_str(), reason),
        ("58000", "reason=keys_stale provider=idp")
    );
    setting.idp.resume();
    setting
        .cluster
        .eventually("they are confirmed", || session.query_one(ask, &[]).is_ok());
    stands(&mut session, "they are fresh again");
}

#[test]
fn a_standing_token_falls_and_rises_with_what_is_undone() {
    let (cluster, signer) = trusting("standing_undone", &[], "");
    let mut owner = cluster.superuser();
    set(&mut owner, "request.jwt", &signer.pinned("ada"));
    for Change { fall, .. } in changes(&signer) {
        stands(&mut owner, &fall);
        owner.batch_execute("BEGIN; SAVEPOINT before").unwrap();
        stands(&mut owner, &fall);
        for undo in ["ROLLBACK TO before", "ROLLBACK"] {
            owner.batch_execute(&fall).expect(&fall);
            assert_eq!(subject(&mut owner), None, "{fall}");
            owner.batch_execute(undo).unwrap();
            stands(&mut owner, undo);
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
    let conf = ["third_party_auth.removed_key_grace = '1 s'"];
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
    setting.cluster.eventually("its key's grace is over", || {
        subject(&mut session).is_none()
    });
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

//! Keys come, change and go as their provider says.

use crate::cluster::Cluster;
use crate::setting::{
    Setting, Signer, add_direct, add_oidc, another_idp, claims, create_extension, failure, now,
    text, trust, verify,
};
use crate::support::{Authority, IdentityProvider};
use serde_json::{Value, json};

/// A provider of each kind: what registers it, and claims that its tokens have.
fn kinds(idp: &IdentityProvider) -> Vec<(&'static str, String, Value)> {
    let (issuer, port) = (idp.issuer(), idp.port());
    let common =
        |issuer: &str| json!({"iss": issuer, "sub": "ada", "iat": now(), "exp": now() + 3600});
    let with = |mut claims: Value, more: Value| {
        for (name, value) in more.as_object().expect("an object") {
            claims[name.as_str()] = value.clone();
        }
        claims
    };
    let supabase = format!("{issuer}/auth/v1");
    vec![
        ("oidc", add_oidc("oidc", &issuer), claims(&issuer)),
        (
            "clerk",
            format!("SELECT third_party_auth.add_clerk('localhost:{port}')"),
            with(common(&issuer), json!({"sub": "user_1", "sid": "sess_1"})),
        ),
        (
            "supabase",
            format!("SELECT third_party_auth.add_supabase('{supabase}')"),
            with(
                common(&supabase),
                json!({"aud": "authenticated", "session_id": "1"}),
            ),
        ),
        (
            "firebase",
            format!(
                "SELECT third_party_auth.add_firebase('p-1', jwks_uri => '{}')",
                idp.jwks_uri()
            ),
            with(
                common("https://securetoken.google.com/p-1"),
                json!({"aud": "p-1", "auth_time": now() - 5}),
            ),
        ),
    ]
}

#[test]
fn keys_are_fetched_once_a_registration_is_committed_and_the_first_token_waits_for_them() {
    let setting = Setting::new("commit");
    let mut client = setting.cluster.superuser();
    client
        .batch_execute("SET third_party_auth.key_wait = '10 s'")
        .unwrap();
    for number in 0..kinds(&setting.idp).len() {
        let idp = another_idp(&setting.authority);
        let signer = Signer::rsa("one");
        idp.publish(vec![signer.jwk()]);
        idp.publish_at("/auth/v1/.well-known/jwks.json", vec![signer.jwk()]);
        let (kind, registration, claims) = kinds(&idp).remove(number);
        let token = signer.token(&claims);

        let mut transaction = client.transaction().unwrap();
        transaction.batch_execute(&registration).unwrap();
        let query = "SELECT verify_third_party_jwt($1)";
        let (code, error) = failure(transaction.query_one(query, &[&token]));
        assert_eq!(
            (code.as_str(), idp.fetches()),
            ("58000", 0),
            "{kind}: {error}"
        );
        assert!(
            error.hint().is_some_and(|hint| hint.contains("Commit")),
            "{kind}: {error:?}"
        );
        transaction.rollback().unwrap();

        client.batch_execute(&registration).unwrap();
        assert_eq!(
            verify(&mut client, &token).expect(kind),
            claims["sub"],
            "{kind}"
        );
        assert_eq!(idp.fetches(), 1, "{kind}");
    }
}

#[test]
fn a_rotated_key_is_picked_up_by_its_first_token_in_one_fetch() {
    let setting = Setting::new("rotation");
    let mut client = setting.cluster.superuser();
    for name in ["by_discovery", "direct"] {
        let idp = another_idp(&setting.authority);
        let (first, second) = (Signer::new("first"), Signer::new("second"));
        idp.publish(vec![first.jwk()]);
        let registration = match name {
            "direct" => add_direct(name, &idp.issuer(), &idp.jwks_uri()),
            _ => add_oidc(name, &idp.issuer()),
        };
        client.batch_execute(&registration).unwrap();
        setting.wait_until_stored(&mut client, name);
        let token = |signer: &Signer| signer.token(&claims(&idp.issuer()));
        assert_eq!(
            verify(&mut client, &token(&first)).unwrap(),
            "ada",
            "{name}"
        );
        assert_eq!(idp.fetches(), 1, "{name}");

        idp.publish(vec![second.jwk()]);
        assert_eq!(
            verify(&mut client, &token(&second)).unwrap(),
            "ada",
            "{name}"
        );
        assert_eq!(idp.fetches(), 2, "{name}");
        // What is not published any more stays good for removed_key_grace, in other sessions too.
        let mut other = setting.cluster.superuser();
        for signer in [&first, &second] {
            assert_eq!(verify(&mut other, &token(signer)).unwrap(), "ada", "{name}");
        }
        assert_eq!(idp.fetches(), 2, "{name}");
    }
}

#[test]
fn the_views_tell_what_is_the_case() {
    let setting = Setting::new("views");
    let mut client = setting.cluster.superuser();
    let signer = Signer::new("one");
    setting.idp.publish(vec![signer.jwk()]);
    setting.register(&mut client);
    let issuer = setting.idp.issuer();
    let status = "SELECT format('%s %s %s %s %s %s %s %s %s %s', provider, kind, issuer, jwks_uri, \
                  enabled, source, key_count, last_error, consecutive_failures, problem) \
                  FROM third_party_auth.status";
    let expected = format!(
        "idp oidc {issuer} {} t fetched 1  0 ",
        setting.idp.jwks_uri()
    );
    assert_eq!(text(&mut client, status).unwrap(), expected);
    let times = "SELECT (fetched_at <= now() AND fetched_at > now() - interval '1 min' \
                 AND last_attempt_at <= fetched_at AND next_refresh_at > now())::text \
                 FROM third_party_auth.status";
    assert_eq!(text(&mut client, times).unwrap(), "true");

    let keys = "SELECT format('%s %s %s %s %s %s', provider, kid, algorithm, key_type, \
                first_seen_at < last_seen_at + interval '1 ms', revoked) FROM third_party_auth.signing_key";
    assert_eq!(text(&mut client, keys).unwrap(), "idp one ES256 EC t f");
    client
        .batch_execute("SELECT third_party_auth.revoke_key('idp', 'one')")
        .unwrap();
    assert_eq!(text(&mut client, keys).unwrap(), "idp one ES256 EC t t");

    let worker = "SELECT format('%s %s %s %s %s %s', restarts, providers, keys, waiters, missing_slot, \
                  heartbeat_age < 5 AND started_at < now()) FROM third_party_auth.worker";
    assert_eq!(text(&mut client, worker).unwrap(), "0 1 1 0 f t");
    client
        .batch_execute("SELECT third_party_auth.remove_provider('idp')")
        .unwrap();
    let providers = "SELECT providers::text FROM third_party_auth.worker";
    setting.cluster.eventually("its slot is given back", || {
        text(&mut client, providers).unwrap() == "0"
    });
    assert_eq!(
        text(
            &mut client,
            "SELECT count(*)::text FROM third_party_auth.status"
        )
        .unwrap(),
        "0"
    );
}

#[test]
fn refresh_fetches_now_and_returns_the_row() {
    let setting = Setting::new("now");
    let mut client = setting.cluster.superuser();
    let (first, second) = (Signer::new("first"), Signer::new("second"));
    setting.idp.publish(vec![first.jwk()]);
    setting.register(&mut client);
    setting.idp.publish(vec![first.jwk(), second.jwk()]);
    for (call, keys, fetches) in [("refresh('idp')", 2, 2), ("refresh()", 2, 3)] {
        let query = format!("SELECT provider, key_count, last_error FROM third_party_auth.{call}");
        let rows = client.query(&query, &[]).unwrap();
        assert_eq!(rows.len(), 1, "{call}");
        let row: (&str, i32, Option<&str>) = (rows[0].get(0), rows[0].get(1), rows[0].get(2));
        assert_eq!(row, ("idp", keys, None), "{call}");
        assert_eq!(setting.idp.fetches(), fetches, "{call}");
    }
    let unknown = client.query("SELECT * FROM third_party_auth.refresh('nobody')", &[]);
    assert_eq!(failure(unknown).0, "42704");

    let idp = another_idp(&setting.authority);
    let mut transaction = client.transaction().unwrap();
    transaction
        .batch_execute(&add_oidc("new", &idp.issuer()))
        .unwrap();
    let (code, error) =
        failure(transaction.query("SELECT * FROM third_party_auth.refresh('new')", &[]));
    assert_eq!(code, "55000");
    assert!(
        error.hint().is_some_and(|hint| hint.contains("Commit")),
        "{error:?}"
    );
}

#[test]
fn what_keeps_keys_from_being_fetched_is_told() {
    let authority = Authority::new();
    let [ca_file, networks] = trust(&authority);
    for (name, conf, word) in [
        ("ca", networks, "certificate"),
        ("networks", ca_file, "allowed_networks"),
    ] {
        let idp = another_idp(&authority);
        let signer = Signer::new("one");
        idp.publish(vec![signer.jwk()]);
        let cluster = Cluster::start(name, &[&conf]);
        let mut client = cluster.superuser();
        create_extension(&mut client);
        client
            .batch_execute(&add_oidc("idp", &idp.issuer()))
            .unwrap();
        let query = "SELECT coalesce(last_error, '') FROM third_party_auth.status";
        cluster.eventually("an error is told", || {
            text(&mut client, query).unwrap() != ""
        });
        let told = text(&mut client, query).unwrap();
        assert!(told.contains(word), "{told}");
        let (code, error) = failure(verify(&mut client, &signer.token(&claims(&idp.issuer()))));
        assert_eq!(code, "58000");
        assert!(error.message().contains(word), "{error:?}");
        assert_eq!(idp.fetches(), 0);
    }
}

//! For how long a token is the request's.

use crate::setting::{
    IN_PARALLEL, PINNED_ISSUER, bearer, claims, failure, now, refusal, set, subject, text, trusting,
};
use serde_json::json;

#[test]
fn with_token_lifetime_transaction_only_a_token_of_this_transaction_counts() {
    let conf = [
        "third_party_auth.token_lifetime = transaction",
        "third_party_auth.token_sources = 'request.jwt'",
    ];
    let (cluster, signer) = trusting("lifetime", &conf, "");
    let (ada, eve) = (signer.pinned("ada"), signer.pinned("eve"));
    let mut client = cluster.connect("app", "postgres");
    let eve_now = Some("eve".to_owned());

    // Of an earlier transaction, inside and outside a block.
    set(&mut client, "request.jwt", &ada);
    assert_eq!(subject(&mut client), None);
    client.batch_execute("BEGIN").unwrap();
    assert_eq!(subject(&mut client), None);
    set(&mut client, "request.jwt", &eve);
    assert_eq!(subject(&mut client), eve_now);
    client.batch_execute("COMMIT").unwrap();
    assert_eq!(subject(&mut client), None);

    // What a savepoint brings back is as old as it was.
    set(&mut client, "request.jwt", &ada);
    for bring_back in ["ROLLBACK TO s", "ROLLBACK TO s; RELEASE s"] {
        client.batch_execute("BEGIN; SAVEPOINT s").unwrap();
        set(&mut client, "request.jwt", &eve);
        assert_eq!(subject(&mut client), eve_now);
        client.batch_execute(bring_back).unwrap();
        let value = text(&mut client, "SELECT current_setting('request.jwt')").unwrap();
        assert_eq!(
            (value, subject(&mut client)),
            (ada.clone(), None),
            "{bring_back}"
        );
        client.batch_execute("COMMIT").unwrap();
    }
    client.batch_execute("BEGIN").unwrap();
    client
        .batch_execute(&format!(
            "SET LOCAL request.jwt = '{eve}'; SAVEPOINT s; RESET request.jwt"
        ))
        .unwrap();
    assert_eq!(subject(&mut client), None);
    client.batch_execute("ROLLBACK TO s").unwrap();
    assert_eq!(subject(&mut client), eve_now);
    client.batch_execute("COMMIT").unwrap();

    // The header is no source here, and an ordinary role cannot make it one.
    set(&mut client, "request.headers", &bearer(&ada));
    assert_eq!(subject(&mut client), None);
    for statement in [
        "SET third_party_auth.token_lifetime = session",
        "SET third_party_auth.token_sources = 'request.headers'",
    ] {
        assert_eq!(
            failure(client.batch_execute(statement)).0,
            "42501",
            "{statement}"
        );
    }
}

#[test]
fn token_lifetime_transaction_holds_in_parallel_workers() {
    let (cluster, signer) = trusting(
        "lifetime_workers",
        &["third_party_auth.token_lifetime = transaction"],
        "",
    );
    cluster
        .superuser()
        .batch_execute(
            "CREATE TABLE t AS SELECT generate_series(1, 20000) n; ALTER TABLE t ENABLE ROW LEVEL SECURITY; \
             CREATE POLICY p ON t USING (jwt_subject() = 'ada'); ANALYZE t; GRANT SELECT ON t TO app",
        )
        .unwrap();
    let mut client = cluster.connect("app", "postgres");
    client.batch_execute(IN_PARALLEL).unwrap();
    client
        .batch_execute("SET parallel_leader_participation = off")
        .unwrap();
    let count = "SELECT count(*)::text FROM t";
    for _ in 0..3 {
        client.batch_execute("BEGIN").unwrap();
        set(&mut client, "request.jwt", &signer.pinned("ada"));
        assert_eq!(text(&mut client, count).unwrap(), "20000");
        client.batch_execute("COMMIT").unwrap();
        assert_eq!(text(&mut client, count).unwrap(), "0");
    }
    let plan = client
        .simple_query(&format!("EXPLAIN (ANALYZE, COSTS OFF) {count}"))
        .unwrap();
    assert!(
        format!("{plan:?}").contains("Workers Launched: 2"),
        "{plan:?}"
    );
}

#[test]
fn discarding_a_session_leaves_no_identity() {
    let (cluster, signer) = trusting("discard", &[], "");
    let token = signer.pinned("ada");
    let mut client = cluster.connect("app", "postgres");
    for source in ["request.jwt", "request.headers"] {
        for statement in ["DISCARD ALL", "RESET ALL", &format!("RESET {source}")] {
            let value = if source == "request.jwt" {
                token.clone()
            } else {
                bearer(&token)
            };
            set(&mut client, source, &value);
            assert_eq!(subject(&mut client).as_deref(), Some("ada"));
            client.batch_execute(statement).unwrap();
            assert_eq!(subject(&mut client), None, "{source} {statement}");
            assert_eq!(
                text(&mut client, "SELECT third_party_jwt()::text"),
                None,
                "{source} {statement}"
            );
        }
    }
    // And a token of a transaction ends with it.
    for end in ["COMMIT", "ROLLBACK"] {
        client
            .batch_execute(&format!("BEGIN; SET LOCAL request.jwt = '{token}'"))
            .unwrap();
        assert_eq!(subject(&mut client).as_deref(), Some("ada"));
        client.batch_execute(end).unwrap();
        assert_eq!(subject(&mut client), None, "{end}");
    }
}

#[test]
fn an_expired_token_stops_with_the_next_statement() {
    let (cluster, signer) = trusting("expiry", &[], ", clock_skew => '0'");
    let mut client = cluster.connect("app", "postgres");
    let mut other = cluster.connect("app", "postgres");
    let prepared = client.prepare("SELECT is_third_party_jwt()").unwrap();
    let mut claims = claims(PINNED_ISSUER);
    claims["exp"] = json!(now() + 3);
    let token = signer.token(&claims);
    set(&mut client, "request.jwt", &token);
    set(&mut other, "request.jwt", &token);
    // One transaction: its time stands still, that of its statements does not.
    other.batch_execute("BEGIN").unwrap();
    let mut valid = || client.query_one(&prepared, &[]).unwrap().get::<_, bool>(0);
    assert!(valid());
    assert_eq!(subject(&mut other).as_deref(), Some("ada"));
    cluster.eventually("the token expires", || !valid());
    assert!(now() >= claims["exp"].as_u64().unwrap());
    assert_eq!(subject(&mut other), None);
    assert_eq!(refusal(&mut client, &token), "28000 expired");
}

//! Which token is the request's, and for how long.

use crate::cluster::Cluster;
use crate::setting::{
    PINNED_ISSUER, Signer, add_pinned, bearer, claims, create_extension, failure, now, refusal,
    set, subject, text,
};
use postgres::{Client, SimpleQueryMessage};
use serde_json::json;

/// A server that trusts one key, with lines of configuration.
fn setting(name: &str, conf: &[&str], more: &str) -> (Cluster, Signer) {
    let cluster = Cluster::start(name, conf);
    let signer = Signer::new("one");
    let mut client = cluster.superuser();
    create_extension(&mut client);
    client.batch_execute(&add_pinned(&signer, more)).unwrap();
    (cluster, signer)
}

/// The texts that a simple-query message with several statements answers, one column each.
fn answers(client: &mut Client, message: &str) -> Vec<Option<String>> {
    let answers = client.simple_query(message).unwrap();
    let rows = answers.iter().filter_map(|answer| match answer {
        SimpleQueryMessage::Row(row) => Some(row.get(0).map(str::to_owned)),
        _ => None,
    });
    rows.collect()
}

fn set_headers(token: &str) -> String {
    format!("set_config('request.headers', '{}', false)", bearer(token))
}

#[test]
fn the_token_is_taken_from_request_jwt_and_from_the_authorization_header() {
    let (cluster, signer) = setting("sources", &[], "");
    let token = signer.pinned("ada");
    let header = |value: &str| json!({"host": "x", "authorization": value}).to_string();
    for (source, value, counts) in [
        ("request.jwt", token.clone(), true),
        ("request.jwt", String::new(), false),
        ("request.jwt", format!("Bearer {token}"), false),
        ("request.headers", header(&format!("Bearer {token}")), true),
        ("request.headers", header(&format!("bearer {token}")), true),
        (
            "request.headers",
            header(&format!("BEARER   {token}")),
            true,
        ),
        ("request.headers", header(&format!("Basic {token}")), false),
        ("request.headers", header(&format!("DPoP {token}")), false),
        ("request.headers", header(&token), false),
        ("request.headers", header("Bearer "), false),
        (
            "request.headers",
            json!({"authorization": [format!("Bearer {token}")]}).to_string(),
            false,
        ),
        (
            "request.headers",
            json!({"x-authorization": format!("Bearer {token}")}).to_string(),
            false,
        ),
        (
            "request.headers",
            json!([format!("Bearer {token}")]).to_string(),
            false,
        ),
        ("request.headers", format!("Bearer {token}"), false),
        ("request.headers", "not JSON".to_owned(), false),
        ("request.headers", String::new(), false),
        (
            "request.jwt.claims",
            claims(PINNED_ISSUER).to_string(),
            false,
        ),
        ("request.jwt.claim.sub", "ada".to_owned(), false),
    ] {
        let mut client = cluster.connect("app", "postgres");
        set(&mut client, source, &value);
        let expected = counts.then(|| "ada".to_owned());
        assert_eq!(subject(&mut client), expected, "{source} {value}");
        let valid: bool = client
            .query_one("SELECT is_third_party_jwt()", &[])
            .unwrap()
            .get(0);
        assert_eq!(valid, counts, "{source} {value}");
    }
}

#[test]
fn two_different_tokens_are_refused() {
    let (cluster, signer) = setting("conflict", &[], "");
    let (ada, eve) = (signer.pinned("ada"), signer.pinned("eve"));
    let mut client = cluster.connect("app", "postgres");
    set(&mut client, "request.jwt", &ada);
    set(&mut client, "request.headers", &bearer(&eve));
    assert_eq!(subject(&mut client), None);
    let rule = "SELECT rule FROM third_party_auth.explain() WHERE NOT ok";
    assert_eq!(text(&mut client, rule).unwrap(), "conflicting_tokens");
    // One that is refused does not make way for the other.
    set(&mut client, "request.jwt", "rubbish");
    assert_eq!(subject(&mut client), None);
    set(&mut client, "request.jwt", &eve);
    assert_eq!(subject(&mut client).as_deref(), Some("eve"));
    set(&mut client, "request.jwt", "");
    assert_eq!(subject(&mut client).as_deref(), Some("eve"));
}

#[test]
fn every_statement_of_a_message_has_its_own_token() {
    let (cluster, signer) = setting("message", &[], "");
    let (ada, eve) = (signer.pinned("ada"), signer.pinned("eve"));
    let mut client = cluster.connect("app", "postgres");
    let alternate: String = [&ada, &eve, &ada]
        .iter()
        .map(|token| {
            format!(
                "DO $$ BEGIN PERFORM {}; END $$; SELECT jwt_subject();",
                set_headers(token)
            )
        })
        .collect();
    let expected = ["ada", "eve", "ada"].map(|name| Some(name.to_owned()));
    assert_eq!(answers(&mut client, &alternate), expected);
    let alternate = format!(
        "RESET request.headers; SET request.jwt = '{ada}'; SELECT jwt_subject(); \
         SET request.jwt = '{eve}'; SELECT jwt_subject(); RESET request.jwt; SELECT jwt_subject()"
    );
    let expected = [Some("ada".to_owned()), Some("eve".to_owned()), None];
    assert_eq!(answers(&mut client, &alternate), expected);
}

#[test]
fn every_statement_of_a_block_or_function_has_its_own_token() {
    let (cluster, signer) = setting("block", &[], "");
    let tokens = [
        signer.pinned("ada"),
        signer.pinned("eve"),
        signer.pinned("ada"),
    ];
    let mut client = cluster.superuser();
    for set in [
        "PERFORM set_config('request.jwt', TOKEN, false)",
        "PERFORM HEADERS",
    ] {
        let steps: String = tokens
            .iter()
            .map(|token| {
                let set = set.replace("TOKEN", &format!("'{token}'"));
                let set = set.replace("HEADERS", &set_headers(token));
                format!("{set}; answer := answer || coalesce(jwt_subject(), '-') || ' '; ")
            })
            .collect();
        let body = format!("DECLARE answer text := ''; BEGIN {steps} RETURN answer; END");
        client.batch_execute("RESET ALL").unwrap();
        let function =
            format!("CREATE OR REPLACE FUNCTION f() RETURNS text LANGUAGE plpgsql AS $$ {body} $$");
        client.batch_execute(&function).unwrap();
        assert_eq!(
            text(&mut client, "SELECT f()").unwrap(),
            "ada eve ada ",
            "{set}"
        );

        client.batch_execute("RESET ALL").unwrap();
        let body = body.replace(
            "RETURN answer",
            "PERFORM set_config('my.answer', answer, false)",
        );
        client.batch_execute(&format!("DO $$ {body} $$")).unwrap();
        let answer = "SELECT current_setting('my.answer')";
        assert_eq!(text(&mut client, answer).unwrap(), "ada eve ada ", "{set}");
    }
}

#[test]
fn with_token_lifetime_transaction_only_a_token_of_this_transaction_counts() {
    let conf = [
        "third_party_auth.token_lifetime = transaction",
        "third_party_auth.token_sources = 'request.jwt'",
    ];
    let (cluster, signer) = setting("lifetime", &conf, "");
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
    let (cluster, signer) = setting(
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
    client
        .batch_execute(
            "SET force_parallel_mode = on; SET max_parallel_workers_per_gather = 2; \
             SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; \
             SET min_parallel_table_scan_size = 0; SET parallel_leader_participation = off",
        )
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
fn claims_of_a_gateway_count_in_the_sessions_of_its_login_role_only() {
    let conf = ["third_party_auth.gateway_roles = 'gateway, other_gateway'"];
    let (cluster, signer) = setting("gateway", &conf, "");
    let mut owner = cluster.superuser();
    owner
        .batch_execute(
            "CREATE ROLE gateway LOGIN; GRANT gateway, app TO app, gateway WITH ADMIN OPTION",
        )
        .or_else(|_| owner.batch_execute("CREATE ROLE gateway LOGIN; GRANT gateway TO app"))
        .unwrap();
    let good = claims(PINNED_ISSUER);
    let with = |name: &str, value| {
        let mut claims = good.clone();
        claims[name] = value;
        claims.to_string()
    };
    let mut gateway = cluster.connect("gateway", "postgres");
    let mut app = cluster.connect("app", "postgres");
    for (claims, counts) in [
        (good.to_string(), true),
        (with("exp", json!(now() - 3600)), false),
        (with("iss", json!("https://other.example")), false),
        (with("aud", json!("other")), false),
        (with("role", json!("service_role")), false),
        (String::new(), false),
        ("{".to_owned(), false),
    ] {
        let expected = counts.then(|| "ada".to_owned());
        set(&mut gateway, "request.jwt.claims", &claims);
        assert_eq!(subject(&mut gateway), expected, "{claims}");
        set(&mut app, "request.jwt.claims", &claims);
        assert_eq!(subject(&mut app), None, "{claims}");
    }
    // The login role counts, not what it has become.
    for client in [&mut gateway, &mut app] {
        set(client, "request.jwt.claims", &good.to_string());
    }
    app.batch_execute("SET ROLE gateway").unwrap();
    assert_eq!(
        text(&mut app, "SELECT current_user::text").unwrap(),
        "gateway"
    );
    assert_eq!(subject(&mut app), None);
    // A raw token goes before claims, a bad one too.
    set(&mut gateway, "request.jwt", &signer.pinned("eve"));
    assert_eq!(subject(&mut gateway).as_deref(), Some("eve"));
    set(
        &mut gateway,
        "request.jwt",
        &Signer::new("one").pinned("eve"),
    );
    assert_eq!(subject(&mut gateway), None);
}

#[test]
fn discarding_a_session_leaves_no_identity() {
    let (cluster, signer) = setting("discard", &[], "");
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
    let (cluster, signer) = setting("expiry", &[], ", clock_skew => '0'");
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

#[test]
fn nothing_of_a_token_is_logged_or_shown() {
    let conf = [
        "log_statement = none",
        "log_min_messages = debug1",
        "log_error_verbosity = verbose",
    ];
    let (cluster, signer) = setting("logs", &conf, "");
    let mut owner = cluster.superuser();
    let fetched = "SELECT third_party_auth.add_oidc('https://localhost:1', name => 'closed', any_audience => true)";
    owner.batch_execute(fetched).unwrap();
    let mut secret = claims(PINNED_ISSUER);
    secret["sub"] = json!("a-secret-subject");
    let with = |name: &str, value| {
        let mut claims = secret.clone();
        claims[name] = value;
        claims
    };
    let mut client = cluster.connect("app", "postgres");
    for (token, code) in [
        (signer.token(&with("exp", json!(now() - 3600))), "28000"),
        (
            signer.token(&with("aud", json!("a-secret-audience"))),
            "28000",
        ),
        (signer.token(&with("role", json!("a-secret-role"))), "28000"),
        (
            signer.token(&with("iss", json!("https://a-secret-issuer.example"))),
            "28000",
        ),
        (
            signer.token(&with("iss", json!("https://localhost:1"))),
            "58000",
        ),
        (Signer::new("one").token(&secret), "28000"),
        (format!("{}x", signer.token(&secret)), "28000"),
        (format!("{}.a-secret-rest", signer.token(&secret)), "28000"),
        ("a-secret-rubbish".to_owned(), "28000"),
    ] {
        let lines = cluster.log().len();
        // In the statement itself, where PostgreSQL would log it, and as a parameter.
        let literal = format!("SELECT verify_third_party_jwt('{token}')");
        assert_eq!(failure(client.simple_query(&literal)).0, code);
        let (found, error) = failure(client.query("SELECT verify_third_party_jwt($1)", &[&token]));
        assert_eq!(found, code);
        // Where PL/pgSQL would add the statement to the error's context.
        let block = format!("DO $$ BEGIN PERFORM verify_third_party_jwt('{token}'); END $$");
        assert_eq!(failure(client.simple_query(&block)).0, code);
        let unknown = format!("SELECT verify_third_party_jwt('{token}', 'nobody')");
        assert_eq!(failure(client.simple_query(&unknown)).0, "42704");
        set(&mut client, "request.jwt", &token);
        // Refused or undecided: it is logged or not, as the server likes.
        let _ = client.simple_query("SELECT jwt_subject()");
        let settings = "SELECT coalesce(string_agg(concat_ws(' ', name, setting, reset_val), ' '), '') \
                        FROM pg_settings WHERE name NOT LIKE 'lc%'";
        let shown = text(&mut client, settings).unwrap();
        assert!(shown.contains("third_party_auth.key_wait"));

        let log = cluster.log().split_off(lines);
        let codes = [format!("ERROR:  {code}: "), "ERROR:  42704: ".to_owned()];
        assert!(
            codes.iter().all(|code| log.contains(code.as_str())),
            "{log}"
        );
        let written = format!("{log} {error:?} {shown}");
        for part in token.split('.').chain(["a-secret"]) {
            assert!(!written.contains(part), "{part} in {written}");
        }
    }
}

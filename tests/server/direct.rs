//! authenticate(): a direct connection becomes what a token says, for one transaction.

use crate::cluster::Cluster;
use crate::mint::jwks;
use crate::setting::{
    PINNED_ISSUER, Signer, add_oidc, bearer, claims, failure, now, row, set, text, trusting,
};
use postgres::error::DbError;
use postgres::{Client, Error};
use serde_json::{Value, json};

const AUTHENTICATE: &str = "SELECT third_party_auth.authenticate($1)->>'sub'";

/// Role, subject, and what is left of the token in the settings.
const STATE: &str = "SELECT concat_ws(' ', current_user, coalesce(jwt_subject(), '-'), \
                     coalesce(length(nullif(current_setting('request.jwt', true), '')), 0) > 0, \
                     coalesce(current_setting('request.jwt.claims', true)::text, '') <> '')";

const NOBODY: &str = "app - f f";
const ADA: &str = "authenticated ada t t";

/// A server with a login role that may become `authenticated` and `Odd "role"`.
fn serving(name: &str, conf: &[&str]) -> (Cluster, Signer) {
    let more = ", allowed_roles => '{authenticated,ghost,none,not_granted,\"Odd \\\"role\\\"\"}'";
    let (cluster, signer) = trusting(name, conf, more);
    cluster
        .superuser()
        .batch_execute(
            "CREATE ROLE authenticated; CREATE ROLE not_granted; CREATE ROLE \"Odd \"\"role\"\"\"; \
             ALTER ROLE app NOINHERIT; GRANT authenticated, \"Odd \"\"role\"\"\" TO app",
        )
        .unwrap();
    (cluster, signer)
}

fn with(changes: Value) -> Value {
    let mut claims = claims(PINNED_ISSUER);
    for (name, value) in changes.as_object().expect("an object") {
        match value {
            Value::Null => claims.as_object_mut().expect("an object").remove(name),
            _ => claims
                .as_object_mut()
                .expect("an object")
                .insert(name.clone(), value.clone()),
        };
    }
    claims
}

fn authenticate(client: &mut Client, token: &str) -> Result<String, Error> {
    client
        .query_one(AUTHENTICATE, &[&token])
        .map(|row| row.get(0))
}

fn state(client: &mut Client) -> String {
    text(client, STATE).expect("a state")
}

/// SQLSTATE and reason code, as `28000 expired`.
fn refusal<T>(result: Result<T, Error>) -> (String, DbError) {
    let (code, error) = failure(result);
    let reason = error
        .detail()
        .and_then(|detail| detail.strip_prefix("reason="));
    let reason = reason
        .and_then(|reason| reason.split(' ').next())
        .unwrap_or_default();
    (format!("{code} {reason}").trim_end().to_owned(), error)
}

#[test]
fn the_transaction_has_the_token_its_claims_and_its_role() {
    let (cluster, signer) = serving("direct", &[]);
    let mut client = cluster.connect("app", "postgres");
    for begin in [
        "BEGIN",
        "BEGIN READ ONLY",
        "BEGIN ISOLATION LEVEL SERIALIZABLE",
    ] {
        client.batch_execute(begin).unwrap();
        let claims: Value = {
            let query = "SELECT third_party_auth.authenticate($1)::text";
            let claims = row(&mut client, query, &[&signer.pinned("ada")]).expect("claims");
            serde_json::from_str(&claims).expect("JSON")
        };
        assert_eq!(
            (&claims["sub"], &claims["iss"]),
            (&json!("ada"), &json!(PINNED_ISSUER))
        );
        assert_eq!(state(&mut client), ADA, "{begin}");
        let set = text(&mut client, "SELECT current_setting('request.jwt.claims')").unwrap();
        assert_eq!(serde_json::from_str::<Value>(&set).expect("JSON"), claims);
        // Another one takes its place, with another role.
        let other = signer.token(&with(json!({"sub": "eve", "role": "Odd \"role\""})));
        assert_eq!(authenticate(&mut client, &other).unwrap(), "eve");
        assert_eq!(state(&mut client), "Odd \"role\" eve t t");
        client.batch_execute("COMMIT").unwrap();
        assert_eq!(state(&mut client), NOBODY, "{begin}");
    }
    // Whatever the session believes its functions and operators to be.
    let mut owner = cluster.superuser();
    owner
        .batch_execute(
            "CREATE SCHEMA evil; GRANT USAGE ON SCHEMA evil TO PUBLIC; \
             CREATE FUNCTION evil.set_config(text, text, boolean) RETURNS text LANGUAGE sql AS \
             $$SELECT pg_catalog.set_config($1, 'evil', false)$$",
        )
        .unwrap();
    client
        .batch_execute("SET search_path = evil, pg_catalog, public; BEGIN")
        .unwrap();
    authenticate(&mut client, &signer.pinned("ada")).unwrap();
    assert_eq!(state(&mut client), ADA);
    client.batch_execute("COMMIT").unwrap();
}

#[test]
fn nothing_remains_of_it() {
    let (cluster, signer) = serving("nothing_remains", &[]);
    let token = signer.pinned("ada");
    let mut client = cluster.connect("app", "postgres");
    for end in [
        "COMMIT",
        "ROLLBACK",
        "COMMIT; DISCARD ALL",
        "PREPARE TRANSACTION 'none'",
    ] {
        client.batch_execute("BEGIN").unwrap();
        authenticate(&mut client, &token).unwrap();
        assert_eq!(state(&mut client), ADA, "{end}");
        // COMMIT and DISCARD ALL in one message would be one transaction.
        for statement in end.split("; ") {
            let ended = client.batch_execute(statement);
            assert!(ended.is_ok() || end.starts_with("PREPARE"), "{ended:?}");
        }
        assert_eq!(state(&mut client), NOBODY, "{end}");
    }
    // An error ends it as ROLLBACK does.
    client.batch_execute("BEGIN").unwrap();
    authenticate(&mut client, &token).unwrap();
    assert_eq!(failure(client.batch_execute("SELECT 1/0")).0, "22012");
    client.batch_execute("COMMIT").unwrap();
    assert_eq!(state(&mut client), NOBODY);

    client.batch_execute("BEGIN; SAVEPOINT s").unwrap();
    authenticate(&mut client, &token).unwrap();
    assert_eq!(state(&mut client), ADA);
    client.batch_execute("ROLLBACK TO SAVEPOINT s").unwrap();
    assert_eq!(state(&mut client), NOBODY);
    authenticate(&mut client, &token).unwrap();
    client.batch_execute("SAVEPOINT s").unwrap();
    authenticate(&mut client, &signer.pinned("eve")).unwrap();
    client.batch_execute("ROLLBACK TO SAVEPOINT s").unwrap();
    assert_eq!(state(&mut client), ADA);
    client.batch_execute("RELEASE SAVEPOINT s").unwrap();
    assert_eq!(state(&mut client), ADA);
    client.batch_execute("COMMIT AND CHAIN").unwrap();
    assert_eq!(state(&mut client), NOBODY);
    client.batch_execute("ROLLBACK").unwrap();

    // Several statements in one message are a transaction of their own.
    let message = format!("SELECT third_party_auth.authenticate('{token}'); SELECT 1");
    client.simple_query(&message).unwrap();
    assert_eq!(state(&mut client), NOBODY);

    // What the session had set before is there again, and it counted for nothing meanwhile.
    set(&mut client, "request.jwt", &signer.pinned("eve"));
    client.batch_execute("BEGIN").unwrap();
    authenticate(&mut client, &token).unwrap();
    assert_eq!(state(&mut client), ADA);
    client.batch_execute("COMMIT").unwrap();
    assert_eq!(state(&mut client), "app eve t f");
}

#[test]
fn what_it_refuses_changes_nothing() {
    let (cluster, signer) = serving("refuses", &["third_party_auth.key_wait = 0"]);
    let mut owner = cluster.superuser();
    let apart = Signer::new("apart");
    let registration = format!(
        "SELECT third_party_auth.add_oidc('https://apart.example', name => 'apart', any_audience => true, \
         for_requests => false, jwks => '{}')",
        jwks(&[apart.jwk()])
    );
    owner.batch_execute(&registration).unwrap();
    owner
        .batch_execute(&add_oidc("closed", "https://localhost:1"))
        .unwrap();
    let role = |role: Value| signer.token(&with(json!({ "role": role })));
    let of = |issuer: &str| with(json!({"iss": issuer}));
    for (token, expected) in [
        (String::new(), "28000 no_token"),
        ("rubbish".to_owned(), "28000 malformed"),
        (
            format!("Bearer {}", signer.pinned("ada")),
            "28000 malformed",
        ),
        (
            signer.token(&with(json!({"exp": now() - 60}))),
            "28000 expired",
        ),
        (
            signer.token(&with(json!({"aud": "other"}))),
            "28000 audience_mismatch",
        ),
        (
            signer.token(&of("https://nobody.example")),
            "28000 unknown_issuer",
        ),
        (Signer::new("one").pinned("ada"), "28000 bad_signature"),
        (
            apart.token(&of("https://apart.example")),
            "28000 not_for_requests",
        ),
        (role(json!("service_role")), "28000 role_not_allowed"),
        (role(json!("postgres")), "28000 role_not_allowed"),
        (role(Value::Null), "28000 role_not_allowed"),
        (role(json!("ghost")), "42704"),
        (role(json!("none")), "42704"),
        (role(json!("not_granted")), "42501"),
        (
            signer.token(&of("https://localhost:1")),
            "58000 keys_not_fetched",
        ),
    ] {
        let mut client = cluster.connect("app", "postgres");
        client.batch_execute("BEGIN").unwrap();
        authenticate(&mut client, &signer.pinned("ada")).unwrap();
        client.batch_execute("SAVEPOINT s").unwrap();
        let (found, error) = refusal(authenticate(&mut client, &token));
        assert_eq!(found, expected, "{error:?}");
        assert!(
            error.hint().is_some_and(|hint| !hint.is_empty()),
            "{error:?}"
        );
        client.batch_execute("ROLLBACK TO SAVEPOINT s").unwrap();
        assert_eq!(state(&mut client), ADA, "{expected}");
        client.batch_execute("ROLLBACK").unwrap();
        client.batch_execute("BEGIN").unwrap();
        assert_eq!(refusal(authenticate(&mut client, &token)).0, expected);
        client.batch_execute("ROLLBACK").unwrap();
        assert_eq!(state(&mut client), NOBODY, "{expected}");
    }
    let mut client = cluster.connect("app", "postgres");
    client.batch_execute("BEGIN").unwrap();
    let null = client.query_one("SELECT third_party_auth.authenticate(NULL)", &[]);
    assert_eq!(refusal(null).0, "28000 no_token");
}

#[test]
fn it_asks_for_a_transaction_block_and_for_a_session_that_takes_request_jwt() {
    let (cluster, signer) = serving("asks", &[]);
    let token = signer.pinned("ada");
    let mut client = cluster.connect("app", "postgres");
    let (code, error) = failure(authenticate(&mut client, &token));
    assert_eq!(code, "25P01");
    assert!(
        error.hint().is_some_and(|hint| hint.contains("BEGIN")),
        "{error:?}"
    );
    let block = format!("DO $$ BEGIN PERFORM third_party_auth.authenticate('{token}'); END $$");
    assert_eq!(failure(client.batch_execute(&block)).0, "25P01");
    assert_eq!(state(&mut client), NOBODY);

    let mut owner = cluster.superuser();
    let header = "ALTER ROLE app SET third_party_auth.token_sources = 'request.headers'";
    owner.batch_execute(header).unwrap();
    let mut other = cluster.connect("app", "postgres");
    other.batch_execute("BEGIN").unwrap();
    let (code, error) = failure(authenticate(&mut other, &token));
    assert_eq!(code, "55000");
    assert!(
        error
            .hint()
            .is_some_and(|hint| hint.contains("token_sources")),
        "{error:?}"
    );

    // A header that says something else: policies believe neither.
    set(
        &mut client,
        "request.headers",
        &bearer(&signer.pinned("eve")),
    );
    client.batch_execute("BEGIN").unwrap();
    authenticate(&mut client, &token).unwrap();
    assert_eq!(state(&mut client), "authenticated - t t");
    client.batch_execute("ROLLBACK").unwrap();
}

#[test]
fn it_acts_on_later_statements_and_is_no_sandbox() {
    let (cluster, signer) = serving("no_sandbox", &[]);
    let token = signer.pinned("ada");
    let mut client = cluster.connect("app", "postgres");
    client.batch_execute("BEGIN").unwrap();
    authenticate(&mut client, &token).unwrap();
    // The role is not kept from going back to what the session may be anyway; the token stays.
    client.batch_execute("RESET ROLE").unwrap();
    assert_eq!(state(&mut client), "app ada t t");
    assert_eq!(
        failure(client.batch_execute("SET ROLE not_granted")).0,
        "42501"
    );
    client.batch_execute("ROLLBACK").unwrap();

    // A function with its owner's rights cannot be made to change the role.
    let wrap = "CREATE FUNCTION wrapped(token text) RETURNS jsonb LANGUAGE sql SECURITY DEFINER \
                AS 'SELECT third_party_auth.authenticate(token)'";
    cluster.superuser().batch_execute(wrap).unwrap();
    client.batch_execute("BEGIN").unwrap();
    assert_eq!(
        failure(client.query_one("SELECT wrapped($1)", &[&token])).0,
        "42501"
    );
    client.batch_execute("ROLLBACK").unwrap();
    assert_eq!(state(&mut client), NOBODY);
}

#[test]
fn nothing_of_the_token_is_in_its_messages_or_in_the_log() {
    let conf = [
        "log_statement = none",
        "log_error_verbosity = verbose",
        "log_min_messages = debug1",
        "third_party_auth.key_wait = 0",
    ];
    let (cluster, signer) = serving("direct_log", &conf);
    let mut owner = cluster.superuser();
    owner
        .batch_execute(&add_oidc("closed", "https://localhost:1"))
        .unwrap();
    let mut client = cluster.connect("app", "postgres");
    for changes in [
        json!({}),
        json!({"exp": now() - 60}),
        json!({"aud": "a-secret-audience"}),
        json!({"role": "a-secret-role"}),
        json!({"role": null}),
        json!({"role": "ghost"}),
        json!({"role": "not_granted"}),
        json!({"iss": "https://a-secret-issuer.example"}),
        json!({"iss": "https://localhost:1"}),
    ] {
        let mut claims = with(json!({"sub": "a-secret-subject"}));
        for (name, value) in changes.as_object().expect("an object") {
            claims[name] = value.clone();
        }
        let token = signer.token(&claims);
        let lines = cluster.log().len();
        let mut written = String::new();
        // Bound, in the text, and where PL/pgSQL would quote the statement; outside a block too.
        for begin in ["SELECT 1", "BEGIN"] {
            client.batch_execute(begin).unwrap();
            let bound = authenticate(&mut client, &token);
            written += &format!("{:?}", bound.err());
            client.batch_execute("ROLLBACK; BEGIN").unwrap();
            let literal = format!("SELECT third_party_auth.authenticate('{token}')");
            written += &format!("{:?}", client.batch_execute(&literal).err());
            client.batch_execute("ROLLBACK").unwrap();
            // What the client is told of its own block has the block in it.
            client.batch_execute(begin).unwrap();
            let block =
                format!("DO $$ BEGIN PERFORM third_party_auth.authenticate('{token}'); END $$");
            let _ = client.batch_execute(&block);
            client.batch_execute("ROLLBACK").unwrap();
        }
        written += &cluster.log().split_off(lines);
        assert!(written.contains("25P01"), "{written}");
        for part in token.split('.').chain(["a-secret"]) {
            assert!(!written.contains(part), "{changes}: {part} in {written}");
        }
    }
}

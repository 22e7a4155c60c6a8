//! Which token is the request's.

use crate::setting::{
    PINNED_ISSUER, Signer, bearer, claims, failure, now, set, subject, text, trusting,
};
use postgres::{Client, SimpleQueryMessage};
use serde_json::json;

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
    let (cluster, signer) = trusting("sources", &[], "");
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
    let (cluster, signer) = trusting("conflict", &[], "");
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
    let (cluster, signer) = trusting("message", &[], "");
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
    let (cluster, signer) = trusting("block", &[], "");
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
fn claims_of_a_gateway_count_in_the_sessions_of_its_login_role_only() {
    let conf = ["third_party_auth.gateway_roles = 'gateway, other_gateway'"];
    let (cluster, signer) = trusting("gateway", &conf, "");
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
fn nothing_of_a_token_is_logged_or_shown() {
    let conf = [
        "log_statement = none",
        "log_min_messages = debug1",
        "log_error_verbosity = verbose",
    ];
    let (cluster, signer) = trusting("logs", &conf, "");
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

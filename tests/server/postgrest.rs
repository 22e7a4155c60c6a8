//! What PostgREST is told of a request: check_request() runs after the role switch, before the statement.

use crate::gateways::{
    API_KEY_ISSUER, JWT_SECRET, SelfHosted, api_key, headers, postgrest, sign_with_secret,
};
use crate::setting::{Signer, add_oidc, claims, failure, now};
use postgres::error::DbError;
use postgres::{Client, Error, Row};
use serde_json::{Value, json};

/// What a request asks for.
const READ: &str = "SELECT coalesce(string_agg(owner, ' ' ORDER BY owner), '') FROM note";

/// What makes a token of claims.
type Sign<'a> = dyn Fn(&Value) -> String + 'a;

/// The owners whose notes a request of this role with this token sees, or HTTP status and reason, as
/// `401 expired`.
fn answer(client: &mut Client, role: &str, token: Option<&str>) -> String {
    match postgrest(client, role, token, READ) {
        Ok(rows) => rows[0].get(0),
        Err(error) => status(Err(error)).0,
    }
}

/// HTTP status and reason code of a refusal, as PostgREST makes them of an error.
fn status(result: Result<Vec<Row>, Error>) -> (String, DbError) {
    let (code, error) = failure(result);
    let status = code.strip_prefix("PT").unwrap_or(&code).to_owned();
    let detail = error.detail().unwrap_or_default();
    let reason = detail.strip_prefix("reason=").unwrap_or(detail);
    let reason = reason.split(' ').next().unwrap_or_default();
    (format!("{status} {reason}"), error)
}

fn with(mut claims: Value, changes: Value) -> Value {
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

#[test]
fn a_request_passes_with_the_role_that_its_token_may_have_and_no_other() {
    let hosted = SelfHosted::new("check", &[]);
    let mut rest = hosted.cluster.connect("authenticator", "postgres");
    let user = hosted.auth.token(&hosted.user("ada"));
    let by_secret = sign_with_secret(&hosted.user("ada"), JWT_SECRET);
    let guest = hosted.third.token(&hosted.guest("eve"));
    for (role, token, expected) in [
        ("authenticated", &user, "ada"),
        ("authenticated", &by_secret, "ada"),
        ("authenticated", &guest, "eve"),
        ("anon", &user, "403 role_not_allowed"),
        ("service_role", &user, "403 role_not_allowed"),
        ("anon", &guest, "403 role_not_allowed"),
        ("service_role", &guest, "403 role_not_allowed"),
    ] {
        assert_eq!(answer(&mut rest, role, Some(token)), expected, "{role}");
    }
    // Writing is checked as reading is.
    let insert = "INSERT INTO note DEFAULT VALUES RETURNING owner";
    let rows = postgrest(&mut rest, "authenticated", Some(&user), insert).unwrap();
    assert_eq!(rows[0].get::<_, &str>(0), "ada");
    let refused = postgrest(&mut rest, "service_role", Some(&guest), insert);
    assert_eq!(status(refused).0, "403 role_not_allowed");
    assert_eq!(answer(&mut rest, "authenticated", Some(&user)), "ada ada");
}

#[test]
fn a_role_that_a_third_party_minted_is_stopped() {
    let hosted = SelfHosted::new("minted", &[]);
    let mut rest = hosted.cluster.connect("authenticator", "postgres");
    let third = |role: Value| {
        let claims = with(hosted.guest("eve"), json!({ "role": role }));
        hosted.third.token(&claims)
    };
    // PostgREST takes the role from the claims, of whomever they are.
    for role in ["service_role", "anon", "authenticator", "postgres", ""] {
        let token = third(json!(role));
        for taken in ["service_role", "anon", "authenticated"] {
            let found = answer(&mut rest, taken, Some(&token));
            assert_eq!(found, "401 role_not_allowed", "{role} as {taken}");
        }
    }
    // Where it is no text, or another issuer's, it is not taken for a role either.
    for role in [
        json!(["service_role"]),
        json!({"role": "service_role"}),
        json!(1),
    ] {
        let found = answer(&mut rest, "service_role", Some(&third(role.clone())));
        assert!(found.starts_with("401 "), "{role}: {found}");
    }
    for issuer in [
        API_KEY_ISSUER,
        crate::gateways::AUTH_ISSUER,
        "https://nobody.example",
    ] {
        let claims = with(
            hosted.guest("eve"),
            json!({"iss": issuer, "role": "service_role"}),
        );
        let found = answer(
            &mut rest,
            "service_role",
            Some(&hosted.third.token(&claims)),
        );
        assert!(found.starts_with("401 "), "{issuer}: {found}");
        let found = answer(
            &mut rest,
            "service_role",
            Some(&sign_with_secret(
                &claims,
                "another-secret-of-32-bytes-and-more",
            )),
        );
        assert!(found.starts_with("401 "), "{issuer}: {found}");
    }
}

#[test]
fn a_token_without_a_role_is_nobodys_unless_its_provider_has_a_default() {
    let hosted = SelfHosted::new("roleless", &[]);
    let mut rest = hosted.cluster.connect("authenticator", "postgres");
    let roleless = hosted
        .third
        .token(&with(hosted.guest("eve"), json!({ "role": null })));
    for role in ["anon", "authenticated", "service_role"] {
        let found = answer(&mut rest, role, Some(&roleless));
        assert_eq!(found, "403 role_not_allowed", "{role}");
    }
    let mut owner = hosted.cluster.superuser();
    let update = "UPDATE third_party_auth.provider SET default_role = $1 WHERE name = 'pinned'";
    owner.execute(update, &[&"authenticated"]).unwrap();
    assert_eq!(answer(&mut rest, "authenticated", Some(&roleless)), "eve");
    assert_eq!(
        answer(&mut rest, "anon", Some(&roleless)),
        "403 role_not_allowed"
    );
    assert_eq!(
        answer(&mut rest, "service_role", Some(&roleless)),
        "403 role_not_allowed"
    );
}

#[test]
fn anonymous_roles_alone_need_no_token() {
    let hosted = SelfHosted::new("anonymous", &[]);
    let mut rest = hosted.cluster.connect("authenticator", "postgres");
    assert_eq!(answer(&mut rest, "anon", None), "");
    assert_eq!(answer(&mut rest, "authenticated", None), "401 no_token");
    assert_eq!(answer(&mut rest, "service_role", None), "401 no_token");
    // A token that does not count is worse than none.
    for token in ["rubbish", "a.b.c"] {
        assert_eq!(
            answer(&mut rest, "anon", Some(token)),
            "401 malformed",
            "{token}"
        );
    }
    let expired = with(hosted.user("ada"), json!({"exp": now() - 60}));
    let found = answer(&mut rest, "anon", Some(&hosted.auth.token(&expired)));
    assert_eq!(found, "401 expired");

    let mut owner = hosted.cluster.superuser();
    let set =
        "ALTER ROLE authenticator SET third_party_auth.anonymous_roles = 'visitor, authenticated'";
    owner.batch_execute(set).unwrap();
    let mut rest = hosted.cluster.connect("authenticator", "postgres");
    assert_eq!(answer(&mut rest, "anon", None), "401 no_token");
    assert_eq!(answer(&mut rest, "authenticated", None), "");
    let lift = "SELECT set_config('third_party_auth.anonymous_roles', 'service_role', true)";
    assert_eq!(failure(rest.query(lift, &[])).0, "42501");
}

#[test]
fn api_keys_pass_with_their_own_role_and_are_no_users() {
    let hosted = SelfHosted::new("api_keys", &[]);
    let mut rest = hosted.cluster.connect("authenticator", "postgres");
    let ways: [(&str, &Sign<'_>); 2] = [
        ("secret", &|claims| sign_with_secret(claims, JWT_SECRET)),
        ("key", &|claims| hosted.auth.token(claims)),
    ];
    for (how, sign) in ways {
        let (anon, service) = (sign(&api_key("anon")), sign(&api_key("service_role")));
        // anon is nobody; service_role is bound by no policy.
        assert_eq!(answer(&mut rest, "anon", Some(&anon)), "", "{how}");
        assert_eq!(
            answer(&mut rest, "service_role", Some(&service)),
            "ada eve",
            "{how}"
        );
        for (role, token) in [
            ("service_role", &anon),
            ("authenticated", &anon),
            ("anon", &service),
            ("authenticated", &service),
        ] {
            let found = answer(&mut rest, role, Some(token));
            assert_eq!(found, "403 role_not_allowed", "{how} {role}");
        }
        let subject = "SELECT extensions.jwt_subject(), extensions.is_third_party_jwt(), \
                       third_party_auth.is_anonymous_request()";
        for (role, token, is_anonymous) in
            [("anon", &anon, true), ("service_role", &service, false)]
        {
            let row = postgrest(&mut rest, role, Some(token), subject)
                .unwrap()
                .remove(0);
            let found: (Option<String>, bool, bool) = (row.get(0), row.get(1), row.get(2));
            assert_eq!(found, (None, false, is_anonymous), "{how} {role}");
        }
        // Other roles are no API keys, and a key that expired is none any more.
        for (changes, why) in [
            (json!({"role": "authenticated"}), "role_not_allowed"),
            (json!({"role": "postgres"}), "role_not_allowed"),
            (json!({"role": null}), "role_not_allowed"),
            (json!({"exp": now() - 60}), "expired"),
        ] {
            let key = sign(&with(api_key("service_role"), changes.clone()));
            let found = answer(&mut rest, "service_role", Some(&key));
            assert_eq!(found, format!("401 {why}"), "{how} {changes}");
        }
    }
    // Signed by somebody else.
    let others = [
        sign_with_secret(
            &api_key("service_role"),
            "another-secret-of-32-bytes-and-more",
        ),
        Signer::new("auth").token(&api_key("service_role")),
        hosted.third.token(&api_key("service_role")),
    ];
    for key in others {
        let found = answer(&mut rest, "service_role", Some(&key));
        assert!(found.starts_with("401 "), "{found}");
    }
}

#[test]
fn settings_that_a_transaction_leaves_behind_are_no_token() {
    let hosted = SelfHosted::new("left_behind", &[]);
    let mut rest = hosted.cluster.connect("authenticator", "postgres");
    let user = hosted.auth.token(&hosted.user("ada"));
    for _ in 0..2 {
        assert_eq!(answer(&mut rest, "authenticated", Some(&user)), "ada");
        for name in ["request.headers", "request.jwt.claims"] {
            let left = rest
                .query_one("SELECT current_setting($1)", &[&name])
                .unwrap();
            assert_eq!(left.get::<_, &str>(0), "", "{name}");
        }
        assert_eq!(answer(&mut rest, "anon", None), "");
        // Outside a request, with the settings empty: the login role needs a token as any other does.
        let outside = rest.query("SELECT third_party_auth.check_request()", &[]);
        assert_eq!(status(outside).0, "401 no_token");
        assert_eq!(answer(&mut rest, "authenticated", None), "401 no_token");
    }
}

#[test]
fn keys_that_cannot_be_had_are_the_servers_fault_and_not_the_clients() {
    let hosted = SelfHosted::new("unavailable", &["third_party_auth.key_wait = 0"]);
    // Nothing listens there, and loopback is not among the allowed networks: nobody is asked.
    let issuer = "https://localhost:1";
    let mut owner = hosted.cluster.superuser();
    owner.batch_execute(&add_oidc("closed", issuer)).unwrap();
    let mut rest = hosted.cluster.connect("authenticator", "postgres");
    let token = Signer::new("one").token(&claims(issuer));
    for role in ["authenticated", "anon", "service_role"] {
        let found = answer(&mut rest, role, Some(&token));
        assert_eq!(found, "503 keys_not_fetched", "{role}");
    }
    let user = hosted.auth.token(&hosted.user("ada"));
    assert_eq!(answer(&mut rest, "authenticated", Some(&user)), "ada");
    // API keys whose keys are not there are undecided, too.
    let fetched = "SELECT third_party_auth.remove_provider('supabase'); \
                   SELECT third_party_auth.add_supabase('https://localhost:1/auth/v1')";
    owner.batch_execute(fetched).unwrap();
    let key = hosted.auth.token(&api_key("service_role"));
    let found = answer(&mut rest, "service_role", Some(&key));
    assert_eq!(found, "503 keys_not_fetched");
}

#[test]
fn what_is_refused_says_so_in_json_and_nothing_of_the_token() {
    let conf = ["log_statement = none", "third_party_auth.key_wait = 0"];
    let hosted = SelfHosted::new("messages", &conf);
    let mut owner = hosted.cluster.superuser();
    owner
        .batch_execute(&add_oidc("closed", "https://localhost:1"))
        .unwrap();
    let mut rest = hosted.cluster.connect("authenticator", "postgres");
    let odd = "a-secret\"\\\u{1}\n\u{2028}";
    let user = |changes: Value| hosted.auth.token(&with(hosted.user(odd), changes));
    let closed = with(claims("https://localhost:1"), json!({ "sub": odd }));
    for (role, token) in [
        ("anon", user(json!({}))),
        ("authenticated", user(json!({"exp": now() - 60}))),
        ("authenticated", user(json!({"role": odd}))),
        ("authenticated", user(json!({"aud": odd}))),
        ("authenticated", user(json!({"iss": odd}))),
        ("authenticated", user(json!({"role": null}))),
        ("authenticated", hosted.auth.token(&closed)),
        ("authenticated", format!("a-secret{}", user(json!({})))),
        (
            "service_role",
            sign_with_secret(&api_key("anon"), JWT_SECRET),
        ),
    ] {
        let lines = hosted.cluster.log().len();
        let (status, error) = status(postgrest(&mut rest, role, Some(&token), READ));
        assert!(
            ["401 ", "403 ", "503 "]
                .iter()
                .any(|own| status.starts_with(own)),
            "{status}"
        );
        let hint = error.hint().unwrap_or_else(|| panic!("no hint: {error:?}"));
        for text in [error.message(), error.detail().unwrap_or_default(), hint] {
            assert!(
                !text.is_empty() && !text.chars().any(char::is_control),
                "{text:?}"
            );
            // A gateway may put it between quotes as it is.
            let quoted = format!("\"{}\"", text.replace('"', "'"));
            assert!(serde_json::from_str::<String>(&quoted).is_ok(), "{text:?}");
        }
        let written = format!("{error:?} {}", hosted.cluster.log().split_off(lines));
        assert!(written.contains("ERROR:"), "{written}");
        for part in token.split('.').chain(["a-secret"]) {
            assert!(!written.contains(part), "{part} in {written}");
        }
    }
}

#[test]
fn a_function_of_ones_own_may_call_the_check() {
    let hosted = SelfHosted::new("wrapped", &[]);
    let mut owner = hosted.cluster.superuser();
    // The token in another header, as where PostgREST has no key for it.
    owner
        .batch_execute(
            "CREATE FUNCTION public.pre_request() RETURNS void LANGUAGE plpgsql AS $$ \
             BEGIN PERFORM third_party_auth.check_request(); END $$; \
             ALTER ROLE authenticator SET third_party_auth.token_sources = 'request.headers:x-user-token'",
        )
        .unwrap();
    let mut rest = hosted.cluster.connect("authenticator", "postgres");
    let user = hosted.auth.token(&hosted.user("ada"));
    for (name, expected) in [
        ("x-user-token", Ok("ada")),
        ("authorization", Err("401 no_token")),
    ] {
        let mut headers = headers(None);
        headers[name] = json!(format!("Bearer {user}"));
        rest.batch_execute("BEGIN READ ONLY").unwrap();
        let set = "SELECT set_config('role', 'authenticated', true), set_config('request.headers', $1, true)";
        rest.query(set, &[&headers.to_string()]).unwrap();
        let checked = rest.query("SELECT \"public\".\"pre_request\"()", &[]);
        match expected {
            Ok(owners) => {
                checked.unwrap();
                assert_eq!(rest.query_one(READ, &[]).unwrap().get::<_, &str>(0), owners);
            }
            Err(expected) => assert_eq!(status(checked).0, expected),
        }
        rest.batch_execute("ROLLBACK").unwrap();
    }
}

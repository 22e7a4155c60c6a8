//! Behind Supabase Storage, which hands the raw token on, and Supabase Realtime, which hands claims on.

use crate::gateways::{
    JWT_SECRET, SelfHosted, api_key, headers, payload, realtime, sign_with_secret, storage,
};
use crate::setting::{now, row, text};
use postgres::Client;
use serde_json::{Value, json};

const READ: &str = "SELECT coalesce(string_agg(owner, ' ' ORDER BY owner), '') FROM public.note";

/// Subject, whether there is a valid token, and whether there is none or an anonymous key alone.
const IDENTITY: &str = "SELECT concat_ws(' ', coalesce(extensions.jwt_subject(), '-'), \
                        extensions.is_third_party_jwt(), third_party_auth.is_anonymous_request())";

/// The text that the only row of a statement has.
fn one(rows: Result<Vec<postgres::Row>, postgres::Error>) -> String {
    rows.expect("an answer")[0].get(0)
}

#[test]
fn storage_shows_every_user_their_own() {
    let hosted = SelfHosted::new("storage", &[]);
    let mut client = hosted.cluster.connect("supabase_storage_admin", "postgres");
    let user = hosted.auth.token(&hosted.user("ada"));
    let by_secret = sign_with_secret(&hosted.user("ada"), JWT_SECRET);
    let guest = hosted.third.token(&hosted.guest("eve"));
    let anon = sign_with_secret(&api_key("anon"), JWT_SECRET);
    let service = sign_with_secret(&api_key("service_role"), JWT_SECRET);
    let expired = json!({"exp": now() - 60});
    let mut expired_user = hosted.user("ada");
    expired_user["exp"] = expired["exp"].clone();
    let stranger = hosted.third.token(&hosted.user("ada"));
    for _ in 0..2 {
        for (role, token, owners, identity) in [
            ("authenticated", &user, "ada", "ada t f"),
            ("authenticated", &by_secret, "ada", "ada t f"),
            ("authenticated", &guest, "eve", "eve t f"),
            ("anon", &anon, "", "- f t"),
            ("service_role", &service, "ada eve", "- f f"),
            // Storage has checked that one of its keys signed it, and not whose.
            ("authenticated", &stranger, "", "- f f"),
            (
                "authenticated",
                &hosted.auth.token(&expired_user),
                "",
                "- f f",
            ),
        ] {
            assert_eq!(
                one(storage(&mut client, role, token, READ)),
                owners,
                "{identity}"
            );
            assert_eq!(one(storage(&mut client, role, token, IDENTITY)), identity);
        }
        assert_eq!(text(&mut client, IDENTITY).unwrap(), "- f t");
    }
}

#[test]
fn storage_works_for_itself_although_the_header_is_still_the_users() {
    let hosted = SelfHosted::new("storage_service", &[]);
    let mut client = hosted.cluster.connect("supabase_storage_admin", "postgres");
    let service = sign_with_secret(&api_key("service_role"), JWT_SECRET);
    let user = hosted.auth.token(&hosted.user("ada"));
    client.batch_execute("BEGIN").unwrap();
    let set = "SELECT set_config('role', 'service_role', true), set_config('request.jwt', $1, true), \
               set_config('request.jwt.claims', $2, true), set_config('request.headers', $3, true)";
    let (claims, headers) = (
        payload(&service).to_string(),
        headers(Some(&user)).to_string(),
    );
    client.query(set, &[&service, &claims, &headers]).unwrap();
    // No policy binds it; for whoever asks, two different tokens are no identity.
    assert_eq!(text(&mut client, READ).unwrap(), "ada eve");
    assert_eq!(text(&mut client, IDENTITY).unwrap(), "- f f");
    client.batch_execute("COMMIT").unwrap();
}

/// Claims and what a session of Realtime makes of them.
fn claims_and_identities(
    hosted: &SelfHosted,
) -> Vec<(&'static str, Value, &'static str, &'static str)> {
    let with = |mut claims: Value, name: &str, value: Value| {
        claims[name] = value;
        claims
    };
    let (user, guest) = (hosted.user("ada"), hosted.guest("eve"));
    vec![
        ("authenticated", user.clone(), "ada", "ada t f"),
        ("authenticated", guest.clone(), "eve", "eve t f"),
        ("anon", api_key("anon"), "", "- f t"),
        ("service_role", api_key("service_role"), "ada eve", "- f f"),
        // Realtime knows whose key it was no better than Storage; the rules of the provider hold.
        (
            "authenticated",
            with(user.clone(), "iss", json!("https://nobody.example")),
            "",
            "- f f",
        ),
        (
            "authenticated",
            with(user.clone(), "aud", json!("nobody")),
            "",
            "- f f",
        ),
        (
            "authenticated",
            with(user.clone(), "exp", json!(now() - 60)),
            "",
            "- f f",
        ),
        (
            "authenticated",
            with(guest.clone(), "role", json!("service_role")),
            "",
            "- f f",
        ),
        (
            "anon",
            with(api_key("anon"), "exp", json!(now() - 60)),
            "",
            "- f f",
        ),
        (
            "anon",
            with(api_key("anon"), "iss", json!("https://nobody.example")),
            "",
            "- f f",
        ),
    ]
}

#[test]
fn realtime_asks_policies_with_claims_that_it_has_verified() {
    let conf = ["third_party_auth.gateway_roles = 'supabase_admin'"];
    let hosted = SelfHosted::new("realtime", &conf);
    let mut client = hosted.cluster.connect("supabase_admin", "postgres");
    for _ in 0..2 {
        for (role, claims, owners, identity) in claims_and_identities(&hosted) {
            let found = one(realtime(&mut client, role, &claims, READ));
            assert_eq!(found, owners, "{role} {claims}");
            let found = one(realtime(&mut client, role, &claims, IDENTITY));
            assert_eq!(found, identity, "{role} {claims}");
        }
        assert_eq!(text(&mut client, IDENTITY).unwrap(), "- f t");
    }
    // It tries an insert in a savepoint.
    let insert = "INSERT INTO public.note VALUES ('eve')";
    let tried = realtime(&mut client, "authenticated", &hosted.user("ada"), insert);
    assert_eq!(crate::setting::failure(tried).0, "42501");
    let insert = "INSERT INTO public.note VALUES ('ada') RETURNING owner";
    let tried = realtime(&mut client, "authenticated", &hosted.user("ada"), insert);
    assert_eq!(one(tried), "ada");
    let all = "SELECT count(*)::text FROM public.note";
    assert_eq!(
        text(&mut client, all).unwrap(),
        "2",
        "everything is rolled back"
    );
}

#[test]
fn claims_alone_are_no_token_in_any_other_session() {
    for conf in [
        &["third_party_auth.gateway_roles = 'supabase_admin'"][..],
        &[],
    ] {
        let hosted = SelfHosted::new("no_gateway", conf);
        for login in ["authenticator", "supabase_storage_admin"] {
            let mut client = hosted.cluster.connect(login, "postgres");
            let read = realtime(&mut client, "authenticated", &hosted.user("ada"), READ);
            assert_eq!(one(read), "", "{login}");
            let read = realtime(&mut client, "authenticated", &hosted.user("ada"), IDENTITY);
            assert_eq!(one(read), "- f f", "{login}");
            let read = realtime(&mut client, "anon", &hosted.user("ada"), IDENTITY);
            assert_eq!(one(read), "- f t", "{login}");
        }
    }
}

#[test]
fn every_subscriber_of_a_change_is_judged_by_their_own_claims() {
    let conf = ["third_party_auth.gateway_roles = 'supabase_admin'"];
    let hosted = SelfHosted::new("changes", &conf);
    let mut client = hosted.cluster.connect("supabase_admin", "postgres");
    // As realtime.apply_rls() does: one prepared statement, one function, a subscriber a time.
    client
        .batch_execute(
            "CREATE FUNCTION public.visible_to(subscribers jsonb[], owner_of_row text) RETURNS text \
             LANGUAGE plpgsql AS $$ \
             DECLARE claims jsonb; has_access boolean; answer text := ''; \
             BEGIN \
               EXECUTE 'PREPARE walrus_rls_stmt AS SELECT EXISTS (SELECT FROM public.note WHERE owner = ' \
                 || quote_literal(owner_of_row) || ')'; \
               FOREACH claims IN ARRAY subscribers LOOP \
                 PERFORM set_config('role', claims ->> 'role', true), \
                         set_config('request.jwt.claims', claims::text, true); \
                 EXECUTE 'EXECUTE walrus_rls_stmt' INTO has_access; \
                 answer := answer || has_access || ' '; \
               END LOOP; \
               PERFORM set_config('role', NULL, true); \
               DEALLOCATE walrus_rls_stmt; \
               RETURN answer; \
             END $$",
        )
        .unwrap();
    let subscribers: Vec<Value> = vec![
        hosted.user("ada"),
        hosted.guest("eve"),
        api_key("anon"),
        hosted.user("ada"),
    ];
    let ask = |client: &mut Client, owner: &str| {
        let query =
            "SELECT public.visible_to(ARRAY(SELECT jsonb_array_elements($1::text::jsonb)), $2)";
        row(client, query, &[&json!(subscribers).to_string(), &owner]).unwrap()
    };
    for _ in 0..2 {
        assert_eq!(ask(&mut client, "ada"), "true false false true ");
        assert_eq!(ask(&mut client, "eve"), "false true false false ");
    }
}

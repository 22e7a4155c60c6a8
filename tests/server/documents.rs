//! The pages about Supabase, PostgREST and direct connections do what they say: their SQL runs as it
//! stands, by psql, in the order of the page.

use crate::cluster::Cluster;
use crate::gateways::{
    AUTH_ISSUER, EXTENSION, JWT_SECRET, SUPABASE_ROLES, SUPABASE_TABLES, api_key, postgrest,
    postgrest_configuration, realtime, sign_with_secret, storage, user,
};
use crate::page::{Reading, blocks, configured};
use crate::setting::{
    AUDIENCE, Signer, add_pinned, another_idp, claims, failure, now, row, text, trust,
};
use crate::support::{Authority, IdentityProvider};
use postgres::{Error, Row};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

const SUPABASE: &str = include_str!("../../docs/supabase.md");
const POSTGREST: &str = include_str!("../../docs/postgrest.md");
const DIRECT: &str = include_str!("../../docs/direct_connections.md");
const GUARDS: &str = include_str!("../../docs/guards.md");
const OPERATIONS: &str = include_str!("../../docs/operations.md");

/// The first column of the first row, or SQLSTATE.
fn outcome(rows: Result<Vec<Row>, Error>) -> String {
    match rows {
        Ok(rows) => rows.first().and_then(|row| row.get(0)).unwrap_or_default(),
        Err(error) => failure::<()>(Err(error)).0,
    }
}

/// Waits until the keys of a provider are there.
fn await_keys(cluster: &Cluster, provider: &str) {
    let mut owner = cluster.superuser();
    let query = "SELECT (key_count > 0)::text FROM third_party_auth.status WHERE provider = $1";
    cluster.eventually("the keys are there", || {
        row(&mut owner, query, &[&provider]).as_deref() == Some("true")
    });
}

/// A server that trusts identity providers on this machine; without the extension.
fn serving(name: &str) -> (Cluster, Authority) {
    let authority = Authority::new();
    let trust = trust(&authority);
    let lines: Vec<&str> = trust.iter().map(String::as_str).collect();
    (Cluster::start(name, &lines), authority)
}

#[test]
fn a_self_hosted_supabase_is_secured_by_the_page() {
    let (cluster, authority) = serving("page_supabase");
    let (auth, clerk) = (Signer::new("auth"), Signer::rsa("clerk"));
    // Auth without TLS, as inside a Docker network; Clerk with it.
    let auth_idp = IdentityProvider::start_with("127.0.0.1", None);
    auth_idp.publish(vec![auth.jwk()]);
    let clerk_idp = another_idp(&authority);
    clerk_idp.publish(vec![clerk.jwk()]);
    let mut owner = cluster.superuser();
    owner.batch_execute(SUPABASE_ROLES).unwrap();
    owner.batch_execute(SUPABASE_TABLES).unwrap();
    let clerk_domain = format!("localhost:{}", clerk_idp.port());
    let app_origin = "https://app.example.com";
    let mut reading = Reading::new(&cluster, "supabase_admin", SUPABASE).with(&[
        ("networks", "127.0.0.0/8, ::1/128"),
        ("jwt_issuer", AUTH_ISSUER),
        ("jwks_uri", &auth_idp.jwks_uri()),
        ("clerk_domain", &clerk_domain),
        ("app_origin", app_origin),
    ]);
    reading = reading.with_environment("JWT_SECRET", JWT_SECRET);
    reading.on_to("add_supabase");
    await_keys(&cluster, "supabase");
    await_keys(&cluster, "clerk");
    let printed = reading.on_to("third_party_auth.status");
    assert!(
        printed.lines().count() == 2 && printed.lines().all(|line| line.ends_with('|')),
        "{printed}"
    );

    let mut rest = cluster.connect("authenticator", "postgres");
    reading.on_to("postgrest_pre_config");
    let pre_config = configured(SUPABASE, "yaml", "PGRST_DB_PRE_CONFIG");
    let settings = postgrest_configuration(&mut rest, &pre_config).unwrap();
    let keys = settings
        .iter()
        .find(|(name, _)| name == "jwt_secret")
        .expect("keys")
        .1
        .clone();
    assert!(keys.contains("\"oct\"") && keys.contains("\"auth\"") && keys.contains("\"clerk\""));
    assert_eq!(
        configured(SUPABASE, "yaml", "PGRST_DB_PRE_REQUEST"),
        "third_party_auth.check_request"
    );

    reading.on_to("notes of users of Auth");
    let token = auth.token(&user("ada"));
    let of_clerk = |changes: Value| {
        let mut claims = json!({
            "iss": clerk_idp.issuer(), "sub": "user_1", "sid": "sess_1", "azp": app_origin,
            "role": "authenticated", "iat": now(), "exp": now() + 3600,
        });
        for (name, value) in changes.as_object().expect("an object") {
            claims[name.as_str()] = value.clone();
        }
        clerk.token(&claims)
    };
    let anon = sign_with_secret(&api_key("anon"), JWT_SECRET);
    let service = sign_with_secret(&api_key("service_role"), JWT_SECRET);
    let forged = of_clerk(
        json!({"iss": AUTH_ISSUER, "sub": "ada", "aud": "authenticated", "session_id": "1"}),
    );
    let read = "SELECT string_agg(owner, ' ' ORDER BY owner) FROM public.note";
    for (role, token, expected) in [
        ("authenticated", Some(&token), "ada"),
        (
            "authenticated",
            Some(&sign_with_secret(&user("ada"), JWT_SECRET)),
            "ada",
        ),
        ("authenticated", Some(&of_clerk(json!({}))), "user_1"),
        ("anon", Some(&anon), ""),
        ("anon", None, ""),
        ("service_role", Some(&service), "ada user_1"),
        (
            "service_role",
            Some(&of_clerk(json!({"role": "service_role"}))),
            "PT401",
        ),
        ("authenticated", Some(&forged), "PT401"),
        (
            "authenticated",
            Some(&of_clerk(json!({"azp": "https://evil.example"}))),
            "PT401",
        ),
        ("authenticated", None, "PT401"),
    ] {
        let found = outcome(postgrest(&mut rest, role, token.map(String::as_str), read));
        assert_eq!(found, expected, "{role} {token:?}");
    }

    // Tables that belong to Storage and Realtime, whose own policies let everybody in.
    let mut objects = cluster.connect("supabase_storage_admin", "postgres");
    let read = "SELECT string_agg(name, ' ') FROM storage.objects";
    for (role, token, expected) in [
        ("authenticated", &token, "a.png"),
        ("anon", &anon, "a.png"),
        ("authenticated", &anon, ""),
        ("authenticated", &forged, ""),
    ] {
        let found = outcome(storage(&mut objects, role, token, read));
        assert_eq!(found, expected, "{role} {token}");
    }
    let mut messages = cluster.connect("supabase_admin", "postgres");
    let read = "SELECT string_agg(topic, ' ') FROM realtime.messages";
    let stranger = json!({"iss": "https://nobody.example", "role": "authenticated"});
    for (claims, expected) in [
        (user("ada"), "room"),
        (api_key("anon"), "room"),
        (stranger, ""),
    ] {
        let role = claims["role"].as_str().expect("a role");
        let found = outcome(realtime(&mut messages, role, &claims, read));
        assert_eq!(found, expected, "{claims}");
    }
    // What is made later is guarded too.
    owner.batch_execute("CREATE TABLE public.later (n int); INSERT INTO public.later VALUES (1); \
         GRANT SELECT ON public.later TO authenticated; ALTER TABLE public.later ENABLE ROW LEVEL SECURITY; \
         CREATE POLICY open ON public.later USING (true)").unwrap();
    objects.batch_execute("RESET ROLE").unwrap();
    let read = "SELECT count(*)::text FROM public.later";
    assert_eq!(
        outcome(storage(&mut objects, "authenticated", &token, read)),
        "1"
    );
    assert_eq!(
        outcome(storage(&mut objects, "authenticated", &forged, read)),
        "0"
    );

    reading.token_file(&of_clerk(json!({"azp": "https://evil.example"})));
    let explained = reading.on_to("explain");
    assert!(
        explained.contains("authorized_party_mismatch|f|"),
        "{explained}"
    );
    reading.finish();
}

#[test]
fn postgrest_is_set_up_by_the_page() {
    let (cluster, authority) = serving("page_postgrest");
    let (idp, signer) = (another_idp(&authority), Signer::new("one"));
    idp.publish(vec![signer.jwk()]);
    let mut reading =
        Reading::new(&cluster, "postgres", POSTGREST).with(&[("issuer", &idp.issuer())]);
    reading.on_to("create schema api");
    await_keys(&cluster, "login");
    let mut rest = cluster.connect("authenticator", "postgres");
    let pre_config = configured(POSTGREST, "ini", "db-pre-config");
    let settings = postgrest_configuration(&mut rest, &pre_config).unwrap();
    assert!(
        settings[0].0 == "jwt_secret" && settings[0].1.contains("\"one\""),
        "{settings:?}"
    );
    assert_eq!(
        configured(POSTGREST, "ini", "db-pre-request"),
        "third_party_auth.check_request"
    );

    let token = |changes: Value| {
        let mut claims = claims(&idp.issuer());
        claims["aud"] = json!("https://api.example.com");
        for (name, value) in changes.as_object().expect("an object") {
            claims[name.as_str()] = value.clone();
        }
        signer.token(&claims)
    };
    let ada = token(json!({}));
    let insert = "INSERT INTO api.note (body) VALUES ('mine') RETURNING owner";
    assert_eq!(
        outcome(postgrest(&mut rest, "authenticated", Some(&ada), insert)),
        "ada"
    );
    let read = "SELECT string_agg(owner, ' ') FROM api.note";
    let eve = token(json!({"sub": "eve"}));
    let roleless = token(json!({ "role": null }));
    let minted = token(json!({"role": "service_role"}));
    let expired = token(json!({"exp": now() - 60}));
    for (role, token, expected) in [
        ("authenticated", Some(&ada), "ada"),
        ("authenticated", Some(&eve), ""),
        ("anon", Some(&ada), "PT403"),
        ("authenticated", Some(&minted), "PT401"),
        ("anon", Some(&expired), "PT401"),
        ("authenticated", None, "PT401"),
        // Nobody has granted it anything here.
        ("anon", None, "42501"),
    ] {
        let found = outcome(postgrest(&mut rest, role, token.map(String::as_str), read));
        assert_eq!(found, expected, "{role} {token:?}");
    }
    let found = outcome(postgrest(&mut rest, "anon", Some(&roleless), read));
    assert!(found.starts_with("PT40"), "{found}");
    reading.on_to("postgrest.pre_request");
    rest.batch_execute("BEGIN; SET LOCAL ROLE authenticated")
        .unwrap();
    let own = rest.batch_execute("SELECT \"postgrest\".\"pre_request\"()");
    assert_eq!(failure(own).0, "PT401");
    rest.batch_execute("ROLLBACK").unwrap();
    assert!(reading.on_to("third_party_auth.jwks").contains("\"one\""));

    // A header of one's own, and everybody is anon to PostgREST.
    reading.on_to("x-user-token");
    let mut other = cluster.connect("authenticator", "postgres");
    other.batch_execute("BEGIN; SET LOCAL ROLE anon").unwrap();
    let headers = json!({"x-user-token": format!("Bearer {ada}")}).to_string();
    let set = "SELECT set_config('request.headers', $1, true)";
    other.query(set, &[&headers]).unwrap();
    assert_eq!(
        text(&mut other, "SELECT extensions.jwt_subject()").unwrap(),
        "ada"
    );
    assert_eq!(
        failure(other.query("SELECT third_party_auth.check_request()", &[])).0,
        "PT403"
    );
    other.batch_execute("ROLLBACK").unwrap();

    reading.finish();
    let mut rest = cluster.connect("authenticator", "postgres");
    let red = token(json!({"sub": "eve", "app_metadata": {"team": "ada"}}));
    assert_eq!(
        outcome(postgrest(&mut rest, "authenticated", Some(&red), read)),
        "ada"
    );
}

/// The statements that hand the token on in the examples of a language, with the token as a parameter.
fn handing_on(language: &str) -> Vec<String> {
    let statement = |block: &&str| {
        let start = block.find("select third_party_auth.authenticate(")?;
        let rest = &block[start..];
        Some(rest[..=rest.find(')')?].replace("${token}", "$1"))
    };
    blocks(DIRECT, language)
        .iter()
        .filter_map(statement)
        .collect()
}

#[test]
fn direct_connections_are_set_up_by_the_page() {
    let cluster = Cluster::start("page_direct", &[]);
    let signer = Signer::new("one");
    let mut owner = cluster.superuser();
    owner
        .batch_execute("CREATE EXTENSION pg_third_party_auth")
        .unwrap();
    owner.batch_execute(&add_pinned(&signer, "")).unwrap();
    let mut reading = Reading::new(&cluster, "postgres", DIRECT);
    reading.on_to("create table note");

    // What the libraries send: the statement of the example, between BEGIN and COMMIT, and the query.
    let mut app = cluster.connect("app", "postgres");
    let statements = [handing_on("ts"), handing_on("rust")].concat();
    assert_eq!(statements, ["select third_party_auth.authenticate($1)"; 3]);
    let insert = "insert into note (body) values ('mine') returning owner";
    let read = "select string_agg(owner, ' ') from note";
    for statement in &statements {
        for name in ["ada", "eve"] {
            app.batch_execute("begin").unwrap();
            app.query(statement.as_str(), &[&signer.pinned(name)])
                .unwrap();
            assert_eq!(text(&mut app, insert).unwrap(), name);
            assert_eq!(text(&mut app, read).unwrap(), name);
            app.batch_execute("rollback").unwrap();
            assert_eq!(
                failure(app.query(read, &[])).0,
                "42501",
                "app may do nothing itself"
            );
        }
    }
    // In the text a psql has, as the login role.
    reading.token_file(&signer.pinned("ada"));
    let psql = reading.next();
    assert!(psql.contains("\\set token"), "{psql}");
    assert_eq!(reading.run("app", psql), "ada\nada\nada|from psql");

    // The settings of the page hold for the role, whatever it does.
    let session = "select set_config('request.jwt', $1, false)";
    app.query(session, &[&signer.pinned("ada")]).unwrap();
    assert_eq!(text(&mut app, "select jwt_subject()"), None);
    // RESET ROLE leaves the token and takes the grants.
    app.batch_execute("begin").unwrap();
    app.query(statements[0].as_str(), &[&signer.pinned("ada")])
        .unwrap();
    app.batch_execute("reset role").unwrap();
    assert_eq!(text(&mut app, "select jwt_subject()").unwrap(), "ada");
    assert_eq!(failure(app.query(read, &[])).0, "42501");
    app.batch_execute("rollback").unwrap();

    reading.finish();
    let mut claims = claims(crate::setting::PINNED_ISSUER);
    claims["aud"] = json!(AUDIENCE);
    claims["sub"] = json!("eve");
    claims["app_metadata"] = json!({"team": "ada"});
    app.batch_execute("begin").unwrap();
    app.query(statements[0].as_str(), &[&signer.token(&claims)])
        .unwrap();
    assert_eq!(text(&mut app, read).unwrap(), "ada");
    app.batch_execute("rollback").unwrap();
}

#[test]
fn guards_are_set_by_the_page() {
    let cluster = Cluster::start("page_guards", &[]);
    let mut owner = cluster.superuser();
    // Supabase's images grant everything on what comes.
    let grants = "ALTER DEFAULT PRIVILEGES FOR ROLE supabase_admin IN SCHEMA public \
                  GRANT ALL ON TABLES TO anon, authenticated; \
                  ALTER DEFAULT PRIVILEGES FOR ROLE supabase_admin IN SCHEMA public \
                  GRANT ALL ON SEQUENCES TO anon, authenticated";
    let app = "CREATE ROLE app_owner LOGIN; CREATE SCHEMA app AUTHORIZATION app_owner";
    for statements in [SUPABASE_ROLES, grants, EXTENSION, SUPABASE_TABLES, app] {
        owner.batch_execute(statements).expect(statements);
    }
    let mut reading = Reading::new(&cluster, "supabase_admin", GUARDS);
    let printed = reading.on_to("guard_schema('public', rls_off => 'closed')");
    assert!(printed.contains("public|note|"), "{printed}");
    reading.finish();
    let guarded = "SELECT string_agg(table_name, ' ' ORDER BY schema_name, table_name) \
                   FROM third_party_auth.guard WHERE schema_name IN ('storage', 'realtime')";
    assert_eq!(
        text(&mut owner, guarded).unwrap(),
        "messages messages_2024 buckets objects s3_multipart_uploads s3_multipart_uploads_parts"
    );
    // A table that Studio makes is guarded, and nothing is granted that policies do not decide.
    let mut studio = cluster.connect("supabase_admin", "postgres");
    studio
        .batch_execute("CREATE TABLE public.new (id bigint GENERATED ALWAYS AS IDENTITY)")
        .unwrap();
    let ways = "SELECT string_agg(problem, E'\n') FROM third_party_auth.guard_status s \
                WHERE s.table = 'new' AND problem LIKE '%granted%'";
    assert_eq!(text(&mut owner, ways), None);
    let select = "SELECT has_table_privilege('anon', 'public.new', 'SELECT')::text";
    assert_eq!(text(&mut owner, select).unwrap(), "true");
    // The owner of other tables guards them alone.
    let mut app = cluster.connect("app_owner", "postgres");
    let own = "CREATE TABLE app.note (id int); \
               SELECT FROM third_party_auth.guard_table('app.note', rls_off => 'closed')";
    app.batch_execute(own).unwrap();
    // Storage's own migrations go on.
    let mut storage = cluster.connect("supabase_storage_admin", "postgres");
    storage
        .batch_execute(
            "ALTER TABLE storage.objects ADD COLUMN metadata jsonb; \
             CREATE INDEX ON storage.objects (name); UPDATE storage.objects SET metadata = '{}'; \
             CREATE POLICY own ON storage.objects USING (owner_id = 'x'); DROP POLICY own ON storage.objects; \
             CREATE TABLE storage.prefixes (name text)",
        )
        .unwrap();
}

#[test]
fn links_of_the_pages_lead_somewhere() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    for page in [SUPABASE, POSTGREST, DIRECT, GUARDS, OPERATIONS] {
        for link in page
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let text = fs::read_to_string(docs.join(file));
            let text = text.unwrap_or_else(|error| panic!("{link}: {error}"));
            let slug = |heading: &str| {
                let kept = heading
                    .trim_matches(['#', ' '])
                    .to_lowercase()
                    .replace(' ', "-");
                kept.chars()
                    .filter(|c| c.is_alphanumeric() || *c == '-')
                    .collect::<String>()
            };
            let mut headings = text.lines().filter(|line| line.starts_with('#')).map(slug);
            assert!(
                anchor.is_empty() || headings.any(|own| own == anchor),
                "{link}"
            );
        }
    }
}

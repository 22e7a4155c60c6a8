//! create_auth_schema(): policies that were written for Supabase run on a plain PostgreSQL, on verified
//! claims.

use crate::cluster::Cluster;
use crate::cluster::programs::{run, server_command};
use crate::setting::{PINNED_ISSUER, Signer, claims, failure, set, text, trusting};
use postgres::Client;
use serde_json::{Value, json};

const CREATE: &str = "SELECT third_party_auth.create_auth_schema()";

const UUID: &str = "0b3c4f0e-7b6e-4f57-9a0e-2f3a0a1b2c3d";

/// Policies as Supabase's guides have them: wrapped and not, by the subject, a claim, the role, an address.
const POLICIES: &str = "CREATE ROLE authenticated; CREATE ROLE anon; GRANT authenticated, anon TO app; \
     CREATE TABLE profile (id uuid, email text, team text); \
     INSERT INTO profile VALUES ('0b3c4f0e-7b6e-4f57-9a0e-2f3a0a1b2c3d', 'ada@example.com', 'red'), \
                                ('11111111-1111-4111-8111-111111111111', 'eve@example.com', 'blue'); \
     ALTER TABLE profile ENABLE ROW LEVEL SECURITY; GRANT SELECT, UPDATE ON profile TO app, authenticated; \
     CREATE POLICY \"Users can view their own profile\" ON profile FOR SELECT TO authenticated \
         USING ((SELECT auth.uid()) = id); \
     CREATE POLICY \"Users can view their team\" ON profile FOR SELECT \
         USING (auth.jwt() -> 'app_metadata' ->> 'team' = team AND auth.role() = 'authenticated'); \
     CREATE POLICY \"Users can update their profile\" ON profile FOR UPDATE TO authenticated \
         USING (auth.email() = email) WITH CHECK (auth.email() = email)";

fn token(signer: &Signer, subject: &str, changes: Value) -> String {
    let mut claims = claims(PINNED_ISSUER);
    claims["sub"] = json!(subject);
    for (name, value) in changes.as_object().expect("an object") {
        claims[name.as_str()] = value.clone();
    }
    signer.token(&claims)
}

/// What the functions say, and whose addresses are seen.
fn seen(client: &mut Client, token: &str) -> String {
    set(client, "request.jwt", token);
    let query = "SELECT concat_ws(' ', coalesce(auth.uid()::text, '-'), coalesce(auth.role(), '-'), \
                 coalesce(auth.email(), '-'), coalesce(auth.jwt() ->> 'sub', '-'), \
                 coalesce((SELECT string_agg(email, ',' ORDER BY email) FROM profile), '-'))";
    text(client, query).expect("an answer")
}

fn check(cluster: &Cluster, signer: &Signer, database: &str) {
    let mut client = cluster.connect("app", database);
    client.batch_execute("SET ROLE authenticated").unwrap();
    let with_email = json!({"email": "ada@example.com"});
    for (token, expected) in [
        (
            token(signer, UUID, with_email.clone()),
            format!("{UUID} authenticated ada@example.com {UUID} ada@example.com"),
        ),
        (
            token(signer, &UUID.to_uppercase(), json!({})),
            format!(
                "{UUID} authenticated - {} ada@example.com",
                UUID.to_uppercase()
            ),
        ),
        // Of most providers: no UUID, and no error.
        (
            token(signer, "user_2abc", json!({})),
            "- authenticated - user_2abc -".to_owned(),
        ),
        (
            token(
                signer,
                "user_2abc",
                json!({"app_metadata": {"team": "blue"}}),
            ),
            "- authenticated - user_2abc eve@example.com".to_owned(),
        ),
        (
            token(signer, &format!("{UUID}\n"), json!({})),
            format!("- authenticated - {UUID}\n -"),
        ),
        (
            token(signer, &format!("{{{UUID}}}"), json!({})),
            format!("- authenticated - {{{UUID}}} -"),
        ),
        (String::new(), "- - - - -".to_owned()),
        (Signer::new("one").pinned(UUID), "- - - - -".to_owned()),
    ] {
        assert_eq!(seen(&mut client, &token), expected, "{database}");
    }
    // Claims that anyone may set are not believed.
    set(
        &mut client,
        "request.jwt.claims",
        &claims(PINNED_ISSUER).to_string(),
    );
    assert_eq!(seen(&mut client, ""), "- - - - -");
    assert_eq!(
        seen(&mut client, &token(signer, UUID, with_email))
            .matches("ada@")
            .count(),
        2
    );
    let update = "UPDATE profile SET team = team";
    assert_eq!(client.execute(update, &[]).unwrap(), 1);
}

#[test]
fn policies_written_for_supabase_run_on_verified_claims() {
    let (cluster, signer) = trusting("auth_schema", &[], "");
    let mut owner = cluster.superuser();
    owner.batch_execute(CREATE).unwrap();
    owner.batch_execute(POLICIES).unwrap();
    check(&cluster, &signer, "postgres");

    // Dumped with the policies that call them, and restored with the extension.
    let file = cluster.directory().join("dump.sql");
    let host = cluster.directory().display().to_string();
    run(server_command("pg_dump")
        .args(["-h", &host, "-U", "postgres", "-f"])
        .arg(&file)
        .arg("postgres"));
    owner
        .batch_execute("CREATE DATABASE restored TEMPLATE template0")
        .unwrap();
    run(server_command("psql")
        .args([
            "-h",
            &host,
            "-U",
            "postgres",
            "-qX",
            "-v",
            "ON_ERROR_STOP=1",
            "--single-transaction",
            "-f",
        ])
        .arg(&file)
        .arg("restored"));
    check(&cluster, &signer, "restored");
}

#[test]
fn in_another_schema_and_with_a_hostile_search_path_too() {
    let cluster = Cluster::start("auth_schema_elsewhere", &[]);
    let signer = Signer::new("one");
    let mut owner = cluster.superuser();
    owner
        .batch_execute(
            "CREATE ROLE app LOGIN; CREATE SCHEMA extensions; GRANT USAGE ON SCHEMA extensions TO PUBLIC; \
             CREATE EXTENSION pg_third_party_auth SCHEMA extensions",
        )
        .unwrap();
    owner
        .batch_execute(&crate::setting::add_pinned(&signer, ""))
        .unwrap();
    owner.batch_execute(CREATE).unwrap();
    let mut client = cluster.connect("app", "postgres");
    client.batch_execute("CREATE TEMP TABLE t (); CREATE FUNCTION pg_temp.jwt_subject() RETURNS text LANGUAGE sql AS $$SELECT 'eve'$$; \
         CREATE FUNCTION pg_temp.eve(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT true'; \
         CREATE OPERATOR pg_temp.~* (FUNCTION = pg_temp.eve, LEFTARG = text, RIGHTARG = text); \
         SET search_path = pg_temp, pg_catalog").unwrap();
    set(&mut client, "request.jwt", &signer.pinned("user_2abc"));
    let query =
        "SELECT concat_ws(' ', coalesce(auth.uid()::text, '-'), auth.jwt() ->> 'sub', auth.role())";
    assert_eq!(
        text(&mut client, query).unwrap(),
        "- user_2abc authenticated"
    );
}

#[test]
fn functions_that_exist_are_not_replaced() {
    let (cluster, _) = trusting("auth_schema_taken", &[], "");
    let mut owner = cluster.superuser();
    owner
        .batch_execute("CREATE SCHEMA auth; CREATE FUNCTION auth.uid() RETURNS uuid LANGUAGE sql AS 'SELECT NULL::uuid'")
        .unwrap();
    let (code, error) = failure(owner.batch_execute(CREATE));
    assert_eq!(
        (code.as_str(), error.message()),
        ("42710", "function auth.uid() exists already")
    );
    assert!(error.hint().is_some());
    let functions = "SELECT count(*)::text FROM pg_proc WHERE pronamespace = 'auth'::regnamespace";
    assert_eq!(text(&mut owner, functions).unwrap(), "1");
    owner.batch_execute("DROP FUNCTION auth.uid()").unwrap();
    owner.batch_execute(CREATE).unwrap();
    assert_eq!(text(&mut owner, functions).unwrap(), "4");
    assert_eq!(failure(owner.batch_execute(CREATE)).0, "42710");
    let mut app = cluster.connect("app", "postgres");
    assert_eq!(failure(app.batch_execute(CREATE)).0, "42501");
}

//! What PostgREST, Supabase Storage and Supabase Realtime send, in their order and in their transactions,
//! to a database that is set up as a self-hosted Supabase sets it up.

use crate::cluster::Cluster;
use crate::mint::jwks;
use crate::setting::{PINNED_ISSUER, Signer, add_pinned, claims, now};
use crate::symmetric;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use postgres::types::Type;
use postgres::{Client, Error, Row};
use serde_json::{Value, json};

/// The issuer of the users' tokens.
pub const AUTH_ISSUER: &str = "http://localhost:8000/auth/v1";

/// The issuer of API keys.
pub const API_KEY_ISSUER: &str = "supabase";

/// Signs API keys, and the tokens of users where nothing newer is set up.
pub const JWT_SECRET: &str = "a-secret-of-this-test-and-of-nobody-else";

/// The roles of a self-hosted Supabase, as far as its gateways use them.
pub const SUPABASE_ROLES: &str = "CREATE ROLE anon NOLOGIN; CREATE ROLE authenticated NOLOGIN; \
     CREATE ROLE service_role NOLOGIN BYPASSRLS; \
     CREATE ROLE authenticator LOGIN NOINHERIT; \
     GRANT anon, authenticated, service_role TO authenticator; \
     CREATE ROLE supabase_storage_admin LOGIN NOINHERIT; GRANT authenticator TO supabase_storage_admin; \
     CREATE ROLE supabase_admin LOGIN SUPERUSER";

/// What Supabase's images bring, as far as docs/supabase.md touches it.
pub const SUPABASE_TABLES: &str = "CREATE TABLE public.note (owner text NOT NULL); \
     INSERT INTO public.note VALUES ('ada'), ('user_1'); \
     ALTER TABLE public.note ENABLE ROW LEVEL SECURITY; \
     GRANT SELECT, INSERT, UPDATE, DELETE ON public.note TO anon, authenticated, service_role; \
     CREATE SCHEMA storage AUTHORIZATION supabase_storage_admin; \
     GRANT USAGE ON SCHEMA storage TO anon, authenticated, service_role; \
     SET ROLE supabase_storage_admin; \
     CREATE TABLE storage.buckets (id text PRIMARY KEY); \
     CREATE TABLE storage.objects (name text, owner_id text); \
     CREATE TABLE storage.s3_multipart_uploads (id text); \
     CREATE TABLE storage.s3_multipart_uploads_parts (id text); \
     ALTER TABLE storage.buckets ENABLE ROW LEVEL SECURITY; \
     ALTER TABLE storage.objects ENABLE ROW LEVEL SECURITY; \
     ALTER TABLE storage.s3_multipart_uploads ENABLE ROW LEVEL SECURITY; \
     ALTER TABLE storage.s3_multipart_uploads_parts ENABLE ROW LEVEL SECURITY; \
     CREATE POLICY readers ON storage.objects FOR SELECT USING (true); \
     INSERT INTO storage.objects VALUES ('a.png', 'ada'); \
     GRANT SELECT ON storage.objects TO anon, authenticated, service_role; \
     RESET ROLE; \
     CREATE SCHEMA realtime; GRANT USAGE ON SCHEMA realtime TO anon, authenticated; \
     CREATE TABLE realtime.messages (topic text, inserted_at date DEFAULT '2024-01-01') \
         PARTITION BY RANGE (inserted_at); \
     CREATE TABLE realtime.messages_2024 PARTITION OF realtime.messages \
         FOR VALUES FROM ('2024-01-01') TO ('2025-01-01'); \
     ALTER TABLE realtime.messages ENABLE ROW LEVEL SECURITY; \
     ALTER TABLE realtime.messages_2024 ENABLE ROW LEVEL SECURITY; \
     CREATE POLICY listeners ON realtime.messages USING (true); \
     GRANT SELECT, INSERT ON realtime.messages TO anon, authenticated; \
     INSERT INTO realtime.messages VALUES ('room')";

/// The extension, where the docs put it behind PostgREST.
pub const EXTENSION: &str = "CREATE SCHEMA extensions; GRANT USAGE ON SCHEMA extensions TO PUBLIC; \
     CREATE EXTENSION pg_third_party_auth SCHEMA extensions";

/// A table whose rows only their owners see.
const NOTES: &str = "CREATE TABLE public.note (owner text NOT NULL DEFAULT extensions.jwt_subject()); \
     INSERT INTO public.note VALUES ('ada'), ('eve'); \
     ALTER TABLE public.note ENABLE ROW LEVEL SECURITY; \
     CREATE POLICY own ON public.note USING (owner = extensions.jwt_subject()); \
     GRANT SELECT, INSERT ON public.note TO anon, authenticated, service_role";

/// A self-hosted Supabase, and another provider whose tokens it takes.
pub struct SelfHosted {
    pub cluster: Cluster,
    /// The key of its Auth, registered as `supabase`.
    pub auth: Signer,
    /// The key of the other one, registered as `pinned`.
    pub third: Signer,
}

impl SelfHosted {
    /// Both with pinned keys: nothing is fetched.
    pub fn new(name: &str, conf: &[&str]) -> SelfHosted {
        let cluster = Cluster::start(name, conf);
        let (auth, third) = (Signer::new("auth"), Signer::new("one"));
        let supabase = format!(
            "SELECT third_party_auth.add_supabase('{AUTH_ISSUER}', jwt_secret => '{JWT_SECRET}', jwks => '{}')",
            jwks(&[auth.jwk()])
        );
        let pinned = add_pinned(&third, "");
        for statements in [SUPABASE_ROLES, EXTENSION, NOTES, &supabase, &pinned] {
            let mut owner = cluster.superuser();
            owner.batch_execute(statements).expect(statements);
        }
        SelfHosted {
            cluster,
            auth,
            third,
        }
    }

    /// The claims of a user of Supabase Auth.
    pub fn user(&self, subject: &str) -> Value {
        user(subject)
    }

    /// The claims of a user of the other provider.
    pub fn guest(&self, subject: &str) -> Value {
        let mut claims = claims(PINNED_ISSUER);
        claims["sub"] = json!(subject);
        claims
    }
}

/// The claims of a user of Supabase Auth.
pub fn user(subject: &str) -> Value {
    json!({
        "iss": AUTH_ISSUER, "aud": "authenticated", "sub": subject, "role": "authenticated",
        "session_id": "3f1b8f5e-1c56-4e0e-9d34-6a2f0a9d1f10", "email": "ada@example.com",
        "iat": now(), "exp": now() + 3600,
    })
}

/// The claims of an API key.
pub fn api_key(role: &str) -> Value {
    json!({"iss": API_KEY_ISSUER, "role": role, "iat": now() - 60, "exp": now() + 3600})
}

/// A token that is signed with a secret.
pub fn sign_with_secret(claims: &Value, secret: &str) -> String {
    let header = json!({"alg": "HS256", "typ": "JWT"});
    symmetric::sign(&header, claims, secret.as_bytes())
}

/// The claims of a token, as a gateway hands them on.
pub fn payload(token: &str) -> Value {
    let part = token.split('.').nth(1).unwrap_or_default();
    let octets = URL_SAFE_NO_PAD.decode(part).ok();
    let payload = octets.and_then(|octets| serde_json::from_slice(&octets).ok());
    payload.unwrap_or_else(|| json!({}))
}

/// The headers of a request, as PostgREST and Storage hand them on.
pub fn headers(token: Option<&str>) -> Value {
    let mut headers = json!({"accept": "application/json", "host": "localhost:3000"});
    if let Some(token) = token {
        headers["authorization"] = json!(format!("Bearer {token}"));
    }
    headers
}

/// A request to PostgREST, with `db-pre-request = 'third_party_auth.check_request'`: the settings, the
/// check, the statement itself.
///
/// PostgREST has checked a signature, knows no issuer, and puts the role that it chose into the claims.
pub fn postgrest(
    client: &mut Client,
    role: &str,
    token: Option<&str>,
    statement: &str,
) -> Result<Vec<Row>, Error> {
    let mut claims = token.map_or_else(|| json!({}), payload);
    claims["role"] = json!(role);
    let is_read = statement.trim_start().to_uppercase().starts_with("SELECT");
    let access = if is_read { "READ ONLY" } else { "READ WRITE" };
    let begin = format!("BEGIN ISOLATION LEVEL READ COMMITTED {access}");
    let set = "select set_config('search_path', $1, true), set_config('role', $2, true), \
               set_config('request.jwt.claims', $3, true), set_config('request.method', $4, true), \
               set_config('request.path', $5, true), set_config('request.headers', $6, true), \
               set_config('request.cookies', $7, true)";
    let method = if is_read { "GET" } else { "POST" };
    let (claims, headers) = (claims.to_string(), headers(token).to_string());
    in_transaction(client, &begin, "COMMIT", |client| {
        client.query(
            set,
            &[
                &"\"public\"",
                &role,
                &claims,
                &method,
                &"/note",
                &headers,
                &"{}",
            ],
        )?;
        client.query("select \"third_party_auth\".\"check_request\"()", &[])?;
        client.query(statement, &[])
    })
}

/// PostgREST's loading of the configuration that is in the database: the settings and their values.
///
/// # Errors
/// As the server reports them.
pub fn postgrest_configuration(
    client: &mut Client,
    pre_config: &str,
) -> Result<Vec<(String, String)>, Error> {
    let names = [
        "pgrst.db_anon_role",
        "pgrst.db_pre_request",
        "pgrst.jwt_aud",
        "pgrst.jwt_secret",
    ];
    let query = format!(
        "WITH \
         role_setting AS ( \
           SELECT setdatabase AS database, unnest(setconfig) AS setting \
           FROM pg_catalog.pg_db_role_setting \
           WHERE setrole = CURRENT_USER::regrole::oid \
             AND setdatabase IN (0, (SELECT oid FROM pg_catalog.pg_database WHERE datname = CURRENT_CATALOG)) \
         ), \
         kv_settings AS ( \
           SELECT database, substr(setting, 1, strpos(setting, '=') - 1) AS k, \
                  substr(setting, strpos(setting, '=') + 1) AS v \
           FROM role_setting \
           UNION \
           SELECT NULL AS database, x AS k, current_setting(x, true) AS v \
           FROM unnest($1) x JOIN {pre_config}() _ ON TRUE \
         ) \
         SELECT DISTINCT ON (key) replace(k, 'pgrst.', '') AS key, v AS value \
         FROM kv_settings WHERE k = ANY ($1) AND v IS NOT NULL \
         ORDER BY key, database DESC NULLS LAST"
    );
    let begin = "BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY";
    let names = names.map(str::to_owned).to_vec();
    let rows = in_transaction(client, begin, "COMMIT", |client| {
        // Its driver declares the type.
        let statement = client.prepare_typed(&query, &[Type::TEXT_ARRAY])?;
        client.query(&statement, &[&names])
    })?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// A statement of Supabase Storage for a user: it hands the raw token on, and the role that the token
/// claims.
///
/// # Errors
/// As the server reports them.
pub fn storage(
    client: &mut Client,
    role: &str,
    token: &str,
    statement: &str,
) -> Result<Vec<Row>, Error> {
    let claims = payload(token);
    let subject = claims["sub"].as_str().unwrap_or_default().to_owned();
    let set = "SELECT set_config('role', $1, true), set_config('request.jwt.claim.role', $2, true), \
               set_config('request.jwt', $3, true), set_config('request.jwt.claim.sub', $4, true), \
               set_config('request.jwt.claims', $5, true), set_config('request.headers', $6, true), \
               set_config('request.method', $7, true), set_config('request.path', $8, true), \
               set_config('storage.operation', $9, true), \
               set_config('storage.allow_delete_query', 'true', true)";
    let (claims, headers) = (claims.to_string(), headers(Some(token)).to_string());
    in_transaction(client, "BEGIN", "COMMIT", |client| {
        client.query(
            "SELECT set_config('statement_timeout', $1, true)",
            &[&"30000ms"],
        )?;
        client.query(
            set,
            &[
                &role,
                &role,
                &token,
                &subject,
                &claims,
                &headers,
                &"GET",
                &"/object/list/b",
                &"storage.object.list",
            ],
        )?;
        client.query(statement, &[])
    })
}

/// What a statement answers in a check of Supabase Realtime: claims that it has verified, no token, and
/// the headers that begin with `x-` alone; then everything is rolled back, and the next transaction begins.
///
/// # Errors
/// As the server reports them.
pub fn realtime(
    client: &mut Client,
    role: &str,
    claims: &Value,
    statement: &str,
) -> Result<Vec<Row>, Error> {
    let set = "SELECT set_config('role', $1, true), set_config('realtime.topic', $2, true), \
               set_config('request.jwt.claims', $3, true), set_config('request.headers', $4, true)";
    let headers = json!({"x-forwarded-for": "127.0.0.1"}).to_string();
    in_transaction(client, "BEGIN", "COMMIT", |client| {
        client.query(set, &[&role, &"room", &claims.to_string(), &headers])?;
        let answer = client.query(statement, &[])?;
        client.batch_execute("ROLLBACK AND CHAIN")?;
        Ok(answer)
    })
}

fn in_transaction<R>(
    client: &mut Client,
    begin: &str,
    end: &str,
    work: impl FnOnce(&mut Client) -> Result<R, Error>,
) -> Result<R, Error> {
    client.batch_execute(begin)?;
    let answer = work(client);
    let end = if answer.is_ok() { end } else { "ROLLBACK" };
    client.batch_execute(end)?;
    answer
}

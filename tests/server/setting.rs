//! A server, an identity provider and their tokens, as most tests want them.

use crate::cluster::Cluster;
use crate::mint::{KeyPair, jwks};
use crate::support::{Authority, IdentityProvider};
use postgres::error::DbError;
use postgres::types::ToSql;
use postgres::{Client, Error};
use serde_json::{Value, json};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The audience of the tokens.
pub const AUDIENCE: &str = "api";

/// The issuer of providers whose keys are pinned.
pub const PINNED_ISSUER: &str = "https://issuer.example";

/// A server that trusts an identity provider of its own. The server ends first.
pub struct Setting {
    pub cluster: Cluster,
    pub idp: IdentityProvider,
    pub authority: Authority,
}

impl Setting {
    /// Both, and the extension in the database postgres; nothing is registered.
    pub fn new(name: &str) -> Setting {
        Setting::with(name, &[])
    }

    /// The same with more lines of configuration.
    pub fn with(name: &str, conf: &[&str]) -> Setting {
        let authority = Authority::new();
        let idp = another_idp(&authority);
        let trust = trust(&authority);
        let lines: Vec<&str> = trust
            .iter()
            .map(String::as_str)
            .chain(conf.iter().copied())
            .collect();
        let cluster = Cluster::start(name, &lines);
        create_extension(&mut cluster.superuser());
        Setting {
            cluster,
            idp,
            authority,
        }
    }

    /// Registers the identity provider as `idp`, found by discovery, and waits until its keys are stored.
    pub fn register(&self, client: &mut Client) {
        client
            .batch_execute(&add_oidc("idp", &self.idp.issuer()))
            .expect("registered");
        self.wait_until_stored(client, "idp");
    }

    /// Waits until the keys of a provider are fetched and stored.
    pub fn wait_until_stored(&self, client: &mut Client, provider: &str) {
        let query =
            "SELECT key_count > 0 AND persisted FROM third_party_auth.status WHERE provider = $1";
        self.cluster.eventually("the keys are stored", || {
            client
                .query_one(query, &[&provider])
                .expect("the provider's row")
                .get(0)
        });
    }

    /// A good token of the identity provider.
    pub fn token(&self, signer: &Signer) -> String {
        signer.token(&claims(&self.idp.issuer()))
    }

    /// Reloads the configuration, and waits until the fetcher has read it.
    pub fn reload(&self, client: &mut Client) {
        let lines = || {
            self.cluster
                .log()
                .matches("reloading configuration files")
                .count()
        };
        let before = lines();
        client
            .batch_execute("SELECT pg_reload_conf()")
            .expect("a reload");
        self.cluster
            .eventually("the server reloads", || lines() > before);
        // The fetcher is signalled right after that line is written.
        let start = Instant::now() + Duration::from_millis(200);
        self.cluster
            .eventually("the fetcher has looked at its configuration", || {
                let query = "SELECT heartbeat_age FROM third_party_auth.worker";
                let age: Option<f64> = client.query_one(query, &[]).expect("its row").get(0);
                age.is_some_and(|age| Duration::from_secs_f64(age) < start.elapsed())
            });
    }
}

/// An identity provider known as localhost, which every kind of provider takes as a host.
pub fn another_idp(authority: &Authority) -> IdentityProvider {
    let config = authority.server_config(&["localhost"]);
    IdentityProvider::start_with("localhost", Some(config))
}

/// What lets a server fetch from identity providers on this machine.
pub fn trust(authority: &Authority) -> [String; 2] {
    [
        format!(
            "third_party_auth.ca_file = '{}'",
            authority.ca_file().display()
        ),
        "third_party_auth.allowed_networks = '127.0.0.0/8, ::1/128'".to_owned(),
    ]
}

/// The extension, and a login role that RLS binds.
pub fn create_extension(client: &mut Client) {
    let statements = "CREATE EXTENSION pg_third_party_auth; CREATE ROLE app LOGIN";
    client.batch_execute(statements).expect("the extension");
}

/// What registers an issuer that is found by discovery.
pub fn add_oidc(name: &str, issuer: &str) -> String {
    format!(
        "SELECT third_party_auth.add_oidc('{issuer}', name => '{name}', audiences => '{{{AUDIENCE}}}')"
    )
}

/// What registers an issuer whose keys are at this address.
pub fn add_direct(name: &str, issuer: &str, jwks_uri: &str) -> String {
    let registration = add_oidc(name, issuer);
    let arguments = registration.trim_end_matches(')');
    format!("{arguments}, jwks_uri => '{jwks_uri}')")
}

/// What registers [`PINNED_ISSUER`] as `pinned`, with this key and more arguments.
pub fn add_pinned(signer: &Signer, more: &str) -> String {
    let keys = jwks(&[signer.jwk()]);
    let common = format!("name => 'pinned', audiences => '{{{AUDIENCE}}}', jwks => '{keys}'");
    format!("SELECT third_party_auth.add_oidc('{PINNED_ISSUER}', {common}{more})")
}

/// A server that trusts one pinned key, with lines of configuration and arguments of its provider.
pub fn trusting(name: &str, conf: &[&str], more: &str) -> (Cluster, Signer) {
    let cluster = Cluster::start(name, conf);
    let signer = Signer::new("one");
    let mut client = cluster.superuser();
    create_extension(&mut client);
    client.batch_execute(&add_pinned(&signer, more)).unwrap();
    (cluster, signer)
}

/// A key under a name.
pub struct Signer {
    key: KeyPair,
    kid: String,
}

impl Signer {
    /// A new P-256 key.
    pub fn new(kid: &str) -> Signer {
        Signer::of(KeyPair::p256(), kid)
    }

    /// A new RSA key, for the kinds that sign with RS256 only.
    pub fn rsa(kid: &str) -> Signer {
        Signer::of(KeyPair::rsa(), kid)
    }

    /// A new Ed25519 key.
    pub fn ed25519(kid: &str) -> Signer {
        Signer::of(KeyPair::ed25519(), kid)
    }

    fn of(key: KeyPair, kid: &str) -> Signer {
        let kid = kid.to_owned();
        Signer { key, kid }
    }

    /// Its public half.
    pub fn jwk(&self) -> Value {
        self.key.jwk(&self.kid, Some(self.key.algorithm()))
    }

    /// A token with these claims.
    pub fn token(&self, claims: &Value) -> String {
        self.token_under(&self.kid, claims)
    }

    /// The same that claims to be signed with the key of another id.
    pub fn token_under(&self, kid: &str, claims: &Value) -> String {
        let header = json!({"alg": self.key.algorithm(), "kid": kid, "typ": "JWT"});
        self.key.sign(&header, claims)
    }

    /// A good token of [`PINNED_ISSUER`] with this subject.
    pub fn pinned(&self, subject: &str) -> String {
        let mut claims = claims(PINNED_ISSUER);
        claims["sub"] = json!(subject);
        self.token(&claims)
    }
}

/// The claims of a good token.
pub fn claims(issuer: &str) -> Value {
    json!({
        "iss": issuer, "aud": AUDIENCE, "sub": "ada", "role": "authenticated",
        "iat": now(), "exp": now() + 3600,
    })
}

/// Seconds since 1970.
pub fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970")
        .as_secs()
}

/// Verifies a token outside a request: its subject.
pub fn verify(client: &mut Client, token: &str) -> Result<String, Error> {
    let query = "SELECT verify_third_party_jwt($1)->>'sub'";
    client.query_one(query, &[&token]).map(|row| row.get(0))
}

/// PostgreSQL's `server_version_num`: 180006 is 18.6.
pub fn server_version(client: &mut Client) -> u32 {
    let version = text(client, "SELECT current_setting('server_version_num')");
    let version = version.expect("a version");
    version.parse().expect("a number")
}

/// Makes a session run its queries in parallel workers. The setting's name depends on the version of
/// PostgreSQL.
pub const IN_PARALLEL: &str = "SELECT set_config(name, 'on', false) FROM pg_settings \
     WHERE name IN ('force_parallel_mode', 'debug_parallel_query'); \
     SET max_parallel_workers_per_gather = 2; SET parallel_setup_cost = 0; \
     SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0";

/// SQLSTATE and reason code of a verification that must fail, as `28000 expired`.
pub fn refusal(client: &mut Client, token: &str) -> String {
    let (code, error) = failure(verify(client, token));
    let detail = error.detail().unwrap_or_default();
    let reason = detail.strip_prefix("reason=").unwrap_or(detail);
    format!("{code} {}", reason.split(' ').next().unwrap_or_default())
}

/// The first column of the only row of a query: a text or NULL.
pub fn text(client: &mut Client, query: &str) -> Option<String> {
    row(client, query, &[])
}

/// As [`text`], with arguments.
pub fn row(client: &mut Client, query: &str, arguments: &[&(dyn ToSql + Sync)]) -> Option<String> {
    match client.query_one(query, arguments) {
        Ok(row) => row.get(0),
        Err(error) => panic!("{query}: {error:?}"),
    }
}

/// The subject of the request's token, if it is valid.
pub fn subject(client: &mut Client) -> Option<String> {
    text(client, "SELECT jwt_subject()")
}

/// Sets a setting for the session.
pub fn set(client: &mut Client, name: &str, value: &str) {
    let set = "SELECT set_config($1, $2, false)";
    client.execute(set, &[&name, &value]).expect("set");
}

/// `request.headers` with a bearer token.
pub fn bearer(token: &str) -> String {
    json!({"authorization": format!("Bearer {token}")}).to_string()
}

/// An error as the server reported it.
pub fn report(error: &Error) -> &DbError {
    error
        .as_db_error()
        .unwrap_or_else(|| panic!("not an error of the server: {error:?}"))
}

/// The error of a statement that must fail: its SQLSTATE, and the rest of it.
pub fn failure<T>(result: Result<T, Error>) -> (String, DbError) {
    match result {
        Ok(_) => panic!("an error was expected"),
        Err(error) => {
            let error = report(&error);
            (error.code().code().to_owned(), error.clone())
        }
    }
}

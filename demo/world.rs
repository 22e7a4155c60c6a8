//! The server, the identity providers, and requests as PostgREST makes them.

use crate::cluster::Cluster;
use crate::story::outcome;
use crate::support::{Authority, IdentityProvider};
use crate::tokens::{PROJECT, Tokens};
use postgres::types::ToSql;
use postgres::{Client, Error, SimpleQueryMessage};
use serde_json::{Value, json};
use std::path::PathBuf;

/// Where Supabase Auth publishes its keys, below its host.
const SUPABASE_JWKS: &str = "/auth/v1/.well-known/jwks.json";

/// Everything that the story is played with. The sessions end before the server does.
pub struct World {
    /// A superuser's session.
    pub administrator: Client,
    authenticator: Client,
    last_error: String,
    /// The server.
    pub cluster: Cluster,
    /// Clerk's host.
    pub clerk: IdentityProvider,
    firebase: IdentityProvider,
    _supabase: IdentityProvider,
    authority: Authority,
    /// Keys and tokens.
    pub tokens: Tokens,
}

/// A request of PostgREST.
pub struct Request<'a> {
    role: &'a str,
    token: Option<&'a str>,
    claims: Option<&'a Value>,
}

impl<'a> Request<'a> {
    /// One that runs as this role, without a token.
    pub fn of(role: &'a str) -> Self {
        Request {
            role,
            token: None,
            claims: None,
        }
    }

    /// The same with an `Authorization` header.
    pub fn token(self, token: &'a str) -> Self {
        let token = Some(token);
        Request { token, ..self }
    }

    /// The same with `request.jwt.claims`, which anyone can set.
    pub fn claims(self, claims: &'a Value) -> Self {
        let claims = Some(claims);
        Request { claims, ..self }
    }
}

impl World {
    /// Starts everything.
    pub fn new() -> World {
        let authority = Authority::new();
        let host = || {
            let config = authority.server_config(&["localhost"]);
            IdentityProvider::start_with("localhost", Some(config))
        };
        let (clerk, firebase, supabase) = (host(), host(), host());
        let tokens = Tokens::new(clerk.issuer(), format!("{}/auth/v1", supabase.issuer()));
        clerk.publish(vec![tokens.clerk_jwk()]);
        firebase.publish(vec![tokens.firebase_jwk()]);
        supabase.publish_at(SUPABASE_JWKS, vec![tokens.supabase_jwk()]);
        let ca_file = format!(
            "third_party_auth.ca_file = '{}'",
            authority.ca_file().display()
        );
        let networks = "third_party_auth.allowed_networks = '127.0.0.0/8, ::1/128'";
        let cluster = Cluster::start("demo", &[&ca_file, networks]);
        let mut administrator = cluster.superuser();
        administrator
            .batch_execute(include_str!("schema.sql"))
            .expect("the schema of the demo");
        World {
            authenticator: cluster.connect("authenticator", "postgres"),
            administrator,
            last_error: String::new(),
            cluster,
            clerk,
            firebase,
            _supabase: supabase,
            authority,
            tokens,
        }
    }

    /// A directory that is removed with everything else.
    pub fn directory(&self) -> PathBuf {
        let mut directory = self.authority.ca_file();
        directory.pop();
        directory
    }

    /// What registers the providers.
    pub fn registrations(&self) -> Vec<String> {
        let clerk = self.tokens.clerk_issuer().trim_start_matches("https://");
        let keys = self.firebase.jwks_uri();
        let supabase = self.tokens.supabase_issuer();
        vec![
            format!("SELECT third_party_auth.add_clerk('{clerk}');"),
            format!("SELECT third_party_auth.add_firebase('{PROJECT}', jwks_uri => '{keys}');"),
            format!("SELECT third_party_auth.add_supabase('{supabase}');"),
        ]
    }

    /// Waits for a provider's keys, and says what is there then.
    pub fn wait_for_keys(&mut self, provider: &str) -> String {
        let query = "SELECT format('%s key%s, %s, %s', key_count, \
                     CASE WHEN key_count <> 1 THEN 's' END, \
                     CASE WHEN persisted THEN 'stored' ELSE 'not stored' END, \
                     coalesce(problem, 'no problem')), key_count > 0 AND persisted \
                     FROM third_party_auth.status WHERE provider = $1";
        let mut got = String::new();
        self.cluster
            .eventually("the provider's keys are stored", || {
                let row = self
                    .administrator
                    .query_one(query, &[&provider])
                    .expect("its row");
                got = row.get(0);
                row.get(1)
            });
        got
    }

    /// Runs a statement as PostgREST would, and counts its rows.
    pub fn ask(&mut self, request: &Request<'_>, statement: &str) -> Result<u64, Error> {
        let answer = run(&mut self.authenticator, request, statement);
        if let Err(error) = &answer {
            self.last_error = error.as_db_error().map_or(error.to_string(), |report| {
                format!(
                    "ERROR:  {}: {}\nDETAIL:  {}\nHINT:  {}",
                    report.code().code(),
                    report.message(),
                    report.detail().unwrap_or("-"),
                    report.hint().unwrap_or("-")
                )
            });
        }
        answer
    }

    /// Repeats a request while it cannot be decided.
    pub fn eventually(&mut self, request: &Request<'_>, statement: &str) -> String {
        let mut got = String::new();
        let client = &mut self.authenticator;
        self.cluster.eventually("the request is decided", || {
            got = outcome(&run(client, request, statement));
            !got.starts_with("58000")
        });
        got
    }

    /// The last error of [`World::ask`], as psql shows errors.
    pub fn last_error(&self) -> String {
        self.last_error.clone()
    }

    /// Verifies a token outside a request.
    pub fn verify(&mut self, token: &str) -> Result<String, Error> {
        let query = "SELECT extensions.verify_third_party_jwt($1)::text";
        self.administrator
            .query_one(query, &[&token])
            .map(|row| row.get(0))
    }

    /// The rows of a query whose columns are texts or integers.
    pub fn table(&mut self, query: &str, arguments: &[&(dyn ToSql + Sync)]) -> Vec<Vec<String>> {
        let rows = self.administrator.query(query, arguments).expect("a table");
        let cell = |row: &postgres::Row, column| {
            let text: Result<Option<String>, _> = row.try_get(column);
            match text {
                Ok(text) => text.unwrap_or_else(|| "-".to_owned()),
                Err(_) => row.get::<_, i32>(column).to_string(),
            }
        };
        let cells = |row: &postgres::Row| (0..row.len()).map(|column| cell(row, column)).collect();
        rows.iter().map(cells).collect()
    }
}

fn run(client: &mut Client, request: &Request<'_>, statement: &str) -> Result<u64, Error> {
    let mut headers = json!({"accept": "application/json"});
    if let Some(token) = request.token {
        headers["authorization"] = json!(format!("Bearer {token}"));
    }
    let claims = request.claims.map(Value::to_string).unwrap_or_default();
    let mut transaction = client.transaction()?;
    transaction.execute(
        "SELECT set_config('role', $1, true), set_config('request.headers', $2, true), \
         set_config('request.jwt.claims', $3, true)",
        &[&request.role, &headers.to_string(), &claims],
    )?;
    let messages = transaction.simple_query(statement)?;
    transaction.commit()?;
    Ok(messages
        .iter()
        .map(|message| match message {
            SimpleQueryMessage::CommandComplete(count) => *count,
            _ => 0,
        })
        .sum())
}

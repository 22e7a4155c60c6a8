//! Behind a pooler, where many clients share a few connections, every answer is of the client's own token.

use crate::cluster::Cluster;
use crate::cluster::programs;
use crate::setting::{Signer, add_pinned, bearer, create_extension, failure};
use postgres::types::Type;
use postgres::{Client, NoTls, SimpleQueryMessage};
use std::collections::{HashMap, HashSet};
use std::process::{Child, Command, Stdio};
use std::{fs, thread};

/// Where Debian's package puts it.
const PGBOUNCER: &str = "/usr/sbin/pgbouncer";

/// Of its socket's name only: nothing listens on a network.
const PORT: u16 = 6432;

const CLIENTS: usize = 50;
const CONNECTIONS: usize = 4;
const ROUNDS: usize = 12;

/// What README and docs/direct_connections.md recommend for a pooled role.
const RECOMMENDED: &str = "ALTER ROLE app SET third_party_auth.token_sources = 'request.jwt'; \
                           ALTER ROLE app SET third_party_auth.token_lifetime = 'transaction'";

/// PgBouncer in transaction mode in front of a server. It ends before the server does.
struct Pooler<'a> {
    cluster: &'a Cluster,
    process: Child,
}

impl Pooler<'_> {
    fn start(cluster: &Cluster, connections: usize) -> Pooler<'_> {
        let directory = cluster.directory().display().to_string();
        let file = |name: &str| format!("{directory}/pgbouncer.{name}");
        fs::write(file("users"), "\"app\" \"\"\n").expect("the list of users");
        let configuration = format!(
            "[databases]\npostgres = host={directory} port=5432 dbname=postgres\n\
             [pgbouncer]\npool_mode = transaction\ndefault_pool_size = {connections}\n\
             max_client_conn = 200\nlisten_addr =\nlisten_port = {PORT}\n\
             unix_socket_dir = {directory}\nauth_type = trust\nauth_file = {}\n\
             logfile = {}\npidfile = {}\n",
            file("users"),
            file("log"),
            file("pid"),
        );
        fs::write(file("ini"), configuration).expect("the configuration");
        // The log says what there is to say.
        let process = programs::as_server_user(PGBOUNCER)
            .args(["-q", &file("ini")])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("Debian's package pgbouncer");
        let pooler = Pooler { cluster, process };
        cluster.eventually("pgbouncer answers", || pooler.try_connect().is_ok());
        pooler
    }

    fn try_connect(&self) -> Result<Client, postgres::Error> {
        let mut config = self.cluster.config("app", "postgres");
        config.port(PORT).connect(NoTls)
    }

    fn connect(&self) -> Client {
        self.try_connect().expect("a connection by pgbouncer")
    }
}

impl Drop for Pooler<'_> {
    fn drop(&mut self) {
        // What was started may be the program that became the server's user, so the file is asked.
        let pid = fs::read_to_string(self.cluster.directory().join("pgbouncer.pid"));
        let pid = pid.unwrap_or_else(|_| self.process.id().to_string());
        let _ = Command::new("kill").args(["-TERM", pid.trim()]).status();
        let _ = self.process.wait();
    }
}

/// A server with a note of each owner, which only the owner may see, and PgBouncer's login role.
fn serving(name: &str, owners: &[String]) -> (Cluster, Signer) {
    let cluster = Cluster::start(name, &["log_statement = none"]);
    let signer = Signer::new("one");
    let mut client = cluster.superuser();
    create_extension(&mut client);
    client.batch_execute(&add_pinned(&signer, "")).unwrap();
    client
        .batch_execute(
            "CREATE ROLE authenticated; GRANT authenticated TO app; ALTER ROLE app NOINHERIT; \
             CREATE TABLE note (owner text); ALTER TABLE note ENABLE ROW LEVEL SECURITY; \
             GRANT SELECT ON note TO app, authenticated; \
             CREATE POLICY own ON note USING (owner = jwt_subject())",
        )
        .unwrap();
    let insert = "INSERT INTO note SELECT unnest($1::text[])";
    client.execute(insert, &[&owners]).unwrap();
    (cluster, signer)
}

fn owners() -> Vec<String> {
    (0..CLIENTS).map(|n| format!("owner-{n}")).collect()
}

/// What a client is told about itself in one statement.
#[derive(Debug, PartialEq, Eq)]
struct Identity {
    subject: Option<String>,
    /// The owners of the notes it sees.
    notes: Option<String>,
    role: Option<String>,
}

impl Identity {
    fn of(name: &str, role: &str) -> Identity {
        Identity {
            subject: Some(name.to_owned()),
            notes: Some(name.to_owned()),
            role: Some(role.to_owned()),
        }
    }

    fn nobody() -> Identity {
        Identity {
            subject: None,
            notes: None,
            role: Some("app".to_owned()),
        }
    }
}

/// A client of the pooler.
struct Visitor<'a> {
    pooler: &'a Pooler<'a>,
    client: Client,
    name: &'a str,
    token: String,
    /// The servers' processes that have answered it.
    processes: HashSet<String>,
}

impl<'a> Visitor<'a> {
    fn new(pooler: &'a Pooler<'a>, name: &'a str, token: String) -> Visitor<'a> {
        Visitor {
            pooler,
            client: pooler.connect(),
            name,
            token,
            processes: HashSet::new(),
        }
    }

    fn run(&mut self, statements: &str) {
        self.client
            .batch_execute(statements)
            .unwrap_or_else(|error| panic!("{}: {statements}: {error:?}", self.name));
    }

    /// Its own, by the token it has: bound, and without a named statement, which would be the server
    /// connection's.
    fn authenticate(&mut self) {
        let query = "SELECT third_party_auth.authenticate($1)->>'sub'";
        let row = self
            .client
            .query_typed_one(query, &[(&self.token, Type::TEXT)])
            .unwrap_or_else(|error| panic!("{}: {error:?}", self.name));
        assert_eq!(row.get::<_, &str>(0), self.name);
    }

    fn identity(&mut self) -> Identity {
        let query = "SELECT jwt_subject(), string_agg(owner, ' '), current_user, pg_backend_pid() \
                     FROM note";
        let answers = self.client.simple_query(query).unwrap();
        let row = answers.into_iter().find_map(|answer| match answer {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        let row = row.expect("a row");
        let text = |column: usize| row.get(column).map(str::to_owned);
        self.processes.extend(text(3));
        Identity {
            subject: text(0),
            notes: text(1),
            role: text(2),
        }
    }

    fn is_itself(&mut self) {
        let expected = Identity::of(self.name, "authenticated");
        assert_eq!(self.identity(), expected);
    }

    fn is_nobody(&mut self) {
        assert_eq!(self.identity(), Identity::nobody(), "{}", self.name);
    }

    /// A statement that must fail with this SQLSTATE.
    fn fails(&mut self, statement: &str, code: &str) {
        let (found, _) = failure(self.client.batch_execute(statement));
        assert_eq!(found, code, "{}: {statement}", self.name);
    }
}

/// What a client does in a round, beside being itself.
const HABITS: [fn(&mut Visitor<'_>); 6] = [
    plain,
    fails_in_the_middle,
    rolls_back_across_authenticate,
    discards_everything,
    hangs_up_in_the_middle,
    offers_a_bad_token,
];

fn plain(visitor: &mut Visitor<'_>) {
    visitor.run("BEGIN");
    visitor.is_nobody();
    visitor.authenticate();
    visitor.is_itself();
    visitor.is_itself();
    visitor.run("COMMIT");
    visitor.is_nobody();
}

fn fails_in_the_middle(visitor: &mut Visitor<'_>) {
    visitor.run("BEGIN");
    visitor.authenticate();
    visitor.is_itself();
    visitor.fails("SELECT 1/0", "22012");
    visitor.fails("SELECT jwt_subject()", "25P02");
    visitor.run("ROLLBACK");
    visitor.is_nobody();
}

fn rolls_back_across_authenticate(visitor: &mut Visitor<'_>) {
    visitor.run("BEGIN; SAVEPOINT before");
    visitor.authenticate();
    visitor.is_itself();
    visitor.run("ROLLBACK TO SAVEPOINT before");
    visitor.is_nobody();
    visitor.authenticate();
    visitor.run("SAVEPOINT after");
    visitor.fails("SELECT 1/0", "22012");
    visitor.run("ROLLBACK TO SAVEPOINT after");
    visitor.is_itself();
    visitor.run("ROLLBACK");
    visitor.is_nobody();
}

fn discards_everything(visitor: &mut Visitor<'_>) {
    visitor.run("BEGIN");
    visitor.authenticate();
    visitor.is_itself();
    visitor.run("COMMIT");
    visitor.run("DISCARD ALL");
    visitor.is_nobody();
}

fn hangs_up_in_the_middle(visitor: &mut Visitor<'_>) {
    visitor.run("BEGIN");
    visitor.authenticate();
    visitor.is_itself();
    visitor.client = visitor.pooler.connect();
    visitor.is_nobody();
}

fn offers_a_bad_token(visitor: &mut Visitor<'_>) {
    visitor.run("BEGIN");
    visitor.authenticate();
    let query = "SELECT third_party_auth.authenticate($1)";
    let bad = format!("{}x", visitor.token);
    let refused = visitor.client.query_typed_one(query, &[(&bad, Type::TEXT)]);
    assert_eq!(failure(refused).0, "28000");
    visitor.run("ROLLBACK");
    visitor.is_nobody();
}

/// Never calls authenticate().
fn forgets(visitor: &mut Visitor<'_>) {
    visitor.is_nobody();
    visitor.run("BEGIN");
    visitor.is_nobody();
    visitor.run("SAVEPOINT s; ROLLBACK TO s");
    visitor.is_nobody();
    visitor.run("COMMIT");
    visitor.is_nobody();
}

/// Leaves its token in the connection for whoever comes next, in every way it knows.
fn keeps_its_token_in_the_session(visitor: &mut Visitor<'_>) {
    visitor.run("BEGIN");
    keep(visitor);
    assert_eq!(visitor.identity(), Identity::of(visitor.name, "app"));
    visitor.run("COMMIT");
    visitor.is_nobody();
    keep(visitor);
    visitor.is_nobody();
}

fn keep(visitor: &mut Visitor<'_>) {
    let query = "SELECT set_config('request.jwt', $1, false), set_config('request.headers', $2, false), \
                 set_config('request.jwt.claims', $3, false)";
    let headers = bearer(&visitor.token);
    let claims = format!(
        "{{\"sub\": \"{}\", \"role\": \"authenticated\"}}",
        visitor.name
    );
    let arguments: [(&(dyn postgres::types::ToSql + Sync), Type); 3] = [
        (&visitor.token, Type::TEXT),
        (&headers, Type::TEXT),
        (&claims, Type::TEXT),
    ];
    visitor.client.query_typed_one(query, &arguments).unwrap();
}

#[test]
fn no_answer_ever_belongs_to_another_client_of_a_pooler() {
    let owners = owners();
    let (cluster, signer) = serving("pooler", &owners);
    cluster.superuser().batch_execute(RECOMMENDED).unwrap();
    let pooler = Pooler::start(&cluster, CONNECTIONS);
    let visitors: Vec<_> = owners
        .iter()
        .map(|name| Visitor::new(&pooler, name, signer.pinned(name)))
        .collect();
    let served: Vec<HashSet<String>> = thread::scope(|scope| {
        let visits: Vec<_> = visitors
            .into_iter()
            .enumerate()
            .map(|(number, mut visitor)| {
                scope.spawn(move || {
                    for round in 0..ROUNDS {
                        match number {
                            0 => forgets(&mut visitor),
                            1 => keeps_its_token_in_the_session(&mut visitor),
                            _ => HABITS[(number + round) % HABITS.len()](&mut visitor),
                        }
                    }
                    visitor.processes
                })
            })
            .collect();
        visits
            .into_iter()
            .map(|visit| visit.join().expect("every answer is right"))
            .collect()
    });

    // Otherwise nothing was shown: every client has shared connections with many others.
    let mut clients: HashMap<&str, usize> = HashMap::new();
    for process in served.iter().flatten() {
        *clients.entry(process).or_default() += 1;
    }
    let most = clients.values().copied().max().unwrap_or_default();
    assert!(most > CLIENTS / 4, "{clients:?}");
    assert!(
        served
            .iter()
            .all(|own| own.iter().any(|process| clients[process.as_str()] > 1))
    );
    let log = cluster.log();
    for name in &owners {
        let token = signer.pinned(name);
        // Header and payload are the same for each of its tokens of this second; names are of all.
        let payload = token.split('.').nth(1).expect("a payload");
        assert!(
            !log.contains(payload) && !log.contains(name.as_str()),
            "{log}"
        );
    }
}

#[test]
fn a_token_that_is_set_for_the_session_reaches_other_clients_unless_its_lifetime_is_the_transaction()
 {
    let owners = owners();
    let (cluster, signer) = serving("pooler_session", &owners);
    for recommended in [false, true] {
        if recommended {
            cluster.superuser().batch_execute(RECOMMENDED).unwrap();
        }
        // One connection, so that the next client has it; a new pooler, so that it is a new session.
        let pooler = Pooler::start(&cluster, 1);
        let visitor = |number: usize| {
            let name = &owners[number];
            Visitor::new(&pooler, name, signer.pinned(name))
        };
        let (mut keeper, mut other) = (visitor(0), visitor(1));
        keep(&mut keeper);
        let expected = match recommended {
            true => Identity::nobody(),
            false => Identity::of(&owners[0], "app"),
        };
        assert_eq!(other.identity(), expected, "{recommended}");
        // Who authenticates is safe either way, as far as request.jwt goes.
        other.run("BEGIN; SELECT set_config('request.headers', '', true)");
        other.authenticate();
        other.is_itself();
        other.run("COMMIT");
        assert_eq!(other.identity(), expected, "{recommended}");
    }
}

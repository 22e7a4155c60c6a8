//! How many instructions a policy executes, counted by valgrind: they are the same in every run, where times
//! are not.
//!
//! Each count is the difference between two runs of a server in single-user mode, of which the second does
//! twice as much: what starting a server costs falls out.

use crate::cluster::programs::{as_server_user, bin};
use crate::cluster::{Cluster, Stop};
use crate::common::{Scale, plain, ratio};
use crate::library;
use crate::mint::{self, KeyPair};
use crate::table::{Budget, Table};
use serde_json::{Value, json};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

/// A policy, and a name for its tables.
const POLICIES: [(&str, &str); 7] = [
    ("nothing", "true"),
    ("trivial", "benches.returns_true()"),
    ("is_third_party_jwt", "is_third_party_jwt()"),
    ("second_factor", "jwt_second_factor_verified()"),
    ("constant", "organization_id = 'org_a'"),
    ("organization", "organization_id = jwt_org_id()"),
    (
        "claims",
        "third_party_jwt()->>'iss' = 'https://clerk.example.com'",
    ),
];

/// The function whose instructions are those of a decision.
const DECIDING: &str = "is_third_party_jwt";

/// The figures; none, with a message, where valgrind cannot be installed. They come last: see [`library`].
pub fn measure(scale: Scale) -> Vec<Table> {
    library::install_benches();
    if !is_there("valgrind") || !is_there("callgrind_annotate") {
        eprintln!("valgrind is not installed: instructions are not counted.");
        return Vec::new();
    }
    let rows = scale.of(20_000, 2_000);
    let times = scale.of(50, 5);
    let key = KeyPair::rsa();
    let cluster = Cluster::start("instructions", &["autovacuum = off"]);
    set_up(&cluster, &key, rows);
    cluster.stop(Stop::Fast);
    let counter = Counter { cluster, key };
    vec![counter.rows(rows), counter.decisions(times)]
}

fn is_there(program: &str) -> bool {
    let asked = Command::new(program)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    asked.is_ok()
}

/// A provider, and for each policy a table and one with twice as many rows.
fn set_up(cluster: &Cluster, key: &KeyPair, rows: usize) {
    let jwks = mint::jwks(&[key.jwk("bench", None)]);
    let mut script = vec![
        "CREATE EXTENSION pg_third_party_auth".to_owned(),
        "CREATE ROLE reader".to_owned(),
        "GRANT USAGE ON SCHEMA benches TO reader".to_owned(),
        format!("SELECT third_party_auth.add_clerk('clerk.example.com', jwks => '{jwks}')"),
    ];
    for (name, policy) in POLICIES {
        for rows in [rows, 2 * rows] {
            let table = format!("{name}_{rows}");
            script.push(format!(
                "CREATE TABLE {table} AS SELECT g AS id, 'org_a'::text AS organization_id FROM generate_series(1, {rows}) g"
            ));
            script.push(format!("ALTER TABLE {table} ENABLE ROW LEVEL SECURITY"));
            script.push(format!("CREATE POLICY bench ON {table} USING ({policy})"));
            script.push(format!("GRANT SELECT ON {table} TO reader"));
        }
    }
    script.push("VACUUM FREEZE ANALYZE".to_owned());
    let mut admin = cluster.superuser();
    for statement in script {
        admin.batch_execute(&statement).expect(&statement);
    }
}

/// Counts what a server in single-user mode executes.
struct Counter {
    cluster: Cluster,
    key: KeyPair,
}

impl Counter {
    /// For each policy, what it costs for each row.
    fn rows(&self, rows: usize) -> Table {
        let figures = POLICIES.map(|(name, _)| {
            let [once, twice] = [rows, 2 * rows].map(|rows| {
                let token = self.token(0);
                let count = format!("SELECT count(*) FROM {name}_{rows}");
                let statements = [set_jwt(&token), "SET ROLE reader".to_owned(), count];
                total(&self.run(&statements, &format!("\"{rows}\"")))
            });
            (twice - once) / rows as f64
        });
        let nothing = figures[0];
        let trivial = figures[1] - nothing;
        let mut table = Table {
            id: "instructions_per_row",
            title: "Instructions for each row".to_owned(),
            note: "Counted by valgrind, and above using (true). The ratio is to the least that a function of pgrx can do."
                .to_owned(),
            unit: "instructions",
            rows: vec![plain("a function of pgrx that returns true", trivial)],
        };
        for (&(name, policy), figure) in POLICIES.iter().zip(figures).skip(2) {
            let budget = (name == DECIDING).then_some(Budget::RatioAtMost(1.0));
            let row = ratio(policy, figure - nothing, trivial, budget);
            table.rows.push(row);
        }
        table
    }

    /// What one decision costs, of the function that asks for it and all that it calls.
    fn decisions(&self, times: usize) -> Table {
        let ask = format!("SELECT {DECIDING}()");
        let again = |set: String| {
            [times, 2 * times].map(|times| {
                let mut statements = vec![set.clone()];
                statements.resize(times + 1, ask.clone());
                statements
            })
        };
        let token = self.token(0);
        let by_jwt = again(set_jwt(&token));
        let by_headers = again(set_headers(&token));
        let first = [times, 2 * times].map(|times| {
            let tokens = (0..times).map(|number| [set_jwt(&self.token(number)), ask.clone()]);
            tokens.flatten().collect::<Vec<_>>()
        });
        let mut figures = [by_jwt, by_headers, first].map(|scripts| {
            let [once, twice] =
                scripts.map(|script| inclusive(&self.run(&script, "\"t\""), DECIDING));
            (twice - once) / times as f64
        });
        Table {
            id: "instructions_per_decision",
            title: "Instructions for each decision".to_owned(),
            note: format!(
                "Counted by valgrind: {DECIDING}() and what it calls, without the statement around it."
            ),
            unit: "instructions",
            rows: [
                "the same token in a new statement, by request.jwt",
                "the same token in a new statement, by request.headers",
                "the first sight of a token, RS256",
            ]
            .into_iter()
            .zip(&mut figures)
            .map(|(name, figure)| plain(name, *figure))
            .collect(),
        }
    }

    /// A token that is valid for an hour.
    fn token(&self, number: usize) -> String {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = since.expect("a time after 1970").as_secs();
        let header = json!({"alg": "RS256", "typ": "JWT", "kid": "bench"});
        let claims = claims(now, number);
        self.key.sign(&header, &claims)
    }

    /// Runs these statements, one of which has this in its answer. Where the counts are.
    fn run(&self, statements: &[String], answer: &str) -> PathBuf {
        let counts = self.cluster.directory().join("callgrind.out");
        let mut server = as_server_user("valgrind");
        server
            .args(["--quiet", "--tool=callgrind"])
            .arg(format!("--callgrind-out-file={}", counts.display()))
            .arg(bin().join("postgres"))
            .arg("--single")
            .arg("-D")
            .arg(self.cluster.data())
            .arg("postgres")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut running = server.spawn().expect("valgrind starts");
        let mut input = running.stdin.take().expect("a pipe");
        let script = statements.join("\n") + "\n";
        // The server reads a line when it has answered the one before.
        let writer = std::thread::spawn(move || input.write_all(script.as_bytes()));
        let output = running.wait_with_output().expect("the server ends");
        writer.join().expect("a thread").expect("the server reads");
        let answered = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && answered.contains(answer),
            "{answered}\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
        counts
    }
}

fn set_jwt(token: &str) -> String {
    format!("SET request.jwt = '{token}'")
}

fn set_headers(token: &str) -> String {
    let headers = json!({
        "host": "api.example.com", "accept": "application/json", "user-agent": "bench/1.0",
        "accept-profile": "public", "x-client-info": "supabase-js/2.45.0",
        "authorization": format!("Bearer {token}"), "x-forwarded-for": "192.0.2.1",
    });
    format!("SET request.headers = '{headers}'")
}

fn claims(now: u64, number: usize) -> Value {
    json!({
        "iss": "https://clerk.example.com", "sub": format!("user_{number}"), "sid": "sess_1", "iat": now,
        "exp": now + 3600, "role": "authenticated", "v": 2, "fva": [1, 2],
        "o": {"id": "org_a", "rol": "admin"},
    })
}

/// All instructions of a run.
fn total(counts: &Path) -> f64 {
    let text = std::fs::read_to_string(counts).expect("valgrind has written its counts");
    let summary = text.lines().find_map(|line| line.strip_prefix("totals: "));
    let total = summary.and_then(|total| total.trim().parse().ok());
    total.expect("valgrind writes the total")
}

/// The instructions of a function of the library and of all that it calls.
fn inclusive(counts: &Path, function: &str) -> f64 {
    let mut annotate = Command::new("callgrind_annotate");
    annotate.args([
        "--inclusive=yes",
        "--threshold=100",
        "--show-percs=no",
        "--auto=no",
    ]);
    let output = annotate.arg(counts).output().expect("callgrind_annotate");
    let text = String::from_utf8_lossy(&output.stdout);
    let name = format!(":{function} ");
    let line = text.lines().find(|line| line.contains(&name));
    let count = line.and_then(|line| {
        line.split_whitespace()
            .next()?
            .replace(',', "")
            .parse()
            .ok()
    });
    count.unwrap_or_else(|| panic!("{function} is not among those that were counted"))
}

//! What a decision about a token costs in a backend, as the benches of `benches/in_server` measure it there.
//!
//! The wrappers that `#[pg_bench]` makes are called over a server of the bench's own, which is what
//! `cargo pgrx bench` does too. They take turns, and each figure is the median of the rounds, of which each gives the
//! fastest of its samples.

use crate::cluster::Cluster;
use crate::common::{Backend, Scale, limited, median, medians, plain, ratio};
use crate::library;
use crate::table::{Budget, Table};
use postgres::Client;
use serde_json::Value;
use std::collections::HashMap;

const ALGORITHMS: [&str; 3] = ["RS256", "ES256", "EdDSA"];

/// The figures. They come last: see [`library`].
pub fn measure(scale: Scale) -> Vec<Table> {
    library::install_benches();
    let cluster = Cluster::start("in_process", &[]);
    let create = "CREATE EXTENSION pg_third_party_auth";
    cluster.superuser().batch_execute(create).expect(create);
    keep_tokens(&cluster);
    let mut client = cluster.superuser();
    let mut nanoseconds: HashMap<String, Vec<f64>> = HashMap::new();
    let names = names(&mut client);
    for _ in 0..scale.rounds() {
        for name in &names {
            let figure = run(&mut client, name);
            nanoseconds.entry(name.clone()).or_default().push(figure);
        }
    }
    let figures = Figures(nanoseconds);
    vec![
        signatures(&figures),
        repeated(&figures),
        connections(&cluster, scale),
    ]
}

/// Tokens that other sessions have verified before anything is measured.
fn keep_tokens(cluster: &Cluster) {
    let mut client = cluster.superuser();
    client
        .batch_execute("SELECT benches.keep_tokens()")
        .expect("tokens can be kept");
    for algorithm in ALGORITHMS {
        let seen = client.query_one("SELECT benches.see_tokens($1)", &[&algorithm]);
        let seen: i64 = seen.expect("tokens of another session").get(0);
        assert!(seen > 0, "tokens of {algorithm} were kept");
    }
}

/// The benches that are there.
fn names(client: &mut Client) -> Vec<String> {
    let query = "SELECT substr(proname, length('__pgrx_bench_run_') + 1) FROM pg_proc
         WHERE pronamespace = 'benches'::regnamespace AND starts_with(proname, '__pgrx_bench_run_')
         ORDER BY proname";
    let rows = client.query(query, &[]).expect("the catalog can be read");
    assert!(!rows.is_empty(), "the library has the feature pg_bench");
    rows.iter().map(|row| row.get(0)).collect()
}

/// Calls a bench, and takes back what it has changed. The fastest of its samples, in nanoseconds: they are short, and
/// what others do on the machine meanwhile only adds.
fn run(client: &mut Client, name: &str) -> f64 {
    let mut transaction = client.transaction().expect("a transaction");
    let query = format!("SELECT benches.__pgrx_bench_run_{name}(NULL)::text");
    let row = transaction.query_one(&query, &[]).expect("the bench runs");
    transaction.rollback().expect("a rollback");
    let report: Value = serde_json::from_str(row.get(0)).expect("a report is JSON");
    let samples = report["samples"].as_array().into_iter().flatten();
    let times = samples.filter_map(|sample| {
        Some(sample["elapsed_ns"].as_f64()? / sample["iteration_count"].as_f64()?)
    });
    let fastest = times.min_by(f64::total_cmp);
    fastest.unwrap_or_else(|| panic!("{name}: {}", report["error_text"]))
}

/// What each bench has measured, round by round.
struct Figures(HashMap<String, Vec<f64>>);

impl Figures {
    /// The median of the rounds, in microseconds.
    fn of(&self, name: &str) -> f64 {
        self.median(name, |_, own| own)
    }

    /// The median of the difference to another bench in the same round, in microseconds.
    fn above(&self, name: &str, other: &str) -> f64 {
        let others = &self.0[other];
        self.median(name, |round, own| own - others[round])
    }

    fn median(&self, name: &str, of: impl Fn(usize, f64) -> f64) -> f64 {
        let rounds = self.0[name].iter().enumerate();
        median(rounds.map(|(round, &own)| of(round, own) / 1e3).collect())
    }
}

/// The first decision about a token, beside the bare check of its signature.
fn signatures(figures: &Figures) -> Table {
    let mut rows = Vec::new();
    for algorithm in ALGORITHMS {
        let own = algorithm.to_lowercase();
        let bare = figures.of(&format!("bare_{own}"));
        let unparsed = figures.of(&format!("bare_unparsed_{own}"));
        let first = figures.above(&format!("first_sight_{own}"), "set_request_jwt");
        let elsewhere = figures.above(&format!("seen_elsewhere_{own}"), "set_request_jwt");
        let named = |what: &str| format!("{algorithm}: {what}");
        rows.push(plain(named("the bare check of the crypto library"), bare));
        let name = named("the same, with a key that is read each time");
        rows.push(ratio(name, unparsed, bare, None));
        let budget = Some(Budget::RatioAtMost(1.5));
        rows.push(ratio(
            named("a token that nobody has seen"),
            first,
            bare,
            budget,
        ));
        let name = named("a token that another backend has verified");
        let budget = Some(Budget::RatioAtMost(0.25));
        rows.push(ratio(name, elsewhere, first, budget));
    }
    Table {
        id: "first_sight",
        title: "The first decision about a token in a backend".to_owned(),
        note: "Inside one backend, by the path that policies take, less what setting request.jwt costs. The ratio is \
               to the bare check of the same signatures in the same process; that of a token that another backend has \
               verified is to that of one that nobody has seen."
            .to_owned(),
        unit: "µs",
        rows,
    }
}

/// The decision about a token that this process knows, in a new statement.
fn repeated(figures: &Figures) -> Table {
    let above = |bench| figures.above(bench, "statement_alone");
    Table {
        id: "same_token",
        title: "The same token again, in a new statement".to_owned(),
        note: "Inside one backend: the decision is made anew, about a token that this process has verified before."
            .to_owned(),
        unit: "µs",
        rows: vec![
            limited("by request.jwt", above("again_by_request_jwt"), 2.0),
            limited("by request.headers", above("again_by_request_headers"), 2.0),
        ],
    }
}

/// The first statement of a new connection, which also reads what every decision needs.
fn connections(cluster: &Cluster, scale: Scale) -> Table {
    let query = "SELECT token FROM benches.token WHERE algorithm = 'RS256' LIMIT 1";
    let row = cluster.superuser().query_one(query, &[]);
    let token: String = row.expect("a kept token").get(0);
    let statements = ["SELECT true", "SELECT is_third_party_jwt()"];
    let figures = medians(scale.of(25, 1), statements.len(), |case| {
        let mut backend = Backend::of(cluster.superuser());
        let set = "SELECT set_config('request.jwt', $1, false)";
        backend.client.execute(set, &[&token]).expect(set);
        backend.time(|client| {
            let row = client.query_one(statements[case], &[]);
            assert!(
                row.expect("an answer").get::<_, bool>(0),
                "the token is valid"
            );
        })
    });
    Table {
        id: "first_statement",
        title: "The first statement of a new connection".to_owned(),
        note: "Time of the backend on a CPU, with a token that another backend has verified. The first decision of a \
               backend also reads the tables of the registry."
            .to_owned(),
        unit: "µs",
        rows: vec![
            plain("SELECT true", figures[0]),
            plain("SELECT is_third_party_jwt()", figures[1]),
        ],
    }
}

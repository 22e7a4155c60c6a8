//! `make bench`: what a policy costs per row, as a ratio to `using (true)` in the same run.
//!
//! Every policy stands on a table of its own, with the same rows. The queries take turns, so that
//! whatever else the machine does falls on all of them; each figure is the median of the rounds, in
//! time that the backend spent on a CPU. Ratios are what counts; milliseconds are of this machine.

#[path = "../../tests/support/cluster.rs"]
mod cluster;
#[allow(dead_code)]
mod common;
mod in_process;
mod instructions;
mod library;
#[path = "../../tests/common/mint.rs"]
#[allow(dead_code)]
mod mint;
#[allow(dead_code)]
mod table;

use cluster::Cluster;
use mint::KeyPair;
use postgres::Client;
use serde_json::{Value, json};
use std::fs;

const ROWS: u32 = 1_000_000;
const ROUNDS: usize = 9;
/// Requests in a round.
const REQUESTS: u32 = 2_000;

/// A policy, and what it is compared with.
struct Case {
    name: &'static str,
    policy: &'static str,
    /// The position of the case that it is a multiple of.
    baseline: usize,
    /// The budget for that multiple.
    budget: Option<f64>,
}

const CASES: [Case; 8] = [
    case("using (true)", "true", 0, None),
    case(
        "is_supabase_or_firebase_project_jwt()",
        "is_supabase_or_firebase_project_jwt()",
        0,
        Some(1.4),
    ),
    case(
        "(select is_supabase_or_firebase_project_jwt())",
        "(select is_supabase_or_firebase_project_jwt())",
        0,
        None,
    ),
    case(
        "jwt_second_factor_verified()",
        "jwt_second_factor_verified()",
        0,
        Some(1.4),
    ),
    case(
        "organization_id = 'org_a'",
        "organization_id = 'org_a'",
        0,
        None,
    ),
    case(
        "organization_id = jwt_org_id()",
        "organization_id = jwt_org_id()",
        4,
        Some(2.0),
    ),
    case(
        "third_party_jwt()->>'iss' = '…'",
        "third_party_jwt()->>'iss' = 'https://clerk.example.com'",
        0,
        Some(8.0),
    ),
    case(
        "request.jwt.claims as plain SQL",
        "(nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'iss') \
         = 'https://clerk.example.com'",
        0,
        None,
    ),
];

const fn case(
    name: &'static str,
    policy: &'static str,
    baseline: usize,
    budget: Option<f64>,
) -> Case {
    Case {
        name,
        policy,
        baseline,
        budget,
    }
}

fn main() {
    if std::env::args().any(|argument| argument == "in_server") {
        let scale = common::Scale {
            quick: std::env::args().any(|argument| argument == "--quick"),
        };
        let mut tables = in_process::measure(scale);
        tables.extend(instructions::measure(scale));
        tables.iter().for_each(show);
        return;
    }
    let cluster = Cluster::start(
        "bench",
        &["jit = off", "max_parallel_workers_per_gather = 0"],
    );
    let mut admin = cluster.superuser();
    set_up(&mut admin);
    let pair = KeyPair::rsa();
    register(&mut admin, &pair);

    let mut client = cluster.connect("bench_reader", "postgres");
    let times = measure(&mut client, &pair);
    print(&times);
    drop(client);
    let mut client = cluster.connect("bench_authenticator", "postgres");
    print_request(&measure_requests(&mut client, &pair));
}

fn set_up(admin: &mut Client) {
    let mut script = "CREATE EXTENSION pg_third_party_auth; CREATE ROLE bench_reader LOGIN;
         CREATE ROLE authenticated; CREATE ROLE bench_authenticator LOGIN NOINHERIT;
         GRANT authenticated TO bench_authenticator;"
        .to_owned();
    for (number, case) in CASES.iter().enumerate() {
        script.push_str(&format!(
            "CREATE TABLE t{number} AS SELECT g AS id, md5(g::text) AS title, 'org_a'::text AS organization_id
                 FROM generate_series(1, {ROWS}) g;
             ALTER TABLE t{number} ENABLE ROW LEVEL SECURITY;
             CREATE POLICY bench ON t{number} USING ({policy});
             GRANT SELECT ON t{number} TO bench_reader;",
            policy = case.policy
        ));
    }
    script.push_str("VACUUM ANALYZE");
    for statement in script
        .split(';')
        .filter(|statement| !statement.trim().is_empty())
    {
        admin
            .batch_execute(statement)
            .expect("the tables can be made");
    }
}

fn register(admin: &mut Client, pair: &KeyPair) {
    let jwks = mint::jwks(&[pair.jwk("bench", Some("RS256"))]);
    admin
        .batch_execute(&format!(
            "SELECT third_party_auth.add_clerk('clerk.example.com', jwks => '{jwks}');
             SELECT third_party_auth.add_firebase('bench', jwks => '{jwks}')"
        ))
        .expect("the providers can be registered");
}

/// Milliseconds on a CPU: a list for each case.
fn measure(client: &mut Client, pair: &KeyPair) -> Vec<Vec<f64>> {
    let pid = pid(client);
    let now = now();
    let header = header();
    let clerk = clerk(now);
    let firebase = json!({
        "iss": "https://securetoken.google.com/bench", "aud": "bench", "sub": "u1", "iat": now,
        "auth_time": now, "exp": now + 36_000, "role": "authenticated",
    });
    let mut times = vec![Vec::new(); CASES.len()];
    for round in 0..=ROUNDS {
        for (number, case) in CASES.iter().enumerate() {
            let claims = if case.policy.contains("firebase") {
                &firebase
            } else {
                &clerk
            };
            let token = pair.sign(&header, claims);
            client
                .execute(
                    "SELECT set_config('request.jwt', $1, false), set_config('request.jwt.claims', $2, false)",
                    &[&token, &claims.to_string()],
                )
                .expect("the settings can be set");
            let before = on_cpu(pid);
            let count: i64 = client
                .query_one(&format!("SELECT count(*) FROM t{number}"), &[])
                .expect("the table can be read")
                .get(0);
            assert_eq!(
                count,
                i64::from(ROWS),
                "{} lets every row through",
                case.name
            );
            // The first round only warms up.
            if round > 0 {
                times[number].push(on_cpu(pid) - before);
            }
        }
    }
    times
}

fn pid(client: &mut Client) -> i32 {
    let row = client.query_one("SELECT pg_backend_pid()", &[]);
    row.expect("a pid").get(0)
}

/// Seconds since 1970.
fn now() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.expect("a clock after 1970").as_secs()
}

fn header() -> Value {
    json!({"alg": "RS256", "kid": "bench", "typ": "JWT"})
}

fn clerk(now: u64) -> Value {
    json!({
        "iss": "https://clerk.example.com", "sub": "user_1", "sid": "sess_1", "iat": now,
        "exp": now + 36_000, "role": "authenticated", "v": 2, "fva": [1, 2],
        "o": {"id": "org_a", "rol": "admin"},
    })
}

/// Requests as PostgREST makes them, with a token that was seen before: microseconds on a CPU for one
/// request, first without check_request(), then with it; an entry for each round.
fn measure_requests(client: &mut Client, pair: &KeyPair) -> [Vec<f64>; 2] {
    let pid = pid(client);
    let token = pair.sign(&header(), &clerk(now()));
    let headers = json!({"authorization": format!("Bearer {token}")}).to_string();
    let settings =
        "SELECT set_config('role', 'authenticated', true), set_config('request.headers', $1, true)";
    let settings = client.prepare(settings).expect("a statement");
    let hooks = ["SELECT 1", "SELECT third_party_auth.check_request()"];
    let hooks = hooks.map(|hook| client.prepare(hook).expect("a statement"));
    let mut times = [Vec::new(), Vec::new()];
    for round in 0..=ROUNDS {
        for (hook, times) in hooks.iter().zip(&mut times) {
            let before = on_cpu(pid);
            for _ in 0..REQUESTS {
                let mut request = client.transaction().expect("a transaction");
                request.execute(&settings, &[&headers]).expect("settings");
                request
                    .execute(hook, &[])
                    .expect("the hook lets it through");
                request.commit().expect("a commit");
            }
            if round > 0 {
                times.push((on_cpu(pid) - before) * 1000.0 / f64::from(REQUESTS));
            }
        }
    }
    times
}

fn print_request([without, with]: &[Vec<f64>; 2]) {
    let (without, with) = (median(without), median(with));
    println!("\na request with a token that was seen before, {REQUESTS} requests in each round\n");
    println!(
        "{:<50} {without:>8.1} µs",
        "with SELECT 1 in the place of the hook"
    );
    println!("{:<50} {with:>8.1} µs", "with check_request()");
    let cost = with - without;
    let verdict = if cost > 5.0 { "  over" } else { "" };
    println!(
        "{:<50} {cost:>8.1} µs of 5.0{verdict}",
        "what check_request() costs"
    );
}

/// What a process has spent on a CPU, in milliseconds.
fn on_cpu(pid: i32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/schedstat")).expect("schedstat is readable");
    let nanoseconds: f64 = stat
        .split(' ')
        .next()
        .and_then(|first| first.parse().ok())
        .expect("schedstat begins with a number");
    nanoseconds / 1e6
}

fn median(times: &[f64]) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

fn print(times: &[Vec<f64>]) {
    println!("count(*) over {ROWS} rows, median of {ROUNDS} rounds\n");
    println!(
        "{:<50} {:>8} {:>8} {:>8}",
        "policy, unwrapped unless shown", "ms", "ratio", "budget"
    );
    for (case, own) in CASES.iter().zip(times) {
        let ratio = median(own) / median(&times[case.baseline]);
        let budget = case
            .budget
            .map_or(String::new(), |budget| format!("{budget:.1}"));
        let verdict = match case.budget {
            Some(budget) if ratio > budget => "  over",
            _ => "",
        };
        println!(
            "{:<50} {:>8.1} {ratio:>8.2} {budget:>8}{verdict}",
            case.name,
            median(own)
        );
    }
    println!(
        "\nThe ratio is to using (true); that of jwt_org_id() is to the comparison with a constant."
    );
}

fn show(table: &table::Table) {
    println!("\n{} ({})\n{}\n", table.title, table.unit, table.note);
    for row in &table.rows {
        let ratio = row
            .ratio
            .map_or(String::new(), |ratio| format!("{ratio:.2}"));
        let budget = row.budget.map_or(String::new(), |budget| match budget {
            table::Budget::RatioAtMost(most) => format!("ratio at most {most}"),
            table::Budget::RatioAtLeast(least) => format!("ratio at least {least}"),
            table::Budget::ValueAtMost(most) => format!("at most {most}"),
        });
        println!("{:<60} {:>10.2} {ratio:>6}  {budget}", row.name, row.value);
    }
}

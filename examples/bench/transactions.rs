//! pgbench: transactions that set a token and read one row by its primary key, of a guarded table, of one that no
//! policy protects, and of one whose policies ask nothing.

use crate::cluster::Cluster;
use crate::common::{Scale, medians, plain, ratio};
use crate::pgbench::{self, Run, Script};
use crate::report::whole;
use crate::setting::{self, PINNED_ISSUER, Signer, claims};
use crate::steady::Verifier;
use crate::table::{Budget, Row, Table};
use postgres::Client;
use serde_json::json;
use std::io::Write;

/// How many tokens there are, each of its own user.
const TOKENS: u32 = 100_000;

/// How many clients read tokens from their table.
const CLIENTS: u32 = 8;

/// So much of the throughput must remain.
const BUDGET: Budget = Budget::RatioAtLeast(0.95);

/// What shared memory must hold, and what the tests of the server have: a disk is no part of this.
const SETTINGS: [&str; 4] = [
    "shared_buffers = '512MB'",
    "max_connections = 200",
    "autovacuum = off",
    "synchronous_commit = off",
];

/// How many tables are compared.
pub const SIDES: usize = 3;

/// The table that nothing protects; one with row level security whose policies are constant, because that has its
/// price whatever the policies ask; and the guarded one. They have the same rows.
pub const TABLES: [&str; SIDES] = ["open_note", "constant_note", "note"];

/// What is run, by so many clients, with this variable.
struct Load {
    name: String,
    scripts: [Script; SIDES],
    clients: u32,
    variable: (&'static str, String),
    /// How many of the tokens are in use.
    tokens: usize,
    budget: Option<Budget>,
}

/// The figures.
pub fn measure(scale: Scale) -> Vec<Table> {
    let (cluster, signer) = setting::trusting("bench", &SETTINGS, "");
    let mut admin = cluster.superuser();
    let most = scale.of(TOKENS, 1_000);
    make_tables(&mut admin, most);
    let tokens = tokens(&signer, PINNED_ISSUER, most);
    store_tokens(&mut admin, &tokens);
    admin.batch_execute("VACUUM ANALYZE").expect("vacuumed");
    sees_only_own(&cluster, &tokens[0]);

    let mut loads = Vec::new();
    for clients in [1, 8, 64] {
        loads.push(Load {
            name: format!("one token, {}", counted(clients, "client")),
            scripts: TABLES.map(|table| Script::of_one_token(&cluster, table)),
            clients,
            variable: ("token", tokens[0].clone()),
            tokens: 1,
            budget: Some(BUDGET),
        });
    }
    for count in [1, 1_000, most] {
        // A backend that has not seen the token verifies it; no budget covers a flood of new tokens.
        let budget = (count <= 1_000).then_some(BUDGET);
        loads.push(Load {
            name: format!(
                "{} from a table, {CLIENTS} clients",
                counted(count, "token")
            ),
            scripts: TABLES.map(|table| Script::of_many_tokens(&cluster, table)),
            clients: CLIENTS,
            variable: ("tokens", count.to_string()),
            tokens: count as usize,
            budget,
        });
    }
    loads.dedup_by(|one, other| one.name == other.name);

    let rounds = scale.rounds();
    let mut verifier = Verifier::new(cluster.connect("app", "postgres"));
    let mut on_cpu = vec![Vec::new(); SIDES * loads.len()];
    let per_second = medians(rounds, SIDES * loads.len(), |which| {
        let load = &loads[which / SIDES];
        let variable = (load.variable.0, load.variable.1.as_str());
        let script = &load.scripts[which % SIDES];
        // For each table, although only the guarded one's policies look at tokens: so all begin alike.
        verifier.restore(&tokens[..load.tokens]);
        let Run {
            per_second,
            on_cpu: time,
        } = pgbench::run(
            &cluster,
            script,
            load.clients,
            seconds(load.clients),
            variable,
        );
        on_cpu[which].push(time);
        per_second
    });
    // The first round warmed up.
    let on_cpu = on_cpu
        .into_iter()
        .map(|times| crate::common::median(times[1..].to_vec()));
    let on_cpu: Vec<f64> = on_cpu.collect();

    let named: Vec<(&str, Option<Budget>)> = loads
        .iter()
        .map(|load| (load.name.as_str(), load.budget))
        .collect();
    let note = format!(
        "pgbench -M prepared: BEGIN, the token by set_config(…, true), one row by primary key, COMMIT; {rounds} runs of \
         {} s in turn, of {} s with 64 clients. Guarded: guard_table() and a policy with jwt_subject(). Constant policies: as many of the \
         same kinds, with true and owner <> 'nobody'. Before each run another session has verified the tokens, as far as \
         shared memory has room for them. pgbench shares the processors with the server. {RATIO}",
        seconds(1),
        seconds(64),
    );
    vec![
        Table {
            id: "transactions",
            title: "Transactions per second".to_owned(),
            note,
            unit: "tps",
            rows: rows(&named, &per_second),
        },
        Table {
            id: "transactions_cpu",
            title: "What a transaction takes of the server's processors".to_owned(),
            note: format!(
                "The same runs: time on a CPU of the server's processes, their start included, for one transaction. {RATIO}"
            ),
            unit: "µs",
            rows: rows(
                &named
                    .iter()
                    .map(|(name, _)| (*name, None))
                    .collect::<Vec<_>>(),
                &on_cpu,
            ),
        },
    ]
}

/// How long a run is. A session begins with a decision that reads the registry, and many sessions have the less time
/// each to do anything else.
fn seconds(clients: u32) -> u32 {
    if clients > CLIENTS { 3 } else { 1 }
}

fn counted(number: u32, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {what}{plural}", whole(number.into()))
}

/// What the ratios of [`rows`] are to.
pub const RATIO: &str =
    "The ratio is to the open table; in the last row of each, to the constant policies.";

/// For each name a row for each table, and one that compares the guarded table with row level security alone.
pub fn rows(named: &[(&str, Option<Budget>)], figures: &[f64]) -> Vec<Row> {
    let mut rows = Vec::new();
    for (&(name, budget), figures) in named.iter().zip(figures.chunks(SIDES)) {
        let (open, constant, guarded) = (figures[0], figures[1], figures[2]);
        let row = |what, value, to, budget| ratio(format!("{name}: {what}"), value, to, budget);
        rows.push(plain(format!("{name}: open table"), open));
        rows.push(row("constant policies", constant, open, None));
        rows.push(row("guarded", guarded, open, budget));
        rows.push(row(
            "guarded, to constant policies",
            guarded,
            constant,
            None,
        ));
    }
    rows
}

/// Tokens of this issuer for the users of so many rows.
pub fn tokens(signer: &Signer, issuer: &str, rows: u32) -> Vec<String> {
    let token = |n| {
        let mut claims = claims(issuer);
        claims["sub"] = json!(format!("user_{n}"));
        signer.token(&claims)
    };
    (1..=rows).map(token).collect()
}

/// The tables with so many rows, a user each.
pub fn make_tables(admin: &mut Client, rows: u32) {
    let [open, constant, guarded] = TABLES;
    let mut script = "CREATE TABLE token (id int PRIMARY KEY, token text NOT NULL);".to_owned();
    for table in TABLES {
        script.push_str(&format!(
            "CREATE TABLE {table} (id int PRIMARY KEY, owner text NOT NULL, title text NOT NULL);
            INSERT INTO {table} SELECT g, 'user_' || g, md5(g::text) FROM generate_series(1, {rows}) g;"
        ));
    }
    script.push_str(&format!(
        "ALTER TABLE {constant} ENABLE ROW LEVEL SECURITY;
        CREATE POLICY own ON {constant} USING (owner <> 'nobody');
        CREATE POLICY guard ON {constant} AS RESTRICTIVE USING (true) WITH CHECK (true);
        ALTER TABLE {guarded} ENABLE ROW LEVEL SECURITY;
        CREATE POLICY own ON {guarded} USING (owner = jwt_subject());
        SELECT third_party_auth.guard_table('{guarded}');
        GRANT SELECT ON token, {open}, {constant}, {guarded} TO app"
    ));
    admin.batch_execute(&script).expect("the tables");

    let mut kinds = |table: &str| {
        let query = "SELECT string_agg(kind, ', ' ORDER BY kind) FROM pg_policies, \
                     concat_ws(' ', permissive, cmd, roles, with_check IS NOT NULL) kind WHERE tablename = $1";
        setting::row(admin, query, &[&table])
    };
    assert_eq!(
        kinds(constant),
        kinds(guarded),
        "policies of the same kinds"
    );
}

/// Stores these tokens, in place of what was there.
pub fn store_tokens(admin: &mut Client, tokens: &[String]) {
    let mut transaction = admin.transaction().expect("a transaction");
    transaction
        .execute("DELETE FROM token", &[])
        .expect("emptied");
    let mut copy = transaction
        .copy_in("COPY token FROM STDIN")
        .expect("a COPY");
    for (number, token) in (1_u32..).zip(tokens) {
        writeln!(copy, "{number}\t{token}").expect("a row");
    }
    copy.finish().expect("all rows");
    transaction.commit().expect("a commit");
}

/// The guarded table is guarded, and its policy lets a user's own row through.
pub fn sees_only_own(cluster: &Cluster, token: &str) {
    let mut client = cluster.connect("app", "postgres");
    let count = |client: &mut Client| -> i64 {
        let [.., guarded] = TABLES;
        let query = format!("SELECT count(*) FROM {guarded}");
        client.query_one(&query, &[]).expect("a count").get(0)
    };
    assert_eq!(count(&mut client), 0, "nobody reads it without a token");
    setting::set(&mut client, "request.jwt", token);
    assert_eq!(count(&mut client), 1, "a user reads their own row");
}

//! A parallel scan under a policy of ours: the same answers, and what it takes.

use crate::cases::TRUE;
use crate::common::{Scale, medians, ratio};
use crate::policies::Scans;
use crate::report::whole;
use crate::table::Table;
use postgres::Client;
use std::time::Instant;

/// Policies whose parallel scans are looked at, beside `using (true)`.
const POLICIES: [&str; 2] = [
    "is_supabase_or_firebase_project_jwt()",
    "organization_id = jwt_org_id()",
];

/// Parallel workers; the leader reads too.
const WORKERS: usize = 2;

/// The figures.
pub fn measure(scans: &Scans, scale: Scale) -> Table {
    let mut numbers = vec![TRUE];
    for policy in POLICIES {
        let number = scans.cases.iter().position(|case| case.name == policy);
        numbers.push(number.expect("a policy of that name"));
    }
    let mut session = scans.session();
    // Each policy without workers, then with them.
    let times = medians(scale.rounds(), 2 * numbers.len(), |which| {
        let number = numbers[which / 2];
        let workers = which % 2 * WORKERS;
        let client = &mut session.client;
        // A small table is scanned in parallel too.
        let limit = format!(
            "RESET ROLE; SET max_parallel_workers_per_gather = {workers}; SET parallel_setup_cost = 0; \
             SET min_parallel_table_scan_size = 0"
        );
        client.batch_execute(&limit).expect(&limit);
        scans.bring(client, number);
        assert_eq!(planned_workers(client), workers);
        let start = Instant::now();
        let count = scans.count(client, number);
        let time = start.elapsed();
        assert_eq!(count, scans.rows_of(number), "{workers} workers");
        time.as_secs_f64() * 1e3
    });
    let mut rows = Vec::new();
    for (position, &number) in numbers.iter().enumerate() {
        let name = &scans.cases[number].name;
        for (with, by) in ["by the leader alone", "with workers"].iter().enumerate() {
            let time = times[2 * position + with];
            rows.push(ratio(format!("{name}, {by}"), time, times[with], None));
        }
    }
    Table {
        id: "parallel",
        title: "A parallel scan".to_owned(),
        note: format!(
            "SELECT count(*) over {} rows by the leader alone and with {WORKERS} workers: the same rows, time that \
             passes. The ratio is to true with as many workers.",
            whole(scans.rows[0] as f64)
        ),
        unit: "ms",
        rows,
    }
}

/// How many workers the present role's scan is planned with.
fn planned_workers(client: &mut Client) -> usize {
    let plan = client.query("EXPLAIN SELECT count(*) FROM many", &[]);
    let plan = plan.expect("a plan");
    let lines = plan.iter().map(|row| row.get::<_, String>(0));
    let planned = lines
        .filter_map(|line| line.split("Workers Planned: ").nth(1)?.parse().ok())
        .next();
    planned.unwrap_or(0)
}

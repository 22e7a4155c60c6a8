//! `make bench`: what everything costs, as ratios to what it is compared with in the same run, with the budgets.
//!
//! Each group is a module with one function that measures and hands over tables. A full run writes
//! docs/performance.md and its plots. Ratios are what counts; times are of the machine.

mod arguments;
mod asker;
mod cases;
mod claims;
#[path = "../../tests/support/cluster.rs"]
mod cluster;
mod common;
mod curve;
mod growth;
mod in_process;
mod instructions;
mod library;
mod memory;
#[path = "../../tests/common/mint.rs"]
#[allow(dead_code)]
mod mint;
mod page;
mod parallel;
mod pgbench;
mod plot;
mod policies;
mod report;
mod requests;
mod rotation;
#[path = "../../tests/server/setting.rs"]
#[allow(dead_code)]
mod setting;
mod steady;
#[path = "../../tests/support/mod.rs"]
mod support;
mod table;
mod transactions;

use arguments::{Arguments, USAGE};
use common::Scale;
use curve::Measured;
use page::Machine;
use std::env;
use std::process::ExitCode;
use std::time::Instant;

/// A word, what is measured, and how.
type Group = (&'static str, &'static str, fn(Scale) -> Measured);

/// In the order in which they are measured and printed.
const GROUPS: &[Group] = &[
    ("policies", "per-row cost of policies", |scale| {
        policies::measure(scale).into()
    }),
    ("requests", "what a request costs", |scale| {
        requests::measure(scale).into()
    }),
    ("transactions", "pgbench", |scale| {
        transactions::measure(scale).into()
    }),
    ("rotation", "a new key, also under load", |scale| {
        rotation::measure(scale).into()
    }),
    ("memory", "shared memory, sessions, the library", |scale| {
        memory::measure(scale).into()
    }),
    ("growth", "providers, keys, tokens, sessions", |scale| {
        growth::measure(scale).into()
    }),
    // Last: from here on the library with its benches is installed.
    ("in_process", "first sight, the same token again", |scale| {
        in_process::measure(scale).into()
    }),
    ("instructions", "instructions, by valgrind", |scale| {
        instructions::measure(scale).into()
    }),
];

fn main() -> ExitCode {
    let known: Vec<&str> = GROUPS.iter().map(|&(name, ..)| name).collect();
    let arguments = match Arguments::parse(env::args().skip(1), &known) {
        Ok(arguments) => arguments,
        Err(problem) => {
            eprintln!("{problem}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    if arguments.help {
        println!("{USAGE}\nGroups:");
        for (name, what, _) in GROUPS {
            println!("  {name:<14}{what}");
        }
        return ExitCode::SUCCESS;
    }

    let machine = Machine::here();
    if arguments.writes()
        && let Err(problem) = page::check(&machine)
    {
        eprintln!("{problem}");
        return ExitCode::FAILURE;
    }
    let scale = Scale {
        quick: arguments.quick,
    };
    let mut all = Measured::default();
    for (name, _, measure) in GROUPS.iter().filter(|(name, ..)| arguments.wants(name)) {
        let start = Instant::now();
        let measured = measure(scale);
        for table in &measured.tables {
            println!("{}", report::text(table));
        }
        println!("({name}: {:.0} s)\n", start.elapsed().as_secs_f64());
        all.tables.extend(measured.tables);
        all.curves.extend(measured.curves);
    }
    let rows = all.tables.iter().flat_map(|table| &table.rows);
    let over = rows.filter(|row| report::is_over(row)).count();
    println!("{over} over budget");
    if !arguments.writes() {
        return ExitCode::SUCCESS;
    }
    let is_part = scale.quick || !arguments.groups.is_empty();
    match page::write(&machine, &all, is_part) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::FAILURE
        }
    }
}

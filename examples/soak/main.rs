//! `make soak MINUTES=20`: everything at once, for as long as it is told. Sessions verify tokens all the time,
//! while keys rotate and are revoked, the identity provider misbehaves, floods come, processes are killed, settings
//! change, and databases, extensions and providers come and go. At the end: a table, and status 0 only if no answer
//! was wrong, nothing crashed that was not killed, and memory and descriptors did not grow.
//!
//! Calm times alternate with those in which processes are killed: only what lives long can be seen to grow.
//!
//! `SEED=…` repeats the order of events; their times are the machine's.

#[path = "../../tests/support/cluster.rs"]
mod cluster;
mod events;
#[path = "../../tests/support/invariants.rs"]
#[allow(dead_code)]
mod invariants;
#[path = "../../tests/support/load.rs"]
#[allow(dead_code)]
mod load;
#[path = "../../tests/common/mint.rs"]
#[allow(dead_code)]
mod mint;
mod report;
mod resources;
#[path = "../../tests/server/setting.rs"]
#[allow(dead_code)]
mod setting;
#[path = "../../tests/support/mod.rs"]
mod support;

use events::World;
use load::{Load, Tally};
use report::Report;
use resources::Resources;
use std::env;
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Sessions that ask all the time.
const SESSIONS: u64 = 6;

/// How many answers come between two events.
const ANSWERS_BETWEEN: u64 = 400;

/// How many times are calm, each as long as the time of kills that follows it.
const CALM_TIMES: f64 = 2.0;

fn main() -> ExitCode {
    let minutes: f64 = match env::args().nth(1).map(|text| text.parse()) {
        None => 20.0,
        Some(Ok(minutes)) if minutes > 0.0 => minutes,
        Some(_) => {
            eprintln!("usage: soak [MINUTES]");
            return ExitCode::from(2);
        }
    };
    let seed = env::var("SEED").ok().and_then(|text| text.parse().ok());
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
    let seed = seed.unwrap_or_else(|| since_epoch.map_or(1, |time| time.as_secs()));
    println!("{minutes} minutes, SEED={seed}");

    let mut world = World::new(seed);
    let load = Load::start(world.user(), SESSIONS, &world.pool);
    let mut resources = Resources::default();
    let mut tally = Tally::default();
    let start = Instant::now();
    let whole = Duration::from_secs_f64(minutes * 60.0);
    while start.elapsed() < whole {
        load.answers_more(ANSWERS_BETWEEN);
        let passed = start.elapsed().as_secs_f64() / whole.as_secs_f64();
        let is_calm = (passed * CALM_TIMES).fract() < 0.5;
        let happened = world.something_happens(&load, is_calm);
        resources.look(&mut world);
        add(&mut tally, load.take());
        println!("{:>6.0} s  {happened}", start.elapsed().as_secs_f64());
        if !tally.wrong.is_empty() {
            break;
        }
    }
    world.calm_down();
    load.answers_more(ANSWERS_BETWEEN);
    add(&mut tally, load.stop());
    let report = Report::of(&world, &tally, &resources, start.elapsed());
    println!("\n{report}");
    match report.is_good() {
        true => ExitCode::SUCCESS,
        false => {
            println!("\nThe end of the server's log:");
            let log = world.setting.cluster.log();
            let lines: Vec<&str> = log.lines().collect();
            for line in &lines[lines.len().saturating_sub(40)..] {
                println!("{line}");
            }
            ExitCode::FAILURE
        }
    }
}

/// Latencies are not kept: an hour has millions.
fn add(all: &mut Tally, more: Tally) {
    all.right += more.right;
    all.wrong.extend(more.wrong);
    for (event, count) in more.events {
        *all.events.entry(event).or_default() += count;
    }
}

//! The table at the end.

use crate::events::World;
use crate::load::Tally;
use crate::resources::Resources;
use std::fmt;
use std::time::Duration;

/// How much a process may grow once it is warm: an allocator gives nothing back.
const KILOBYTES: u64 = 8 * 1024;
const DESCRIPTORS: u64 = 16;

/// What is counted, and whether it is as it must be.
pub struct Report {
    lines: Vec<(String, String)>,
    problems: Vec<String>,
}

impl Report {
    /// Of all that has happened.
    pub fn of(world: &World, tally: &Tally, resources: &Resources, time: Duration) -> Report {
        let mut report = Report {
            lines: Vec::new(),
            problems: Vec::new(),
        };
        report.line("time", format!("{:.0} s", time.as_secs_f64()));
        for (what, count) in &world.counts {
            report.line(what, count);
        }
        report.line("right answers", tally.right);
        for (event, count) in &tally.events {
            report.line(&format!("  neither right nor wrong: {event}"), count);
        }
        report.must_be_none("wrong answers", tally.wrong.len() as u64);
        report.problems.extend(tally.wrong.iter().take(10).cloned());

        let log = world.setting.cluster.log();
        let signals = log.matches("was terminated by signal").count() as u64;
        report.must_be_none(
            "crashes that were no kills",
            signals.saturating_sub(world.kills),
        );
        report.must_be_none("PANIC", log.matches("PANIC:").count() as u64);
        let odd_exits = log
            .lines()
            .filter_map(|line| line.split("exited with exit code ").nth(1))
            .filter(|code| !matches!(code.trim(), "0" | "1"));
        report.must_be_none("processes with an odd exit code", odd_exits.count() as u64);
        let begun = log.matches("safe mode, nothing is fetched").count() as u64;
        report.must_be_none("safe modes", begun);
        // Each start of the server begins with a full budget.
        let starts = 1 + world.kills + world.counts.get("an immediate restart").unwrap_or(&0);
        let budget = time.as_secs() / 10 + 5 * starts;
        for (what, fetches) in [
            ("discovery", world.setting.idp.discovery_fetches()),
            ("keys", world.setting.idp.fetches()),
        ] {
            report.line(
                &format!("fetches of {what}"),
                format!("{fetches} (budget {budget})"),
            );
            if fetches as u64 > budget {
                let problem = format!("more fetches of {what} than the budget");
                report.problems.push(problem);
            }
        }
        for what in ["fetcher", "session"] {
            let (kilobytes, descriptors) = resources.growth(what);
            let oldest = resources.oldest(what).as_secs();
            report.line(
                &format!("growth of a {what}, watched for up to {oldest} s"),
                format!("{kilobytes} kB, {descriptors} descriptors"),
            );
            if kilobytes > KILOBYTES || descriptors > DESCRIPTORS {
                report.problems.push(format!("a {what} grows"));
            }
        }
        report
    }

    /// Whether everything is as it must be.
    pub fn is_good(&self) -> bool {
        self.problems.is_empty()
    }

    fn line(&mut self, what: &str, value: impl fmt::Display) {
        self.lines.push((what.to_owned(), value.to_string()));
    }

    fn must_be_none(&mut self, what: &str, count: u64) {
        self.line(what, count);
        if count != 0 {
            self.problems.push(format!("{what}: {count}"));
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (what, value) in &self.lines {
            writeln!(f, "{what:<60} {value}")?;
        }
        if self.problems.is_empty() {
            return writeln!(f, "everything is as it must be");
        }
        self.problems
            .iter()
            .try_for_each(|problem| writeln!(f, "NOT AS IT MUST BE: {problem}"))
    }
}

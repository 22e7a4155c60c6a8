//! How things are measured: time on a CPU, rounds in which the cases take turns, medians.

use crate::table::{Budget, Row};
use postgres::Client;
use std::fs;

/// How much is done.
#[derive(Clone, Copy)]
pub struct Scale {
    /// Only so much that it is seen to work.
    pub quick: bool,
}

impl Scale {
    /// So much in a full run, so much in a quick one.
    pub fn of<T>(self, full: T, quick: T) -> T {
        if self.quick { quick } else { full }
    }

    /// How many rounds there are, beside the one that warms up.
    pub fn rounds(self) -> usize {
        self.of(9, 1)
    }

    /// The same for what takes milliseconds: more and shorter ones.
    pub fn slices(self) -> usize {
        self.of(31, 3)
    }
}

/// A session and the process that serves it.
pub struct Backend {
    /// The session.
    pub client: Client,
    pid: i32,
}

impl Backend {
    /// Of this session.
    pub fn of(mut client: Client) -> Backend {
        let row = client.query_one("SELECT pg_backend_pid()", &[]);
        let pid = row.expect("a process id").get(0);
        Backend { client, pid }
    }

    /// Its process id.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// What the process spends on a CPU for this, in microseconds. What others do on the machine counts
    /// only as far as it gets into its caches.
    pub fn time(&mut self, work: impl FnOnce(&mut Client)) -> f64 {
        let before = on_cpu(self.pid);
        work(&mut self.client);
        on_cpu(self.pid) - before
    }
}

/// What a process has spent on a CPU, in microseconds.
fn on_cpu(pid: i32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/schedstat")).expect("schedstat is readable");
    let nanoseconds = stat.split(' ').next().and_then(|first| first.parse().ok());
    let nanoseconds: f64 = nanoseconds.expect("schedstat begins with a number");
    nanoseconds / 1e3
}

/// Measures each of so many cases once a round, one after the other, so that whatever else the machine
/// does falls on all of them. The median of each; the first round only warms up.
pub fn medians(rounds: usize, cases: usize, mut measure: impl FnMut(usize) -> f64) -> Vec<f64> {
    let mut figures = vec![Vec::new(); cases];
    for round in 0..=rounds {
        for (case, figures) in figures.iter_mut().enumerate() {
            let figure = measure(case);
            if round > 0 {
                figures.push(figure);
            }
        }
    }
    figures.into_iter().map(median).collect()
}

/// What a question costs.
pub struct Cost {
    /// Without it.
    pub without: f64,
    /// With it.
    pub with: f64,
    /// The median of the differences, each between two that were measured one right after the other.
    pub difference: f64,
}

/// Measures each of so many cases without the question and with it, as [`medians`] does; which of the two comes first
/// alternates.
pub fn costs(
    rounds: usize,
    cases: usize,
    mut measure: impl FnMut(usize, bool) -> f64,
) -> Vec<Cost> {
    let mut pairs = vec![Pairs::default(); cases];
    for round in 0..=rounds {
        for (case, pairs) in pairs.iter_mut().enumerate() {
            // What runs right after something else may find the processor in another mood.
            let asks_first = round % 2 == 1;
            let mut pair = [asks_first, !asks_first].map(|asks| measure(case, asks));
            if asks_first {
                pair.reverse();
            }
            if round > 0 {
                pairs.add(pair);
            }
        }
    }
    pairs.into_iter().map(Pairs::cost).collect()
}

/// What was measured without the question and with it, one right after the other.
#[derive(Default, Clone)]
pub struct Pairs(Vec<[f64; 2]>);

impl Pairs {
    /// One more.
    pub fn add(&mut self, pair: [f64; 2]) {
        self.0.push(pair);
    }

    /// The medians.
    pub fn cost(self) -> Cost {
        let of = |figure: fn(&[f64; 2]) -> f64| median(self.0.iter().map(figure).collect());
        Cost {
            without: of(|pair| pair[0]),
            with: of(|pair| pair[1]),
            difference: of(|pair| pair[1] - pair[0]),
        }
    }
}

/// The one in the middle.
pub fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// A figure without a comparison.
pub fn plain(name: impl Into<String>, value: f64) -> Row {
    Row {
        name: name.into(),
        value,
        ratio: None,
        budget: None,
    }
}

/// A figure as a multiple of another one.
pub fn ratio(name: impl Into<String>, value: f64, to: f64, budget: Option<Budget>) -> Row {
    Row {
        name: name.into(),
        value,
        ratio: Some(value / to),
        budget,
    }
}

/// A figure that may be so much at most.
pub fn limited(name: impl Into<String>, value: f64, at_most: f64) -> Row {
    Row {
        name: name.into(),
        value,
        ratio: None,
        budget: Some(Budget::ValueAtMost(at_most)),
    }
}

//! What processes hold: memory and descriptors.

use crate::events::World;
use crate::setting::text;
use postgres::Client;
use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

/// A process that has been looked at less often than this is still warming up.
const WARM: u32 = 5;

/// What a process held when it was warm, and the most since.
#[derive(Clone, Copy)]
struct Watched {
    since: Instant,
    last: Instant,
    looks: u32,
    kilobytes: (u64, u64),
    descriptors: (u64, u64),
}

/// The fetchers, and the sessions that lived through it all between two crashes.
#[derive(Default)]
pub struct Resources {
    processes: BTreeMap<(&'static str, i32), Watched>,
    session: Option<Client>,
}

impl Resources {
    /// Looks at the fetcher, and at a session that verifies a token now and then.
    pub fn look(&mut self, world: &mut World) {
        if self.session.as_ref().is_none_or(Client::is_closed) {
            self.session = Some(world.client());
        }
        let Some(session) = &mut self.session else {
            return;
        };
        let set = "SELECT set_config('request.jwt', $1, false), is_third_party_jwt()";
        let ids = "SELECT pg_backend_pid() || ' ' || coalesce(pid, 0) FROM third_party_auth.worker";
        // It may have died with the others a moment ago. Keys may be out of reach.
        let _ = session.execute(set, &[&world.newest_token()]);
        let Ok(row) = session.query_opt(ids, &[]) else {
            self.session = None;
            return;
        };
        let ids: String = row.map(|row| row.get(0)).unwrap_or_default();
        let _ = text(session, "SELECT count(*)::text FROM third_party_auth.stats");
        let mut ids = ids.split(' ').filter_map(|id| id.parse().ok());
        for what in ["session", "fetcher"] {
            if let Some(pid) = ids.next().filter(|&pid| pid != 0) {
                self.note(what, pid);
            }
        }
    }

    fn note(&mut self, what: &'static str, pid: i32) {
        let (Some(kilobytes), Some(descriptors)) = (anonymous_memory(pid), descriptors(pid)) else {
            return;
        };
        let one = self.processes.entry((what, pid)).or_insert(Watched {
            since: Instant::now(),
            last: Instant::now(),
            looks: 0,
            kilobytes: (0, 0),
            descriptors: (0, 0),
        });
        one.last = Instant::now();
        one.looks += 1;
        if one.looks <= WARM {
            one.kilobytes = (kilobytes, kilobytes);
            one.descriptors = (descriptors, descriptors);
        }
        one.kilobytes.1 = one.kilobytes.1.max(kilobytes);
        one.descriptors.1 = one.descriptors.1.max(descriptors);
    }

    /// The most that any process of this sort has grown since it was warm: kilobytes, descriptors.
    pub fn growth(&self, what: &str) -> (u64, u64) {
        let of_sort = self.processes.iter().filter(|((sort, _), _)| *sort == what);
        of_sort.fold((0, 0), |most, (_, one)| {
            (
                most.0.max(one.kilobytes.1 - one.kilobytes.0),
                most.1.max(one.descriptors.1 - one.descriptors.0),
            )
        })
    }

    /// For how long a process of this sort was watched, at most.
    pub fn oldest(&self, what: &str) -> Duration {
        let of_sort = self.processes.iter().filter(|((sort, _), _)| *sort == what);
        let ages = of_sort.map(|(_, one)| one.last - one.since);
        ages.max().unwrap_or_default()
    }
}

/// Memory that is the process' own.
fn anonymous_memory(pid: i32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"))?;
    line.split_whitespace().next()?.parse().ok()
}

fn descriptors(pid: i32) -> Option<u64> {
    Some(fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count() as u64)
}

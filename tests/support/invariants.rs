//! What holds after every fault, whatever it was.

use super::cluster::Cluster;
use super::cluster::programs::ask;
use std::process::Command;

/// Processes of the extension that hold what would keep others waiting. The fetcher is in no view of
/// PostgreSQL but `pg_locks`.
const HELD: &str = "
    SELECT (SELECT count(*) FROM pg_stat_activity
            WHERE backend_type LIKE 'pg_third_party_auth%'
            AND (backend_xmin IS NOT NULL OR backend_xid IS NOT NULL))
         + (SELECT count(*) FROM pg_locks l
            WHERE l.pid = (SELECT pid FROM third_party_auth.worker)
            OR l.pid IN (SELECT pid FROM pg_stat_activity
                         WHERE backend_type LIKE 'pg_third_party_auth%'))";

/// A server that is watched from a moment on.
pub struct Invariants {
    postmaster: i32,
}

impl Invariants {
    /// From now on.
    pub fn of(cluster: &Cluster) -> Invariants {
        let postmaster = cluster.postmaster();
        Invariants { postmaster }
    }

    /// Panics unless the server still runs under the same process id, none of its processes crashed but
    /// those that the test killed (`kills` in the life of the server), one fetcher runs and is awake, and
    /// no process of the extension holds a snapshot or a lock. The extension is in the database postgres.
    pub fn hold(&self, cluster: &Cluster, kills: usize) {
        assert_eq!(cluster.postmaster(), self.postmaster, "another postmaster");
        let log = cluster.log();
        let signals = log.matches("was terminated by signal").count();
        assert_eq!(signals, kills, "crashes\n{log}");
        assert!(!log.contains("PANIC:"), "{log}");
        for line in log.lines() {
            let code = line.split("exited with exit code ").nth(1);
            let is_clean = code.is_none_or(|code| code.trim() == "0" || code.trim() == "1");
            assert!(is_clean, "{line}");
        }
        let mut client = cluster.superuser();
        let awake =
            "SELECT coalesce(bool_or(heartbeat_age < 3), false) FROM third_party_auth.worker";
        cluster.eventually("the fetcher is awake", || {
            client.query_one(awake, &[]).expect("its row").get(0)
        });
        assert_eq!(fetchers(self.postmaster), 1, "fetchers");
        // A sync worker holds both for as long as its short transaction takes.
        cluster.eventually("no process of the extension holds anything", || {
            let held: i64 = client.query_one(HELD, &[]).expect("a count").get(0);
            held == 0
        });
    }
}

/// How many fetchers a postmaster has.
pub fn fetchers(postmaster: i32) -> usize {
    children(postmaster, "pg_third_party_auth fetcher").len()
}

/// The children of a process whose titles contain this text.
pub fn children(parent: i32, title: &str) -> Vec<i32> {
    let mut ps = Command::new("ps");
    let listed = ask(ps.args(["-o", "pid=,args=", "--ppid", &parent.to_string()]));
    let matching = listed.lines().filter(|line| line.contains(title));
    matching
        .filter_map(|line| line.split_whitespace().next()?.parse().ok())
        .collect()
}

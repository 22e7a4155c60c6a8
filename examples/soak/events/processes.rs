//! Processes that are killed, terminated and started again.

use super::World;
use crate::cluster::Stop;
use crate::cluster::programs::signal;
use crate::invariants::children;
use crate::setting::{Signer, add_pinned, text};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

/// Three fetchers within a minute that are killed while they fetch mean that no more is fetched. The time from
/// the beginning of a fetch to the next start does not count into that minute. What else is killed, or stopped
/// at once, is not the fetcher's fault: it happens as often as it comes.
const BETWEEN_BLAMES: Duration = Duration::from_secs(40);

/// How long a sync worker is waited for that is about to start: shorter than sessions wait for a lock.
const SOON: Duration = Duration::from_secs(1);

impl World {
    /// A session in the middle of its work, or one of the server's own processes.
    pub(super) fn killed_process(&mut self) -> &'static str {
        let of_a_session = self.next(4) != 0;
        let types = match of_a_session {
            true => "'client backend'",
            false => "'checkpointer', 'background writer', 'walwriter', 'autovacuum launcher'",
        };
        self.kill(self.any_process(types));
        match of_a_session {
            true => "a killed session",
            false => "a killed process of the server",
        }
    }

    pub(super) fn killed_fetcher(&mut self) -> &'static str {
        let may_kill = self.last_blame.elapsed() > BETWEEN_BLAMES;
        let Some(fetcher) = self.fetcher().filter(|_| may_kill) else {
            return self.killed_process();
        };
        self.kill(fetcher);
        self.last_blame = Instant::now();
        "a killed fetcher"
    }

    pub(super) fn immediate_restart(&mut self) -> &'static str {
        self.cluster().restart(Stop::Immediate);
        "an immediate restart"
    }

    pub(super) fn worker_restart(&mut self) -> &'static str {
        let restart = "SELECT third_party_auth.restart_worker()";
        self.client().batch_execute(restart).expect(restart);
        "a restart of the worker"
    }

    pub(super) fn terminated_fetcher(&mut self) -> &'static str {
        let Some(fetcher) = self.fetcher() else {
            return self.worker_restart();
        };
        signal("TERM", fetcher);
        "a terminated fetcher"
    }

    pub(super) fn terminated_session(&mut self) -> &'static str {
        // Not one that is watched.
        let session = self.any_process("'client backend') AND usename IN ('app'");
        let terminate = format!("SELECT pg_terminate_backend({session})");
        self.client()
            .batch_execute(&terminate)
            .expect("a terminated session");
        "a terminated session"
    }

    /// One that a registration has called for. It lives for milliseconds, unless somebody locks the providers.
    pub(super) fn terminated_sync(&mut self) -> &'static str {
        let (mut client, mut registering) = (self.client(), self.client());
        let register = format!("BEGIN; {}", add_pinned(&Signer::new("pinned"), ""));
        registering.batch_execute(&register).expect("registered");
        let mut locking = self.client();
        let locked = thread::spawn(move || {
            let lock = "BEGIN; LOCK TABLE third_party_auth.provider";
            locking.batch_execute(lock).map(|()| locking)
        });
        let waits = "SELECT count(*)::text FROM pg_locks WHERE NOT granted \
                     AND mode = 'AccessExclusiveLock' \
                     AND relation = 'third_party_auth.provider'::regclass";
        self.cluster().eventually("somebody waits for a lock", || {
            text(&mut client, waits).as_deref() == Some("1")
        });
        registering.batch_execute("COMMIT").expect("committed");
        let locked = locked.join().expect("a session").expect("the lock");
        let postmaster = self.cluster().postmaster();
        let deadline = Instant::now() + SOON;
        let mut is_met = false;
        while !is_met && Instant::now() < deadline {
            let workers = children(postmaster, "pg_third_party_auth sync");
            is_met = workers.iter().any(|&pid| is_terminated(pid));
        }
        drop(locked);
        let remove = "SELECT third_party_auth.remove_provider('pinned')";
        client.batch_execute(remove).expect("removed");
        match is_met {
            true => "a terminated sync worker",
            // The fetcher, which starts them, may be on its way back.
            false => "locked providers",
        }
    }

    fn fetcher(&self) -> Option<i32> {
        let pid = "SELECT pid::text FROM third_party_auth.worker";
        text(&mut self.client(), pid).and_then(|pid| pid.parse().ok())
    }

    /// A process of one of these types, other than that of the session that asks.
    fn any_process(&self, types: &str) -> i32 {
        let query = format!(
            "SELECT pid::text FROM pg_stat_activity WHERE pid <> pg_backend_pid() \
             AND backend_type IN ({types}) ORDER BY random() LIMIT 1"
        );
        let mut pid = None;
        let mut client = self.client();
        // After a crash the others take a moment to come back.
        self.cluster().eventually("there is such a process", || {
            let row = client.query_opt(&query, &[]).expect("a process");
            pid = row.and_then(|row| row.get::<_, String>(0).parse().ok());
            pid.is_some()
        });
        pid.expect("a process id")
    }

    fn kill(&mut self, pid: i32) {
        let line = "all server processes terminated; reinitializing";
        let before = self.cluster().log().matches(line).count();
        signal("KILL", pid);
        self.kills += 1;
        self.cluster()
            .eventually("the server starts its processes again", || {
                self.cluster().log().matches(line).count() > before
            });
        drop(self.client());
    }
}

/// Sends SIGTERM; false if the process is gone already.
fn is_terminated(pid: i32) -> bool {
    let mut kill = Command::new("kill");
    kill.args(["-s", "TERM", &pid.to_string()])
        .output()
        .is_ok_and(|output| output.status.success())
}

//! A PostgreSQL server of a test's own: made, started, and removed again.
//!
//! `PG_BIN` says where PostgreSQL is; without it `$PG_CONFIG --bindir` does. Root lets the user
//! `PG_RUN_AS` (default: postgres) run the server, because `initdb` refuses root.
#![allow(dead_code)]

pub mod programs;

use postgres::{Client, Config, NoTls};
use programs::{run, server_command};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{self, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// The extension's name, and its library's.
pub const EXTENSION: &str = "pg_third_party_auth";

/// How long [`Cluster::eventually`] waits for a condition, on a machine under load too.
const PATIENCE: Duration = Duration::from_secs(20);

/// How often it looks.
const STEP: Duration = Duration::from_millis(25);

/// How a server is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// In order, with a checkpoint.
    Fast,
    /// As after a power cut.
    Immediate,
}

/// A server with its own directory: data, log and socket.
pub struct Cluster {
    directory: PathBuf,
    /// What the server finds in its environment besides.
    environment: Vec<(String, String)>,
}

impl Cluster {
    /// A new server with these lines in its `postgresql.conf`, listening on a socket only. The library
    /// is preloaded unless a line says otherwise.
    pub fn start(name: &str, conf: &[&str]) -> Cluster {
        Cluster::start_in(name, conf, &[])
    }

    /// The same in an environment with these variables.
    pub fn start_in(name: &str, conf: &[&str], environment: &[(&str, &str)]) -> Cluster {
        let cluster = Cluster::made(name, conf, environment);
        cluster.start_again();
        cluster
    }

    /// The same, not started.
    pub fn made(name: &str, conf: &[&str], environment: &[(&str, &str)]) -> Cluster {
        let mut cluster = Cluster::in_new_directory(name);
        let owned = |&(name, value): &(&str, &str)| (name.to_owned(), value.to_owned());
        cluster.environment = environment.iter().map(owned).collect();
        let options = "-A trust -U postgres -N -E UTF8 --no-locale -D".split(' ');
        run(server_command("initdb").args(options).arg(cluster.data()));
        let preload = format!("shared_preload_libraries = '{EXTENSION}'");
        let ours = [preload.as_str(), "port = 5432", "fsync = off", "jit = off"];
        cluster.configure(&ours);
        cluster.configure(conf);
        cluster
    }

    /// A standby that streams from this server.
    pub fn standby(&self, name: &str, conf: &[&str]) -> Cluster {
        let standby = self.backup(name, &["-R"]);
        standby.configure(conf);
        standby.start_again();
        standby
    }

    /// A copy of this server as it is now, not started, with more options of `pg_basebackup`.
    pub fn backup(&self, name: &str, options: &[&str]) -> Cluster {
        let copy = Cluster::in_new_directory(name);
        let mut backup = server_command("pg_basebackup");
        backup.args("-X stream -c fast -N -U postgres".split(' '));
        backup.args(options).arg("-h").arg(&self.directory);
        run(backup.arg("-D").arg(copy.data()));
        copy.configure(&[]);
        copy
    }

    fn in_new_directory(name: &str) -> Cluster {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        programs::require_library(EXTENSION);
        // The path of a socket has at most 107 bytes, so not below a long TMPDIR.
        let directory = format!(
            "/var/tmp/third_party_auth_{}_{number}_{name}",
            process::id()
        );
        let directory = PathBuf::from(directory);
        run(programs::as_server_user("mkdir")
            .args(["-m", "755"])
            .arg(&directory));
        Cluster {
            directory,
            environment: Vec::new(),
        }
    }

    /// Appends lines to `postgresql.conf`; later lines win.
    pub fn configure(&self, lines: &[&str]) {
        let file = self.data().join("postgresql.conf");
        let socket = format!("unix_socket_directories = '{}'", self.directory.display());
        let mut text = fs::read_to_string(&file).expect("postgresql.conf");
        for line in [socket.as_str(), "listen_addresses = ''"]
            .iter()
            .chain(lines)
        {
            text.push_str(line);
            text.push('\n');
        }
        fs::write(file, text).expect("postgresql.conf written");
    }

    /// Starts the server, which is not running.
    pub fn start_again(&self) {
        let mut start = server_command("pg_ctl");
        start
            .args("-w -t 60 start -l".split(' '))
            .arg(self.log_file());
        let started = start
            .arg("-D")
            .arg(self.data())
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdout(Stdio::null())
            .status();
        if !started.is_ok_and(|status| status.success()) {
            panic!("the server does not start:\n{}", self.log());
        }
    }

    /// Stops the server.
    pub fn stop(&self, how: Stop) {
        let mode = match how {
            Stop::Fast => "fast",
            Stop::Immediate => "immediate",
        };
        run(server_command("pg_ctl")
            .args(["-w", "-m", mode, "stop", "-D"])
            .arg(self.data()));
    }

    /// Stops and starts it.
    pub fn restart(&self, how: Stop) {
        self.stop(how);
        self.start_again();
    }

    /// A session of this login role in this database.
    pub fn connect(&self, user: &str, database: &str) -> Client {
        match self.config(user, database).connect(NoTls) {
            Ok(client) => client,
            Err(error) => panic!("no connection: {error:?}\n{}", self.log()),
        }
    }

    /// How to connect, for those who want more options.
    pub fn config(&self, user: &str, database: &str) -> Config {
        let mut config = Config::new();
        config
            .host_path(&self.directory)
            .user(user)
            .dbname(database);
        config
    }

    /// A superuser's session in the database postgres.
    pub fn superuser(&self) -> Client {
        self.connect("postgres", "postgres")
    }

    /// Waits until the condition holds; the log is shown if it never does.
    pub fn eventually(&self, what: &str, mut condition: impl FnMut() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !condition() {
            if Instant::now() >= deadline {
                panic!("never: {what}\n{}", self.log());
            }
            thread::sleep(STEP);
        }
    }

    /// What the server has logged.
    pub fn log(&self) -> String {
        let log = fs::read(self.log_file()).unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }

    /// Where its socket is: `psql -h`.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Where its data is.
    pub fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    /// The process id of its postmaster, which runs.
    pub fn postmaster(&self) -> i32 {
        let file = fs::read_to_string(self.data().join("postmaster.pid")).expect("it runs");
        let pid = file.lines().next().and_then(|line| line.parse().ok());
        pid.expect("a process id")
    }

    fn log_file(&self) -> PathBuf {
        self.directory.join("log")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // It may not have been started, and the test may be panicking: nothing more can be done.
        let mut stop = server_command("pg_ctl");
        stop.args(["-w", "-m", "immediate", "stop", "-D"])
            .arg(self.data());
        let _ = stop.stdout(Stdio::null()).stderr(Stdio::null()).status();
        let _ = fs::remove_dir_all(&self.directory);
    }
}

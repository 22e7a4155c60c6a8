//! PostgreSQL's programs: where they are, and as whom they run.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The directory of PostgreSQL's programs.
pub fn bin() -> PathBuf {
    match env::var_os("PG_BIN") {
        Some(bin) => bin.into(),
        None => match env::var_os("PG_CONFIG") {
            Some(config) => ask(Command::new(config).arg("--bindir")).into(),
            None => "/usr/lib/postgresql/15/bin".into(),
        },
    }
}

/// Panics with what to do if the extension's library is not installed.
pub fn require_library(extension: &str) {
    let config = bin().join("pg_config");
    let directory = ask(Command::new(&config).arg("--pkglibdir"));
    let library = Path::new(&directory).join(extension);
    let found = ["so", "dylib"]
        .iter()
        .any(|suffix| library.with_extension(suffix).exists());
    let config = config.display();
    assert!(
        found,
        "{extension} is not installed in {directory}: run `make test`, or first \
         `cargo pgrx install --pg-config {config}`"
    );
}

/// What a program prints.
pub fn ask(command: &mut Command) -> String {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// A program of PostgreSQL, as the user that runs the server.
pub fn server_command(program: &str) -> Command {
    as_server_user(bin().join(program))
}

/// A program as the user that runs the server.
pub fn as_server_user(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let is_root = ask(Command::new("id").arg("-u")) == "0";
    let user = env::var("PG_RUN_AS")
        .ok()
        .or_else(|| is_root.then(|| "postgres".to_owned()));
    let mut command = match user {
        Some(user) => {
            let mut command = Command::new("runuser");
            command.args(["-u", &user, "--"]).arg(program);
            command
        }
        None => Command::new(program),
    };
    // The present directory may be closed to that user.
    command.current_dir("/");
    // These mean other servers, or make messages longer.
    for name in ["PGPORT", "PGDATA", "PGHOST", "PGOPTIONS", "RUST_BACKTRACE"] {
        command.env_remove(name);
    }
    command
}

/// Runs a program that must succeed.
pub fn run(command: &mut Command) {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Sends a signal (`KILL`, `TERM`, …) to one process, which must be there.
pub fn signal(name: &str, pid: i32) {
    run(Command::new("kill").args(["-s", name, &pid.to_string()]));
}

/// Whether a process runs. One that has ended and was not waited for does not.
pub fn is_running(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name, in parentheses, may hold anything.
    let state = stat
        .rsplit(") ")
        .next()
        .and_then(|rest| rest.chars().next());
    state.is_some_and(|state| state != 'Z' && state != 'X')
}

//! The page that says how an application tests its policies, as it stands: its files, its script, and
//! what it says that they print.

use crate::cluster::{Cluster, programs};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::{env, process};

const PAGE: &str = include_str!("../../docs/testing.md");

/// The database that the page's script makes.
const DATABASE: &str = "app_test";

/// The name under which `examples/mint` is installed.
const PROGRAM: &str = "pg_third_party_auth_mint";

/// What stands in the page's blocks of a language.
fn blocks(language: &str) -> Vec<&'static str> {
    let opening = format!("\n```{language}\n");
    let parts = PAGE.split(opening.as_str()).skip(1);
    parts
        .map(|part| part.split_once("```").expect("the end of a block").0)
        .collect()
}

/// The blocks of SQL, each with the name of its file if its first line says one.
fn statements() -> Vec<(Option<&'static str>, &'static str)> {
    let name = |block: &'static str| block.lines().next()?.strip_prefix("-- ");
    blocks("sql")
        .into_iter()
        .map(|block| (name(block).filter(|name| name.ends_with(".sql")), block))
        .collect()
}

/// A directory with the files of the page, where its script runs against a server of its own.
struct Job {
    cluster: Cluster,
    directory: PathBuf,
}

impl Job {
    fn new(name: &str) -> Job {
        let cluster = Cluster::start(name, &[]);
        let directory = format!("{}/{name}-{}", env!("CARGO_TARGET_TMPDIR"), process::id());
        let directory = PathBuf::from(directory);
        // Of a process that had the same number and was killed.
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(directory.join("bin")).expect("a directory");
        symlink(mint(), directory.join("bin").join(PROGRAM)).expect("the program");
        for (name, text) in statements() {
            if let Some(name) = name {
                fs::write(directory.join(name), text).expect("a file of the page");
            }
        }
        Job { cluster, directory }
    }

    /// Runs a program of PostgreSQL or the page's shell, and gives what it printed.
    fn run(&self, program: &str, arguments: &[&str]) -> Output {
        let mut path = OsString::from(self.directory.join("bin"));
        path.push(":");
        path.push(programs::bin());
        path.push(":");
        path.push(env::var_os("PATH").unwrap_or_default());
        let mut command = Command::new(program);
        for (name, _) in env::vars_os().filter(|(name, _)| is_of_libpq(name)) {
            command.env_remove(name);
        }
        command
            .args(arguments)
            .current_dir(&self.directory)
            .env("PATH", path)
            .env("PGHOST", self.cluster.directory())
            .env("PGUSER", "postgres")
            .output()
            .unwrap_or_else(|error| panic!("{program}: {error}"))
    }

    /// The page's script; it must succeed. What it printed.
    fn script(&self) -> String {
        let script = blocks("sh").concat();
        said(&self.run("sh", &["-euc", &script]))
    }

    /// The page's test of policies in a database.
    fn policies_test(&self, database: &str) -> Output {
        self.psql(database, &["-f", "policies_test.sql"])
    }

    fn psql(&self, database: &str, arguments: &[&str]) -> Output {
        let usual = ["-XqAt", "-v", "ON_ERROR_STOP=1", "-d", database];
        self.run("psql", &[&usual[..], arguments].concat())
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        // Nothing more can be done, and the test may be panicking.
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// The example's program, which cargo builds beside the tests.
fn mint() -> PathBuf {
    let test = env::current_exe().expect("the path of this program");
    let built = test.parent().and_then(Path::parent).expect("target/debug");
    let mint = built.join("examples/mint");
    assert!(
        mint.exists(),
        "{} is not there: run all tests, or first `cargo build --example mint`",
        mint.display()
    );
    mint
}

/// Whether a variable may lead libpq to another server.
fn is_of_libpq(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b"PG")
}

/// What was printed by something that must succeed, without complaints.
fn said(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}{errors}");
    assert!(
        !errors.contains("ERROR") && !errors.contains("WARNING"),
        "{errors}"
    );
    text
}

#[test]
fn the_page_runs_as_it_stands_and_prints_what_it_says() {
    let job = Job::new("testing");
    let printed = job.script();
    let [told] = blocks("text")[..] else {
        panic!("the page shows one output");
    };
    let Some(rest) = printed.strip_prefix(told) else {
        panic!("{printed}");
    };
    let rest: Vec<_> = rest.lines().collect();
    // As PostgREST does it: the headers, check_request(), the answer. Then why a token is refused.
    let [headers, "", "user_ada|0", why] = rest[..] else {
        panic!("{rest:?}");
    };
    assert!(headers.contains("Bearer ey"));
    assert!(why.starts_with("unknown_issuer|f|"), "{why}");
    // What the script does not run: a look for pinned keys, and the key for a registration that exists.
    let script = blocks("sh").concat();
    let others = statements()
        .into_iter()
        .filter(|(name, _)| !name.is_some_and(|name| script.contains(name)));
    let printed: Vec<_> = others
        .map(|(name, text)| match name {
            Some(name) => said(&job.psql(DATABASE, &["-f", name])),
            None => said(&job.psql(DATABASE, &["-c", text])),
        })
        .collect();
    assert_eq!(printed, ["clerk\n", ""]);
    assert_eq!(said(&job.policies_test(DATABASE)), told);
}

#[test]
fn the_pages_test_fails_if_a_policy_or_the_trust_is_broken() {
    let job = Job::new("testing_broken");
    job.script();
    let members = r#""members work on the contracts of their organisation" on contract"#;
    let cases = [
        (
            r#"drop policy "changes take a second factor" on contract"#.to_owned(),
            &[5][..],
        ),
        (
            format!("alter policy {members} using (true)"),
            &[4, 7, 9, 10],
        ),
        (format!("drop policy {members}"), &[4, 7, 9]),
        (
            "update third_party_auth.provider set authorized_parties = '{https://other.example}'"
                .to_owned(),
            // The first token that should be good raises.
            &[],
        ),
        (
            "\\set jwks `pg_third_party_auth_mint jwks forged_key.json test_key.json`\n\
             update third_party_auth.provider set jwks = :'jwks'"
                .to_owned(),
            &[2],
        ),
    ];
    for (number, (statement, failing)) in cases.into_iter().enumerate() {
        let database = format!("broken_{number}");
        said(&job.run("createdb", &["-T", DATABASE, &database]));
        let file = job.directory.join("break.sql");
        fs::write(file, format!("{statement};\n")).expect("a file");
        said(&job.psql(&database, &["-f", "break.sql"]));
        let output = job.policies_test(&database);
        // psql's code for a script that failed.
        assert_eq!(output.status.code(), Some(3), "{statement}");
        let printed = String::from_utf8_lossy(&output.stdout);
        let failed: Vec<_> = printed.lines().filter_map(failed_test).collect();
        assert_eq!(failed, failing, "{statement}:\n{printed}");
    }
}

/// The number of a test that failed, if this is its line.
fn failed_test(line: &str) -> Option<u32> {
    let (number, _) = line.strip_prefix("not ok ")?.split_once(' ')?;
    number.parse().ok()
}

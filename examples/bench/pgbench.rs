//! PostgreSQL's own pgbench.

use crate::cluster::Cluster;
use crate::cluster::programs::server_command;
use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

/// In how many parts /proc counts a second, on every Linux.
const TICKS: f64 = 100.0;

/// What every script does after it has set a token: the row of the token's user, which must be there.
const QUESTION: &str = "SELECT title FROM {table} WHERE id = :n \\gset\n";

/// A script in a file that the server's user can read.
pub struct Script(PathBuf);

impl Script {
    /// Sets the token that the variable `token` has, and reads row 1 of a table.
    pub fn of_one_token(cluster: &Cluster, table: &str) -> Script {
        let set = "\\set n 1\nBEGIN;\nSELECT set_config('request.jwt', :token, true);\n";
        Script::new(cluster, &format!("one_token_{table}"), set, table)
    }

    /// Reads and sets one of the tokens up to the variable `tokens`, and reads its user's row of a table.
    pub fn of_many_tokens(cluster: &Cluster, table: &str) -> Script {
        let set = "\\set n random(1, :tokens)\nBEGIN;\n\
                   SELECT set_config('request.jwt', token, true) FROM token WHERE id = :n;\n";
        Script::new(cluster, &format!("many_tokens_{table}"), set, table)
    }

    fn new(cluster: &Cluster, name: &str, set: &str, table: &str) -> Script {
        let file = cluster.directory().join(format!("{name}.sql"));
        let question = QUESTION.replace("{table}", table);
        fs::write(&file, format!("{set}{question}COMMIT;\n")).expect("a script");
        Script(file)
    }
}

/// A run's figures.
#[derive(Debug, Clone, Copy)]
pub struct Run {
    /// Transactions per second, without the time to connect.
    pub per_second: f64,
    /// What the server's processes spent on a CPU for one transaction, in microseconds, their start included.
    pub on_cpu: f64,
}

/// Lets so many clients run a script for a while. A transaction that fails, or finds no row, ends it all.
pub fn run(
    cluster: &Cluster,
    script: &Script,
    clients: u32,
    seconds: u32,
    variable: (&str, &str),
) -> Run {
    let before = of_ended_children(cluster.postmaster());
    let mut command = server_command("pgbench");
    command
        .args("-n -M prepared -U app -h".split(' '))
        .arg(cluster.directory())
        .arg("-f")
        .arg(&script.0)
        .args([
            "-c",
            &clients.to_string(),
            "-j",
            &clients.min(2).to_string(),
        ])
        .args(["-T", &seconds.to_string()])
        .args(["-D", &format!("{}={}", variable.0, variable.1)])
        .arg("postgres");
    let output = command.output().expect("pgbench runs");
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "pgbench: {text}{errors}\n{}",
        cluster.log()
    );
    let number = |line: &str| -> f64 {
        let found = text.lines().find_map(|own| own.strip_prefix(line));
        let number = found.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
        number.unwrap_or_else(|| panic!("pgbench says nothing of {line:?}: {text}"))
    };
    assert_eq!(number("number of failed transactions: "), 0.0, "{text}");
    let transactions = number("number of transactions actually processed: ");
    // Its sessions end a moment later.
    let mut after = of_ended_children(cluster.postmaster());
    loop {
        thread::sleep(Duration::from_millis(50));
        let now = of_ended_children(cluster.postmaster());
        if now == after && now > before {
            break;
        }
        after = now;
    }
    Run {
        per_second: number("tps = "),
        on_cpu: (after - before) / transactions,
    }
}

/// What the children of a process that have ended spent on a CPU, in microseconds.
fn of_ended_children(pid: i32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("its figures");
    // The name, in parentheses, may hold anything; cutime and cstime are the fields 16 and 17 (proc(5)).
    let (_, fields) = stat.rsplit_once(") ").expect("a name in parentheses");
    let fields = fields.split(' ').skip(16 - 3).take(2);
    let ticks: f64 = fields.filter_map(|field| field.parse::<f64>().ok()).sum();
    ticks / TICKS * 1e6
}

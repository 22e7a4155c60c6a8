//! docs/performance.md and its plots.

use crate::cluster::programs::{ask, bin};
use crate::curve::Measured;
use crate::plot;
use crate::report::{markdown, replace_figures};
use std::fs;
use std::path::Path;
use std::process::Command;

/// The machine and the server, as they were when the run began.
pub struct Machine {
    /// The major version of PostgreSQL.
    pub version: u32,
    facts: String,
}

impl Machine {
    /// This one.
    pub fn here() -> Machine {
        // postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)
        let server = ask(Command::new(bin().join("postgres")).arg("--version"));
        let server = server.split(' ').nth(2).unwrap_or_default().to_owned();
        let digits = server.split(|c: char| !c.is_ascii_digit()).next();
        let version = digits.and_then(|digits| digits.parse().ok());
        let read = |file: &str| fs::read_to_string(file).unwrap_or_default();
        let field = |file: &str, name: &str, after: char| -> String {
            let text = read(file);
            let line = text.lines().find(|line| line.starts_with(name));
            let value = line.and_then(|line| line.split_once(after));
            value
                .map_or("?", |(_, value)| value.trim().trim_matches('"'))
                .to_owned()
        };
        let kilobytes = field("/proc/meminfo", "MemTotal:", ':');
        let kilobytes: Option<f64> = kilobytes.split(' ').next().and_then(|kb| kb.parse().ok());
        let load = read("/proc/loadavg");
        let facts = format!(
            "pg_third_party_auth {} on PostgreSQL {server}, {}. {}, {} of its processors, {:.0} GiB of memory, {}, Linux {}. \
             Load when the run began: {}.",
            env!("CARGO_PKG_VERSION"),
            ask(Command::new("date").arg("+%F")),
            field("/proc/cpuinfo", "model name", ':'),
            std::thread::available_parallelism().map_or(0, usize::from),
            kilobytes.unwrap_or_default() / (1024.0 * 1024.0),
            field("/etc/os-release", "PRETTY_NAME=", '='),
            read("/proc/sys/kernel/osrelease").trim(),
            load.split(' ').next().unwrap_or_default(),
        );
        Machine {
            version: version.expect("the server says its version"),
            facts,
        }
    }
}

/// Where everything is written.
const DOCS: &str = "docs";
const PAGE: &str = "performance.md";

/// The page as it is with these figures of a version.
fn with_figures(version: u32, figures: &str) -> Result<String, String> {
    let page = Path::new(DOCS).join(PAGE);
    let old = fs::read_to_string(&page).map_err(|error| format!("{}: {error}", page.display()))?;
    replace_figures(&old, version, figures)
}

/// Whether the page could be written: it is a pity to find out after a long run.
pub fn check(machine: &Machine) -> Result<(), String> {
    with_figures(machine.version, "").map(|_| ())
}

/// Writes the figures of this version, and leaves those of others.
pub fn write(machine: &Machine, measured: &Measured, is_part: bool) -> Result<(), String> {
    let version = machine.version;
    let mut figures = format!("### PostgreSQL {version}\n\n{}\n", machine.facts);
    if is_part {
        figures.push_str("\nNot everything was measured, or not often.\n");
    }
    let mut files = Vec::new();
    let plots = [
        (
            "performance",
            "What a row costs under each policy",
            plot::bars(&measured.tables),
        ),
        (
            "growth",
            "What a decision costs as other things grow",
            plot::curves(&measured.curves),
        ),
    ];
    for (name, what, svg) in plots {
        let file = format!("img/{name}-{version}.svg");
        if let Some(svg) = svg {
            figures.push_str(&format!("\n![{what}]({file})\n"));
            files.push((file, svg));
        }
    }
    for table in &measured.tables {
        figures.push_str(&format!("\n{}", markdown(table)));
    }
    files.push((PAGE.to_owned(), with_figures(version, &figures)?));
    fs::create_dir_all(Path::new(DOCS).join("img")).map_err(|error| error.to_string())?;
    for (file, text) in files {
        fs::write(Path::new(DOCS).join(&file), text).map_err(|error| format!("{file}: {error}"))?;
    }
    Ok(())
}

//! What the extension occupies: shared memory, memory of each session, and the library itself.

use crate::asker::{Asker, Way};
use crate::cluster::EXTENSION;
use crate::cluster::programs::{ask, bin, run};
use crate::common::{Scale, limited, median, plain};
use crate::setting::{Setting, Signer, add_direct, claims};
use crate::table::{Row, Table};
use std::fs;
use std::path::Path;
use std::process::Command;

/// How many providers a session has seen tokens of.
const PROVIDERS: usize = 8;

/// How many tokens of each.
const TOKENS: usize = 8;

/// The figures.
pub fn measure(scale: Scale) -> Vec<Table> {
    let setting = Setting::new("bench");
    let mut rows = vec![shared(&setting)];
    rows.extend(of_a_session(&setting, scale));
    rows.extend(library(&setting));
    vec![Table {
        id: "memory",
        title: "Memory".to_owned(),
        note: format!(
            "Shared memory with the default settings, by pg_shmem_allocations. A session's own memory, RssAnon, after tokens \
             of RS256 of {PROVIDERS} providers, {TOKENS} of each, less that of a session that has run the same statements \
             without the question. pg_backend_memory_contexts counts what is reserved, used or not."
        ),
        unit: "KiB",
        rows,
    }]
}

fn shared(setting: &Setting) -> Row {
    let query =
        "SELECT sum(allocated_size)::float8 / 1024 FROM pg_shmem_allocations WHERE name LIKE $1";
    let mut client = setting.cluster.superuser();
    let row = client.query_one(query, &[&format!("{EXTENSION}%")]);
    let size = row.expect("the allocations").get(0);
    limited("shared memory, default settings", size, 4096.0)
}

fn of_a_session(setting: &Setting, scale: Scale) -> Vec<Row> {
    let mut admin = setting.cluster.superuser();
    let grant = "GRANT pg_read_all_stats TO app";
    admin.batch_execute(grant).expect(grant);
    let mut tokens = Vec::new();
    for number in 0..PROVIDERS {
        let issuer = format!("https://issuer-{number}.example");
        let path = format!("/keys/{number}");
        let keys = [Signer::rsa("old"), Signer::rsa("new")];
        setting
            .idp
            .publish_at(&path, keys.iter().map(Signer::jwk).collect());
        let name = format!("provider_{number}");
        let add = add_direct(&name, &issuer, &setting.idp.jwks_uri_at(&path));
        admin.batch_execute(&add).expect("registered");
        setting.wait_until_stored(&mut admin, &name);
        for number in 0..TOKENS {
            let mut claims = claims(&issuer);
            claims["jti"] = number.into();
            tokens.push(keys[number % 2].token(&claims));
        }
    }
    // The first session of a database fills the catalogue's caches for others; the pairs after it count.
    let pairs = scale.of(5, 1);
    let mut sizes = [const { Vec::new() }; 4];
    for pair in 0..=pairs {
        for asks in [false, true] {
            let mut asker = Asker::new(setting.cluster.connect("app", "postgres"), Way::Jwt);
            asker.time(asks, &tokens);
            let own = private(asker.backend().pid());
            let query = "SELECT sum(total_bytes)::float8 / 1024 FROM pg_backend_memory_contexts";
            let row = asker.backend().client.query_one(query, &[]);
            let contexts: f64 = row.expect("its contexts").get(0);
            if pair > 0 {
                sizes[usize::from(asks)].push(own);
                sizes[2 + usize::from(asks)].push(contexts);
            }
        }
    }
    let [without, with, contexts_without, contexts_with] = sizes.map(median);
    vec![
        plain("a session's own memory, without a question", without),
        plain(
            format!("a session's own memory, {PROVIDERS} providers"),
            with,
        ),
        limited("the difference", with - without, 512.0),
        plain(
            "the difference in its memory contexts",
            contexts_with - contexts_without,
        ),
    ]
}

/// Memory that is the process' own, in KiB.
fn private(pid: i32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("its status");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"));
    let size = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    size.expect("a size")
}

/// The library as it is installed, and what remains without symbols.
fn library(setting: &Setting) -> [Row; 2] {
    let directory = ask(Command::new(bin().join("pg_config")).arg("--pkglibdir"));
    let library = Path::new(&directory).join(format!("{EXTENSION}.so"));
    // The cluster's directory goes with it.
    let stripped = setting.cluster.directory().join("stripped.so");
    run(Command::new("strip").arg("-o").arg(&stripped).arg(&library));
    let size = |file: &Path| {
        let bytes = fs::metadata(file).expect("the library").len();
        bytes as f64 / 1024.0
    };
    [
        plain("the library", size(&library)),
        limited("the library, stripped", size(&stripped), 6e6 / 1024.0),
    ]
}

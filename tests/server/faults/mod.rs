//! The table of faults: each row has a test here whose name begins with it.
//!
//! - [`process`]: processes that fail, are killed or are cancelled
//! - [`provider`]: identity providers that are down, slow, wrong or out of reach
//! - [`rotation`]: keys that come, change and go
//! - [`flood`]: more questions than an identity provider shall hear of
//! - [`standby`]: standbys, promotion, backups
//! - [`databases`]: extensions and databases that come and go under load
//! - [`dumps`]: dumps, upgrades, a server without workers
//! - [`resources`]: full tables, full slots, no processes left
//! - [`clock`]: settings that change, clocks that jump
//! - [`replication`]: logical replication, snapshots, cursors

mod clock;
mod databases;
mod dumps;
mod flood;
mod process;
mod provider;
mod replication;
mod resources;
mod rotation;
mod standby;

use crate::cluster::Cluster;
use crate::cluster::programs::run;
use crate::load::{Case, Expected, Pool};
use crate::setting::{Setting, Signer, claims, text};
use crate::support::Authority;
use postgres::{Client, NoTls};
use serde_json::json;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

/// A key of each kind, published and stored, and a pool of a token of each and one that must be refused.
/// The keys have reached the disk: they are stored without waiting for that, because they can be fetched
/// again, and the commit of somebody else brings them there.
fn known_keys(setting: &Setting, client: &mut Client) -> (Vec<Signer>, Arc<Pool>) {
    let signers = vec![Signer::new("ec"), Signer::rsa("rsa"), Signer::ed25519("ed")];
    setting
        .idp
        .publish(signers.iter().map(Signer::jwk).collect());
    setting.register(client);
    client
        .batch_execute("CREATE TABLE flushed ()")
        .expect("a table");
    let pool = Pool::new();
    for signer in &signers {
        pool.add(setting.token(signer), Expected::Valid);
    }
    add_refused(setting, &pool, &signers[0]);
    (signers, pool)
}

/// A token that is for somebody else: no key decides about it.
fn add_refused(setting: &Setting, pool: &Pool, signer: &Signer) -> Arc<Case> {
    let mut claims = claims(&setting.idp.issuer());
    claims["aud"] = json!("somebody else");
    pool.add(signer.token(&claims), Expected::Refused)
}

/// Waits until the server has started its processes again so many times in all, and takes sessions.
fn after_crash(cluster: &Cluster, crashes: usize) -> Client {
    let line = "all server processes terminated; reinitializing";
    cluster.eventually("the server starts its processes again", || {
        cluster.log().matches(line).count() == crashes
    });
    let mut client = None;
    cluster.eventually("the server takes sessions", || {
        client = cluster.config("postgres", "postgres").connect(NoTls).ok();
        client.is_some()
    });
    client.expect("a session")
}

/// A library that a server can be started with (`LD_PRELOAD`), made of the C file of this name beside the
/// authority's file. It deceives the server about what a test cannot change for the whole machine.
fn preloaded(authority: &Authority, name: &str) -> String {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/support/{name}.c"));
    let library = authority.ca_file().with_file_name(format!("{name}.so"));
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-o"]).arg(&library);
    run(compiler.arg(source).arg("-ldl"));
    library.display().to_string()
}

/// The process id of the fetcher, waited for.
fn fetcher(cluster: &Cluster, client: &mut Client) -> i32 {
    let mut pid = None;
    cluster.eventually("a fetcher runs", || {
        pid = text(client, "SELECT pid::text FROM third_party_auth.worker");
        pid.is_some()
    });
    pid.and_then(|pid| pid.parse().ok()).expect("a number")
}

/// The text of the modules of this folder.
const MODULES: [&str; 10] = [
    include_str!("clock.rs"),
    include_str!("databases.rs"),
    include_str!("dumps.rs"),
    include_str!("flood.rs"),
    include_str!("process.rs"),
    include_str!("provider.rs"),
    include_str!("replication.rs"),
    include_str!("resources.rs"),
    include_str!("rotation.rs"),
    include_str!("standby.rs"),
];

#[test]
fn every_row_of_the_table_has_a_test() {
    for row in 1..=40 {
        let test = format!("#[test]\nfn f{row:02}_");
        let has_one = MODULES.iter().any(|module| module.contains(&test));
        assert!(has_one, "no test for row {row}");
    }
}

//! What a new key costs: until its first token is accepted, and while it spreads under load.

use crate::common::{Scale, limited, median, medians};
use crate::pgbench::{self, Script};
use crate::setting::{Setting, Signer, add_oidc, another_idp, claims, verify};
use crate::steady::Verifier;
use crate::table::Table;
use crate::transactions::{
    RATIO, SIDES, TABLES, make_tables, rows, sees_only_own, store_tokens, tokens,
};
use std::thread;
use std::time::{Duration, Instant};

/// Not more sessions than may wait for keys of one address at a time: the next one would be told 58000.
const CLIENTS: u32 = 4;

/// Tokens that are replaced when the key is.
const TOKENS: u32 = 1_000;

/// The figures.
pub fn measure(scale: Scale) -> Vec<Table> {
    let setting = Setting::with(
        "bench",
        &[
            "synchronous_commit = off",
            "autovacuum = off",
            "max_connections = 50",
        ],
    );
    vec![first_token(&setting, scale), under_load(&setting, scale)]
}

/// How long a token waits that is the first of its key, time that passes.
fn first_token(setting: &Setting, scale: Scale) -> Table {
    // Of its own, because fetches are limited by address.
    let idp = another_idp(&setting.authority);
    let mut keys = vec![Signer::new("key 0")];
    idp.publish(vec![keys[0].jwk()]);
    let mut client = setting.cluster.superuser();
    client
        .batch_execute(&add_oidc("first", &idp.issuer()))
        .expect("registered");
    setting.wait_until_stored(&mut client, "first");
    let issuer = idp.issuer();
    let token_of = |key: &Signer| key.token(&claims(&issuer));
    verify(&mut client, &token_of(&keys[0])).expect("a good token");

    // Each is a fetch, and there are five of them at once and one in 10 s.
    let rounds = scale.of(4, 1);
    let mut times = Vec::new();
    for round in 1..=rounds {
        keys.push(Signer::new(&format!("key {round}")));
        idp.publish(keys.iter().map(Signer::jwk).collect());
        let token = token_of(&keys[round]);
        let start = Instant::now();
        verify(&mut client, &token).expect("the new key is fetched");
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    Table {
        id: "rotation",
        title: "The first token of a new key".to_owned(),
        note: format!(
            "An identity provider on this machine, with discovery and TLS, publishes one more key; from the call until the \
             token is accepted, {rounds} times, time that passes."
        ),
        unit: "ms",
        rows: vec![limited("unknown key id to accepted", median(times), 250.0)],
    }
}

/// pgbench, while the key and all tokens are replaced in the middle of each run.
fn under_load(setting: &Setting, scale: Scale) -> Table {
    let issuer = setting.idp.issuer();
    let mut admin = setting.cluster.superuser();
    let mut keys = vec![Signer::new("key 0")];
    setting.idp.publish(vec![keys[0].jwk()]);
    setting.register(&mut admin);
    make_tables(&mut admin, TOKENS);
    let mut stored = tokens(&keys[0], &issuer, TOKENS);
    sees_only_own(&setting.cluster, &stored[0]);
    store_tokens(&mut admin, &stored);
    admin.batch_execute("VACUUM ANALYZE").expect("vacuumed");

    let scripts = TABLES.map(|table| Script::of_many_tokens(&setting.cluster, table));
    let (rounds, seconds) = (scale.of(5, 1), scale.of(4, 2));
    let fetches = setting.idp.fetches();
    let mut verifier = Verifier::new(setting.cluster.connect("app", "postgres"));
    let mut rotations = 0;
    let per_second = medians(rounds, SIDES, |which| {
        // Those of the run before were replaced, and if its table was not the guarded one, nobody has seen the new ones.
        verifier.restore(&stored);
        // The other tables' tokens change with them, but nobody would fetch the key.
        if which == SIDES - 1 {
            rotations += 1;
            keys.push(Signer::new(&format!("key {rotations}")));
        }
        let newest = keys.last().expect("a key");
        stored = tokens(newest, &issuer, TOKENS);
        thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(Duration::from_millis(u64::from(seconds) * 500));
                setting.idp.publish(keys.iter().map(Signer::jwk).collect());
                store_tokens(&mut admin, &stored);
            });
            let tokens = TOKENS.to_string();
            let variable = ("tokens", tokens.as_str());
            pgbench::run(
                &setting.cluster,
                &scripts[which],
                CLIENTS,
                seconds,
                variable,
            )
            .per_second
        })
    });
    let fetches = setting.idp.fetches() - fetches;
    assert!(
        fetches >= rotations,
        "{rotations} new keys, {fetches} fetches"
    );
    Table {
        id: "transactions_rotation",
        title: "Transactions per second while keys rotate".to_owned(),
        note: format!(
            "As above with {TOKENS} tokens from a table and {CLIENTS} clients; in the middle of each run of {seconds} s the \
             identity provider publishes one more key, and all tokens are replaced by such of that key. {rounds} rounds, \
             no request fails. {RATIO}"
        ),
        unit: "tps",
        rows: rows(&[("a rotation in the run", None)], &per_second),
    }
}

//! What verifying costs without PostgreSQL: `cargo bench --bench verification`.
//!
//! `make bench` has the figures that budgets are about, which are measured inside a server.

#[path = "../common/bare.rs"]
mod bare;
#[path = "../../tests/common/court.rs"]
#[allow(dead_code)]
mod court;
#[path = "../../tests/common/mint.rs"]
#[allow(dead_code)]
mod mint;

use bare::{Bare, Signed};
use court::{ISSUER, Keys, MAX_BYTES, QUESTION, claims, claims_with, key_set, provider, registry};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use mint::KeyPair;
use pg_third_party_auth::provider::Registry;
use pg_third_party_auth::token::{Unverified, bearer};
use pg_third_party_auth::verify::verify;
use serde_json::{Value, json};
use std::hint::black_box;

criterion_group!(benches, parts, algorithms, keys_in_a_set, providers);
criterion_main!(benches);

/// A token with a `kid`, signed by this pair.
fn token(pair: &KeyPair, kid: &str, claims: &Value) -> String {
    let header = json!({"alg": pair.algorithm(), "typ": "JWT", "kid": kid});
    pair.sign(&header, claims)
}

/// A registry with one provider, whose tokens may be signed with any algorithm.
fn one_provider() -> Registry {
    registry(vec![provider("oidc", "bench", ISSUER)])
}

/// Panics unless the token is valid: a refusal must not be measured by mistake.
fn judge(token: &Unverified, registry: &Registry, keys: &mut Keys) {
    let judged = verify(token, registry, &QUESTION, keys, &mut ());
    assert!(black_box(judged).is_ok(), "the token is valid");
}

/// What comes before the rules: the header of a request, and the parts of a token.
fn parts(criterion: &mut Criterion) {
    let pair = KeyPair::rsa();
    let short = token(&pair, "bench", &claims());
    let long = token(&pair, "bench", &claims_with(json!({"x": "x".repeat(500)})));
    let headers = json!({
        "host": "api.example.com", "accept": "application/json", "user-agent": "bench/1.0",
        "accept-profile": "public", "x-client-info": "supabase-js/2.45.0", "apikey": &short,
        "authorization": format!("Bearer {short}"), "x-forwarded-for": "192.0.2.1",
    })
    .to_string();
    criterion.bench_function("bearer token of eight headers", |bencher| {
        bencher.iter(|| bearer(black_box(&headers), "authorization").expect("a token"));
    });
    for (name, token) in [("short", &short), ("long", &long)] {
        let id = BenchmarkId::new("parse", format!("{name}, {} bytes", token.len()));
        criterion.bench_with_input(id, token, |bencher, token| {
            bencher.iter(|| Unverified::parse(black_box(token), MAX_BYTES).expect("a token"));
        });
    }
}

/// Every rule, with a signature that is remembered or checked, beside the bare check.
fn algorithms(criterion: &mut Criterion) {
    let registry = one_provider();
    for pair in [KeyPair::rsa(), KeyPair::p256(), KeyPair::ed25519()] {
        let text = token(&pair, "bench", &claims());
        let token = Unverified::parse(&text, MAX_BYTES).expect("a token");
        let set = key_set(&[pair.jwk("bench", None)]);
        let (bare, signed) = (Bare::of(&pair), Signed::of(&text));
        let mut keys = Keys::of("bench", set);
        let mut group = criterion.benchmark_group(pair.algorithm());
        group.bench_function("bare check, parsed key", |bencher| {
            bencher.iter(|| assert!(bare.check(black_box(&signed))));
        });
        group.bench_function("bare check, unparsed key", |bencher| {
            bencher.iter(|| assert!(bare.check_unparsed(black_box(&signed))));
        });
        group.bench_function("verify, checked", |bencher| {
            bencher.iter(|| {
                keys.known_good.clear();
                judge(&token, &registry, &mut keys);
            });
        });
        group.bench_function("verify, recalled", |bencher| {
            bencher.iter(|| judge(&token, &registry, &mut keys));
        });
        group.finish();
    }
}

/// Cost against the number of keys of a provider: the token's is the last one.
fn keys_in_a_set(criterion: &mut Criterion) {
    let registry = one_provider();
    let mut group = criterion.benchmark_group("keys in a set");
    for count in [1, 4, 16, 64] {
        let pairs: Vec<_> = (0..count).map(|_| KeyPair::ed25519()).collect();
        let numbered = pairs.iter().enumerate();
        let jwks: Vec<_> = numbered
            .map(|(number, pair)| pair.jwk(&format!("key {number}"), None))
            .collect();
        let text = token(&pairs[count - 1], &format!("key {}", count - 1), &claims());
        let token = Unverified::parse(&text, MAX_BYTES).expect("a token");
        let mut keys = Keys::of("bench", key_set(&jwks));
        group.bench_function(BenchmarkId::from_parameter(count), |bencher| {
            bencher.iter(|| judge(&token, &registry, &mut keys));
        });
    }
    group.finish();
}

/// Cost against the number of providers: the token's is the last one.
fn providers(criterion: &mut Criterion) {
    let pair = KeyPair::ed25519();
    let mut group = criterion.benchmark_group("providers");
    for count in [1, 8, 32, 128] {
        let issuer = |number| format!("{ISSUER}/{number}");
        let name = |number| format!("provider {number:03}");
        let providers = (1..=count).map(|number| provider("oidc", &name(number), &issuer(number)));
        let registry = registry(providers.collect());
        let text = token(&pair, "bench", &claims_with(json!({"iss": issuer(count)})));
        let token = Unverified::parse(&text, MAX_BYTES).expect("a token");
        let mut keys = Keys::of(&name(count), key_set(&[pair.jwk("bench", None)]));
        group.bench_function(BenchmarkId::from_parameter(count), |bencher| {
            bencher.iter(|| judge(&token, &registry, &mut keys));
        });
    }
    group.finish();
}

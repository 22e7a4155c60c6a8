//! Benches inside a server: what a decision about a token costs in a backend, by the path that policies take.
//!
//! `make bench` installs the library with the feature `pg_bench` and calls the wrappers that `#[pg_bench]`
//! makes, `benches.__pgrx_bench_run_…(NULL)`, over a server of its own. `cargo pgrx bench` does so too, for a
//! user that is not root: it starts a server, which refuses root.
//!
//! - `issuer`: providers whose keys are made here, and their tokens
//! - `request`: the token of a request, and the next statement
//! - `calls`: the benches
//! - `trivial`: a function of pgrx that does nothing
//!
//! All of it panics where something is not as it should be: a bench that measured a refusal would be wrong.

#[path = "../common/bare.rs"]
mod bare;
mod calls;
mod issuer;
// The tests inside a server have it too, should both be built.
#[allow(dead_code, clippy::duplicate_mod)]
#[path = "../../tests/common/mint.rs"]
mod mint;
mod request;
mod trivial;

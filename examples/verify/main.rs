//! Judges one token without a database: what the extension would say to it, and why.
//!
//! ```text
//! cargo run --example verify -- \
//!     --provider auth0 \
//!     --config '{"tenant": "my-tenant", "tenant_region": "us", "audiences": ["https://api.example.com"]}' \
//!     --jwks keys.json --now 1717000300 --explain eyJhbGciOi…
//! ```
//!
//! With the token of a bug report, the provider's registration, its key set as it was then, and the time
//! of the report, this gives the answer of the report: nothing is fetched and no clock is read.
//!
//! | argument | |
//! |---|---|
//! | `--provider KIND` | the kind of provider: `auth0` for `add_auth0()` |
//! | `--config JSON` | the arguments of `add_KIND()`, an object; `@FILE` reads it from a file |
//! | `--jwks FILE` | the key set as its issuer publishes it; may be left out where the registration has `jwks` or `jwt_secret` |
//! | `--now UNIX` | the time, in seconds since 1970, fractions allowed; left out: now |
//! | `--nonce NONCE` | the nonce that the token must have, before hashing |
//! | `--request` | judge it as the token of a request; otherwise as `verify_third_party_jwt()` does |
//! | `--explain` | tell every rule on standard error, with claim values |
//! | `TOKEN` | the token; `-` reads it from standard input, where no other user of the machine sees it |
//!
//! An accepted token's payload is printed byte for byte, and the exit code is 0. For a refused one the bare
//! reason code is printed, and the exit code is 1. Everything else goes to standard error. If the question
//! itself is wrong, the exit code is 2.

mod arguments;
mod run;

use run::Answer;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

fn main() -> ExitCode {
    let clock = || {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        since.map_or(0.0, |since| since.as_secs_f64())
    };
    let arguments = std::env::args_os().skip(1).collect();
    let Answer {
        code,
        output,
        notes,
    } = run::run(arguments, &mut std::io::stdin(), clock);
    for note in notes {
        eprintln!("{note}");
    }
    if !output.is_empty() {
        println!("{output}");
    }
    ExitCode::from(code)
}

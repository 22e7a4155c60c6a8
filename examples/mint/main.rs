//! Makes key pairs and signs tokens, so that an application's tests of its policies have real tokens
//! without an identity provider. `make install` installs it as `pg_third_party_auth_mint`.
//!
//! ```text
//! cargo run --example mint -- new-key --out key.json
//! cargo run --example mint -- jwks key.json
//! cargo run --example mint -- token key.json '{"iss": "https://issuer.example", "sub": "user_1"}'
//! ```
//!
//! | command | prints |
//! |---|---|
//! | `new-key --out KEY.json` | nothing; the file is new, only its owner may read it, and an existing one is left alone |
//! | `jwks KEY.json…` | the public halves as a JWK Set, for `jwks` of `third_party_auth.add_<kind>()` |
//! | `token KEY.json CLAIMS` | a token with these claims, a JSON object; `@FILE` reads them from a file, `-` from standard input |
//!
//! | option | |
//! |---|---|
//! | `new-key --alg ALG` | `RS256` (if it is left out), `ES256`, `ES384`, `EdDSA` |
//! | `new-key --kid ID` | the key's id; left out: its thumbprint (RFC 7638) |
//! | `token --expires-in TIME` | `90s`, `5m`, `1h` (if it is left out), `2d`; a negative time makes an expired token |
//! | `token --header JSON` | members for the header, beside `alg`, `kid` and `typ` or in their place; null takes one out |
//! | `token --bare` | nothing is added to the claims |
//!
//! Claims are signed as they are written. Only `iat` and `exp` are added, where they are missing. A header
//! may say what it likes, so that tokens which have to be refused can be made too: if its `alg` is none for
//! this key, the key signs with its own.
//!
//! The exit code is 0, or 2 if the question is wrong or a file cannot be read or written. Everything but
//! the answer goes to standard error, and a private key or a claim never does.

mod arguments;
mod key_file;
#[path = "../../tests/common/mint.rs"]
#[allow(dead_code)]
mod mint;
mod run;

use run::Answer;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

fn main() -> ExitCode {
    let clock = || {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        since.map_or(0, |since| since.as_secs())
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

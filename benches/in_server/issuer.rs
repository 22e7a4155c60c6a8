//! Providers whose keys are made here, and their tokens.

use super::bare::{Bare, Signed};
use super::mint::{self, KeyPair};
use pgrx::datum::DatumWithOid;
use pgrx::spi::Spi;
use serde_json::json;
use std::time::{SystemTime, UNIX_EPOCH};

const KID: &str = "bench";

/// A registered provider and its key.
pub struct Issuer {
    name: String,
    key: KeyPair,
}

impl Issuer {
    /// Registers a provider whose tokens are signed with this algorithm, in the present transaction.
    pub fn register(name: &str, algorithm: &str) -> Issuer {
        let key = KeyPair::of_algorithm(algorithm).expect("an algorithm");
        let jwks = mint::jwks(&[key.jwk(KID, None)]);
        let name = format!("{name}_{}", algorithm.to_lowercase());
        let statement = format!(
            "select third_party_auth.add_oidc('https://{name}.example.com', name => '{name}', \
             audiences => '{{bench}}', jwks => '{jwks}')"
        );
        Spi::run(&statement).expect("the provider can be registered");
        Issuer { name, key }
    }

    /// So many tokens, of which no two are the same.
    pub fn tokens(&self, count: usize) -> Vec<String> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = since.expect("a time after 1970").as_secs();
        let header = json!({"alg": self.key.algorithm(), "typ": "JWT", "kid": KID});
        let numbers = 0..count;
        let tokens = numbers.map(|number| {
            let claims = json!({
                "iss": format!("https://{}.example.com", self.name), "aud": "bench",
                "sub": format!("user {number}"), "iat": now, "exp": now + 36_000,
                "role": "authenticated", "org_id": "org_a", "sid": "sess_1",
            });
            self.key.sign(&header, &claims)
        });
        tokens.collect()
    }

    /// Its key, and what these tokens come down to, for the bare check.
    pub fn bare(&self, tokens: &[String]) -> (Bare, Vec<Signed>) {
        let signed = tokens.iter().map(|token| Signed::of(token)).collect();
        (Bare::of(&self.key), signed)
    }
}

/// The tokens of `benches.token` for this algorithm; none if that table is not there.
pub fn kept_tokens(algorithm: &str) -> Vec<String> {
    let is_there = Spi::get_one::<bool>("select to_regclass('benches.token') is not null");
    if is_there != Ok(Some(true)) {
        return Vec::new();
    }
    let query = "select array_agg(token) from benches.token where algorithm = $1";
    let kept = Spi::get_one_with_args::<Vec<String>>(query, &[DatumWithOid::from(algorithm)]);
    kept.expect("the table can be read").unwrap_or_default()
}

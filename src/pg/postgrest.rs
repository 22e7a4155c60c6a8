//! Keys for PostgREST, which has no address to fetch them from: `jwks()` and
//! `postgrest_pre_config()`.

use super::call::{Call, Returned};
use super::errors::{SqlError, advise};
use super::{known_keys, parameters, registry};
use crate::c_function;
use crate::provider::Registry;
use crate::provider::row::{Advice, AdviceLevel};
use crate::token::base64url;
use pgrx::{IntoDatum, JsonB};
use serde_json::{Value, json};
use std::hash::{DefaultHasher, Hash, Hasher};

c_function!(
    /// `jwks() → jsonb`: all public keys that are trusted now, as one JWKS.
    third_party_auth_jwks, pg_finfo_third_party_auth_jwks, |_call| {
        Ok(JsonB(json!({ "keys": public_keys()? })).into_datum())
    }
);

/// The keys of all enabled providers, without those that are revoked, each once.
fn public_keys() -> Result<Vec<Value>, SqlError> {
    registry::accept_invalidations();
    let loaded = registry::current()?;
    let registry = &loaded.registry;
    let mut keys = Vec::new();
    for provider in registry.providers.iter().filter(|one| one.enabled) {
        let known = known_keys::trusted(provider)?;
        for key in known.iter().flat_map(|known| &known.keys) {
            let jwk = key.to_jwk();
            if !registry.is_key_revoked(provider, key) && !keys.contains(&jwk) {
                keys.push(jwk);
            }
        }
    }
    Ok(keys)
}

c_function!(
    /// `postgrest_pre_config(asymmetric_only boolean) → void`: PostgREST's `db-pre-config`. It replaces
    /// the key set that PostgREST was configured with.
    third_party_auth_postgrest_pre_config, pg_finfo_third_party_auth_postgrest_pre_config, pre_config);

fn pre_config(call: Call) -> Returned {
    let asymmetric_only = call.argument::<bool>(0).unwrap_or(false);
    let mut keys = public_keys()?;
    let loaded = registry::current()?;
    let secrets = secret_keys(&loaded.registry);
    if !asymmetric_only && secrets.is_empty() {
        warn(
            "PostgREST keeps its own keys: no provider has a jwt_secret",
            "Its own setting may have the secret of anon and service keys, which would stop working. Register \
             the secret with add_supabase(jwt_secret =>), or, if nothing is signed with a secret any more, call \
             postgrest_pre_config(asymmetric_only => true).",
        );
        return Ok(None);
    }
    if !asymmetric_only {
        keys.extend(secrets);
    }
    if keys.is_empty() {
        warn(
            "PostgREST keeps its own keys: none are known yet",
            "SELECT * FROM third_party_auth.status shows why. PostgREST is told to ask again when keys change.",
        );
        return Ok(None);
    }
    let jwks = json!({ "keys": keys }).to_string();
    parameters::set_local(c"pgrst.jwt_secret", &jwks);
    Ok(None)
}

/// The secrets of all enabled providers as JWKs (RFC 7518 §6.4).
fn secret_keys(registry: &Registry) -> Vec<Value> {
    let providers = registry.providers.iter().filter(|one| one.enabled);
    let secrets = providers.filter_map(|provider| registry.secret_of(provider));
    secrets
        .map(|secret| {
            json!({"kty": "oct", "alg": "HS256", "k": base64url::encode(secret.as_bytes())})
        })
        .collect()
}

/// A number that is another one when `postgrest_pre_config()` would set something else.
pub fn digest() -> Result<u64, SqlError> {
    let mut hasher = DefaultHasher::new();
    let loaded = registry::current()?;
    for keys in [public_keys()?, secret_keys(&loaded.registry)] {
        Value::Array(keys).to_string().hash(&mut hasher);
    }
    Ok(hasher.finish())
}

fn warn(message: &str, hint: &str) {
    advise(&Advice {
        level: AdviceLevel::Warning,
        message: message.to_owned(),
        hint: hint.to_owned(),
    });
}

//! Keys for PostgREST, which has no address to fetch them from: `jwks()` and
//! `postgrest_pre_config()`.

use super::call::{Call, Returned};
use super::errors::{SqlError, advise};
use super::{keyring, registry};
use crate::c_function;
use crate::keys::Key;
use crate::provider::row::{Advice, AdviceLevel};
use crate::token::base64url;
use pgrx::spi::Spi;
use pgrx::{IntoDatum, JsonB};
use serde_json::{Value, json};

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
        let is_revoked = |key: &Key| {
            let by_kid = |kid: &crate::keys::Kid| registry.is_kid_revoked(provider, kid.shown());
            registry.is_thumbprint_revoked(provider, &key.thumbprint.to_string())
                || key.kid.as_ref().is_some_and(by_kid)
        };
        let known = keyring::listed(provider)?;
        for key in known.iter().flat_map(|known| &known.keys) {
            let jwk = key.to_jwk();
            if !is_revoked(key) && !keys.contains(&jwk) {
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
    let with_secret = loaded.registry.providers.iter().filter(|one| one.enabled);
    let secrets = with_secret.filter_map(|provider| loaded.registry.secret_of(provider));
    let secrets: Vec<_> = secrets
        .map(|secret| {
            json!({"kty": "oct", "alg": "HS256", "k": base64url::encode(secret.as_bytes())})
        })
        .collect();
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
    let set = "SELECT pg_catalog.set_config('pgrst.jwt_secret', $1, true)";
    let jwks = json!({ "keys": keys }).to_string();
    Spi::connect_mut(|client| {
        client
            .update(set, None, &[jwks.as_str().into()])
            .map(|_| ())
    })?;
    Ok(None)
}

/// Tells PostgREST, when the transaction commits, to ask for its configuration again: so it follows
/// rotated keys without a restart (its page on reloading).
pub fn notify() -> Result<(), SqlError> {
    let notify = "SELECT pg_catalog.pg_notify('pgrst', 'reload config')";
    Spi::connect_mut(|client| client.update(notify, None, &[]).map(|_| ()))?;
    Ok(())
}

fn warn(message: &str, hint: &str) {
    advise(&Advice {
        level: AdviceLevel::Warning,
        message: message.to_owned(),
        hint: hint.to_owned(),
    });
}

//! `revoke_key()` and `unrevoke_key()`.

use super::super::call::{self, Call};
use super::super::errors::{SqlError, unknown_provider};
use super::super::{known_keys, registry};
use crate::c_function;
use crate::keys::Kid;
use crate::provider::Provider;
use crate::token::MAX_KID_BYTES;
use pgrx::PgSqlErrorCode;
use pgrx::spi::Spi;
use std::sync::Arc;

c_function!(
    /// `revoke_key(provider text, kid text) → boolean`: whether it was not revoked before.
    third_party_auth_revoke_key, pg_finfo_third_party_auth_revoke_key, |call| {
        let (provider, kid) = arguments(call)?;
        let known = known_keys::listed(&provider)?;
        let hash = Kid::new(&kid);
        let thumbprint = known.iter().flat_map(|keys| &keys.keys).find_map(|key| {
            (key.kid.as_ref() == Some(&hash)).then(|| key.thumbprint.to_string())
        });
        let insert = "INSERT INTO third_party_auth.revoked (issuer, kid, thumbprint) \
                      SELECT i, $2, $3 FROM pg_catalog.unnest($1) i ON CONFLICT (issuer, kid) DO UPDATE SET thumbprint = excluded.thumbprint \
                      WHERE revoked.thumbprint IS NULL AND excluded.thumbprint IS NOT NULL";
        let count = Spi::connect_mut(|client| {
            let arguments = [
                issuers(&provider).into(),
                kid.as_str().into(),
                thumbprint.as_deref().into(),
            ];
            client.update(insert, None, &arguments).map(|rows| rows.len())
        })?;
        call::boolean(count > 0)
    }
);

c_function!(
    /// `unrevoke_key(provider text, kid text) → boolean`: whether it was revoked.
    third_party_auth_unrevoke_key, pg_finfo_third_party_auth_unrevoke_key, |call| {
        let (provider, kid) = arguments(call)?;
        let delete = "DELETE FROM third_party_auth.revoked WHERE issuer OPERATOR(pg_catalog.=) ANY ($1) \
                      AND kid OPERATOR(pg_catalog.=) $2";
        let count = Spi::connect_mut(|client| {
            let arguments = [issuers(&provider).into(), kid.as_str().into()];
            client.update(delete, None, &arguments).map(|rows| rows.len())
        })?;
        call::boolean(count > 0)
    }
);

fn arguments(call: Call) -> Result<(Arc<Provider>, String), SqlError> {
    let missing = |name: &str| {
        SqlError::new(
            PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
            format!("{name} is NULL or empty"),
        )
        .hint("SELECT provider, kid FROM third_party_auth.signing_key lists the known keys.")
    };
    let given = |position| {
        call.argument::<String>(position)
            .filter(|text| !text.is_empty())
    };
    let name = given(0).ok_or_else(|| missing("provider"))?;
    let kid = given(1).ok_or_else(|| missing("kid"))?;
    if kid.len() > MAX_KID_BYTES {
        return Err(SqlError::new(
            PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
            "kid is too long",
        )
        .hint(format!("A key id has at most {MAX_KID_BYTES} bytes.")));
    }
    registry::accept_invalidations();
    let loaded = registry::current()?;
    let provider = loaded
        .registry
        .by_name(&name)
        .ok_or_else(|| unknown_provider(&name))?;
    Ok((Arc::clone(provider), kid))
}

/// The issuers under which a revocation is kept, so that it survives the provider.
fn issuers(provider: &Provider) -> Vec<String> {
    let issuers = provider.issuers.iter();
    issuers.map(|issuer| issuer.as_str().to_owned()).collect()
}

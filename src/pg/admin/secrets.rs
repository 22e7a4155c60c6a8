//! The symmetric secrets of Supabase providers (HS256): one table, which the owner alone reads.

use super::super::catalog::{self, Table};
use super::super::errors::{SqlError, advise};
use super::super::registry;
use crate::provider::row::{Advice, AdviceLevel, Row};
use crate::provider::{RowError, Secret};
use crate::token::base64url;
use pgrx::PgSqlErrorCode;
use pgrx::spi::Spi;

/// The secret that a provider has, as its table has it.
pub fn stored(provider: &str) -> Result<Option<String>, SqlError> {
    let table = Table::ProviderSecret
        .oid()
        .ok_or_else(super::triggers::not_installed)?;
    let rows = catalog::rows(table, registry::secret_row)?;
    Ok(rows
        .into_iter()
        .find(|(name, _)| name == provider)
        .map(|(_, secret)| secret))
}

/// The secret of a row that is about to be registered.
pub fn of(row: &Row, text: String) -> Result<Secret, RowError> {
    let (provider, _) = row.clone().judge()?;
    Secret::new(text, &provider.issuers)
}

/// Judges a secret that is written into the table.
pub fn judge(provider: &str, text: String) -> Result<(), SqlError> {
    let table = super::triggers::provider_table()?;
    let rows = catalog::rows(table, registry::row)?;
    let Some(row) = rows.into_iter().find(|row| row.name == provider) else {
        // The foreign key says it better.
        return Ok(());
    };
    if !row.may_have_secret() {
        return Err(SqlError::new(
            PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
            format!(
                "provider \"{provider}\" of kind {} cannot have a secret",
                row.kind
            ),
        )
        .hint("Only tokens of kind supabase may be signed with a shared secret (HS256)."));
    }
    let secret = of(&row, text)?;
    warn_if_readable(&secret)
}

/// Keeps the secret of a provider that was just registered.
pub fn keep(provider: &str, secret: &Secret) -> Result<(), SqlError> {
    let insert = "INSERT INTO third_party_auth.provider_secret (provider, secret) VALUES ($1, $2)";
    Spi::connect_mut(|client| {
        client
            .update(insert, None, &[provider.into(), secret.text().into()])
            .map(|_| ())
    })?;
    Ok(())
}

/// Settings are no place for secrets: everyone who can log in reads them, and could sign tokens.
fn warn_if_readable(secret: &Secret) -> Result<(), SqlError> {
    // As a text, and as the k of a JWK (RFC 7518 §6.4.1), which is how PostgREST may have it.
    let find = "SELECT pg_catalog.string_agg(DISTINCT name, ', ') FROM (
            SELECT pg_catalog.split_part(c, '=', 1) AS name,
                   pg_catalog.substr(c, pg_catalog.strpos(c, '=') OPERATOR(pg_catalog.+) 1) AS value
            FROM pg_catalog.pg_db_role_setting s, pg_catalog.unnest(s.setconfig) c
            UNION ALL
            SELECT name, setting FROM pg_catalog.pg_settings
            UNION ALL
            SELECT name, pg_catalog.current_setting(name, true)
            FROM pg_catalog.unnest('{app.settings.jwt_secret,app.jwt_secret,pgrst.jwt_secret}'::pg_catalog.text[]) name
        ) s
        WHERE pg_catalog.strpos(value, $1) OPERATOR(pg_catalog.>) 0
           OR pg_catalog.strpos(value, $2) OPERATOR(pg_catalog.>) 0";
    let encoded = base64url::encode(secret.as_bytes());
    let arguments = [secret.text().into(), encoded.as_str().into()];
    let names = Spi::connect(|client| {
        client
            .select(find, None, &arguments)?
            .first()
            .get_one::<String>()
    })?;
    if let Some(names) = names {
        advise(&Advice {
            level: AdviceLevel::Warning,
            message: format!("jwt_secret can be read in this database, in the setting {names}"),
            hint: "Whoever can log in could sign tokens with it. Take it out of the setting (ALTER DATABASE \
                   … RESET …), then make a new secret."
                .to_owned(),
        });
    }
    Ok(())
}

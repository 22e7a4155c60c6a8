//! The symmetric secrets of Supabase providers (HS256): a table of their own.

use super::super::catalog::{self, Table};
use super::super::errors::{SqlError, advise};
use super::super::registry::{self, SecretRow};
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
    let rows = catalog::rows(table, SecretRow::read)?;
    let own = rows.into_iter().find(|row| row.provider == provider);
    Ok(own.map(|row| row.secret))
}

/// The secret of a row that is about to be registered.
pub fn of(row: &Row, text: String) -> Result<Secret, RowError> {
    let (provider, _) = row.clone().judge()?;
    Secret::new(text, &provider.issuers)
}

/// Judges a secret that is written into the table; answers the issuer that it is for.
pub fn judge(written: &SecretRow) -> Result<String, SqlError> {
    let invalid =
        |message: String| SqlError::new(PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE, message);
    let name = &written.provider;
    let rows = catalog::rows(super::triggers::provider_table()?, registry::row)?;
    // Said here, because PostgreSQL's own error would show the row.
    let Some(row) = rows.into_iter().find(|row| row.name == *name) else {
        return Err(invalid(format!("provider \"{name:.63}\" does not exist"))
            .hint("Register the provider first."));
    };
    if !row.may_have_secret() {
        let kind = &row.kind;
        return Err(invalid(format!(
            "provider \"{name}\" of kind {kind} cannot have a secret"
        ))
        .hint("Only tokens of kind supabase may be signed with a shared secret (HS256)."));
    }
    let secret = of(&row, written.secret.clone())?;
    warn_if_readable(&secret)?;
    warn_if_open()?;
    Ok(row.all_issuers()?.swap_remove(0))
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

/// Row Level Security keeps the table from readers of all data, and not from those it does not bind; a
/// publication of all tables sends it elsewhere.
fn warn_if_open() -> Result<(), SqlError> {
    let find = "SELECT pg_catalog.string_agg(open.who, ', ') FROM (
            SELECT 'role ' OPERATOR(pg_catalog.||) rolname AS who FROM pg_catalog.pg_roles
            WHERE rolbypassrls AND NOT rolsuper
              AND pg_catalog.pg_has_role(oid, 'pg_read_all_data', 'MEMBER')
            UNION ALL
            SELECT 'publication ' OPERATOR(pg_catalog.||) pubname FROM pg_catalog.pg_publication
            WHERE puballtables
        ) open";
    let open = Spi::connect(|client| client.select(find, None, &[])?.first().get_one::<String>())?;
    if let Some(open) = open {
        advise(&Advice {
            level: AdviceLevel::Warning,
            message: format!("jwt_secret can be read by others than the owner: {open}"),
            hint: "Whoever reads it can sign tokens of any role. Take BYPASSRLS or pg_read_all_data from the \
                   role; publish tables by name."
                .to_owned(),
        });
    }
    Ok(())
}

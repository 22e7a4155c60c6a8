//! The rows of the views `status` and `signing_key`.
#![allow(
    clippy::result_large_err,
    reason = "the error is pgrx's own, and returned once per call"
)]

use super::super::registry::{self, Loaded};
use super::super::{clock, columns, fetching, known_keys, shared};
use crate::cache::source::Source;
use crate::keys::{EMPTY_SET, KeySet};
use crate::provider::{Issuer, KeyAddress, KeySource, Provider};
use pgrx::datum::TimestampWithTimeZone;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use std::rc::Rc;
use std::sync::Arc;

/// What shared memory knows of a provider's key address.
struct Fetching {
    source: Source,
    persisted: bool,
}

/// The rows of the view `status`.
#[pg_extern(schema = "third_party_auth", volatile, parallel_restricted)]
#[allow(clippy::type_complexity)]
fn provider_status(
    fcinfo: pg_sys::FunctionCallInfo,
) -> Result<
    TableIterator<
        'static,
        (
            name!(provider, String),
            name!(kind, String),
            name!(issuer, Option<String>),
            name!(jwks_uri, Option<String>),
            name!(enabled, bool),
            name!(source, Option<String>),
            name!(key_count, i32),
            name!(fetched_at, Option<TimestampWithTimeZone>),
            name!(next_refresh_at, Option<TimestampWithTimeZone>),
            name!(last_attempt_at, Option<TimestampWithTimeZone>),
            name!(last_error, Option<String>),
            name!(consecutive_failures, i32),
            name!(persisted, bool),
            name!(problem, Option<String>),
        ),
    >,
    ErrorReport,
> {
    // SAFETY: the call frame of this call.
    unsafe { columns::must_be(fcinfo, 14) };
    let loaded = loaded()?;
    let mut rows = Vec::new();
    for provider in &loaded.registry.providers {
        let fetching = fetching(provider);
        let source = fetching.as_ref().map(|fetching| &fetching.source);
        let keys = known_keys::listed(provider).ok().flatten();
        let stored = stored_at(provider);
        let fetched_at = source.map_or(0.0, |source| source.fetched_at);
        rows.push((
            provider.name.clone(),
            provider.preset.kind.to_owned(),
            Some(provider.issuer().to_owned()),
            jwks_uri(provider, source),
            provider.enabled,
            origin(provider, source, stored).map(str::to_owned),
            keys.as_ref().map_or(0, |keys| keys.keys.len() as i32),
            clock::to_timestamp(if fetched_at > 0.0 { fetched_at } else { stored }),
            source.and_then(|source| clock::to_timestamp(source.next_refresh_at)),
            source.and_then(|source| clock::to_timestamp(source.last_attempt_at)),
            source
                .map(|source| source.last_error.as_str().to_owned())
                .filter(|error| !error.is_empty()),
            source.map_or(0, |source| source.failures.min(i32::MAX as u32) as i32),
            is_persisted(provider, fetching.as_ref(), stored),
            problem(
                provider,
                &loaded,
                source,
                keys.as_deref(),
                fetched_at.max(stored),
            ),
        ));
    }
    for (name, kind, enabled, error) in &loaded.problems {
        let problem = format!(
            "the row is not valid and verifies nothing: {}",
            error.message
        );
        rows.push((
            name.clone(),
            kind.clone(),
            None,
            None,
            *enabled,
            None,
            0,
            None,
            None,
            None,
            None,
            0,
            false,
            Some(problem),
        ));
    }
    Ok(TableIterator::new(rows))
}

/// The registry as it is now. A registry that cannot be read must not look like one without providers.
fn loaded() -> Result<Rc<Loaded>, ErrorReport> {
    registry::accept_invalidations();
    registry::current().map_err(|undecided| {
        let (message, hint) = undecided.message_and_hint();
        let code = PgSqlErrorCode::ERRCODE_SYSTEM_ERROR;
        ErrorReport::new(code, message, "status")
            .set_detail(format!("reason={}", undecided.code()))
            .set_hint(hint)
    })
}

fn fetching(provider: &Provider) -> Option<Fetching> {
    let KeySource::Fetched(address) = &provider.keys else {
        return None;
    };
    // SAFETY: reads a variable.
    let database = unsafe { pg_sys::MyDatabaseId }.to_u32();
    shared::locked(|state| {
        let position = state.table.find(address)?;
        Some(Fetching {
            source: state.table.sources[position],
            persisted: state.table.is_persisted(database, position),
        })
    })?
}

/// When the keys in the table were confirmed, in seconds since 1970; 0: there are none.
fn stored_at(provider: &Provider) -> f64 {
    let KeySource::Fetched(address) = &provider.keys else {
        return 0.0;
    };
    let stored = registry::stored().ok();
    let stored = stored
        .as_ref()
        .and_then(|stored| stored.get(&provider.name));
    stored
        .filter(|stored| stored.address == registry::address_text(address))
        .map_or(0.0, |stored| stored.fetched_at)
}

/// Whether the keys that are trusted are in the table too.
fn is_persisted(provider: &Provider, fetching: Option<&Fetching>, stored: f64) -> bool {
    match (&provider.keys, fetching) {
        (KeySource::Pinned(_), _) => true,
        (KeySource::Fetched(_), Some(fetching)) if fetching.source.generation != 0 => {
            fetching.persisted
        }
        (KeySource::Fetched(_), _) => stored > 0.0,
    }
}

fn jwks_uri(provider: &Provider, source: Option<&Source>) -> Option<String> {
    match &provider.keys {
        KeySource::Pinned(_) => None,
        KeySource::Fetched(KeyAddress::Direct { jwks_uri }) => Some(jwks_uri.clone()),
        KeySource::Fetched(KeyAddress::Discovery { .. }) => source
            .map(|source| source.jwks_uri.as_str().to_owned())
            .filter(|found| !found.is_empty()),
    }
}

fn origin(provider: &Provider, source: Option<&Source>, stored: f64) -> Option<&'static str> {
    match &provider.keys {
        KeySource::Pinned(_) => Some("pinned"),
        KeySource::Fetched(_) if source.is_some_and(|source| source.generation != 0) => {
            Some("fetched")
        }
        KeySource::Fetched(_) if stored > 0.0 => Some("stored"),
        KeySource::Fetched(_) => None,
    }
}

fn problem(
    provider: &Provider,
    loaded: &Loaded,
    source: Option<&Source>,
    keys: Option<&KeySet>,
    confirmed_at: f64,
) -> Option<String> {
    if !provider.enabled {
        return Some("disabled: it verifies nothing".to_owned());
    }
    let first = |issuer: &Issuer| {
        loaded
            .registry
            .select(issuer.as_str())
            .filter(|first| first.name != provider.name)
    };
    if let Some(first) = provider.issuers.iter().find_map(first) {
        return Some(format!(
            "provider \"{}\" has the same issuer and goes first",
            first.name
        ));
    }
    if let Some(problem) = loaded.secret_problems.get(&provider.name) {
        return Some(format!("its secret is not used: {}", problem.message));
    }
    if matches!(provider.keys, KeySource::Pinned(_)) {
        return None;
    }
    if !shared::is_there() {
        return Some(
            "keys are not fetched: add pg_third_party_auth to shared_preload_libraries and restart"
                .to_owned(),
        );
    }
    // Whatever else is the case follows from it.
    if let Some(obstacle) = fetching::obstacle() {
        let (message, hint) = (obstacle.message(), obstacle.hint());
        return Some(format!("keys are not fetched: {message}. {hint}"));
    }
    let max_stale = super::super::settings::max_stale().as_secs_f64();
    if keys.is_some() && clock::unix_time() - confirmed_at > max_stale {
        return Some(
            "stale: the keys could not be confirmed within max_stale and are not trusted"
                .to_owned(),
        );
    }
    let has_secret = loaded.registry.secret_of(provider).is_some();
    match source {
        Some(source)
            if has_secret && keys.is_none() && source.last_error.as_str().contains(EMPTY_SET) =>
        {
            None
        }
        Some(source) if !source.last_error.is_empty() => Some(format!(
            "the last fetch failed: {}. {}",
            source.last_error.as_str(),
            source.last_hint.as_str()
        )),
        Some(_) if keys.is_some() => None,
        _ if loaded.own.contains(&provider.name) => {
            Some("keys are fetched once the transaction is committed".to_owned())
        }
        None if fetching::is_sync_without_slot() => Some(
            "no worker slot was left to look at this database: raise max_worker_processes and restart"
                .to_owned(),
        ),
        None if !shared::has_free_slot() => Some(
            "no slot: raise third_party_auth.max_providers and restart; keys are not fetched"
                .to_owned(),
        ),
        _ => Some("no keys yet".to_owned()),
    }
}

/// The rows of the view `signing_key`, without the moments, which are in the table.
#[pg_extern(schema = "third_party_auth", volatile, parallel_restricted)]
#[allow(clippy::type_complexity)]
fn known_keys(
    fcinfo: pg_sys::FunctionCallInfo,
) -> Result<
    TableIterator<
        'static,
        (
            name!(provider, String),
            name!(kid, Option<String>),
            name!(algorithm, Option<String>),
            name!(key_type, String),
            name!(thumbprint, String),
            name!(revoked, bool),
        ),
    >,
    ErrorReport,
> {
    // SAFETY: the call frame of this call.
    unsafe { columns::must_be(fcinfo, 6) };
    let loaded = loaded()?;
    let mut rows = Vec::new();
    for provider in &loaded.registry.providers {
        let keys: Option<Arc<KeySet>> = known_keys::listed(provider).ok().flatten();
        for key in keys.iter().flat_map(|keys| &keys.keys) {
            rows.push((
                provider.name.clone(),
                key.kid.as_ref().map(|kid| kid.shown().to_owned()),
                key.algorithm.map(|algorithm| algorithm.name().to_owned()),
                key.material.key_type().to_owned(),
                key.thumbprint.to_string(),
                loaded.registry.is_key_revoked(provider, key),
            ));
        }
    }
    Ok(TableIterator::new(rows))
}

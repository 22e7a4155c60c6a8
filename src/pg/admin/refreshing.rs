//! `refresh()`: fetch now.

use super::super::call::{self, Call, Returned};
use super::super::errors::{SqlError, Undecided, not_preloaded, unknown_provider};
use super::super::{clock, fetching, registry, settings, shared};
use crate::c_function;
use crate::cache::Ticks;
use crate::cache::source::Reply;
use crate::provider::{KeyAddress, KeySource};
use pgrx::{PgSqlErrorCode, pg_sys};
use std::time::Duration;

c_function!(
    /// `fetch_now(provider text) → boolean`: fetches the keys of one provider, or of all, and waits for
    /// at most `http_timeout` and a second.
    third_party_auth_fetch_now, pg_finfo_third_party_auth_fetch_now, fetch_now);

fn fetch_now(call: Call) -> Returned {
    let name = call.argument::<String>(0);
    registry::accept_invalidations();
    let loaded = registry::current()?;
    if let Some(name) = &name
        && loaded.registry.by_name(name).is_none()
    {
        return Err(unknown_provider(name));
    }
    if !shared::is_there() {
        return Err(not_preloaded());
    }
    // SAFETY: reads shared state.
    if unsafe { pg_sys::RecoveryInProgress() } && !settings::fetch_on_standby() {
        return Err(Undecided::Standby {
            provider: name.unwrap_or_else(|| "any".to_owned()),
        }
        .into());
    }
    if let Some(obstacle) = fetching::obstacle() {
        return Err(obstacle.into());
    }
    let wanted = loaded.registry.providers.iter().filter(|provider| {
        provider.enabled && name.as_ref().is_none_or(|name| provider.name == *name)
    });
    let deadline =
        clock::ticks() + (settings::http_timeout() + Duration::from_secs(1)).as_millis() as Ticks;
    let mut waiting = Vec::new();
    for provider in wanted {
        let KeySource::Fetched(address) = &provider.keys else {
            continue;
        };
        if loaded.own.contains(&provider.name) {
            return Err(commit_first(&provider.name));
        }
        let ask = |address: &KeyAddress| {
            shared::locked(|state| {
                let position = state.table.find(address)?;
                let source = &mut state.table.sources[position];
                Some((source.request(clock::ticks()), source.generation))
            })
            .flatten()
        };
        let mut answer = ask(address);
        if answer.is_none() && shared::has_free_slot() {
            shared::request_sync();
            let found = shared::wait_until(deadline, || {
                shared::locked(|state| state.table.find(address)).flatten()
            });
            answer = found.and_then(|_| ask(address));
        }
        match answer {
            Some((Reply::Wait(fetch), generation)) => waiting.push((address, fetch, generation)),
            Some((Reply::BudgetSpent, _)) if name.is_some() => {
                return Err(Undecided::BudgetSpent {
                    provider: provider.name.clone(),
                }
                .into());
            }
            // It failed a moment ago, or is one of many whose budget is spent: the row tells.
            Some(_) => {}
            None if name.is_none() => {}
            None if !shared::has_free_slot() => return Err(no_slot(&provider.name)),
            None => {
                return Err(Undecided::KeysNotFetched {
                    provider: provider.name.clone(),
                    last_error: None,
                    uncommitted: false,
                }
                .into());
            }
        }
    }
    shared::wake_fetcher();
    for (address, fetch, generation) in waiting {
        shared::wait_until(deadline, || {
            shared::locked(|state| {
                let position = state.table.find(address)?;
                let source = &state.table.sources[position];
                // An earlier fetch that changed the keys cancels the one that was asked for.
                let changed = source.has_other_keys(generation).then_some(true);
                changed.or_else(|| source.ended(fetch))
            })
            .flatten()
        });
    }
    call::boolean(true)
}

fn commit_first(name: &str) -> SqlError {
    SqlError::new(
        PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
        format!("provider \"{name}\" was registered or changed in this transaction"),
    )
    .hint("Commit first: keys are fetched for what is committed.")
}

fn no_slot(name: &str) -> SqlError {
    SqlError::new(
        PgSqlErrorCode::ERRCODE_CONFIGURATION_LIMIT_EXCEEDED,
        format!("provider \"{name}\" has no slot: third_party_auth.max_providers is reached"),
    )
    .hint("Raise third_party_auth.max_providers and restart, or remove a provider.")
}

//! What the end of a fetch means: keys into shared memory, the time of the next fetch, and lines in the log where
//! something has changed.

use super::super::{clock, settings, shared};
use crate::cache::Ticks;
use crate::cache::record::Record;
use crate::cache::table::Difference;
use crate::cache::text::Text;
use crate::fetch::{Outcome, schedule};
use crate::provider::KeyAddress;
use pgrx::{log, warning};
use std::time::Duration;

/// A fetch has brought keys, or confirmed those that are known. The jitter is from 0 to 1.
pub(super) fn succeeded(address: &KeyAddress, now: Ticks, jitter: f64, outcome: Outcome) {
    let interval = interval();
    let next = |max_age| ticks(schedule::next_refresh(interval, max_age, jitter));
    let unix = clock::unix_time();
    let published = match outcome {
        Outcome::NotModified { max_age } => {
            let next = next(max_age);
            shared::locked(|state| {
                let position = state.table.find(address)?;
                let source = &mut state.table.sources[position];
                if source.generation == 0 {
                    source.end_in_vain(now);
                    return None;
                }
                let failed = (source.failures, source.failing_for(now));
                source.succeed(now, unix, next);
                Some((Ok(None), failed))
            })
        }
        Outcome::Keys {
            reading,
            validators,
            max_age,
            jwks_uri,
        } => {
            let next = next(max_age);
            let records: Vec<Record> = reading
                .keys
                .keys
                .iter()
                .filter_map(|key| Record::of(key))
                .collect();
            let grace = ticks(settings::removed_key_grace());
            let etag = Text::cut(validators.etag.as_deref().unwrap_or_default());
            let last_modified = Text::cut(validators.last_modified.as_deref().unwrap_or_default());
            let jwks_uri = Text::cut(&jwks_uri);
            shared::locked(|state| {
                let position = state.table.find(address)?;
                let difference = state.table.difference(position, &records);
                let published = state.table.publish(position, &records, now, grace);
                let source = &mut state.table.sources[position];
                let failed = (source.failures, source.failing_for(now));
                if published.is_ok() {
                    if published == Ok(true) {
                        source.cancel_follow_up();
                    }
                    source.succeed(now, unix, next);
                    source.etag = etag;
                    source.last_modified = last_modified;
                    source.validators_of = validators.source;
                    source.jwks_uri = jwks_uri;
                }
                let published = published.map(|changed| changed.then_some(difference));
                Some((published, failed))
            })
        }
    };
    match published.flatten() {
        Some((Ok(changed), (failures, time))) => {
            let url = address.url();
            if failures > 0 {
                let seconds = time / 1000;
                log!(
                    "pg_third_party_auth: {url} answers again after {failures} failures in {seconds} s"
                );
            }
            if let Some(Difference { added, withdrawn }) = changed {
                log!(
                    "pg_third_party_auth: the keys of {url} have changed: {added} added, {withdrawn} withdrawn"
                );
            }
            shared::announce();
        }
        Some((Err(_), _)) => {
            let why = "no room: third_party_auth.max_keys is reached";
            failed(
                address,
                now,
                jitter,
                why,
                "Raise it and restart the server.",
            );
        }
        // Unsubscribed meanwhile, be it for a moment.
        None => {}
    }
}

/// A fetch has failed: the keys stay as they are. The jitter is from 0 to 1.
pub(super) fn failed(address: &KeyAddress, now: Ticks, jitter: f64, why: &str, hint: &str) {
    let unix = clock::unix_time();
    let mentioned = shared::locked(|state| {
        let position = state.table.find(address)?;
        let source = &mut state.table.sources[position];
        let next = ticks(schedule::back_off(source.failures + 1, jitter));
        source.fail(now, unix, next, why, hint);
        source.mention_failure(now).then_some(source.failures)
    });
    if let Some(failures) = mentioned.flatten() {
        warning!(
            "pg_third_party_auth: the keys of {} cannot be fetched ({failures}): {why}. {hint}",
            address.url()
        );
    }
    shared::announce();
}

/// The longest time between two fetches: keys have to be confirmed well before they are too old to be
/// trusted.
pub(super) fn interval() -> Duration {
    settings::refresh_interval().min(settings::max_stale() / 2)
}

/// A time in milliseconds.
pub(super) fn ticks(duration: Duration) -> Ticks {
    duration.as_millis() as Ticks
}

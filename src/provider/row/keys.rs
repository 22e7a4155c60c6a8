//! Where a row's keys come from, and for which algorithms they are used.

use super::{Advice, AdviceLevel, Row};
use crate::keys::{self, Algorithm, KeySet};
use crate::provider::arguments::{RowError, check_texts, check_url, error, shown};
use crate::provider::presets::Preset;
use crate::provider::{KeyAddress, KeySource};
use serde_json::Value;
use std::sync::Arc;

impl Row {
    pub(super) fn drop_unusable_keys(&mut self) {
        let Some(Ok(reading)) = self.jwks.as_deref().map(keys::read) else {
            return;
        };
        if !reading.skipped.is_empty() {
            let used: Vec<Value> = reading.keys.keys.iter().map(|key| key.to_jwk()).collect();
            self.jwks = Some(serde_json::json!({ "keys": used }).to_string());
        }
    }

    pub(super) fn algorithm_list(&self) -> Result<Vec<Algorithm>, RowError> {
        let hint = || {
            let all: Vec<_> = Algorithm::ALL.iter().map(|a| a.name()).collect();
            format!("Choose among {}.", all.join(", "))
        };
        let names = self.algorithms.as_deref().unwrap_or_default();
        if names.is_empty() {
            return Err(error("algorithms", "algorithms is empty", hint()));
        }
        check_texts("algorithms", names)?;
        names
            .iter()
            .map(|name| {
                name.parse().map_err(|_| {
                    error(
                        "algorithms",
                        format!("\"{}\" is not a supported signature algorithm", shown(name)),
                        hint(),
                    )
                })
            })
            .collect()
    }

    pub(super) fn key_source(
        &self,
        preset: &Preset,
        address: KeyAddress,
        algorithms: &[Algorithm],
        advice: &mut Vec<Advice>,
    ) -> Result<KeySource, RowError> {
        match (&self.jwks, &self.jwks_uri) {
            (Some(_), Some(_)) => Err(error(
                "jwks_uri",
                "jwks and jwks_uri contradict each other",
                "Give jwks to pin keys that are never fetched, or jwks_uri to have them fetched.",
            )),
            (Some(text), None) => {
                let keys = self.pinned(text, algorithms, advice)?;
                Ok(KeySource::Pinned(Arc::new(keys)))
            }
            (None, Some(url)) => {
                check_url("jwks_uri", url)?;
                Ok(KeySource::Fetched(KeyAddress::Direct {
                    jwks_uri: url.clone(),
                }))
            }
            (None, None) => {
                check_url(preset.own_arguments[0], &address.url())?;
                Ok(KeySource::Fetched(address))
            }
        }
    }

    fn pinned(
        &self,
        text: &str,
        algorithms: &[Algorithm],
        advice: &mut Vec<Advice>,
    ) -> Result<KeySet, RowError> {
        let hint = "jwks takes a JWKS as published by the issuer: {\"keys\": [...]}, with public keys \
                    (RSA of 2048 bits or more, P-256, P-384 or Ed25519) that fit the algorithms.";
        let reading =
            keys::read(text).map_err(|cause| error("jwks", format!("jwks: {cause}"), hint))?;
        let mut warn = |message: String| {
            advice.push(Advice {
                level: AdviceLevel::Warning,
                message,
                hint: "The other keys are used.".to_owned(),
            });
        };
        for skipped in &reading.skipped {
            warn(format!(
                "key {} of jwks is not used: {}",
                skipped.index + 1,
                skipped.problem
            ));
        }
        let (usable, idle): (Vec<_>, Vec<_>) = reading
            .keys
            .keys
            .into_iter()
            .partition(|key| algorithms.iter().any(|&algorithm| key.allows(algorithm)));
        if usable.is_empty() {
            return Err(error(
                "jwks",
                "jwks has no key that fits the algorithms",
                hint,
            ));
        }
        if !idle.is_empty() {
            warn(format!(
                "{} key(s) of jwks fit none of the algorithms",
                idle.len()
            ));
        }
        Ok(KeySet { keys: usable })
    }
}

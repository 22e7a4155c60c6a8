//! Which key a token is checked with, and what its signature is worth.

use super::refusal::Problem;
use super::signature::{self, SignatureValid};
use super::{KeyLookup, Reason, tenant};
use crate::keys::{Algorithm, Key, KeySet, Thumbprint};
use crate::provider::{Provider, Registry};
use crate::token::Unverified;
use std::sync::Arc;

/// A token, and everything that its key must fit.
pub(super) struct Choice<'a> {
    pub token: &'a Unverified,
    pub algorithm: Algorithm,
    pub provider: &'a Arc<Provider>,
    pub registry: &'a Registry,
}

/// How the keys of one set judge a token.
pub(super) enum Judgement {
    Good(SignatureValid, Thumbprint),
    Unknown,
    /// The key that it names is for another algorithm.
    Unfit,
    BadSignature,
    /// Every key that it could be signed with is revoked.
    Revoked,
}

impl Choice<'_> {
    /// Judges with the current keys, and with newer ones if the current ones do not verify it.
    pub(super) fn judge<K: KeyLookup>(&self, keys: &mut K) -> Result<Judgement, K::Undecided> {
        let kid = self.token.header().kid.as_deref();
        let current = keys.current(self.provider)?;
        let judgement = self.judge_with(&current, keys);
        let is_final = match judgement {
            Judgement::Good(..) => true,
            // A key that is named stays revoked; a token that names none may be of a newer key.
            Judgement::Revoked => kid.is_some(),
            Judgement::Unknown | Judgement::Unfit | Judgement::BadSignature => false,
        };
        if is_final {
            return Ok(judgement);
        }
        match keys.newer(self.provider, kid, &current)? {
            Some(newer) => Ok(self.judge_with(&newer, keys)),
            None => Ok(judgement),
        }
    }

    /// Judges with the keys of one set.
    pub(super) fn judge_with<K: KeyLookup>(&self, set: &KeySet, keys: &mut K) -> Judgement {
        let kid = self.token.header().kid.as_deref();
        let fitting = set.candidates(kid, self.algorithm);
        if fitting.is_empty() {
            return match kid {
                Some(kid) if set.knows_kid(kid) => Judgement::Unfit,
                _ => Judgement::Unknown,
            };
        }
        let serves = |key: &&Arc<Key>| tenant::key_serves(key, self.token.claims(), self.provider);
        let candidates: Vec<_> = fitting.into_iter().filter(serves).collect();
        if candidates.is_empty() {
            return Judgement::Unknown;
        }
        let mut all_revoked = true;
        for key in candidates {
            if self.registry.is_key_revoked(self.provider, key) {
                continue;
            }
            all_revoked = false;
            if let Some(witness) = signature::check_or_recall(self.token, key, self.algorithm, keys)
            {
                return Judgement::Good(witness, key.thumbprint);
            }
        }
        if all_revoked {
            Judgement::Revoked
        } else {
            Judgement::BadSignature
        }
    }
}

/// Kinds whose tokens always name their key have no other tokens.
pub(super) fn named_key(token: &Unverified, provider: &Provider) -> Result<(), Problem> {
    match &token.header().kid {
        None if provider.preset.needs_kid => Err(unknown(token)),
        _ => Ok(()),
    }
}

/// The header's id must not be revoked, whether or not the provider publishes such a key.
pub(super) fn revoked_id(
    token: &Unverified,
    provider: &Provider,
    registry: &Registry,
) -> Result<(), Problem> {
    match &token.header().kid {
        Some(kid) if registry.is_kid_revoked(provider, kid) => Err(revoked(token)),
        _ => Ok(()),
    }
}

pub(super) fn revoked(token: &Unverified) -> Problem {
    Problem::new(
        Reason::KeyRevoked,
        "the token was signed with a key that is revoked",
        "Sign in again to get a token of another key; unrevoke_key() undoes the revocation.",
    )
    .found(kid(token))
}

pub(super) fn unknown(token: &Unverified) -> Problem {
    Problem::new(
        Reason::UnknownKey,
        "the provider has no key that the token can be checked with",
        "Compare the token's kid with the provider's published keys; a token of another project or \
         environment has another issuer's key.",
    )
    .expected("a key that the provider publishes")
    .found(kid(token))
}

pub(super) fn unfit(token: &Unverified) -> Problem {
    Problem::new(
        Reason::AlgorithmNotAllowed,
        "the key that the token names is for another algorithm",
        "Have the provider sign with the algorithm that its key set gives for this key.",
    )
    .found(format!(
        "alg {}, {}",
        token.header().alg.as_deref().unwrap_or_default(),
        kid(token)
    ))
}

pub(super) fn bad_signature(token: &Unverified) -> Problem {
    Problem::new(
        Reason::BadSignature,
        "the token's signature is not valid",
        "Pass the token exactly as the provider issued it.",
    )
    .expected("a signature of one of the provider's keys")
    .found(kid(token))
}

pub(super) fn kid(token: &Unverified) -> String {
    match &token.header().kid {
        Some(kid) => format!("kid {}", super::rules::shown(kid)),
        None => "no kid".to_owned(),
    }
}

//! API keys of Supabase: tokens of an application, not of a user. Old anon and service keys are such
//! tokens; new ones (`sb_…`) are turned into such tokens by the gateway.
//!
//! Their issuer is the same for every project, so that it selects nothing: the provider is the one whose
//! key, or secret, verifies the key.

use super::choice::{self, Choice, Judgement};
use super::refusal::{Problem, Refusal};
use super::rules::{self, Method};
use super::signature;
use super::{Failure, KeyLookup, Reason};
use crate::provider::{Provider, Registry};
use crate::token::{Claim, Claims, Unverified};
use std::sync::Arc;

/// The roles of API keys.
const ROLES: [&str; 2] = ["anon", "service_role"];

/// An API key that was found good: it says which application asks, and nothing about a user.
#[derive(Debug, Clone)]
pub struct ApiKey {
    provider: Arc<Provider>,
    role: &'static str,
}

impl ApiKey {
    /// The provider whose key signed it.
    pub fn provider(&self) -> &Arc<Provider> {
        &self.provider
    }

    /// Its role: `anon` or `service_role`.
    pub fn role(&self) -> &str {
        self.role
    }
}

/// Whether the claims look like those of an API key: their issuer selects no provider, and is one that
/// API keys have.
pub(super) fn could_be(claims: &Claims, registry: &Registry) -> bool {
    match claims.issuer() {
        Claim::Present(iss) => {
            registry.select(iss).is_none() && candidates(iss, registry).next().is_some()
        }
        Claim::Absent | Claim::Invalid => false,
    }
}

fn candidates<'a>(
    iss: &'a str,
    registry: &'a Registry,
) -> impl Iterator<Item = &'a Arc<Provider>> + 'a {
    registry.providers.iter().filter(move |provider| {
        provider.enabled
            && provider.for_requests
            && provider.api_key_issuers.iter().any(|own| own == iss)
    })
}

/// Judges an API key: algorithm, type, times, revocation, key, signature, role. Only keys that are there
/// are tried.
///
/// # Errors
/// [`Failure::Refused`] if it is none, or is good by the keys of two providers;
/// [`Failure::Undecided`] if the keys of a provider that it could be of cannot be obtained.
pub fn verify_api_key<K: KeyLookup>(
    token: &Unverified,
    registry: &Registry,
    now: f64,
    keys: &mut K,
) -> Result<ApiKey, Failure<K::Undecided>> {
    let claims = token.claims();
    let Claim::Present(iss) = claims.issuer() else {
        return Err(refused(no_api_key()));
    };
    if !could_be(claims, registry) {
        return Err(refused(no_api_key()));
    }
    let mut found = None;
    let mut undecided = None;
    let mut problem = no_api_key();
    for provider in candidates(iss, registry) {
        match judge(token, provider, registry, now, keys) {
            Ok(()) if found.is_some() => return Err(refused(ambiguous())),
            Ok(()) => found = Some(provider),
            Err(Failure::Refused(why)) => problem = why,
            Err(Failure::Undecided(why)) => undecided = Some(why),
        }
    }
    match (found, undecided) {
        (_, Some(why)) => Err(Failure::Undecided(why)),
        (Some(provider), None) => {
            let role = role(claims, provider).map_err(|problem| refused(problem.of(None)))?;
            let provider = Arc::clone(provider);
            Ok(ApiKey { provider, role })
        }
        (None, None) => Err(refused(problem)),
    }
}

/// Against one provider; everything but its role.
fn judge<K: KeyLookup>(
    token: &Unverified,
    provider: &Arc<Provider>,
    registry: &Registry,
    now: f64,
    keys: &mut K,
) -> Result<(), Failure<K::Undecided>> {
    let problem = |problem: Problem| Failure::Refused(problem.of(None));
    let claims = token.claims();
    let method = rules::algorithm(token.header(), Some(provider), registry).map_err(problem)?;
    rules::token_type(token.header(), Some(provider)).map_err(problem)?;
    times(claims, provider, now).map_err(problem)?;
    choice::revoked_id(token, provider, registry).map_err(problem)?;
    match method {
        Method::Secret(secret) => match signature::check_secret(token, secret) {
            Some(_) => Ok(()),
            None => Err(problem(choice::bad_signature(token))),
        },
        Method::Key(algorithm) => {
            let set = keys.current(provider).map_err(Failure::Undecided)?;
            let choice = Choice {
                token,
                algorithm,
                provider,
                registry,
            };
            match choice.judge_with(&set, keys) {
                Judgement::Good(..) => Ok(()),
                Judgement::BadSignature => Err(problem(choice::bad_signature(token))),
                Judgement::Unknown => Err(problem(choice::unknown(token))),
                Judgement::Unfit => Err(problem(choice::unfit(token))),
                Judgement::Revoked => Err(problem(choice::revoked(token))),
            }
        }
    }
}

/// The same for claims whose signature a gateway has checked: everything but algorithm, key and signature.
/// The provider is the first one that has such API keys: nothing tells it apart from the others.
///
/// # Errors
/// Why they are not those of an API key.
pub fn verify_gateway_api_key(
    claims: &Claims,
    registry: &Registry,
    now: f64,
) -> Result<ApiKey, Refusal> {
    let Claim::Present(iss) = claims.issuer() else {
        return Err(no_api_key());
    };
    let candidate = candidates(iss, registry).next();
    let provider = candidate
        .filter(|_| could_be(claims, registry))
        .ok_or_else(no_api_key)?;
    let problem = |problem: Problem| problem.of(None);
    times(claims, provider, now).map_err(problem)?;
    let role = role(claims, provider).map_err(problem)?;
    let provider = Arc::clone(provider);
    Ok(ApiKey { provider, role })
}

fn times(claims: &Claims, provider: &Provider, now: f64) -> Result<(), Problem> {
    rules::expiry(claims, provider, now)?;
    rules::not_before(claims, provider, now)?;
    rules::issued_at(claims, provider, now)
}

fn role(claims: &Claims, provider: &Provider) -> Result<&'static str, Problem> {
    let role = provider.role_claim.find(claims.members());
    let role = role.and_then(|role| ROLES.into_iter().find(|own| role.as_str() == Some(own)));
    role.filter(|role| provider.allowed_roles.iter().any(|own| own == role))
        .ok_or_else(|| {
            Problem::new(
                Reason::RoleNotAllowed,
                "the API key asks for a role that it may not have",
                "API keys have the role anon or service_role, and allowed_roles of their provider has to \
                 list it.",
            )
        })
}

fn refused<U>(refusal: Refusal) -> Failure<U> {
    Failure::Refused(refusal)
}

fn no_api_key() -> Refusal {
    Problem::new(
        Reason::UnknownIssuer,
        "the token is not an API key of a registered provider",
        "Register its iss with api_key_issuers of a provider of kind supabase.",
    )
    .of(None)
}

fn ambiguous() -> Refusal {
    Problem::new(
        Reason::UnknownIssuer,
        "the API key is good by the keys of two providers",
        "Give every project signing keys, or a secret, of its own.",
    )
    .of(None)
}

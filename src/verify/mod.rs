//! Whether a token is to be believed: the only maker of a [`Verified`].
//!
//! # Layout
//! - [`verify`]: every rule, in the one order of checking; [`verify_gateway_claims`] for claims
//!   whose signature a gateway has checked
//! - [`explain`]: the same rules, told one by one
//! - [`Reason`], [`Refusal`]: why not
//! - [`verify_api_key`]: API keys, which are no user's tokens
//! - [`fingerprint`]: what stands for a checked signature where many are remembered
//! - `rules`, `recipient`, `tenant`, `choice`, `session`: the rules before, at and after the key
//! - `signature`: one signature, one key, one algorithm
//!
//! The clock, the keys and the memory of checked signatures are arguments.
#![forbid(unsafe_code)]

mod api_key;
mod choice;
mod explanation;
mod fingerprint;
mod reason;
mod recipient;
mod refusal;
mod rules;
mod session;
mod signature;
mod tenant;
mod verified;

use crate::keys::{KeySet, Thumbprint};
use crate::provider::presets::TenantClaims;
use crate::provider::{Provider, Registry, Secret};
use crate::token::{Claims, Unverified};
use choice::{Choice, Judgement};
use refusal::Problem;
use rules::Method;
use std::sync::Arc;
use verified::{Evidence, Period};

pub use api_key::{ApiKey, verify_api_key, verify_gateway_api_key};
pub use explanation::{Step, explain, explain_gateway_claims};
pub use fingerprint::fingerprint;
pub use reason::Reason;
pub use refusal::{Detail, Refusal};
pub use verified::Verified;

/// What a token is judged for.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The time, in seconds since 1970.
    pub now: f64,
    /// What the token is to be used for.
    pub purpose: Purpose,
    /// A provider's name: it only narrows, the token's issuer must select this one.
    pub provider: Option<&'a str>,
    /// The nonce that the token must have, raw; `None`: not checked.
    pub nonce: Option<&'a str>,
}

/// What a token is to be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// It is the token of the current request.
    Request,
    /// It was passed to be verified explicitly.
    Explicit,
}

/// Where keys come from. Only what passed every rule before the key gets here.
pub trait KeyLookup {
    /// Why it cannot be decided: the keys are not obtainable.
    type Undecided;

    /// The provider's keys as they are known now; for a provider with pinned keys, those.
    ///
    /// # Errors
    /// Why there are none to judge with.
    fn current(&mut self, provider: &Arc<Provider>) -> Result<Arc<KeySet>, Self::Undecided>;

    /// Newer keys than `seen`, which do not verify the token: its `kid` is not among them, or it is
    /// and the signature is not good. Called at most once. `None`: there are no newer ones, so the
    /// refusal is final.
    ///
    /// # Errors
    /// Why it cannot be known whether there are newer keys.
    fn newer(
        &mut self,
        provider: &Arc<Provider>,
        kid: Option<&str>,
        seen: &Arc<KeySet>,
    ) -> Result<Option<Arc<KeySet>>, Self::Undecided>;

    /// Whether this very token was found to be signed by this very key before.
    fn is_known_good(&mut self, token: &Unverified, key: &Thumbprint) -> bool {
        let _ = (token, key);
        false
    }

    /// Remembers that the token was found to be signed by the key. It says nothing about any other
    /// rule: those are judged each time.
    fn remember(&mut self, token: &Unverified, key: &Thumbprint) {
        let _ = (token, key);
    }
}

/// Why there is no [`Verified`].
#[derive(Debug)]
pub enum Failure<U> {
    /// The token breaks a rule.
    Refused(Refusal),
    /// It cannot be decided.
    Undecided(U),
}

/// Is told about every rule, in the order of checking. `()` listens to nothing.
pub trait Trace {
    /// A rule was judged. If it failed, `reason` is the failure's and this is the last call.
    fn step(&mut self, reason: Reason, ok: bool, detail: &dyn Fn() -> Detail);
}

impl Trace for () {
    fn step(&mut self, _: Reason, _: bool, _: &dyn Fn() -> Detail) {}
}

/// Judges a token by every rule of the provider that its issuer selects.
///
/// # Errors
/// [`Failure::Refused`] with the first rule that it breaks; [`Failure::Undecided`] if it breaks none
/// of those before the key and its key cannot be obtained.
pub fn verify<K: KeyLookup, T: Trace>(
    token: &Unverified,
    registry: &Registry,
    question: &Question<'_>,
    keys: &mut K,
    trace: &mut T,
) -> Result<Verified, Failure<K::Undecided>> {
    let (header, claims) = (token.header(), token.claims());
    // Algorithm and type come before the issuer in the order, and depend on the provider.
    let provider = rules::select(claims, registry, question);
    let mut judge = Judge {
        trace,
        provider: provider.map(|provider| provider.name.as_str()),
    };
    if header.alg.as_deref() == Some(rules::HS256) && api_key::could_be(claims, registry) {
        // Its algorithm is right for what it is. What it is, is no user's token.
        judge.rule(Reason::AlgorithmNotAllowed, Ok(()), || {
            rules::HS256.to_owned()
        })?;
        let token_type = rules::token_type(header, None);
        judge.rule(Reason::TokenTypeNotAllowed, token_type, String::new)?;
        let problem = rules::no_provider(claims, registry, question);
        return Err(judge.failed(problem).into());
    }
    let rules_of = provider.map(Arc::as_ref);
    let method = judge.rule(
        Reason::AlgorithmNotAllowed,
        rules::algorithm(header, rules_of, registry),
        || header.alg.clone().unwrap_or_default(),
    )?;
    judge.rule(
        Reason::TokenTypeNotAllowed,
        rules::token_type(header, rules_of),
        || header.typ.clone().unwrap_or_else(|| "no typ".to_owned()),
    )?;
    let (provider, period) = judge.claims_before_key(claims, provider, registry, question)?;
    judge.rule(
        Reason::KeyRevoked,
        choice::revoked_id(token, provider, registry),
        || choice::kid(token),
    )?;
    let evidence = match method {
        Method::Key(algorithm) => {
            let choice = Choice {
                token,
                algorithm,
                provider,
                registry,
            };
            judge.signature_of_key(&choice, keys)?
        }
        Method::Secret(secret) => judge.signature_of_secret(token, secret)?,
    };
    let role = judge.claims_after_signature(claims, provider, question)?;
    Ok(Verified::new(
        provider.clone(),
        claims.clone(),
        role,
        period,
        evidence,
    ))
}

/// Judges claims whose signature a gateway has checked: every rule but those of the header, the key
/// and the signature.
///
/// # Errors
/// The first rule that they break.
pub fn verify_gateway_claims<T: Trace>(
    claims: &Arc<Claims>,
    registry: &Registry,
    question: &Question<'_>,
    trace: &mut T,
) -> Result<Verified, Refusal> {
    let provider = rules::select(claims, registry, question);
    let mut judge = Judge {
        trace,
        provider: provider.map(|provider| provider.name.as_str()),
    };
    let (provider, period) = judge.claims_before_key(claims, provider, registry, question)?;
    let role = judge.claims_after_signature(claims, provider, question)?;
    Ok(Verified::new(
        provider.clone(),
        claims.clone(),
        role,
        period,
        Evidence::Gateway,
    ))
}

/// Turns the outcomes of rules into refusals and tells the trace.
struct Judge<'a, T: Trace> {
    trace: &'a mut T,
    provider: Option<&'a str>,
}

impl<'a, T: Trace> Judge<'a, T> {
    /// One rule. `found` is what the token has, for the trace, if it passed.
    fn rule<V>(
        &mut self,
        rule: Reason,
        outcome: Result<V, Problem>,
        found: impl Fn() -> String,
    ) -> Result<V, Refusal> {
        match outcome {
            Ok(value) => {
                self.trace.step(rule, true, &|| Detail {
                    expected: String::new(),
                    found: found(),
                });
                Ok(value)
            }
            Err(problem) => Err(self.failed(problem)),
        }
    }

    /// A rule failed.
    fn failed(&mut self, problem: Problem) -> Refusal {
        let refusal = problem.of(self.provider);
        self.trace
            .step(refusal.reason, false, &|| refusal.detail.clone());
        refusal
    }

    /// Issuer, audience, authorized party, tenant, time, subject. With the times at which they say the same.
    fn claims_before_key(
        &mut self,
        claims: &Claims,
        provider: Option<&'a Arc<Provider>>,
        registry: &Registry,
        question: &Question<'_>,
    ) -> Result<(&'a Arc<Provider>, Period), Refusal> {
        let provider = self.rule(
            Reason::UnknownIssuer,
            provider.ok_or_else(|| rules::no_provider(claims, registry, question)),
            || rules::text(&claims.issuer()),
        )?;
        let found = |name: &'static str| {
            move || match claims.members().get(name) {
                Some(value) => format!("{name} {}", rules::shown_json(value)),
                None => format!("no {name}"),
            }
        };
        let audience = recipient::audience(claims, provider);
        let name = recipient::audience_claim(claims, provider);
        self.rule(Reason::AudienceMismatch, audience, found(name))?;
        let party = recipient::authorized_party(claims, provider);
        let name = recipient::party_claim(claims, provider);
        self.rule(Reason::AuthorizedPartyMismatch, party, found(name))?;
        let tenant = tenant::tenant(claims, provider);
        self.rule(Reason::TenantNotAllowed, tenant, || {
            match provider.preset.tenant {
                TenantClaims::None => "this kind of provider has no tenants".to_owned(),
                TenantClaims::Entra => found("tid")(),
            }
        })?;
        let expiry = rules::expiry(claims, provider, question.now);
        let too_late = self.rule(Reason::Expired, expiry, found("exp"))?;
        let not_before = rules::not_before(claims, provider, question.now);
        self.rule(Reason::NotYetValid, not_before, found("nbf"))?;
        let issued_at = rules::issued_at(claims, provider, question.now);
        self.rule(Reason::IssuedInFuture, issued_at, found("iat"))?;
        self.rule(Reason::MissingClaim, rules::subject(claims), found("sub"))?;
        Ok((provider, Period::new(question.now, too_late)))
    }

    /// A key of the provider, and the signature under it.
    fn signature_of_key<K: KeyLookup>(
        &mut self,
        choice: &Choice<'_>,
        keys: &mut K,
    ) -> Result<Evidence, Failure<K::Undecided>> {
        let token = choice.token;
        if let Err(problem) = choice::named_key(token, choice.provider) {
            return Err(self.failed(problem).into());
        }
        let (key, signature) = match choice.judge(keys).map_err(Failure::Undecided)? {
            Judgement::Good(witness, thumbprint) => (Ok(()), Ok((witness, thumbprint))),
            Judgement::BadSignature => (Ok(()), Err(choice::bad_signature(token))),
            Judgement::Unknown => (Err(choice::unknown(token)), Err(choice::unknown(token))),
            Judgement::Unfit => (Err(choice::unfit(token)), Err(choice::unfit(token))),
            Judgement::Revoked => (Err(choice::revoked(token)), Err(choice::revoked(token))),
        };
        self.rule(Reason::UnknownKey, key, || choice::kid(token))?;
        let (witness, thumbprint) = self.rule(Reason::BadSignature, signature, || {
            token.header().alg.clone().unwrap_or_default()
        })?;
        Ok(Evidence::Signature(witness, thumbprint))
    }

    /// The provider's secret, and the signature under it.
    fn signature_of_secret(
        &mut self,
        token: &Unverified,
        secret: &Secret,
    ) -> Result<Evidence, Refusal> {
        self.rule(Reason::UnknownKey, Ok(()), || {
            "the provider's jwt_secret".to_owned()
        })?;
        let checked = signature::check_secret(token, secret);
        let signature = checked.ok_or_else(|| choice::bad_signature(token));
        let witness = self.rule(Reason::BadSignature, signature, || "HS256".to_owned())?;
        Ok(Evidence::Secret(witness))
    }

    /// The kind's discriminators, session, nonce, role, what the tokens are for. Returns the
    /// effective role.
    fn claims_after_signature(
        &mut self,
        claims: &Claims,
        provider: &Provider,
        question: &Question<'_>,
    ) -> Result<Option<String>, Refusal> {
        let kind = session::discriminators(claims, provider, question);
        self.rule(Reason::InvalidClaim, kind, || {
            format!("a session token of kind {}", provider.preset.kind)
        })?;
        let state = session::session(claims, provider);
        self.rule(Reason::SessionPending, state, || {
            "the session is complete".to_owned()
        })?;
        let nonce = session::nonce(claims, question);
        self.rule(Reason::NonceMismatch, nonce, || {
            question
                .nonce
                .map_or(
                    "no nonce was asked for",
                    |_| "the nonce is the expected one",
                )
                .to_owned()
        })?;
        let role = session::role(claims, provider);
        let name = role.as_ref().ok().cloned().flatten();
        let role = self.rule(Reason::RoleNotAllowed, role, || {
            name.as_deref()
                .map_or("no role".to_owned(), |name| format!("role {name}"))
        })?;
        let purpose = session::for_requests(provider, question);
        self.rule(Reason::NotForRequests, purpose, || {
            match question.purpose {
                Purpose::Request => "its tokens count for requests",
                Purpose::Explicit => "an explicit verification",
            }
            .to_owned()
        })?;
        Ok(role)
    }
}

impl<U> From<Refusal> for Failure<U> {
    fn from(refusal: Refusal) -> Failure<U> {
        Failure::Refused(refusal)
    }
}

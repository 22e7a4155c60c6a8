//! Requests of an application and of nobody: those without a token, and those with an API key alone.

use super::errors::{SqlError, Undecided};
use super::registry;
use super::request::Token;
use super::session::{self, Decision};
use super::stats::{self, Outcome};
use crate::token::Claims;
use crate::verify::{self, ApiKey, Failure, Reason, Refusal};

/// Whether the request carries no token, or an API key of the role `anon` alone.
///
/// # Errors
/// 58000 when it cannot be decided.
pub fn is_of_nobody(decision: &Decision) -> Result<bool, SqlError> {
    let is_without_token = decision.verified.is_none() && decision.refusal.is_none();
    let is_anonymous_key = matches!(of(decision)?, Some(Ok(key)) if key.role() == "anon");
    Ok(is_without_token || is_anonymous_key)
}

/// A token that claims to be an API key: it is one, or why it is not accepted as such.
pub type Judged = Result<ApiKey, Refusal>;

/// What the refused token of a decision is as an API key; `None`: it does not claim to be one.
///
/// # Errors
/// 58000 when it cannot be decided.
pub fn of(decision: &Decision) -> Result<Option<Judged>, SqlError> {
    let is_refused = |refusal: &Refusal| refusal.reason == Reason::UnknownIssuer;
    if !decision.refusal.as_ref().is_some_and(is_refused) {
        return Ok(None);
    }
    if let Some(known) = decision.api_key.get() {
        return Ok(known.clone());
    }
    let (found, is_recalled) = match session::decided_token() {
        Token::None | Token::Conflicting | Token::TooLarge(_) => (None, false),
        Token::Raw(text) => {
            let (judged, is_recalled) = judge(&text, decision.now.get())?;
            (Some(judged), is_recalled)
        }
        Token::GatewayClaims(payload) => (judge_gateway_claims(payload, decision.now.get()), false),
    };
    let found = found.filter(|judged| !matches!(judged, Err(refusal) if is_refused(refusal)));
    if let Some(Ok(key)) = &found {
        stats::was_api_key(&key.provider().name, Outcome::accepted(is_recalled));
    }
    Ok(decision.api_key.get_or_init(|| found).clone())
}

/// With whether the signature was found good before. Only with keys that are there: an API key's issuer
/// selects no provider that could be asked.
fn judge(text: &str, now: f64) -> Result<(Judged, bool), SqlError> {
    let loaded = registry::current()?;
    let judged = session::with_recent(|recent| {
        recent.judge(text, &loaded, |token, keys| {
            keys.do_not_wait();
            verify::verify_api_key(token, &loaded.registry, now, keys)
        })
    });
    let (judged, good) = match judged {
        Ok(judged) => judged,
        Err(error) => return Ok((Err(error.into()), false)),
    };
    match judged {
        Ok(key) => Ok((Ok(key), good.is_some_and(|good| good.is_recalled))),
        Err(Failure::Refused(refusal)) => Ok((Err(refusal), false)),
        // Whose keys they are is not for the caller to know: the token has not shown that it is theirs.
        Err(Failure::Undecided(_)) => Err(Undecided::KeysOfApiKeys.into()),
    }
}

/// Nothing raises here.
fn judge_gateway_claims(payload: String, now: f64) -> Option<Judged> {
    let loaded = registry::current().ok()?;
    let claims = Claims::parse(payload).ok()?;
    Some(verify::verify_gateway_api_key(
        &claims,
        &loaded.registry,
        now,
    ))
}

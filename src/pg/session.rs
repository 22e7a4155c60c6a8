//! What was decided about the token of the current request.
//!
//! A decision holds for a token, what is trusted, and the times of the statement and the transaction. The token is
//! looked at again whenever the epoch of [`answers`] has advanced, and judged again only if it is another one or
//! the rest has moved. A token that was accepted stays so, without all rules being gone through again, while nothing
//! has changed that they look at: registry and keys are the same, and the time is one at which they say the same.

use super::answers::{self, Answer, Moment, NULL, Value, boolean};
use super::call::Returned;
use super::errors::SqlError;
use super::process::Process;
use super::recent::Recent;
use super::request::{self, Token};
use super::stats::{self, Outcome};
use super::{api_key, claims, clock, known_keys, registry, settings};
use crate::keys::KeySet;
use crate::policy::{self, email, organization, second_factor};
use crate::token::Claims;
use crate::verify::{self, Failure, Purpose, Question, Reason, Refusal, Verified};
use pgrx::IntoDatum;
use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

/// Under which circumstances a decision holds.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
struct Circumstances {
    registry: u64,
    statement: i64,
    transaction: i64,
}

impl Circumstances {
    fn present() -> Self {
        Circumstances {
            registry: registry::counter(),
            statement: clock::statement(),
            transaction: clock::transaction(),
        }
    }
}

/// What a decision is.
pub struct Decision {
    /// The token, if it was accepted.
    pub verified: Option<Verified>,
    /// Why not, if there is one.
    pub refusal: Option<Refusal>,
    /// What it is as an API key, once that was asked.
    pub(super) api_key: OnceCell<Option<api_key::Judged>>,
    /// The time that it is about, in seconds since 1970.
    pub now: Cell<f64>,
    /// The keys that the token was judged with; `None` if it was accepted on other evidence, or not at all.
    keys: Option<Arc<KeySet>>,
}

impl Decision {
    /// The token, if judging the same one would end the same at this time; the registry is the same.
    fn still_accepted(&self, token: &Token, now: f64) -> Option<&Verified> {
        let verified = self.verified.as_ref()?;
        let may_be_so_long = match token {
            Token::Raw(text) => text.len() <= settings::max_token_bytes(),
            _ => true,
        };
        let keys = self.keys.as_ref();
        let still_holds = may_be_so_long
            && verified.holds_at(now)
            && keys.is_none_or(|keys| known_keys::are_present(keys, verified.provider()));
        still_holds.then_some(verified)
    }
}

/// When the decision was last found to hold.
static HELD_AT: Process<Cell<Moment>> = Process::new(Cell::new(Moment::NEVER));
static CIRCUMSTANCES: Process<Cell<Option<Circumstances>>> = Process::new(Cell::new(None));
static TOKEN: Process<RefCell<Token>> = Process::new(RefCell::new(Token::None));
static DECISION: Process<RefCell<Option<Rc<Decision>>>> = Process::new(RefCell::new(None));
static RECENT_TOKENS: Process<RefCell<Recent>> = Process::new(RefCell::new(Recent::new()));

/// Decides, answers, and remembers both.
///
/// # Errors
/// 58000 when it cannot be decided.
pub fn answer(answer: Answer) -> Result<(), SqlError> {
    let decision = decide()?;
    answers::remember(answer, HELD_AT.get().get(), || {
        build(answer, decision.verified.as_ref())
    });
    Ok(())
}

/// Since when the decision is known to hold.
pub fn held_at() -> Moment {
    HELD_AT.get().get()
}

/// The decision about the token of the current request.
///
/// # Errors
/// 58000 when it cannot be decided.
pub fn decide() -> Result<Rc<Decision>, SqlError> {
    if HELD_AT.get().get() == Moment::present()
        && let Some(decision) = DECISION.get().borrow().as_ref()
    {
        return Ok(Rc::clone(decision));
    }
    let moment = Moment::present();
    if request::take_again(&mut TOKEN.get().borrow_mut()) {
        forget();
    }
    if CIRCUMSTANCES.get().get() == Some(Circumstances::present())
        && let Some(decision) = DECISION.get().borrow().as_ref()
    {
        hold_since(moment);
        return Ok(Rc::clone(decision));
    }
    registry::accept_invalidations();
    // What moves from here on moves on from what is being decided.
    let (moment, circumstances) = (Moment::present(), Circumstances::present());
    let now = clock::statement_time();
    let decision = match standing(circumstances.registry, now) {
        Some(decision) => decision,
        None => decide_anew(now)?,
    };
    CIRCUMSTANCES.get().set(Some(circumstances));
    hold_since(moment);
    Ok(decision)
}

/// The last decision, if it still holds at this time.
fn standing(registry: u64, now: f64) -> Option<Rc<Decision>> {
    if CIRCUMSTANCES.get().get()?.registry != registry {
        return None;
    }
    let decision = DECISION.get().borrow();
    let decision = decision.as_ref()?;
    let verified = decision.still_accepted(&TOKEN.get().borrow(), now)?;
    decision.now.set(now);
    let provider = Some(verified.provider().name.as_str());
    stats::count(provider, Outcome::accepted(true));
    Some(Rc::clone(decision))
}

/// Goes through all rules.
fn decide_anew(now: f64) -> Result<Rc<Decision>, SqlError> {
    forget();
    let judged = judge(&TOKEN.get().borrow(), now)?;
    let (verified, keys, refusal) = match judged {
        Ok((verified, keys)) => (Some(verified), keys, None),
        Err(refusal) => (None, None, refusal),
    };
    let decision = Rc::new(Decision {
        verified,
        refusal,
        api_key: OnceCell::new(),
        now: Cell::new(now),
        keys,
    });
    DECISION.get().replace(Some(Rc::clone(&decision)));
    Ok(decision)
}

/// The decision was found to hold. Where nothing tells when the settings change, that is true for no time.
fn hold_since(moment: Moment) {
    let is_told = request::is_told_of_changes();
    let moment = if is_told { moment } else { Moment::NEVER };
    HELD_AT.get().set(moment);
}

/// Forgets the decision and the answers that were built from it.
fn forget() {
    CIRCUMSTANCES.get().set(None);
    HELD_AT.get().set(Moment::NEVER);
    answers::forget();
}

/// A token that was accepted, and the keys that it was judged with, if it was by keys.
type Accepted = (Verified, Option<Arc<KeySet>>);

/// Judges a token of the current request.
fn judge(token: &Token, now: f64) -> Result<Result<Accepted, Option<Refusal>>, SqlError> {
    let question = Question {
        now,
        purpose: Purpose::Request,
        provider: None,
        nonce: None,
    };
    match token {
        Token::None => Ok(Err(None)),
        Token::Conflicting => {
            stats::count(None, Outcome::Refused(Reason::ConflictingTokens));
            Ok(Err(Some(conflicting())))
        }
        Token::TooLarge(error) => {
            stats::count(None, Outcome::Refused(Reason::TooLarge));
            Ok(Err(Some(Refusal::from(*error))))
        }
        Token::Raw(text) => Ok(judge_text(text, &question)?.map_err(Some)),
        Token::GatewayClaims(payload) => {
            // Nothing raises here: there is no second try at a gateway. It must not look like no token.
            let loaded = match registry::current() {
                Ok(loaded) => loaded,
                Err(undecided) => {
                    stats::count_undecided(&undecided);
                    return Ok(Err(Some(unreadable())));
                }
            };
            let claims = Claims::parse(payload.clone());
            let judged = claims.map_err(Refusal::from).and_then(|claims| {
                let claims = Arc::new(claims);
                verify::verify_gateway_claims(&claims, &loaded.registry, &question, &mut ())
            });
            count(judged.as_ref(), false);
            Ok(judged.map(|verified| (verified, None)).map_err(Some))
        }
    }
}

/// Counts what was judged.
fn count(judged: Result<&Verified, &Refusal>, is_recalled: bool) {
    match judged {
        Ok(verified) => stats::count(
            Some(&verified.provider().name),
            Outcome::accepted(is_recalled),
        ),
        Err(refusal) => {
            stats::count(
                refusal.provider.as_deref(),
                Outcome::Refused(refusal.reason),
            );
        }
    }
}

/// Verifies a raw token.
///
/// # Errors
/// 58000 when it cannot be decided.
pub fn verify_text(
    text: &str,
    question: &Question<'_>,
) -> Result<Result<Verified, Refusal>, SqlError> {
    Ok(judge_text(text, question)?.map(|(verified, _)| verified))
}

fn judge_text(text: &str, question: &Question<'_>) -> Result<Result<Accepted, Refusal>, SqlError> {
    let mut known_by = None;
    let judged = registry::current()
        .map_err(Failure::Undecided)
        .and_then(|loaded| {
            let registry = &loaded.registry;
            let (judged, good) = with_recent(|recent| {
                recent.judge(text, &loaded, |token, keys| {
                    verify::verify(token, registry, question, keys, &mut ())
                })
            })
            .map_err(Refusal::from)?;
            known_by = good;
            judged
        });
    let judged = match judged {
        Ok(verified) => Ok(verified),
        Err(Failure::Refused(refusal)) => Err(refusal),
        Err(Failure::Undecided(undecided)) => {
            stats::count_undecided(&undecided);
            return Err(undecided.into());
        }
    };
    let is_recalled = known_by.as_ref().is_some_and(|good| good.is_recalled);
    count(judged.as_ref(), is_recalled);
    Ok(judged.map(|verified| (verified, known_by.map(|good| good.keys))))
}

/// The token of the current request, for `explain()`.
pub fn present_token() -> Token {
    request::take()
}

/// The token that the present decision is about.
pub(super) fn decided_token() -> Token {
    TOKEN.get().borrow().clone()
}

/// Lends the last tokens of this process.
pub(super) fn with_recent<R>(work: impl FnOnce(&mut Recent) -> R) -> R {
    let mut recent = RECENT_TOKENS.get().take();
    let result = work(&mut recent);
    RECENT_TOKENS.get().replace(recent);
    result
}

/// What the registry says cannot be known now, and a gateway's claims cannot wait.
fn unreadable() -> Refusal {
    Refusal {
        reason: Reason::UnknownIssuer,
        provider: None,
        message: "the registered providers cannot be read now".to_owned(),
        hint: "Somebody holds a lock on third_party_auth.provider, or its columns were altered.",
        detail: Default::default(),
    }
}

/// Two sources gave two different tokens.
pub fn conflicting() -> Refusal {
    Refusal {
        reason: Reason::ConflictingTokens,
        provider: None,
        message: "the request carries two different tokens".to_owned(),
        hint: "Set request.jwt or the header, not both; third_party_auth.token_sources says which count.",
        detail: Default::default(),
    }
}

/// The answer for a token that was accepted, or for none. It is kept while the decision stands, so it is not told the
/// time.
fn build(answer: Answer, token: Option<&Verified>) -> Value {
    let Some(token) = token else {
        return match answer {
            Answer::IsValid
            | Answer::IsSupabaseOrFirebase
            | Answer::SecondFactor
            | Answer::EmailVerified => boolean(false),
            _ => NULL,
        };
    };
    match answer {
        Answer::Claims => answers::stored(|| claims::to_jsonb(token.claims().payload())),
        Answer::IsValid => boolean(true),
        Answer::IsSupabaseOrFirebase => {
            boolean(policy::is_of_kind(token, "supabase") || policy::is_of_kind(token, "firebase"))
        }
        Answer::Provider => text(Some(&token.provider().name)),
        Answer::Issuer => text(policy::issuer(token)),
        Answer::Subject => text(policy::subject(token)),
        Answer::Role => text(token.role()),
        Answer::SessionId => text(policy::session_id(token)),
        Answer::OrganizationId => text(organization::organization(token).map(|o| o.id)),
        Answer::OrganizationRole => text(organization::organization(token).and_then(|o| o.role)),
        Answer::EmailVerified => boolean(email::is_verified(token)),
        Answer::SecondFactor => boolean(second_factor::is_verified(token)),
    }
}

fn text(value: Option<&str>) -> Value {
    answers::stored(|| value.and_then(IntoDatum::into_datum))
}

/// Runs a question that has arguments on the decision: `false` or NULL without a valid token.
pub fn ask<R>(question: impl FnOnce(&Verified, f64) -> R) -> Result<Option<R>, SqlError> {
    let decision = decide()?;
    Ok(decision
        .verified
        .as_ref()
        .map(|token| question(token, decision.now.get())))
}

/// As [`ask`], as a boolean result.
pub fn ask_boolean(question: impl FnOnce(&Verified, f64) -> bool) -> Returned {
    super::call::boolean(ask(question)?.unwrap_or(false))
}

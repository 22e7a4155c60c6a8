//! What was decided about the token of the current request.
//!
//! The path per row is [`remembered`]: a few comparisons, no allocation, no lock, no look-up. Texts and
//! `jsonb` are built once for each decision, and copied into the caller's memory.

use super::call::Returned;
use super::errors::SqlError;
use super::process::Process;
use super::recent::Recent;
use super::request::{self, Token};
use super::stats::{self, Outcome};
use super::{api_key, claims, clock, registry};
use crate::policy::{self, email, organization, second_factor};
use crate::token::Claims;
use crate::verify::{self, Failure, Purpose, Question, Reason, Refusal, Verified};
use pgrx::{IntoDatum, PgMemoryContexts, pg_sys};
use std::cell::{Cell, OnceCell, RefCell};
use std::ptr;
use std::rc::Rc;
use std::sync::Arc;

/// A question without arguments, whose answer is remembered for the statement.
#[derive(Clone, Copy)]
#[repr(usize)]
pub enum Answer {
    /// The verified claims.
    Claims,
    /// Whether the token is valid.
    IsValid,
    /// Whether it is of Supabase or Firebase.
    IsSupabaseOrFirebase,
    /// The provider's name.
    Provider,
    /// The issuer.
    Issuer,
    /// The subject.
    Subject,
    /// The effective role.
    Role,
    /// The session's id.
    SessionId,
    /// The organisation's id.
    OrganizationId,
    /// The role in the organisation.
    OrganizationRole,
    /// Whether a second factor was used.
    SecondFactor,
    /// Whether the e-mail address was verified.
    EmailVerified,
}

const ANSWERS: usize = Answer::EmailVerified as usize + 1;

/// An answer as PostgreSQL wants it.
#[derive(Clone, Copy)]
pub struct Slot {
    is_known: bool,
    is_null: bool,
    /// Bytes to copy; 0: the datum is the value itself.
    length: usize,
    datum: pg_sys::Datum,
}

const UNKNOWN: Slot = Slot {
    is_known: false,
    is_null: true,
    length: 0,
    datum: pg_sys::Datum::null(),
};

/// Under which circumstances a decision holds.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
struct Circumstances {
    registry: u64,
    statement: i64,
    transaction: i64,
}

impl Circumstances {
    #[inline(always)]
    fn present() -> Self {
        let (statement, transaction) = clock::statement_and_transaction();
        Circumstances {
            registry: registry::counter(),
            statement,
            transaction,
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
    /// When it was judged, in seconds since 1970.
    pub now: f64,
}

static MOMENT: Process<Cell<Option<request::Moment>>> = Process::new(Cell::new(None));
static CIRCUMSTANCES: Process<Cell<Option<Circumstances>>> = Process::new(Cell::new(None));
static SLOTS: Process<[Cell<Slot>; ANSWERS]> =
    Process::new([const { Cell::new(UNKNOWN) }; ANSWERS]);
static TOKEN: Process<RefCell<Token>> = Process::new(RefCell::new(Token::None));
static DECISION: Process<RefCell<Option<Rc<Decision>>>> = Process::new(RefCell::new(None));
static MEMORY: Process<Cell<pg_sys::MemoryContext>> = Process::new(Cell::new(ptr::null_mut()));
static RECENT_TOKENS: Process<RefCell<Recent>> = Process::new(RefCell::new(Recent::new()));

/// The answer, if it was given before and still holds.
#[inline(always)]
pub fn remembered(answer: Answer) -> Option<Slot> {
    let slot = SLOTS.get()[answer as usize].get();
    let holds = slot.is_known
        && MOMENT.get().get().is_some_and(request::is_present)
        && CIRCUMSTANCES.get().get() == Some(Circumstances::present());
    holds.then_some(slot)
}

/// Raw declarations: no guard, because where they are called nothing has to be dropped.
mod raw {
    unsafe extern "C-unwind" {
        pub fn palloc(size: usize) -> *mut u8;
    }
}

impl Slot {
    /// The answer as the result of a call, copied into the caller's memory.
    ///
    /// # Safety
    /// `fcinfo` must be valid, and no frame between here and PostgreSQL may have anything to drop.
    #[inline(always)]
    pub unsafe fn give(self, fcinfo: pg_sys::FunctionCallInfo) -> pg_sys::Datum {
        // SAFETY: the caller vouches for fcinfo and the frames (palloc may raise); `datum` points to
        // `length` bytes in MEMORY, which is only reset when the slots are.
        unsafe {
            (*fcinfo).isnull = self.is_null;
            if self.length == 0 {
                return self.datum;
            }
            let copy = raw::palloc(self.length);
            ptr::copy_nonoverlapping(self.datum.cast_mut_ptr::<u8>(), copy, self.length);
            pg_sys::Datum::from(copy)
        }
    }
}

/// Decides, answers, and remembers both.
pub fn answer(answer: Answer) -> Result<(), SqlError> {
    let decision = decide()?;
    let slot = &SLOTS.get()[answer as usize];
    if !slot.get().is_known {
        slot.set(build(answer, &decision));
    }
    Ok(())
}

/// What [`answer`] has just remembered.
pub fn last(answer: Answer) -> Slot {
    SLOTS.get()[answer as usize].get()
}

/// The decision about the token of the current request.
///
/// # Errors
/// 58000 when it cannot be decided.
pub fn decide() -> Result<Rc<Decision>, SqlError> {
    let moment = request::moment();
    let is_present = MOMENT.get().get().is_some_and(request::is_present);
    let holds = CIRCUMSTANCES.get().get() == Some(Circumstances::present());
    // A utility statement may have changed a setting that is not ours without starting a query.
    if !is_present || !holds {
        let token = request::take();
        if *TOKEN.get().borrow() != token {
            TOKEN.get().replace(token);
            CIRCUMSTANCES.get().set(None);
        }
        MOMENT.get().set(Some(moment));
    }
    if CIRCUMSTANCES.get().get() == Some(Circumstances::present())
        && let Some(decision) = DECISION.get().borrow().as_ref()
    {
        return Ok(Rc::clone(decision));
    }
    forget();
    registry::accept_invalidations();
    let circumstances = Circumstances::present();
    let now = clock::statement_time();
    let token = TOKEN.get().borrow().clone();
    let (verified, refusal) = match judge(&token, now)? {
        Ok(verified) => (Some(verified), None),
        Err(refusal) => (None, refusal),
    };
    let decision = Rc::new(Decision {
        verified,
        refusal,
        api_key: OnceCell::new(),
        now,
    });
    DECISION.get().replace(Some(Rc::clone(&decision)));
    CIRCUMSTANCES.get().set(Some(circumstances));
    Ok(decision)
}

/// Forgets the decision and the answers that were built from it.
fn forget() {
    CIRCUMSTANCES.get().set(None);
    for slot in SLOTS.get() {
        slot.set(UNKNOWN);
    }
    let memory = MEMORY.get().get();
    if !memory.is_null() {
        // SAFETY: our own context; the slots that pointed into it have just been cleared.
        unsafe { pg_sys::MemoryContextReset(memory) };
    }
}

/// Judges a token of the current request.
fn judge(token: &Token, now: f64) -> Result<Result<Verified, Option<Refusal>>, SqlError> {
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
        Token::Raw(text) => match verify_text(text, &question)? {
            Ok(verified) => Ok(Ok(verified)),
            Err(refusal) => Ok(Err(Some(refusal))),
        },
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
            count(&judged, false);
            Ok(judged.map_err(Some))
        }
    }
}

/// Counts what was judged.
fn count(judged: &Result<Verified, Refusal>, is_recalled: bool) {
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
    let mut is_recalled = false;
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
            is_recalled = good.is_some_and(|good| good.is_recalled);
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
    count(&judged, is_recalled);
    Ok(judged)
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

fn build(answer: Answer, decision: &Decision) -> Slot {
    let Some(token) = &decision.verified else {
        return match answer {
            Answer::IsValid
            | Answer::IsSupabaseOrFirebase
            | Answer::SecondFactor
            | Answer::EmailVerified => boolean(false),
            _ => NULL,
        };
    };
    match answer {
        Answer::Claims => stored(|| claims::to_jsonb(token.claims().payload())),
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
        Answer::SecondFactor => boolean(second_factor::is_verified(token, decision.now)),
    }
}

const NULL: Slot = Slot {
    is_known: true,
    ..UNKNOWN
};

fn boolean(value: bool) -> Slot {
    Slot {
        is_known: true,
        is_null: false,
        length: 0,
        datum: pg_sys::Datum::from(value),
    }
}

fn text(value: Option<&str>) -> Slot {
    stored(|| value.and_then(IntoDatum::into_datum))
}

/// Builds a variable-length value in the memory of the decision.
fn stored(build: impl FnOnce() -> Option<pg_sys::Datum>) -> Slot {
    // SAFETY: creating a context and switching to it; switched back also when `build` raises, because
    // PostgreSQL resets CurrentMemoryContext then.
    let datum = unsafe {
        if MEMORY.get().get().is_null() {
            MEMORY.get().set(pg_sys::AllocSetContextCreateExtended(
                pg_sys::TopMemoryContext,
                c"third_party_auth decision".as_ptr(),
                pg_sys::ALLOCSET_SMALL_MINSIZE as usize,
                pg_sys::ALLOCSET_SMALL_INITSIZE as usize,
                pg_sys::ALLOCSET_DEFAULT_MAXSIZE as usize,
            ));
        }
        PgMemoryContexts::For(MEMORY.get().get()).switch_to(|_| build())
    };
    match datum {
        None => NULL,
        Some(datum) => Slot {
            is_known: true,
            is_null: false,
            // SAFETY: text and jsonb are built as plain (not toasted) varlenas.
            length: unsafe { pgrx::varsize_any(datum.cast_mut_ptr()) },
            datum,
        },
    }
}

/// Runs a question that has arguments on the decision: `false` or NULL without a valid token.
pub fn ask<R>(question: impl FnOnce(&Verified, f64) -> R) -> Result<Option<R>, SqlError> {
    let decision = decide()?;
    Ok(decision
        .verified
        .as_ref()
        .map(|token| question(token, decision.now)))
}

/// As [`ask`], as a boolean result.
pub fn ask_boolean(question: impl FnOnce(&Verified, f64) -> bool) -> Returned {
    super::call::boolean(ask(question)?.unwrap_or(false))
}

//! What policies call. Declared in `sql/install/functions.sql`.
//!
//! None of them raises for a token that is refused, and the boolean ones never return NULL: an
//! argument that is NULL answers false, so that a NULL in a row never widens access.

use super::answers::{self, Answer};
use super::asked::{self, Question};
use super::call::{self, Call, Returned};
use super::errors::unknown_provider;
use super::session;
use super::{api_key, claims, clock, registry, roles};
use crate::c_function;
use crate::policy::{
    self, authentication, organization, permissions, reverification, scope, second_factor,
};
use crate::provider::Registry;
use crate::token::{Part, TokenError};
use crate::verify::{self, Purpose, Refusal, Verified};
use pgrx::datum::Interval;
use pgrx::pg_sys;

/// Declares a function without arguments whose answer is remembered.
macro_rules! answered {
    ($(#[$doc:meta])* $name:ident, $record:ident, $answer:expr) => {
        $crate::c_entry!($(#[$doc])* $name, $record, |fcinfo| {
            fn decide(_call: Call) -> Returned {
                session::answer($answer).map(|_| None)
            }
            // SAFETY: a function that PostgreSQL calls, with nothing to drop.
            unsafe {
                match answers::give_remembered($answer, fcinfo) {
                    Some(datum) => datum,
                    None => give_decided($answer, decide, fcinfo),
                }
            }
        });
    };
}

/// Has it decided and gives the answer. Apart from the path per row, which it would make longer.
///
/// # Safety
/// Only as the last thing in a function that PostgreSQL called with this `fcinfo`, with nothing to drop.
#[cold]
#[inline(never)]
unsafe fn give_decided(
    answer: Answer,
    decide: fn(Call) -> Returned,
    fcinfo: pg_sys::FunctionCallInfo,
) -> pg_sys::Datum {
    // SAFETY: the caller's promise. `decide` raises or leaves an answer behind, which cannot become void
    // before it is given.
    unsafe {
        call::enter(fcinfo, decide);
        answers::give_last(answer, fcinfo)
    }
}

answered!(
    /// `third_party_jwt() → jsonb`: the verified claims of the current request.
    third_party_jwt, pg_finfo_third_party_jwt, Answer::Claims);
answered!(
    /// `is_third_party_jwt() → boolean`: the request carries a valid token.
    is_third_party_jwt, pg_finfo_is_third_party_jwt, Answer::IsValid);
answered!(
    /// `is_supabase_or_firebase_project_jwt() → boolean`: … of a provider of one of these kinds.
    is_supabase_or_firebase_project_jwt,
    pg_finfo_is_supabase_or_firebase_project_jwt,
    Answer::IsSupabaseOrFirebase);
answered!(
    /// `jwt_provider() → text`: the registered name of the token's provider.
    jwt_provider, pg_finfo_jwt_provider, Answer::Provider);
answered!(
    /// `jwt_issuer() → text`: the token's `iss`.
    jwt_issuer, pg_finfo_jwt_issuer, Answer::Issuer);
answered!(
    /// `jwt_subject() → text`: the token's `sub`, unique only within its provider.
    jwt_subject, pg_finfo_jwt_subject, Answer::Subject);
answered!(
    /// `jwt_role() → text`: the effective role.
    jwt_role, pg_finfo_jwt_role, Answer::Role);
answered!(
    /// `jwt_session_id() → text`: the session's id, where the provider has one.
    jwt_session_id, pg_finfo_jwt_session_id, Answer::SessionId);
answered!(
    /// `jwt_org_id() → text`: the active organisation, unique only within its provider.
    jwt_org_id, pg_finfo_jwt_org_id, Answer::OrganizationId);
answered!(
    /// `jwt_org_role() → text`: the role in it, without `org:`.
    jwt_org_role, pg_finfo_jwt_org_role, Answer::OrganizationRole);
answered!(
    /// `jwt_second_factor_verified() → boolean`: a second factor was really used.
    jwt_second_factor_verified, pg_finfo_jwt_second_factor_verified, Answer::SecondFactor);
answered!(
    /// `jwt_email_verified() → boolean`: the provider has verified the e-mail address.
    jwt_email_verified, pg_finfo_jwt_email_verified, Answer::EmailVerified);
c_function!(
    /// `is_anonymous_request() → boolean`: the request carries no token, or an anonymous API key alone, and runs
    /// as a role that needs none.
    third_party_auth_is_anonymous_request, pg_finfo_third_party_auth_is_anonymous_request, |_call| {
        let decision = session::decide()?;
        // The role may change within a statement.
        call::boolean(api_key::is_of_nobody(&decision)? && roles::may_be_nobody()?)
    }
);

/// Declares a function whose argument names a provider: the answer, if the token is of that provider.
macro_rules! answered_of {
    ($(#[$doc:meta])* $name:ident, $record:ident, $answer:expr, $otherwise:expr) => {
        $crate::c_entry!($(#[$doc])* $name, $record, |fcinfo| {
            fn decide(_call: Call) -> Returned {
                session::answer(Answer::Provider)?;
                session::answer($answer).map(|_| None)
            }
            // SAFETY: a function that PostgreSQL calls, with nothing to drop. `decide` raises or leaves both
            // answers behind, which cannot become void before they are given.
            unsafe {
                let Some(name) = call::plain_text(fcinfo, 0) else {
                    return $otherwise.give(fcinfo);
                };
                if !answers::is_remembered(Answer::Provider) || !answers::is_remembered($answer) {
                    call::enter(fcinfo, decide);
                }
                match answers::last_text(Answer::Provider) == Some(name) {
                    true => answers::give_last($answer, fcinfo),
                    false => $otherwise.give(fcinfo),
                }
            }
        });
    };
}

answered_of!(
    /// `is_third_party_jwt(provider text) → boolean`.
    is_third_party_jwt_of, pg_finfo_is_third_party_jwt_of, Answer::IsValid, answers::boolean(false));
answered_of!(
    /// `jwt_subject(provider text) → text`: NULL unless the token is of that provider.
    jwt_subject_of, pg_finfo_jwt_subject_of, Answer::Subject, answers::NULL);
answered_of!(
    /// `jwt_org_id(provider text) → text`: NULL unless the token is of that provider.
    jwt_org_id_of, pg_finfo_jwt_org_id_of, Answer::OrganizationId, answers::NULL);

/// Declares a boolean function of an argument, whose last answer is remembered. NULL answers false.
macro_rules! asked {
    ($(#[$doc:meta])* $name:ident, $record:ident, $question:expr, $argument:path, $ask:expr) => {
        $crate::c_entry!($(#[$doc])* $name, $record, |fcinfo| {
            // SAFETY: a function that PostgreSQL calls, of such an argument, with nothing to drop.
            unsafe {
                match $argument(fcinfo, 0) {
                    Some(argument) => give_asked($question, argument, $ask, fcinfo),
                    None => answers::boolean(false).give(fcinfo),
                }
            }
        });
    };
}

/// Declares a boolean function of a text and an organisation's id, whose last answer for the token's own organisation
/// is remembered. NULL answers false.
macro_rules! asked_in_organization {
    ($(#[$doc:meta])* $name:ident, $record:ident, $question:expr, $ask:expr) => {
        $crate::c_entry!($(#[$doc])* $name, $record, |fcinfo| {
            fn decide(_call: Call) -> Returned {
                session::answer(Answer::OrganizationId).map(|_| None)
            }
            // SAFETY: a function that PostgreSQL calls with two texts, with nothing to drop. `decide` raises or
            // leaves an answer behind, which cannot become void before it is looked at.
            unsafe {
                let (Some(text), Some(id)) = (call::plain_text(fcinfo, 0), call::plain_text(fcinfo, 1)) else {
                    return answers::boolean(false).give(fcinfo);
                };
                if !answers::is_remembered(Answer::OrganizationId) {
                    call::enter(fcinfo, decide);
                }
                match answers::last_text(Answer::OrganizationId) == Some(id) {
                    true => give_asked($question, text, $ask, fcinfo),
                    false => answers::boolean(false).give(fcinfo),
                }
            }
        });
    };
}

/// The last answer, if the same is asked; else `ask` is, and its answer remembered.
///
/// # Safety
/// Only as the last thing in a function that PostgreSQL called with this `fcinfo`, with nothing to drop.
#[inline(always)]
unsafe fn give_asked(
    question: Question,
    argument: &[u8],
    ask: fn(Call) -> Returned,
    fcinfo: pg_sys::FunctionCallInfo,
) -> pg_sys::Datum {
    // SAFETY: the caller's promise; `ask` raises or answers.
    unsafe {
        match asked::last_answer(question, argument) {
            Some(answer) => answers::boolean(answer).give(fcinfo),
            None => {
                let answer = call::enter(fcinfo, ask);
                asked::remember(question, argument, session::held_at(), answer.value() != 0);
                answer
            }
        }
    }
}

asked!(
    /// `jwt_has_audience(audience text) → boolean`.
    jwt_has_audience, pg_finfo_jwt_has_audience, Question::Audience, call::plain_text,
    |call| with_text(call, |audience, token, _| policy::has_audience(token, audience)));
asked!(
    /// `jwt_has_org_role(role text) → boolean`: with or without `org:`.
    jwt_has_org_role, pg_finfo_jwt_has_org_role, Question::Role, call::plain_text,
    |call| with_text(call, |role, token, _| organization::has_role(token, role)));
asked_in_organization!(
    /// `jwt_has_org_role(role text, org_id text) → boolean`: in this organisation.
    jwt_has_org_role_in, pg_finfo_jwt_has_org_role_in, Question::RoleInOrganization,
    |call| with_two_texts(call, organization::has_role_in));
asked!(
    /// `jwt_has_scope(scope text) → boolean`.
    jwt_has_scope, pg_finfo_jwt_has_scope, Question::Scope, call::plain_text,
    |call| with_text(call, |scope, token, _| scope::has_scope(token, scope)));
asked!(
    /// `jwt_has_org_permission(permission text) → boolean`.
    jwt_has_org_permission, pg_finfo_jwt_has_org_permission, Question::Permission, call::plain_text,
    |call| with_text(call, |permission, token, _| permissions::has(token, permission)));
asked_in_organization!(
    /// `jwt_has_org_permission(permission text, org_id text) → boolean`: in this organisation.
    jwt_has_org_permission_in, pg_finfo_jwt_has_org_permission_in, Question::PermissionInOrganization,
    |call| with_two_texts(call, permissions::has_in));
asked!(
    /// `jwt_authenticated_within(max_age interval) → boolean`: at most so long ago.
    jwt_authenticated_within, pg_finfo_jwt_authenticated_within, Question::AuthenticatedWithin,
    call::plain_interval, |call| within(call, authentication::is_within));
asked!(
    /// `jwt_second_factor_verified(max_age interval) → boolean`: at most so long ago.
    jwt_second_factor_verified_within, pg_finfo_jwt_second_factor_verified_within,
    Question::SecondFactorWithin, call::plain_interval,
    |call| within(call, second_factor::is_verified_within));
asked!(
    /// `jwt_reverified(level text) → boolean`: Clerk's levels, by Clerk's rule.
    jwt_reverified, pg_finfo_jwt_reverified, Question::Reverified, call::plain_text,
    |call| with_text(call, |level, token, now| reverification::is_reverified(token, level, now)));
c_function!(
    /// `verify_third_party_jwt(token, provider, nonce) → jsonb`: the claims, or an error that says why
    /// not.
    verify_third_party_jwt, pg_finfo_verify_third_party_jwt, verify_token);

fn verify_token(call: Call) -> Returned {
    let Some(token) = call.argument::<&str>(0) else {
        return Ok(None);
    };
    let provider = call.argument::<&str>(1);
    let nonce = call.argument::<&str>(2);
    if let Some(name) = provider {
        registry::accept_invalidations();
        if !is_registered(&registry::current()?.registry, name) {
            return Err(unknown_provider(name).hiding_the_statement());
        }
    }
    let question = verify::Question {
        now: clock::statement_time(),
        purpose: Purpose::Explicit,
        provider,
        nonce,
    };
    registry::accept_invalidations();
    let verified = session::verify_text(token, &question)??;
    match claims::to_jsonb(verified.claims().payload()) {
        Some(claims) => Ok(Some(claims)),
        None => Err(Refusal::from(TokenError::Malformed(
            Part::Payload,
            "it holds a number that jsonb cannot hold",
        ))
        .into()),
    }
}

fn is_registered(registry: &Registry, name: &str) -> bool {
    registry.by_name(name).is_some()
}

/// A boolean question with one text: a NULL argument answers false.
fn with_text(call: Call, question: impl FnOnce(&str, &Verified, f64) -> bool) -> Returned {
    match call.argument::<&str>(0) {
        None => call::boolean(false),
        Some(text) => session::ask_boolean(|token, now| question(text, token, now)),
    }
}

/// A boolean question with two texts: a NULL argument answers false.
fn with_two_texts(call: Call, question: fn(&Verified, &str, &str) -> bool) -> Returned {
    let Some(second) = call.argument::<&str>(1) else {
        return call::boolean(false);
    };
    with_text(call, |first, token, _| question(token, first, second))
}

/// A boolean question with an age in seconds: a NULL argument answers false.
fn within(call: Call, question: fn(&Verified, f64, f64) -> bool) -> Returned {
    let Some(max_age) = call.argument::<Interval>(0) else {
        return call::boolean(false);
    };
    let max_age = registry::seconds(max_age);
    session::ask_boolean(|token, now| question(token, max_age, now))
}

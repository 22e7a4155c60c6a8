//! What a person calls when a policy says no: every rule in the order of checking.

use super::catalog::Table;
use super::keyring::Keyring;
use super::request::Token;
use super::session;
use super::{clock, columns, registry, settings};
use crate::verify::{self, Purpose, Question, Reason, Refusal, Step};
use pgrx::prelude::*;

/// A row of `explain()`.
type Row = (
    name!(step, i32),
    name!(rule, String),
    name!(ok, Option<bool>),
    name!(detail, String),
);

/// `explain()`: the token of the current request. Everyone may call it, so that it shows nothing of
/// the configuration to those who may not read it.
#[pg_extern(schema = "third_party_auth", stable, parallel_restricted)]
fn explain(
    fcinfo: pg_sys::FunctionCallInfo,
) -> TableIterator<
    'static,
    (
        name!(step, i32),
        name!(rule, String),
        name!(ok, Option<bool>),
        name!(detail, String),
    ),
> {
    // SAFETY: the call frame of this call.
    unsafe { columns::must_be(fcinfo, 4) };
    let rows = match session::present_token() {
        Token::None => one("no_token", None, no_token()),
        Token::Conflicting => refused(&session::conflicting()),
        Token::TooLarge(error) => refused(&Refusal::from(error)),
        Token::Raw(text) => rows(steps(&text, Purpose::Request), may_read_configuration()),
        Token::GatewayClaims(payload) => rows(gateway_steps(&payload), may_read_configuration()),
    };
    TableIterator::new(rows)
}

/// What is refused before there is a token to be judged.
fn refused(refusal: &Refusal) -> Vec<Row> {
    let detail = format!("{}. {}", refusal.message, refusal.hint);
    one(refusal.reason.code(), Some(false), detail)
}

/// `explain(token)`: any token, for administrators.
#[pg_extern(
    schema = "third_party_auth",
    name = "explain",
    stable,
    parallel_restricted
)]
fn explain_token(
    token: Option<String>,
    fcinfo: pg_sys::FunctionCallInfo,
) -> TableIterator<
    'static,
    (
        name!(step, i32),
        name!(rule, String),
        name!(ok, Option<bool>),
        name!(detail, String),
    ),
> {
    // SAFETY: the call frame of this call.
    unsafe { columns::must_be(fcinfo, 4) };
    TableIterator::new(match token {
        None => one("no_token", None, "the argument is NULL".to_owned()),
        Some(text) => rows(steps(&text, Purpose::Explicit), true),
    })
}

fn steps(text: &str, purpose: Purpose) -> Vec<Step> {
    registry::accept_invalidations();
    let loaded = match registry::current() {
        Ok(loaded) => loaded,
        Err(undecided) => {
            let (message, hint) = undecided.message_and_hint();
            return vec![undecided_step(format!("{message}. {hint}"))];
        }
    };
    let mut keys = Keyring::without_memory(&loaded);
    keys.do_not_wait();
    let (mut steps, undecided) = verify::explain(
        text,
        settings::max_token_bytes(),
        &loaded.registry,
        &question(purpose),
        &mut keys,
    );
    if let Some(undecided) = undecided
        && let Some(step) = steps.iter_mut().find(|step| step.ok.is_none())
    {
        let (message, hint) = undecided.message_and_hint();
        step.detail = format!("not decided ({}): {message}. {hint}", undecided.code());
        step.public_detail = step.detail.clone();
    }
    steps
}

fn gateway_steps(payload: &str) -> Vec<Step> {
    registry::accept_invalidations();
    match registry::current() {
        Ok(loaded) => verify::explain_gateway_claims(
            payload,
            settings::max_token_bytes(),
            &loaded.registry,
            &question(Purpose::Request),
        ),
        Err(undecided) => vec![undecided_step(undecided.message_and_hint().0)],
    }
}

fn question(purpose: Purpose) -> Question<'static> {
    Question {
        now: clock::statement_time(),
        purpose,
        provider: None,
        nonce: None,
    }
}

fn undecided_step(detail: String) -> Step {
    Step {
        rule: Reason::UnknownIssuer,
        ok: None,
        public_detail: detail.clone(),
        detail,
    }
}

fn rows(steps: Vec<Step>, with_configuration: bool) -> Vec<Row> {
    (1..)
        .zip(steps)
        .map(|(number, step)| {
            let detail = if with_configuration {
                step.detail
            } else {
                step.public_detail
            };
            (number, step.rule.code().to_owned(), step.ok, detail)
        })
        .collect()
}

fn one(rule: &str, ok: Option<bool>, detail: String) -> Vec<Row> {
    vec![(1, rule.to_owned(), ok, detail)]
}

fn no_token() -> String {
    let sources: Vec<_> = settings::token_sources()
        .iter()
        .map(|source| match source {
            super::request::Source::Jwt => "request.jwt".to_owned(),
            super::request::Source::Header(name) => format!("request.headers ({name}: Bearer …)"),
        })
        .collect();
    format!(
        "The request carries no token. It is looked for in: {}.",
        sources.join(", ")
    )
}

/// Whoever may read the table of providers may see it explained.
fn may_read_configuration() -> bool {
    let Some(table) = Table::Provider.oid() else {
        return false;
    };
    // SAFETY: a privilege check inside a transaction.
    unsafe {
        pg_sys::pg_class_aclcheck(
            table,
            pg_sys::GetUserId(),
            pg_sys::ACL_SELECT as pg_sys::AclMode,
        ) == pg_sys::AclResult::ACLCHECK_OK
    }
}

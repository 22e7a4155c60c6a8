//! What stops a request before its statement: `check_request()` behind PostgREST, `authenticate()` on
//! a direct connection.

use super::call::{Call, Returned};
use super::errors::{self, SqlError};
use super::request::Source;
use super::roles::{self, Becoming};
use super::session;
use super::{api_key, claims, clock, parameters, settings};
use crate::c_function;
use crate::token::{Part, TokenError};
use crate::verify::{Purpose, Question, Reason, Refusal, Verified};
use pgrx::{PgSqlErrorCode, pg_sys};

/// PostgREST answers with the status that follows `PT`.
const UNAUTHORIZED: [u8; 5] = *b"PT401";
const FORBIDDEN: [u8; 5] = *b"PT403";
const UNAVAILABLE: [u8; 5] = *b"PT503";

c_function!(
    /// `check_request() → void`: PostgREST's `db-pre-request`. It runs after the role switch, and lets a
    /// request through if the role is the one that its token may have, or one that needs none.
    third_party_auth_check_request, pg_finfo_third_party_auth_check_request, |_call| {
        let decision = session::decide().map_err(unavailable)?;
        let role = roles::current();
        if let Some(token) = &decision.verified {
            return same_role(token, &role).map(|()| None);
        }
        match api_key::of(&decision).map_err(unavailable)? {
            Some(Ok(key)) if key.role() == role => return Ok(None),
            Some(Ok(key)) => return Err(another_role(key.role(), &role)),
            Some(Err(refusal)) => return Err(unauthorized(&refusal)),
            None => {}
        }
        match &decision.refusal {
            Some(refusal) => Err(unauthorized(refusal)),
            None if roles::is_anonymous(&role) => Ok(None),
            None => Err(without_token()),
        }
    }
);

fn same_role(token: &Verified, role: &str) -> Result<(), SqlError> {
    match token.role() {
        Some(own) if own == role => Ok(()),
        Some(own) => Err(another_role(own, role)),
        None => Err(without_role(token).with_state(FORBIDDEN)),
    }
}

/// Both are names of roles, not claims: the token's is one that its provider's registration allows.
fn another_role(own: &str, role: &str) -> SqlError {
    SqlError::of_state(
        FORBIDDEN,
        format!("the request runs as \"{role}\", and its token may have \"{own}\" only"),
    )
    .detail(format!("reason={}", Reason::RoleNotAllowed))
    .hint("Make sure that the gateway takes the role from the same token, and from the same claim.")
    .hiding_the_statement()
}

fn without_token() -> SqlError {
    SqlError::of_state(UNAUTHORIZED, "the request carries no token")
        .detail("reason=no_token")
        .hint(
            "Send Authorization: Bearer <token>. Roles that need none are listed in \
             third_party_auth.anonymous_roles.",
        )
        .hiding_the_statement()
}

fn unauthorized(refusal: &Refusal) -> SqlError {
    SqlError::from(refusal.clone()).with_state(UNAUTHORIZED)
}

fn unavailable(error: SqlError) -> SqlError {
    error.with_state(UNAVAILABLE)
}

c_function!(
    /// `authenticate(token text) → jsonb`: verifies, and makes the token, its claims and its role those of
    /// the transaction.
    third_party_auth_authenticate, pg_finfo_third_party_auth_authenticate, |call| {
        // The statement holds the token.
        errors::hidden(|| authenticate(call))
    }
);

fn authenticate(call: Call) -> Returned {
    // SAFETY: reads the state of the transaction.
    if !unsafe { pg_sys::IsTransactionBlock() } {
        return Err(SqlError::new(
            PgSqlErrorCode::ERRCODE_NO_ACTIVE_SQL_TRANSACTION,
            "authenticate() can only be used in a transaction block",
        )
        .hint("BEGIN first: what it sets holds until the end of the transaction."));
    }
    if !settings::token_sources().contains(&Source::Jwt) {
        return Err(SqlError::new(
            PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
            "tokens are not taken from request.jwt in this session",
        )
        .hint("Add request.jwt to third_party_auth.token_sources."));
    }
    let Some(text) = call.argument::<&str>(0).filter(|text| !text.is_empty()) else {
        return Err(SqlError::new(
            PgSqlErrorCode::ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION,
            "there is no token",
        )
        .detail("reason=no_token")
        .hint("Pass the token that the client sent."));
    };
    let question = Question {
        now: clock::statement_time(),
        purpose: Purpose::Request,
        provider: None,
        nonce: None,
    };
    super::registry::accept_invalidations();
    let token = session::verify_text(text, &question)??;
    let role = role(&token)?;
    let payload = token.claims().payload();
    let Some(claims) = claims::to_jsonb(payload) else {
        let why = TokenError::Malformed(Part::Payload, "it holds a number that jsonb cannot hold");
        return Err(Refusal::from(why).into());
    };
    parameters::set_local(c"request.jwt", text);
    parameters::set_local(c"request.jwt.claims", payload);
    // Last: what a later statement may do is what this role may do.
    parameters::set_local(c"role", role);
    Ok(Some(claims))
}

fn without_role(token: &Verified) -> SqlError {
    SqlError::new(
        PgSqlErrorCode::ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION,
        "the token names no role",
    )
    .detail(format!(
        "reason={} provider={}",
        Reason::RoleNotAllowed,
        token.provider().name
    ))
    .hint(
        "Have the provider issue a role claim, or register the provider with default_role => \
         'authenticated'.",
    )
    .hiding_the_statement()
}

/// The role of the token, which the session must be allowed to take on.
fn role(token: &Verified) -> Result<&str, SqlError> {
    let Some(role) = token.role() else {
        return Err(without_role(token));
    };
    match roles::may_become(role) {
        Becoming::Allowed => Ok(role),
        Becoming::Missing => Err(SqlError::new(
            PgSqlErrorCode::ERRCODE_UNDEFINED_OBJECT,
            format!("role \"{role}\" does not exist"),
        )
        .hint("CREATE ROLE it, without LOGIN, and grant it what its users may do.")),
        Becoming::NotGranted => Err(SqlError::new(
            PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE,
            format!("\"{}\" may not become \"{role}\"", roles::session()),
        )
        .hint(format!(
            "GRANT \"{role}\" TO \"{}\"; create the login role with NOINHERIT.",
            roles::session()
        ))),
    }
}

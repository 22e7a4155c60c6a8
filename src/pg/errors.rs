//! What is raised, with which SQLSTATE, DETAIL and HINT: the one place that maps.
//!
//! pgrx knows a closed list of SQLSTATEs and cannot hide the statement that an error came from, so
//! reports go through PostgreSQL's own functions here.

use crate::provider::RowError;
use crate::provider::row::{Advice, AdviceLevel};
use crate::verify::Refusal;
use pgrx::pg_sys::panic::{CaughtError, ErrorReportWithLevel};
use pgrx::{PgSqlErrorCode, PgTryBuilder, pg_sys};
use std::ffi::{CString, c_char, c_int};
use std::panic::AssertUnwindSafe;
use std::ptr;

/// An error on its way to [`super::call::enter`], which raises it.
#[derive(Debug)]
pub struct SqlError {
    /// As `MAKE_SQLSTATE()` packs it.
    code: c_int,
    message: String,
    detail: Option<String>,
    hint: Option<String>,
    /// The statement may hold a token.
    hide_statement: bool,
}

/// Why a token can be neither accepted nor refused.
#[derive(Debug, Clone, PartialEq)]
pub enum Undecided {
    /// No keys of this provider were ever fetched.
    KeysNotFetched {
        /// The provider.
        provider: String,
        /// Why the last fetch failed, if there was one.
        last_error: Option<String>,
        /// The provider was registered in this very transaction.
        uncommitted: bool,
    },
    /// The keys could not be confirmed for longer than `max_stale`.
    KeysStale {
        /// The provider.
        provider: String,
        /// Seconds since they were.
        age: f64,
    },
    /// Too many wait already.
    TooManyWaiters {
        /// The provider.
        provider: String,
    },
    /// The provider's key address got as many requests as it may.
    BudgetSpent {
        /// The provider.
        provider: String,
    },
    /// The key is unknown, and without the worker nothing can be fetched.
    NotPreloaded {
        /// The provider.
        provider: String,
    },
    /// The key is unknown, and a standby fetches nothing.
    Standby {
        /// The provider.
        provider: String,
    },
    /// The key is not among the known ones, and only looking does not fetch.
    NotAmongKnown {
        /// The provider.
        provider: String,
    },
    /// An API key may be signed with keys that are not there.
    KeysOfApiKeys,
    /// Somebody holds a lock on the registry.
    RegistryLocked,
    /// A table or a column of the registry is missing or has another type.
    RegistryDamaged,
}

impl Undecided {
    /// The reason code.
    pub fn code(&self) -> &'static str {
        match self {
            Undecided::KeysNotFetched { .. }
            | Undecided::NotAmongKnown { .. }
            | Undecided::KeysOfApiKeys => "keys_not_fetched",
            Undecided::KeysStale { .. } => "keys_stale",
            Undecided::TooManyWaiters { .. } => "too_many_waiters",
            Undecided::BudgetSpent { .. } => "budget_spent",
            Undecided::NotPreloaded { .. } => "not_preloaded",
            Undecided::Standby { .. } => "standby",
            Undecided::RegistryLocked => "registry_locked",
            Undecided::RegistryDamaged => "registry_damaged",
        }
    }

    /// The provider, if the token selected one.
    pub fn provider(&self) -> Option<&str> {
        match self {
            Undecided::KeysNotFetched { provider, .. }
            | Undecided::NotAmongKnown { provider }
            | Undecided::KeysStale { provider, .. }
            | Undecided::TooManyWaiters { provider }
            | Undecided::BudgetSpent { provider }
            | Undecided::NotPreloaded { provider }
            | Undecided::Standby { provider } => Some(provider),
            Undecided::KeysOfApiKeys | Undecided::RegistryLocked | Undecided::RegistryDamaged => {
                None
            }
        }
    }

    /// What is the case, and what to do about it.
    pub fn message_and_hint(&self) -> (String, String) {
        let status =
            "SELECT * FROM third_party_auth.status shows why; a try in a few seconds may succeed.";
        match self {
            Undecided::KeysNotFetched { uncommitted: true, .. } => (
                "the keys of this provider are not fetched yet".into(),
                "Commit the transaction that registered the provider first.".into(),
            ),
            Undecided::KeysNotFetched { last_error, .. } => (
                match last_error {
                    Some(error) => format!("the keys of this provider could not be fetched: {error}"),
                    None => "the keys of this provider are not fetched yet".into(),
                },
                status.into(),
            ),
            Undecided::NotAmongKnown { .. } => (
                "the token's key is not among the known keys of this provider".into(),
                "A request with this token has them fetched once, to see whether the key is new.".into(),
            ),
            Undecided::KeysOfApiKeys => (
                "the keys that the API key may be signed with are not there".into(),
                status.into(),
            ),
            Undecided::KeysStale { age, .. } => (
                format!("the keys of this provider could not be confirmed for {:.0} s", age),
                "They are trusted for third_party_auth.max_stale. SELECT * FROM third_party_auth.status \
                 shows why they cannot be fetched."
                    .into(),
            ),
            Undecided::TooManyWaiters { .. } => (
                "too many statements wait for the keys of this provider".into(),
                "Try again; the token's key is not known yet.".into(),
            ),
            Undecided::BudgetSpent { .. } => (
                "the key address of this provider got as many requests as it may".into(),
                "One more is made every 10 s. Try again; the token's key is not known yet.".into(),
            ),
            Undecided::NotPreloaded { .. } => (
                "the token's key is not known, and nothing fetches it".into(),
                "Add pg_third_party_auth to shared_preload_libraries and restart, or pin the keys with \
                 jwks =>."
                    .into(),
            ),
            Undecided::Standby { .. } => (
                "the token's key is not known on this standby".into(),
                "The primary has not published it yet: try again, or verify there. \
                 third_party_auth.fetch_on_standby lets a standby fetch keys itself."
                    .into(),
            ),
            Undecided::RegistryDamaged => (
                "the tables of the extension were altered".into(),
                "Bring third_party_auth.provider, provider_state, provider_secret and revoked back to the columns that \
                 CREATE EXTENSION gave them."
                    .into(),
            ),
            Undecided::RegistryLocked => (
                "the table of providers is locked".into(),
                "Somebody holds, or waits for, an ACCESS EXCLUSIVE lock on third_party_auth.provider: try again, \
                 and look for them in pg_locks.".into(),
            ),
        }
    }
}

impl From<Undecided> for SqlError {
    fn from(undecided: Undecided) -> Self {
        let (message, hint) = undecided.message_and_hint();
        let detail = reason(undecided.code(), undecided.provider());
        SqlError {
            hide_statement: true,
            ..SqlError::new(PgSqlErrorCode::ERRCODE_SYSTEM_ERROR, message)
        }
        .detail(detail)
        .hint(hint)
    }
}

impl From<Refusal> for SqlError {
    fn from(refusal: Refusal) -> Self {
        let code = PgSqlErrorCode::ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION;
        SqlError {
            hide_statement: true,
            ..SqlError::new(code, refusal.message)
        }
        .detail(reason(refusal.reason.code(), refusal.provider.as_deref()))
        .hint(refusal.hint)
    }
}

impl From<RowError> for SqlError {
    fn from(error: RowError) -> Self {
        SqlError {
            // A private key that was pinned by mistake must not get into the log.
            hide_statement: error.argument == "jwks",
            ..SqlError::new(
                PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
                error.message,
            )
        }
        .detail(format!("argument={}", error.argument))
        .hint(error.hint)
    }
}

impl From<pgrx::spi::SpiError> for SqlError {
    fn from(error: pgrx::spi::SpiError) -> Self {
        SqlError::new(PgSqlErrorCode::ERRCODE_INTERNAL_ERROR, error.to_string())
    }
}

/// A provider name that is not registered.
pub fn unknown_provider(name: &str) -> SqlError {
    SqlError::new(
        PgSqlErrorCode::ERRCODE_UNDEFINED_OBJECT,
        // Anyone may ask for any name: as much of it as a name can have.
        format!("provider \"{name:.63}\" does not exist"),
    )
    .hint("SELECT provider FROM third_party_auth.status lists the registered ones.")
}

/// Something that needs the worker, in a server that did not preload the library.
pub fn not_preloaded() -> SqlError {
    SqlError::new(
        PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
        "keys can only be fetched when the library is preloaded",
    )
    .detail("reason=not_preloaded")
    .hint("Add pg_third_party_auth to shared_preload_libraries in postgresql.conf and restart.")
}

fn reason(code: &str, provider: Option<&str>) -> String {
    match provider {
        Some(provider) => format!("reason={code} provider={provider}"),
        None => format!("reason={code}"),
    }
}

impl SqlError {
    /// An error with this SQLSTATE.
    pub fn new(code: PgSqlErrorCode, message: impl Into<String>) -> Self {
        SqlError::packed(code as c_int, message)
    }

    /// An error with a SQLSTATE that PostgreSQL does not define: five characters, `0` to `9` and `A` to
    /// `Z`. PostgREST takes `PT` and an HTTP status (its page on errors).
    pub fn of_state(state: [u8; 5], message: impl Into<String>) -> Self {
        SqlError::packed(pack(state), message)
    }

    /// The same with another SQLSTATE, see [`SqlError::of_state`].
    pub fn with_state(mut self, state: [u8; 5]) -> Self {
        self.code = pack(state);
        self
    }

    fn packed(code: c_int, message: impl Into<String>) -> Self {
        SqlError {
            code,
            message: message.into(),
            detail: None,
            hint: None,
            hide_statement: false,
        }
    }

    fn caught(report: &ErrorReportWithLevel) -> Self {
        SqlError {
            detail: report.detail().map(str::to_owned),
            hint: report.hint().map(str::to_owned),
            ..SqlError::packed(report.sql_error_code() as c_int, report.message())
        }
    }

    /// With this DETAIL.
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// With this HINT.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// For a statement that may hold a token.
    pub fn hiding_the_statement(mut self) -> Self {
        self.hide_statement = true;
        self
    }

    /// The message.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The same in PostgreSQL's memory, so that nothing has to be dropped when it is raised.
    pub fn into_report(self) -> Report {
        Report {
            level: pg_sys::PGERROR as c_int,
            code: self.code,
            message: palloc_text(Some(&self.message)),
            detail: palloc_text(self.detail.as_deref()),
            hint: palloc_text(self.hint.as_deref()),
            hide_statement: self.hide_statement,
        }
    }
}

/// Runs what runs statements of its own for a statement that may hold a secret. An error of PostgreSQL, or
/// one of ours that went through it, comes back without the mark that hides the statement: here it gets it
/// again.
pub fn hidden<R>(work: impl FnOnce() -> Result<R, SqlError>) -> Result<R, SqlError> {
    let work = AssertUnwindSafe(|| work().map_err(SqlError::hiding_the_statement));
    PgTryBuilder::new(work)
        .catch_others(|cause| match cause {
            CaughtError::PostgresError(report) | CaughtError::ErrorReport(report) => {
                Err(SqlError::caught(&report).hiding_the_statement())
            }
            panic => panic.rethrow(),
        })
        .execute()
}

/// What the macro MAKE_SQLSTATE() does.
fn pack(state: [u8; 5]) -> c_int {
    state.iter().rev().fold(0, |packed, character| {
        packed << 6 | c_int::from(character.wrapping_sub(b'0') & 0x3f)
    })
}

/// What `errstart … errfinish` needs, as plain data.
#[derive(Clone, Copy)]
pub struct Report {
    level: c_int,
    code: c_int,
    message: *const c_char,
    detail: *const c_char,
    hint: *const c_char,
    hide_statement: bool,
}

fn palloc_text(text: Option<&str>) -> *const c_char {
    let Some(text) = text else {
        return ptr::null();
    };
    let text = CString::new(text.replace('\0', "")).unwrap_or_default();
    // SAFETY: a NUL-terminated text is copied into the current memory context.
    unsafe { pg_sys::pstrdup(text.as_ptr()) }
}

/// PostgreSQL's functions as they are: no guard of pgrx around them, because they are called where
/// nothing has to be dropped.
mod raw {
    use super::{c_char, c_int};
    unsafe extern "C-unwind" {
        pub fn errstart(level: c_int, domain: *const c_char) -> bool;
        pub fn errcode(code: c_int) -> c_int;
        pub fn errmsg(format: *const c_char, ...) -> c_int;
        pub fn errdetail(format: *const c_char, ...) -> c_int;
        pub fn errhint(format: *const c_char, ...) -> c_int;
        pub fn errhidestmt(hide: bool) -> c_int;
        pub fn errhidecontext(hide: bool) -> c_int;
        pub fn errfinish(file: *const c_char, line: c_int, function: *const c_char);
    }
}

/// Reports it. At level ERROR it does not return.
///
/// # Safety
/// No frame between here and PostgreSQL may have anything to drop.
pub unsafe fn report(report: Report) {
    // SAFETY: what the macro ereport() does: errstart says whether to go on, the texts are palloc'd and
    // NUL-terminated or NULL, and each is given to "%s". errfinish jumps at level ERROR, over frames
    // that the caller vouches for.
    unsafe {
        if !raw::errstart(report.level, ptr::null()) {
            return;
        }
        raw::errcode(report.code);
        raw::errmsg(c"%s".as_ptr(), report.message);
        if !report.detail.is_null() {
            raw::errdetail(c"%s".as_ptr(), report.detail);
        }
        if !report.hint.is_null() {
            raw::errhint(c"%s".as_ptr(), report.hint);
        }
        if report.hide_statement {
            raw::errhidestmt(true);
            // PL/pgSQL quotes statements in CONTEXT: hidden in the log, the client sees it.
            raw::errhidecontext(true);
        }
        raw::errfinish(c"pg_third_party_auth".as_ptr(), 0, ptr::null());
    }
}

/// Gives advice to the client.
pub fn advise(advice: &Advice) {
    let (level, code) = match advice.level {
        AdviceLevel::Notice => (
            pg_sys::NOTICE,
            PgSqlErrorCode::ERRCODE_SUCCESSFUL_COMPLETION,
        ),
        AdviceLevel::Warning => (pg_sys::WARNING, PgSqlErrorCode::ERRCODE_WARNING),
    };
    let plain = Report {
        level: level as c_int,
        ..SqlError::new(code, advice.message.as_str())
            .hint(advice.hint.as_str())
            .hiding_the_statement()
            .into_report()
    };
    // SAFETY: the closure holds plain data only; should sending the message fail with an error, the
    // guard turns the jump into an unwinding that drops what the callers hold.
    unsafe { pg_sys::ffi::pg_guard_ffi_boundary(|| report(plain)) };
}

//! The token of the current request: where it is taken from, and when it has to be taken again.

use super::process::Process;
use super::settings::{self, TokenLifetime};
use super::{shared, version};
use crate::token::{self, TokenError};
use pgrx::guc::{GucContext, GucFlags, GucRegistry, GucSetting};
use pgrx::{pg_guard, pg_sys};
use std::cell::Cell;
use std::ffi::{CStr, CString, c_char, c_void};

const REQUEST_JWT: &CStr = c"request.jwt";
const REQUEST_HEADERS: &CStr = c"request.headers";
const REQUEST_CLAIMS: &CStr = c"request.jwt.claims";

/// The longest `request.headers` that are looked at, in bytes, if tokens are not allowed to be longer than a
/// quarter of that. Gateways allow some ten kilobytes.
const MAX_HEADERS_BYTES: usize = 1 << 20;

/// The raw token, where the library defines the setting.
static JWT: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(Some(c""));
static IS_OWNED: Process<Cell<bool>> = Process::new(Cell::new(false));
/// The transaction (its local number) that set the present value of `request.jwt`; 0: none, or an
/// earlier one.
static TURN: Process<Cell<u32>> = Process::new(Cell::new(0));
/// Moves when `request.jwt` or a setting that decides where the token comes from is assigned.
static SETTINGS: Process<Cell<u64>> = Process::new(Cell::new(1));
/// Moves when a query begins.
static EXECUTOR: Process<Cell<u64>> = Process::new(Cell::new(1));

/// An entry of `token_sources`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// `request.jwt`: the raw token.
    Jwt,
    /// `request.headers`: this member (lower case) of a JSON object, as `Bearer <token>`.
    Header(String),
}

impl Source {
    /// Reads an entry.
    pub fn parse(entry: &str) -> Option<Source> {
        let entry = entry.to_ascii_lowercase();
        match entry.split_once(':') {
            None if entry == "request.jwt" => Some(Source::Jwt),
            None if entry == "request.headers" => Some(Source::Header("authorization".to_owned())),
            Some(("request.headers", name)) if is_header_name(name) => {
                Some(Source::Header(name.to_owned()))
            }
            _ => None,
        }
    }
}

fn is_header_name(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_".contains(&b))
}

/// What the sources gave.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Token {
    /// No source is set.
    #[default]
    None,
    /// The raw token.
    Raw(String),
    /// Two sources gave two different tokens.
    Conflicting,
    /// A source is longer than what is looked at. It was not even copied: any session can set a setting to
    /// a gigabyte, and memory that Rust cannot get ends the process, and so all sessions.
    TooLarge(TokenError),
    /// Claims that a gateway has checked, in a session of a gateway's role.
    GatewayClaims(String),
}

/// When the token has to be taken again: any of these moved.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Moment {
    settings: u64,
    executor: u64,
    transaction: u32,
}

/// The present moment.
#[inline(always)]
pub fn moment() -> Moment {
    Moment {
        settings: SETTINGS.get().get(),
        executor: EXECUTOR.get().get(),
        transaction: shared::own_transaction(),
    }
}

/// Whether a remembered token still is the token. Without our own `request.jwt` nothing tells when the
/// settings change, so it never is.
#[inline(always)]
pub fn is_present(moment: Moment) -> bool {
    IS_OWNED.get().get() && moment == self::moment()
}

/// A setting was assigned.
pub fn settings_changed() {
    let counter = SETTINGS.get();
    counter.set(counter.get() + 1);
}

/// A query begins.
pub fn executor_started() {
    let counter = EXECUTOR.get();
    counter.set(counter.get() + 1);
}

/// Takes the token from its sources.
pub fn take() -> Token {
    match try_to_take() {
        Ok(token) => token,
        Err(error) => Token::TooLarge(error),
    }
}

fn try_to_take() -> Result<Token, TokenError> {
    if settings::is_tampered() {
        return Ok(Token::None);
    }
    let mut found = Token::None;
    for source in settings::token_sources() {
        let token = match source {
            Source::Jwt => jwt()?,
            Source::Header(name) => header(&name)?,
        };
        match (token, &found) {
            (None, _) => {}
            (Some(token), Token::None) => found = Token::Raw(token),
            (Some(token), Token::Raw(first)) if *first == token => {}
            (Some(_), _) => return Ok(Token::Conflicting),
        }
    }
    if found == Token::None && is_gateway_session() {
        let claims = look_up(REQUEST_CLAIMS, settings::max_token_bytes())?;
        return Ok(claims.map_or(Token::None, Token::GatewayClaims));
    }
    Ok(found)
}

fn jwt() -> Result<Option<String>, TokenError> {
    let is_limited = settings::token_lifetime() == TokenLifetime::Transaction;
    if !IS_OWNED.get().get() {
        // Nothing tells which transaction set it.
        return match is_limited {
            true => Ok(None),
            false => look_up(REQUEST_JWT, settings::max_token_bytes()),
        };
    }
    if is_limited && !is_own_turn() {
        return Ok(None);
    }
    // SAFETY: the variable of our own setting, which PostgreSQL points to its value, or to NULL.
    unsafe { copy(*JWT.as_ptr(), settings::max_token_bytes()) }
}

/// Whether the present value of `request.jwt` was set in the present transaction.
fn is_own_turn() -> bool {
    // SAFETY: reads a variable; -1 outside a parallel worker.
    if unsafe { pg_sys::ParallelWorkerNumber } >= 0 {
        return shared::is_leaders_turn();
    }
    let turn = TURN.get().get();
    turn != 0 && turn == shared::own_transaction()
}

fn header(name: &str) -> Result<Option<String>, TokenError> {
    let limit = MAX_HEADERS_BYTES.max(4 * settings::max_token_bytes());
    let headers = look_up(REQUEST_HEADERS, limit)?;
    Ok(headers.and_then(|headers| token::bearer(&headers, name)))
}

/// A setting by its name; `None` if it is not set or empty: PostgREST leaves `''` behind.
fn look_up(name: &CStr, limit: usize) -> Result<Option<String>, TokenError> {
    // SAFETY: a look-up that does not raise for a missing name; the text is copied at once.
    unsafe { copy(pg_sys::GetConfigOption(name.as_ptr(), true, false), limit) }
}

/// A copy of the value of a setting, unless it is longer than the limit.
///
/// # Safety
/// `value` is NULL or a text that ends with a zero.
unsafe fn copy(value: *const c_char, limit: usize) -> Result<Option<String>, TokenError> {
    if value.is_null() {
        return Ok(None);
    }
    // SAFETY: the caller vouches for it.
    let value = unsafe { CStr::from_ptr(value) };
    let bytes = value.count_bytes();
    if bytes > limit {
        return Err(TokenError::TooLarge { bytes, limit });
    }
    let text = value.to_str().ok().filter(|text| !text.is_empty());
    Ok(text.map(str::to_owned))
}

/// Whether the login role of this session is in `gateway_roles`.
fn is_gateway_session() -> bool {
    let roles = settings::gateway_roles();
    if roles.is_empty() {
        return false;
    }
    roles.contains(&super::roles::session())
}

/// Defines `request.jwt`, unless another library has. Only while libraries are preloaded: defined
/// later, the value would be lost in parallel workers.
pub fn define_request_jwt() {
    // SAFETY: look-ups that do not raise.
    let is_taken = unsafe {
        let flags = pg_sys::GetConfigOptionFlags(REQUEST_JWT.as_ptr(), true);
        let is_placeholder = flags & pg_sys::GUC_CUSTOM_PLACEHOLDER as i32 != 0;
        let value = pg_sys::GetConfigOption(REQUEST_JWT.as_ptr(), true, false);
        !is_placeholder && (flags != 0 || !value.is_null())
    };
    if is_taken || !settings::own_request_jwt() {
        return;
    }
    // SAFETY: the hooks are guarded or only copy numbers.
    unsafe {
        GucRegistry::define_string_guc_with_hooks(
            REQUEST_JWT,
            c"The token of the current request.",
            c"Set by Supabase Storage, by authenticate(), or by the application.",
            &JWT,
            GucContext::Userset,
            GucFlags::NO_SHOW_ALL,
            Some(check_jwt),
            Some(assign_jwt),
            None,
        );
    }
    IS_OWNED.get().set(true);
}

/// Notes which transaction sets the value. PostgreSQL keeps the note with the value, so that a value
/// that ROLLBACK TO SAVEPOINT brings back is still known to be of an earlier transaction.
#[pg_guard]
unsafe extern "C-unwind" fn check_jwt(
    _new: *mut *mut c_char,
    extra: *mut *mut c_void,
    _source: pg_sys::GucSource::Type,
) -> bool {
    // SAFETY: guc.c frees what `extra` points to with the counterpart of this allocation; on failure
    // the value simply carries no note and counts as being of an earlier transaction.
    unsafe {
        let note = version::allocate_for_setting(size_of::<u32>()).cast::<u32>();
        if !note.is_null() {
            *note = shared::own_transaction();
        }
        *extra = note.cast();
    }
    true
}

unsafe extern "C-unwind" fn assign_jwt(_new: *const c_char, extra: *mut c_void) {
    // SAFETY: NULL (the boot value) or what check_jwt allocated.
    let turn = unsafe { extra.cast::<u32>().as_ref() }
        .copied()
        .unwrap_or(0);
    TURN.get().set(turn);
    // SAFETY: reads a variable. A worker restores its leader's value and must not overwrite the note.
    if unsafe { pg_sys::ParallelWorkerNumber } < 0 {
        shared::note_turn(turn);
    }
    settings_changed();
}

//! The token of the current request: where it is taken from, and when it has to be taken again.

use super::process::Process;
use super::settings::{self, TokenLifetime};
use super::{answers, shared, version};
use crate::token::{self, TokenError};
use pgrx::guc::{GucContext, GucFlags, GucRegistry, GucSetting};
use pgrx::{pg_guard, pg_sys};
use std::cell::{Cell, RefCell};
use std::ffi::{CStr, CString, c_char, c_void};
use std::rc::Rc;

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

/// Whether a change of what the token is taken from is noticed: that takes our own `request.jwt`.
pub fn is_told_of_changes() -> bool {
    IS_OWNED.get().get()
}

/// Takes the token from its sources.
pub fn take() -> Token {
    let mut token = Token::None;
    take_again(&mut token);
    token
}

/// Takes the token from its sources again, and copies it only if it is another one. Whether it is.
pub fn take_again(token: &mut Token) -> bool {
    let found = find().unwrap_or_else(Found::TooLarge);
    if found.is(token) {
        return false;
    }
    *token = found.into_token();
    true
}

/// What the sources give, where it lies.
enum Found<'a> {
    None,
    Raw(Carried<'a>),
    Conflicting,
    TooLarge(TokenError),
    GatewayClaims(&'a str),
}

/// A token where it lies.
enum Carried<'a> {
    /// In the setting.
    Setting(&'a str),
    /// In a header, taken out of it now or before.
    Header(Rc<str>),
}

impl Carried<'_> {
    fn text(&self) -> &str {
        match self {
            Carried::Setting(text) => text,
            Carried::Header(text) => text,
        }
    }
}

impl Found<'_> {
    fn is(&self, token: &Token) -> bool {
        match (self, token) {
            (Found::None, Token::None) | (Found::Conflicting, Token::Conflicting) => true,
            (Found::Raw(found), Token::Raw(text)) => found.text() == text,
            (Found::TooLarge(error), Token::TooLarge(own)) => error == own,
            (Found::GatewayClaims(found), Token::GatewayClaims(text)) => found == text,
            _ => false,
        }
    }

    fn into_token(self) -> Token {
        match self {
            Found::None => Token::None,
            Found::Raw(found) => Token::Raw(found.text().to_owned()),
            Found::Conflicting => Token::Conflicting,
            Found::TooLarge(error) => Token::TooLarge(error),
            Found::GatewayClaims(claims) => Token::GatewayClaims(claims.to_owned()),
        }
    }
}

/// What is found must not be kept: it lies in settings.
fn find<'a>() -> Result<Found<'a>, TokenError> {
    if settings::is_tampered() {
        return Ok(Found::None);
    }
    let mut found: Option<Carried<'a>> = None;
    for source in settings::token_sources().iter() {
        let token = match source {
            Source::Jwt => jwt()?.map(Carried::Setting),
            Source::Header(name) => header(name)?.map(Carried::Header),
        };
        match (token, &found) {
            (None, _) => {}
            (token, None) => found = token,
            (Some(token), Some(first)) if first.text() == token.text() => {}
            (Some(_), Some(_)) => return Ok(Found::Conflicting),
        }
    }
    if let Some(token) = found {
        return Ok(Found::Raw(token));
    }
    if is_gateway_session() {
        let claims = look_up(REQUEST_CLAIMS, settings::max_token_bytes())?;
        return Ok(claims.map_or(Found::None, Found::GatewayClaims));
    }
    Ok(Found::None)
}

fn jwt<'a>() -> Result<Option<&'a str>, TokenError> {
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
    unsafe { text_of(*JWT.as_ptr(), settings::max_token_bytes()) }
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

/// Headers, and the token in them. Reading them takes longer than comparing them, and a session often has the same
/// ones for several statements.
struct Read {
    name: String,
    headers: String,
    token: Option<Rc<str>>,
}

static LAST_HEADERS: Process<RefCell<Option<Read>>> = Process::new(RefCell::new(None));

/// Longer headers are read again.
const MOST_KEPT_BYTES: usize = 1 << 15;

fn header(name: &str) -> Result<Option<Rc<str>>, TokenError> {
    let limit = MAX_HEADERS_BYTES.max(4 * settings::max_token_bytes());
    let Some(headers) = look_up(REQUEST_HEADERS, limit)? else {
        return Ok(None);
    };
    if let Some(last) = LAST_HEADERS.get().borrow().as_ref()
        && last.headers == headers
        && last.name == name
    {
        return Ok(last.token.clone());
    }
    let token: Option<Rc<str>> = token::bearer(headers, name).map(Rc::from);
    if headers.len() <= MOST_KEPT_BYTES {
        let read = Read {
            name: name.to_owned(),
            headers: headers.to_owned(),
            token: token.clone(),
        };
        LAST_HEADERS.get().replace(Some(read));
    }
    Ok(token)
}

/// Raw declarations: no guard, because it is asked not to raise.
mod raw {
    use std::ffi::c_char;
    unsafe extern "C-unwind" {
        pub fn GetConfigOption(
            name: *const c_char,
            missing_ok: bool,
            restrict_privileged: bool,
        ) -> *const c_char;
    }
}

/// A setting by its name; `None` if it is not set or empty: PostgREST leaves `''` behind.
fn look_up<'a>(name: &CStr, limit: usize) -> Result<Option<&'a str>, TokenError> {
    // SAFETY: a look-up that does not raise for a missing name.
    unsafe { text_of(raw::GetConfigOption(name.as_ptr(), true, false), limit) }
}

/// The value of a setting, unless it is longer than the limit.
///
/// # Safety
/// `value` is NULL or a text that ends with a zero. What is returned must not be used after the setting may have
/// changed.
unsafe fn text_of<'a>(value: *const c_char, limit: usize) -> Result<Option<&'a str>, TokenError> {
    if value.is_null() {
        return Ok(None);
    }
    // SAFETY: the caller vouches for it.
    let value = unsafe { CStr::from_ptr(value) };
    let bytes = value.count_bytes();
    if bytes > limit {
        return Err(TokenError::TooLarge { bytes, limit });
    }
    Ok(value.to_str().ok().filter(|text| !text.is_empty()))
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
    answers::advance();
}

//! What PostgreSQL is told about each setting: its limits, who changes it, and what is checked.

use super::super::{answers, request};
use super::*;
use crate::fetch::Network;
use pgrx::guc::{GucContext, GucFlags, GucRegistry};
use pgrx::{pg_guard, pg_sys};
use std::ffi::{CStr, c_char, c_int, c_void};

const WEEK: i32 = 7 * 86_400;

/// Defines every setting; those that size shared memory only while the server starts.
pub fn define() {
    // SAFETY: reads a variable that PostgreSQL set before it loaded us.
    let preloading = unsafe { pg_sys::process_shared_preload_libraries_in_progress };
    if preloading {
        define_at_start();
    } else {
        placeholders::look_for_those_of_clients();
    }
    define_fetching();
    define_tokens();
    #[cfg(not(any(feature = "pg13", feature = "pg14")))]
    // SAFETY: called once, after the last definition, with a static string.
    unsafe {
        pg_sys::MarkGUCPrefixReserved(c"third_party_auth".as_ptr())
    };
}

fn define_at_start() {
    let int = |name, short, long, setting, min, max| {
        let context = GucContext::Postmaster;
        GucRegistry::define_int_guc(
            name,
            short,
            long,
            setting,
            min,
            max,
            context,
            GucFlags::default(),
        );
    };
    int(
        c"third_party_auth.max_providers",
        c"How many key addresses are kept fresh.",
        c"Providers beyond it verify from what their table holds.",
        &MAX_PROVIDERS,
        1,
        4096,
    );
    int(
        c"third_party_auth.max_keys",
        c"How many signing keys shared memory has room for.",
        c"",
        &MAX_KEYS,
        64,
        65_536,
    );
    int(
        c"third_party_auth.verified_tokens",
        c"How many tokens whose signature one session has checked others need not check again.",
        c"0: each session checks for itself.",
        &VERIFIED_TOKENS,
        0,
        1_048_576,
    );
    GucRegistry::define_bool_guc(
        c"third_party_auth.own_request_jwt",
        c"Whether the library defines the setting request.jwt.",
        c"Turn it off only if another library defines it; policies then cost more per row.",
        &OWN_REQUEST_JWT,
        GucContext::Postmaster,
        GucFlags::default(),
    );
    request::define_request_jwt();
}

fn define_fetching() {
    let seconds = |name, short, setting, min| {
        let (context, flags) = (GucContext::Sighup, GucFlags::UNIT_S);
        GucRegistry::define_int_guc(name, short, c"", setting, min, WEEK, context, flags);
    };
    seconds(
        c"third_party_auth.refresh_interval",
        c"How often the keys of a provider are fetched.",
        &REFRESH_INTERVAL,
        1,
    );
    seconds(
        c"third_party_auth.max_stale",
        c"How long keys stay good that could not be confirmed.",
        &MAX_STALE,
        1,
    );
    seconds(
        c"third_party_auth.removed_key_grace",
        c"How long a key stays good after its provider withdrew it.",
        &REMOVED_KEY_GRACE,
        0,
    );
    GucRegistry::define_int_guc(
        c"third_party_auth.http_timeout",
        c"The time limit of one fetch, discovery and keys together.",
        c"",
        &HTTP_TIMEOUT,
        1_000,
        60_000,
        GucContext::Sighup,
        GucFlags::UNIT_MS,
    );
    GucRegistry::define_enum_guc(
        c"third_party_auth.allow_http",
        c"Where keys may be fetched without TLS.",
        c"For tests: off, loopback, or allowed_networks.",
        &ALLOW_HTTP,
        GucContext::Sighup,
        GucFlags::default(),
    );
    GucRegistry::define_bool_guc(
        c"third_party_auth.fetch_on_standby",
        c"Whether a standby fetches keys itself.",
        c"Off: it uses what the primary stored.",
        &FETCH_ON_STANDBY,
        GucContext::Sighup,
        GucFlags::default(),
    );
    let string = |name, short, setting, check| {
        let (context, flags) = (GucContext::Sighup, GucFlags::SUPERUSER_ONLY);
        // SAFETY: the check hook is guarded and keeps nothing.
        unsafe {
            GucRegistry::define_string_guc_with_hooks(
                name, short, c"", setting, context, flags, check, None, None,
            );
        }
    };
    string(
        c"third_party_auth.allowed_networks",
        c"Networks (CIDR) that keys may be fetched from beside public addresses.",
        &ALLOWED_NETWORKS,
        Some(check_networks),
    );
    string(
        c"third_party_auth.ca_file",
        c"A PEM file with certificates that are trusted beside the system's.",
        &CA_FILE,
        None,
    );
    string(
        c"third_party_auth.proxy",
        c"The URL of the proxy that keys are fetched through.",
        &PROXY,
        None,
    );
}

fn define_tokens() {
    GucRegistry::define_int_guc(
        c"third_party_auth.max_token_bytes",
        c"The longest token that is looked at.",
        c"",
        &MAX_TOKEN_BYTES,
        1_024,
        1_048_576,
        GucContext::Sighup,
        GucFlags::UNIT_BYTE,
    );
    GucRegistry::define_int_guc(
        c"third_party_auth.key_wait",
        c"How long a statement waits for keys.",
        c"",
        &KEY_WAIT,
        0,
        10_000,
        GucContext::Userset,
        GucFlags::UNIT_MS,
    );
    // SAFETY: the hooks are guarded, or only advance a counter.
    unsafe {
        GucRegistry::define_string_guc_with_hooks(
            c"third_party_auth.gateway_roles",
            c"Login roles of gateways that check signatures and pass only claims on.",
            c"In their sessions request.jwt.claims counts when there is no token.",
            &GATEWAY_ROLES,
            GucContext::Sighup,
            GucFlags::default(),
            None,
            Some(string_changed),
            None,
        );
        GucRegistry::define_string_guc_with_hooks(
            c"third_party_auth.token_sources",
            c"The settings that the token of a request is taken from.",
            c"request.jwt, and request.headers or request.headers:<name>.",
            &TOKEN_SOURCES,
            GucContext::Suset,
            GucFlags::default(),
            Some(check_token_sources),
            Some(string_changed),
            None,
        );
        GucRegistry::define_string_guc_with_hooks(
            c"third_party_auth.anonymous_roles",
            c"Roles that may ask without a token.",
            c"check_request() lets them through when the request carries none.",
            &ANONYMOUS_ROLES,
            GucContext::Suset,
            GucFlags::default(),
            None,
            Some(string_changed),
            None,
        );
        GucRegistry::define_enum_guc_with_hooks(
            c"third_party_auth.token_lifetime",
            c"How long the token in request.jwt counts.",
            c"session, or transaction: only in the transaction that set it.",
            &TOKEN_LIFETIME,
            GucContext::Suset,
            GucFlags::default(),
            None,
            Some(enum_changed),
            None,
        );
    }
}

unsafe extern "C-unwind" fn string_changed(_new: *const c_char, _extra: *mut c_void) {
    lists_changed();
    answers::advance();
}

unsafe extern "C-unwind" fn enum_changed(_new: c_int, _extra: *mut c_void) {
    answers::advance();
}

#[pg_guard]
unsafe extern "C-unwind" fn check_networks(
    new: *mut *mut c_char,
    _extra: *mut *mut c_void,
    _source: pg_sys::GucSource::Type,
) -> bool {
    // SAFETY: PostgreSQL passes a valid pointer to the new value.
    let entries = list(&unsafe { new_value(new) });
    let wrong = |entry: &String| Some((entry.clone(), entry.parse::<Network>().err()?));
    match entries.iter().find_map(wrong) {
        None => true,
        Some((entry, why)) => refuse(&format!("\"{entry}\": {why}.")),
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn check_token_sources(
    new: *mut *mut c_char,
    _extra: *mut *mut c_void,
    _source: pg_sys::GucSource::Type,
) -> bool {
    // SAFETY: as above.
    let entries = list(&unsafe { new_value(new) });
    match entries.iter().find(|e| request::Source::parse(e).is_none()) {
        None => true,
        Some(odd) => refuse(&format!(
            "\"{odd}\" is not request.jwt, request.headers or request.headers:<name>."
        )),
    }
}

/// The value that a check hook is asked about.
unsafe fn new_value(new: *mut *mut c_char) -> String {
    // SAFETY: the caller passes PostgreSQL's pointer; a NULL value is the empty list.
    unsafe {
        let value = *new;
        if value.is_null() {
            String::new()
        } else {
            CStr::from_ptr(value).to_string_lossy().into_owned()
        }
    }
}

/// Makes a check hook say why.
fn refuse(detail: &str) -> bool {
    let detail = CString::new(detail.replace('\0', "")).unwrap_or_default();
    // SAFETY: GUC_check_errdetail_string is what the macro GUC_check_errdetail() sets: a palloc'd text
    // that guc.c reads right after the hook has returned.
    unsafe { pg_sys::GUC_check_errdetail_string = pg_sys::pstrdup(detail.as_ptr()) };
    false
}

//! The settings of `third_party_auth.*`. Nothing that decides trust can be set by an ordinary role.

use super::request;
use crate::fetch::{AllowHttp, Network, Rules};
use pgrx::guc::{GucContext, GucFlags, GucRegistry, GucSetting};
use pgrx::{PostgresGucEnum, pg_guard, pg_sys};
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::time::Duration;

/// How long the token in `request.jwt` counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PostgresGucEnum)]
pub enum TokenLifetime {
    /// Until it is replaced.
    #[name = c"session"]
    Session,
    /// Only in the transaction that set it.
    #[name = c"transaction"]
    Transaction,
}

/// Where `http://` is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PostgresGucEnum)]
enum PlainHttp {
    #[name = c"off"]
    Off,
    #[name = c"loopback"]
    Loopback,
    #[name = c"allowed_networks"]
    AllowedNetworks,
}

/// Default 128: how many key addresses shared memory has room for.
static MAX_PROVIDERS: GucSetting<i32> = GucSetting::<i32>::new(128);
/// Default 1024: how many keys shared memory has room for.
static MAX_KEYS: GucSetting<i32> = GucSetting::<i32>::new(1024);
/// Default on: whether the library defines `request.jwt`.
static OWN_REQUEST_JWT: GucSetting<bool> = GucSetting::<bool>::new(true);
/// Seconds, default 10 min.
static REFRESH_INTERVAL: GucSetting<i32> = GucSetting::<i32>::new(600);
/// Seconds, default 24 h.
static MAX_STALE: GucSetting<i32> = GucSetting::<i32>::new(86_400);
/// Seconds, default 2 min.
static REMOVED_KEY_GRACE: GucSetting<i32> = GucSetting::<i32>::new(120);
/// Milliseconds, default 5 s.
static HTTP_TIMEOUT: GucSetting<i32> = GucSetting::<i32>::new(5_000);
/// Bytes, default 16 kB.
static MAX_TOKEN_BYTES: GucSetting<i32> = GucSetting::<i32>::new(16_384);
/// CIDR networks that are allowed beside public addresses; default none.
static ALLOWED_NETWORKS: GucSetting<Option<CString>> =
    GucSetting::<Option<CString>>::new(Some(c""));
/// Default off.
static ALLOW_HTTP: GucSetting<PlainHttp> = GucSetting::<PlainHttp>::new(PlainHttp::Off);
/// A PEM file whose certificates are trusted beside the system's; default none.
static CA_FILE: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(Some(c""));
/// The URL of a proxy; default none.
static PROXY: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(Some(c""));
/// Default off.
static FETCH_ON_STANDBY: GucSetting<bool> = GucSetting::<bool>::new(false);
/// Login roles whose `request.jwt.claims` count as signature-checked; default none.
static GATEWAY_ROLES: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(Some(c""));
/// Where the token is looked for.
static TOKEN_SOURCES: GucSetting<Option<CString>> =
    GucSetting::<Option<CString>>::new(Some(c"request.jwt, request.headers:authorization"));
/// Default session.
static TOKEN_LIFETIME: GucSetting<TokenLifetime> =
    GucSetting::<TokenLifetime>::new(TokenLifetime::Session);
/// Milliseconds, default 2 s.
static KEY_WAIT: GucSetting<i32> = GucSetting::<i32>::new(2_000);

const WEEK: i32 = 7 * 86_400;

/// Room for key addresses.
pub fn max_providers() -> usize {
    MAX_PROVIDERS.get().max(1) as usize
}

/// Room for keys.
pub fn max_keys() -> usize {
    MAX_KEYS.get().max(1) as usize
}

/// Whether the library was asked to define `request.jwt`.
pub fn own_request_jwt() -> bool {
    OWN_REQUEST_JWT.get()
}

/// How often keys are fetched.
pub fn refresh_interval() -> Duration {
    Duration::from_secs(REFRESH_INTERVAL.get() as u64)
}

/// How long keys that could not be confirmed stay good.
pub fn max_stale() -> Duration {
    Duration::from_secs(MAX_STALE.get() as u64)
}

/// How long a key stays good after its provider withdrew it.
pub fn removed_key_grace() -> Duration {
    Duration::from_secs(REMOVED_KEY_GRACE.get() as u64)
}

/// The limit of one fetch, discovery included.
pub fn http_timeout() -> Duration {
    Duration::from_millis(HTTP_TIMEOUT.get() as u64)
}

/// The longest token that is looked at.
pub fn max_token_bytes() -> usize {
    MAX_TOKEN_BYTES.get() as usize
}

/// Whether keys are fetched in recovery.
pub fn fetch_on_standby() -> bool {
    FETCH_ON_STANDBY.get()
}

/// The login roles of `gateway_roles`.
pub fn gateway_roles() -> Vec<String> {
    list(&text(&GATEWAY_ROLES))
}

/// The entries of `token_sources`; one that cannot be read names nothing.
pub fn token_sources() -> Vec<request::Source> {
    list(&text(&TOKEN_SOURCES))
        .iter()
        .filter_map(|entry| request::Source::parse(entry))
        .collect()
}

/// How long `request.jwt` counts.
pub fn token_lifetime() -> TokenLifetime {
    TOKEN_LIFETIME.get()
}

/// How long a statement waits for keys or for the registry's lock.
pub fn key_wait() -> Duration {
    Duration::from_millis(KEY_WAIT.get() as u64)
}

/// The rules of the network, as they are now.
pub fn fetch_rules() -> Rules {
    let given = |setting| Some(text(setting)).filter(|value| !value.is_empty());
    Rules {
        timeout: http_timeout(),
        allowed_networks: list(&text(&ALLOWED_NETWORKS))
            .iter()
            .filter_map(|network| network.parse().ok())
            .collect(),
        allow_http: match ALLOW_HTTP.get() {
            PlainHttp::Off => AllowHttp::Off,
            PlainHttp::Loopback => AllowHttp::Loopback,
            PlainHttp::AllowedNetworks => AllowHttp::AllowedNetworks,
        },
        ca_file: given(&CA_FILE).map(Into::into),
        proxy: given(&PROXY),
    }
}

fn text(setting: &GucSetting<Option<CString>>) -> String {
    setting
        .get()
        .map(|value| value.to_string_lossy().into_owned())
        .unwrap_or_default()
}

fn list(text: &str) -> Vec<String> {
    text.split(',')
        .map(str::trim)
        .filter(|entry| !entry.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Defines every setting; those that size shared memory only while the server starts.
pub fn define() {
    // SAFETY: reads a variable that PostgreSQL set before it loaded us.
    let preloading = unsafe { pg_sys::process_shared_preload_libraries_in_progress };
    if preloading {
        define_at_start();
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
    request::settings_changed();
}

unsafe extern "C-unwind" fn enum_changed(_new: c_int, _extra: *mut c_void) {
    request::settings_changed();
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

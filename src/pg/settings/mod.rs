//! The settings of `third_party_auth.*` and their values; `definitions` tells PostgreSQL about them.
//! Nothing that decides trust can be set by an ordinary role.

mod definitions;
mod placeholders;

use super::process::Process;
use super::request;
use crate::fetch::{AllowHttp, Rules};
use pgrx::PostgresGucEnum;
use pgrx::guc::GucSetting;
use std::cell::RefCell;
use std::ffi::CString;
use std::ops::Deref;
use std::rc::Rc;
use std::time::Duration;

pub use definitions::define;
pub use placeholders::is_tampered;

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
/// Default 4096: how many signatures that were found good shared memory has room for.
static VERIFIED_TOKENS: GucSetting<i32> = GucSetting::<i32>::new(4096);
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
/// Roles that may ask without a token; default anon.
static ANONYMOUS_ROLES: GucSetting<Option<CString>> =
    GucSetting::<Option<CString>>::new(Some(c"anon"));
/// Default session.
static TOKEN_LIFETIME: GucSetting<TokenLifetime> =
    GucSetting::<TokenLifetime>::new(TokenLifetime::Session);
/// Milliseconds, default 2 s.
static KEY_WAIT: GucSetting<i32> = GucSetting::<i32>::new(2_000);

/// Room for key addresses.
pub fn max_providers() -> usize {
    MAX_PROVIDERS.get().max(1) as usize
}

/// Room for keys.
pub fn max_keys() -> usize {
    MAX_KEYS.get().max(1) as usize
}

/// Room for signatures that were found good.
pub fn verified_tokens() -> usize {
    VERIFIED_TOKENS.get().max(0) as usize
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

/// The settings that are lists, as they were read last. They are asked for with every statement.
#[derive(Default)]
struct Lists {
    gateway_roles: Vec<String>,
    token_sources: Vec<request::Source>,
    anonymous_roles: Vec<String>,
}

static LISTS: Process<RefCell<Option<Rc<Lists>>>> = Process::new(RefCell::new(None));

/// One of them is being assigned.
fn lists_changed() {
    LISTS.get().replace(None);
}

fn lists() -> Rc<Lists> {
    let read = || {
        let sources = list(&text(&TOKEN_SOURCES));
        Rc::new(Lists {
            gateway_roles: list(&text(&GATEWAY_ROLES)),
            token_sources: sources
                .iter()
                .filter_map(|entry| request::Source::parse(entry))
                .collect(),
            anonymous_roles: list(&text(&ANONYMOUS_ROLES)),
        })
    };
    Rc::clone(LISTS.get().borrow_mut().get_or_insert_with(read))
}

/// The login roles of `gateway_roles`.
pub fn gateway_roles() -> impl Deref<Target = [String]> {
    Part(lists(), |lists| &lists.gateway_roles)
}

/// The entries of `token_sources`; one that cannot be read names nothing.
pub fn token_sources() -> impl Deref<Target = [request::Source]> {
    Part(lists(), |lists| &lists.token_sources)
}

/// The roles of `anonymous_roles`.
pub fn anonymous_roles() -> impl Deref<Target = [String]> {
    Part(lists(), |lists| &lists.anonymous_roles)
}

/// One of the lists.
struct Part<T>(Rc<Lists>, fn(&Lists) -> &[T]);

impl<T> Deref for Part<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        (self.1)(&self.0)
    }
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

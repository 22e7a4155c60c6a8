//! A real TLS server on 127.0.0.1 that publishes keys.

use super::Authority;
use super::behaviour::Behaviour;
use super::connection::serve;
use rustls::ServerConfig;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Where the keys are.
pub const JWKS_PATH: &str = "/.well-known/jwks.json";

/// Where the discovery document is.
pub const DISCOVERY_PATH: &str = "/.well-known/openid-configuration";

/// How many connections are served at a time; more are closed at once.
const MAX_CONNECTIONS: usize = 64;

/// An identity provider: it publishes the keys it is given, and misbehaves on demand.
pub struct IdentityProvider {
    shared: Arc<Shared>,
    listening: Mutex<Option<JoinHandle<()>>>,
}

/// A request as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Path and query.
    pub path: String,
    /// Names in lower case, and values.
    pub headers: Vec<(String, String)>,
}

impl Request {
    /// The value of a header, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(own, _)| own == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// What the threads share.
pub(super) struct Shared {
    pub(super) port: u16,
    pub(super) tls: Option<Arc<ServerConfig>>,
    host: String,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
pub(super) struct State {
    is_stopping: bool,
    connections: usize,
    open: HashMap<u64, TcpStream>,
    next_connection: u64,
    pub(super) behaviour: Behaviour,
    /// Body and version of each path with keys.
    key_sets: HashMap<String, (String, u64)>,
    requests: Vec<Request>,
}

impl IdentityProvider {
    /// Starts one whose certificate is for 127.0.0.1 and localhost.
    pub fn start(authority: &Authority) -> Self {
        let config = authority.server_config(&["127.0.0.1", "localhost"]);
        Self::start_with("127.0.0.1", Some(config))
    }

    /// Starts one that is known by this host name, with a TLS configuration or without TLS.
    pub fn start_with(host: &str, tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = listen(0).expect("a free port on 127.0.0.1");
        let port = listener.local_addr().expect("a bound address").port();
        let shared = Arc::new(Shared {
            port,
            tls,
            host: host.to_owned(),
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let provider = IdentityProvider {
            listening: Mutex::new(Some(accept(listener, &shared))),
            shared,
        };
        provider.publish(Vec::new());
        provider
    }

    /// The issuer: `https://127.0.0.1:PORT`, without a slash.
    pub fn issuer(&self) -> String {
        self.shared.issuer()
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.shared.port
    }

    /// Where the keys are.
    pub fn jwks_uri(&self) -> String {
        self.jwks_uri_at(JWKS_PATH)
    }

    /// Where the keys of that path are, see [`IdentityProvider::publish_at`].
    pub fn jwks_uri_at(&self, path: &str) -> String {
        format!("{}{path}", self.issuer())
    }

    /// Publishes these JWKs from now on, in place of the earlier ones.
    pub fn publish(&self, keys: Vec<Value>) {
        self.publish_at(JWKS_PATH, keys);
    }

    /// Publishes JWKs at another path besides.
    pub fn publish_at(&self, path: &str, keys: Vec<Value>) {
        let body = json!({ "keys": keys }).to_string();
        let mut state = self.shared.state();
        let version = state
            .key_sets
            .get(path)
            .map_or(1, |(_, version)| version + 1);
        state.key_sets.insert(path.to_owned(), (body, version));
    }

    /// Behaves like this from the next request on.
    pub fn behave(&self, behaviour: Behaviour) {
        self.shared.state().behaviour = behaviour;
    }

    /// How many requests for keys have come, whatever became of them.
    pub fn fetches(&self) -> usize {
        self.count(|request| request.path != DISCOVERY_PATH)
    }

    /// How many requests for the discovery document have come.
    pub fn discovery_fetches(&self) -> usize {
        self.count(|request| request.path == DISCOVERY_PATH)
    }

    /// How many connections have been accepted.
    pub fn connections(&self) -> usize {
        self.shared.state().connections
    }

    /// All requests in order.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.state().requests.clone()
    }

    /// Waits until so many requests for keys have come in all; false if they do not in that time.
    pub fn wait_for_fetches(&self, number: usize, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        let mut state = self.shared.state();
        loop {
            let come = state
                .requests
                .iter()
                .filter(|r| r.path != DISCOVERY_PATH)
                .count();
            let left = deadline.saturating_duration_since(Instant::now());
            if come >= number || left.is_zero() {
                return come >= number;
            }
            state = self.shared.wait(state, left);
        }
    }

    /// Closes every connection and refuses new ones.
    pub fn stop(&self) {
        let Some(listening) = lock(&self.listening).take() else {
            return;
        };
        let mut state = self.shared.state();
        state.is_stopping = true;
        for stream in state.open.values() {
            let _ = stream.shutdown(Shutdown::Both);
        }
        drop(state);
        self.shared.changed.notify_all();
        // Wakes the listener.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.shared.port));
        let _ = listening.join();
    }

    /// Accepts connections again, at the same port.
    pub fn resume(&self) {
        let mut listening = lock(&self.listening);
        if listening.is_none() {
            let listener = listen(self.shared.port).expect("the port is still free");
            self.shared.state().is_stopping = false;
            *listening = Some(accept(listener, &self.shared));
        }
    }

    fn count(&self, of: impl Fn(&Request) -> bool) -> usize {
        let state = self.shared.state();
        state.requests.iter().filter(|request| of(request)).count()
    }
}

impl Drop for IdentityProvider {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    pub(super) fn issuer(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}:{}", self.host, self.port)
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Notes a request, and returns the behaviour that it meets.
    pub(super) fn note(&self, request: &Request) -> Behaviour {
        let mut state = self.state();
        state.requests.push(request.clone());
        self.changed.notify_all();
        state.behaviour.clone()
    }

    /// The body and version of the keys at a path.
    pub(super) fn key_set(&self, path: &str) -> Option<(String, u64)> {
        let path = path.split('?').next().unwrap_or(path);
        self.state().key_sets.get(path).cloned()
    }

    /// Lets this time pass; false if the provider stops before.
    pub(super) fn pause(&self, time: Duration) -> bool {
        let deadline = Instant::now() + time;
        let mut state = self.state();
        while !state.is_stopping {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            state = self.wait(state, left);
        }
        false
    }

    fn wait<'a>(&'a self, state: MutexGuard<'a, State>, time: Duration) -> MutexGuard<'a, State> {
        match self.changed.wait_timeout(state, time) {
            Ok((state, _)) => state,
            Err(poisoned) => poisoned.into_inner().0,
        }
    }

    /// Takes a connection in; none if there are too many.
    fn enter(&self, stream: &TcpStream) -> Option<u64> {
        let mut state = self.state();
        state.connections += 1;
        if state.is_stopping || state.open.len() >= MAX_CONNECTIONS {
            return None;
        }
        let id = state.next_connection;
        state.next_connection += 1;
        state.open.insert(id, stream.try_clone().ok()?);
        Some(id)
    }
}

fn listen(port: u16) -> io::Result<TcpListener> {
    TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
}

fn accept(listener: TcpListener, shared: &Arc<Shared>) -> JoinHandle<()> {
    let shared = Arc::clone(shared);
    thread::spawn(move || {
        for stream in listener.incoming() {
            if shared.state().is_stopping {
                return;
            }
            let Ok(stream) = stream else { continue };
            let Some(id) = shared.enter(&stream) else {
                continue;
            };
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                // A client that goes away is not our failure.
                let _ = serve(stream, &shared);
                shared.state().open.remove(&id);
            });
        }
    })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
}

//! Getting keys over the network: the only folder that names the HTTP client.
//!
//! # Layout
//! - [`Rules`], [`fetch`]: what may be asked, and the asking
//! - [`network`]: ranges of addresses
//! - [`address`]: which IP addresses may be connected to
//! - [`url`]: which URLs may be asked for
//! - [`resolver`]: host names to judged addresses, between DNS and connect
//! - `roots`: the certification authorities that are trusted
//! - `client`: one request under all limits
//! - `discovery`: what a discovery document may say
//! - [`schedule`]: when to ask again (pure)
//! - [`guard`]: when nothing is fetched because the fetcher died of it (pure)
//! - [`error`]: what can go wrong, in words for an administrator
//!
//! No token, claim or user data ever gets here; requests carry nothing but the address and, for
//! conditional requests, what the same address sent before. Nothing exists in the process before
//! the first fetch, so a server that forks after loading this has no threads, locks or random state
//! of it. Nothing here calls PostgreSQL.
#![forbid(unsafe_code)]

pub mod address;
mod client;
mod discovery;
pub mod error;
pub mod guard;
pub mod network;
pub mod resolver;
mod roots;
pub mod schedule;
pub mod url;

use crate::keys;
use crate::provider::KeyAddress;
use client::{Answer, Client};
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::time::Duration;

pub use address::{AddressRefused, is_public, judge_address};
pub use error::FetchError;
pub use network::{Network, NetworkError};
pub use resolver::Lookup;
pub use url::{Target, judge_url};

/// What the fetcher may do, as the settings say.
#[derive(Clone, PartialEq, Eq)]
pub struct Rules {
    /// The time that one [`fetch`] may take, discovery and keys together (`http_timeout`).
    pub timeout: Duration,
    /// Addresses that may be connected to although they are not public.
    pub allowed_networks: Vec<Network>,
    /// Whether `http:` URLs may be fetched.
    pub allow_http: AllowHttp,
    /// A PEM file whose certificates are trusted besides the system's.
    pub ca_file: Option<PathBuf>,
    /// A proxy (`http://host:port` or `https://host:port`, CONNECT). The address rule then applies to
    /// the proxy, and to URLs that name a literal address; names are resolved by the proxy.
    pub proxy: Option<String>,
}

/// Whether `http:` URLs may be fetched. The address rule applies all the same.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum AllowHttp {
    /// Never.
    #[default]
    Off,
    /// From loopback addresses (127.0.0.0/8, ::1) that are in `allowed_networks`.
    Loopback,
    /// From addresses in `allowed_networks`.
    AllowedNetworks,
}

impl Default for Rules {
    /// The defaults of the settings: 5 s, public addresses only, https only.
    fn default() -> Self {
        Rules {
            timeout: Duration::from_secs(5),
            allowed_networks: Vec::new(),
            allow_http: AllowHttp::Off,
            ca_file: None,
            proxy: None,
        }
    }
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rules")
            .field("timeout", &self.timeout)
            .field("allowed_networks", &self.allowed_networks)
            .field("allow_http", &self.allow_http)
            .field("ca_file", &self.ca_file)
            // Its URL may hold a password.
            .field("proxy", &self.proxy.is_some())
            .finish()
    }
}

/// What an answer said about its version (RFC 9110 §8.8), for the next conditional request.
///
/// The default holds nothing and makes a request unconditional: use it whenever the keys of the
/// earlier answer are no longer at hand.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Validators {
    /// The entity tag, with its quotes; at most 128 bytes.
    pub etag: Option<String>,
    /// The modification date as sent; at most 64 bytes.
    pub last_modified: Option<String>,
    /// Tells the URL that they came from: they mean nothing to another one, and discovery may name
    /// another one at any time. Take it as it is.
    pub source: u64,
}

/// A successful fetch.
#[derive(Debug)]
pub enum Outcome {
    /// A key set with at least one usable key (status 200).
    Keys {
        /// The keys, and what was skipped.
        reading: keys::Reading,
        /// For the next fetch.
        validators: Validators,
        /// `Cache-Control: max-age` of the key set; see [`schedule::max_age`].
        max_age: Option<Duration>,
        /// Where the key set came from.
        jwks_uri: String,
    },
    /// The keys are still those that the validators came with (status 304).
    NotModified {
        /// `Cache-Control: max-age` of the answer; see [`schedule::max_age`].
        max_age: Option<Duration>,
    },
}

/// Fetches the keys of an address, by way of its discovery document if it has one.
///
/// Only status 200 brings keys, 304 only as the answer to a conditional request; no redirect is
/// followed. It blocks for at most `rules.timeout` (a lookup that outlives it goes on in a thread of
/// its own and is counted, see [`resolver`]). Threads that it starts inherit the caller's signal mask.
///
/// # Errors
/// [`FetchError`], which says what to write into a status view. A panic of the HTTP client is one.
pub fn fetch(
    address: &KeyAddress,
    validators: &Validators,
    rules: &Rules,
) -> Result<Outcome, FetchError> {
    fetch_with(address, validators, rules, resolver::system_lookup())
}

/// [`fetch`] with another way to look up host names, for tests of names and addresses.
///
/// # Errors
/// As [`fetch`].
pub fn fetch_with(
    address: &KeyAddress,
    validators: &Validators,
    rules: &Rules,
    lookup: Lookup,
) -> Result<Outcome, FetchError> {
    // ureq panics on some configurations and internal errors; one bad answer must not end the
    // process that serves all providers.
    catch_unwind(AssertUnwindSafe(|| {
        fetch_keys(address, validators, rules, lookup)
    }))
    .unwrap_or(Err(FetchError::Internal))
}

fn fetch_keys(
    address: &KeyAddress,
    validators: &Validators,
    rules: &Rules,
    lookup: Lookup,
) -> Result<Outcome, FetchError> {
    let client = Client::new(rules, lookup)?;
    let target = match address {
        KeyAddress::Direct { jwks_uri } => judge_url(jwks_uri, rules)?,
        KeyAddress::Discovery { issuer } => {
            let document = judge_url(&address.url(), rules)?;
            if document.has_query() {
                return Err(FetchError::UrlRefused {
                    problem: "the issuer has a query",
                });
            }
            let answer = client.ask(&document, None)?;
            discovery::jwks_target(&answer.text()?, issuer, &document, rules)?
        }
    };
    let source = source_of(target.as_str());
    let condition = Some(validators)
        .filter(|v| v.source == source && (v.etag.is_some() || v.last_modified.is_some()));
    let answer = client.ask(&target, condition)?;
    let max_age = answer.max_age();
    if let Answer::NotModified { .. } = answer {
        return Ok(Outcome::NotModified { max_age });
    }
    let (etag, last_modified) = answer.validators();
    let reading = keys::read(&answer.text()?)?;
    Ok(Outcome::Keys {
        reading,
        validators: Validators {
            etag,
            last_modified,
            source,
        },
        max_age,
        jwks_uri: target.as_str().to_owned(),
    })
}

fn source_of(url: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    url.hash(&mut hasher);
    hasher.finish()
}

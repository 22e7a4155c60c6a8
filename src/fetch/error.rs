//! What can go wrong with a fetch, in words for an administrator.

use super::AddressRefused;
use crate::keys;
use std::fmt;

/// The longest sentence, in characters.
const MAX_CHARACTERS: usize = 200;

/// Why a fetch brought no keys.
///
/// `Display` gives one sentence of at most 200 characters with nothing of the answer's body in it.
#[derive(Debug)]
pub enum FetchError {
    /// The URL cannot be asked for.
    UrlRefused {
        /// Why not.
        problem: &'static str,
    },
    /// The scheme is not https, and `allow_http` does not admit it.
    SchemeRefused,
    /// The host has no address that may be connected to.
    AddressRefused {
        /// The host.
        host: String,
        /// Its first address that was refused.
        refused: AddressRefused,
    },
    /// The host name was not resolved.
    Dns {
        /// The host.
        host: String,
        /// Why not.
        problem: &'static str,
    },
    /// No connection came about.
    Connect {
        /// The host.
        host: String,
        /// The operating system's reason.
        problem: String,
    },
    /// The proxy is not usable, or did not connect.
    Proxy {
        /// What is wrong with it.
        problem: &'static str,
    },
    /// No TLS connection with an acceptable certificate came about.
    Tls {
        /// The host.
        host: String,
        /// Why not.
        problem: &'static str,
    },
    /// The file of `ca_file` is not usable.
    CaFile {
        /// What is wrong with it.
        problem: String,
    },
    /// Neither the system nor `ca_file` has a certification authority.
    NoRoots,
    /// The time was up.
    Timeout {
        /// The host.
        host: String,
        /// What was going on.
        phase: &'static str,
    },
    /// The answer has a status that brings no keys.
    HttpStatus {
        /// The host.
        host: String,
        /// The status.
        status: u16,
    },
    /// The answer sends us elsewhere, where we do not go.
    Redirect {
        /// The status.
        status: u16,
        /// The host that it points to, if that can be told.
        to: Option<String>,
    },
    /// The answer is larger than what is read.
    TooLarge {
        /// What part of it, with the limit.
        part: &'static str,
    },
    /// The answer is not HTTP, or ended early.
    Protocol {
        /// The host.
        host: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The body is not the JSON that it has to be.
    NotJson {
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The body is no key set that can be used.
    KeySet(keys::SetError),
    /// The discovery document is of another issuer (OpenID Connect Discovery 1.0 §4.3).
    IssuerMismatch {
        /// In what way they differ.
        difference: &'static str,
    },
    /// The discovery document points to a place that is not the issuer's.
    JwksUriRefused {
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The HTTP client failed in an unforeseen way.
    Internal,
}

impl FetchError {
    /// A short code that stays the same between releases.
    pub fn class(&self) -> &'static str {
        match self {
            FetchError::UrlRefused { .. } => "url_refused",
            FetchError::SchemeRefused => "scheme_refused",
            FetchError::AddressRefused { .. } => "address_refused",
            FetchError::Dns { .. } => "dns",
            FetchError::Connect { .. } => "connect",
            FetchError::Proxy { .. } => "proxy",
            FetchError::Tls { .. } => "tls",
            FetchError::CaFile { .. } => "ca_file",
            FetchError::NoRoots => "no_roots",
            FetchError::Timeout { .. } => "timeout",
            FetchError::HttpStatus { .. } => "http_status",
            FetchError::Redirect { .. } => "redirect",
            FetchError::TooLarge { .. } => "too_large",
            FetchError::Protocol { .. } => "protocol",
            FetchError::NotJson { .. } => "not_json",
            FetchError::KeySet(problem) => class_of_key_set(problem),
            FetchError::IssuerMismatch { .. } => "issuer_mismatch",
            FetchError::JwksUriRefused { .. } => "jwks_uri_refused",
            FetchError::Internal => "internal",
        }
    }

    /// The status of the answer, if one came.
    pub fn http_status(&self) -> Option<u16> {
        match self {
            FetchError::HttpStatus { status, .. } | FetchError::Redirect { status, .. } => {
                Some(*status)
            }
            FetchError::NotJson { .. }
            | FetchError::KeySet(_)
            | FetchError::IssuerMismatch { .. }
            | FetchError::JwksUriRefused { .. } => Some(200),
            _ => None,
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            FetchError::UrlRefused { .. } => {
                "Register a plain https URL: a host name, no user name, no fragment."
            }
            FetchError::SchemeRefused => {
                "Use an https URL; for a local identity provider see third_party_auth.allow_http."
            }
            FetchError::AddressRefused { .. } => {
                "If this identity provider is yours, add its network to third_party_auth.allowed_networks."
            }
            FetchError::Dns { .. } => {
                "Check the host name, and that the database server can resolve it."
            }
            FetchError::Connect { .. } => {
                "Check that the database server can reach the identity provider; see third_party_auth.proxy."
            }
            FetchError::Proxy { .. } => {
                "Check third_party_auth.proxy; it must be an http or https URL of a CONNECT proxy."
            }
            FetchError::Tls { .. } => {
                "If the identity provider uses a private certification authority, name its PEM file in \
                 third_party_auth.ca_file; otherwise check its certificate."
            }
            FetchError::CaFile { .. } => {
                "Check third_party_auth.ca_file; it must be a PEM file that the server can read."
            }
            FetchError::NoRoots => {
                "Install the system's package of certification authorities (ca-certificates), or set \
                 third_party_auth.ca_file."
            }
            FetchError::Timeout { .. } => {
                "Check that the database server can reach the identity provider, or raise \
                 third_party_auth.http_timeout."
            }
            FetchError::HttpStatus { .. } => "Check the address of the keys.",
            FetchError::Redirect { .. } => {
                "Redirects are not followed; register the final address as jwks_uri."
            }
            FetchError::TooLarge { .. }
            | FetchError::Protocol { .. }
            | FetchError::NotJson { .. }
            | FetchError::KeySet(_) => {
                "Check that the address answers with a JWK Set (RFC 7517), {\"keys\": [...]}."
            }
            FetchError::IssuerMismatch { .. } => {
                "Register the issuer byte for byte as the discovery document and the tokens show it, or \
                 give jwks_uri, which needs no discovery."
            }
            FetchError::JwksUriRefused { .. } => {
                "If that address is right, register it explicitly: jwks_uri => '...'."
            }
            FetchError::Internal => "Please report this; the next attempt follows by itself.",
        }
    }

    fn sentence(&self) -> String {
        match self {
            FetchError::UrlRefused { problem } => format!("the URL cannot be fetched: {problem}"),
            FetchError::SchemeRefused => "the URL is not https".to_owned(),
            FetchError::AddressRefused { host, refused } => {
                format!("{} was not asked: {refused}", short(host))
            }
            FetchError::Dns { host, problem } => {
                format!("the host name {} was not resolved: {problem}", short(host))
            }
            FetchError::Connect { host, problem } => {
                format!("no connection to {}: {problem}", short(host))
            }
            FetchError::Proxy { problem } => format!("the proxy is not usable: {problem}"),
            FetchError::Tls { host, problem } => {
                format!("no TLS connection to {}: {problem}", short(host))
            }
            FetchError::CaFile { problem } => format!("ca_file is not usable: {problem}"),
            FetchError::NoRoots => "no certification authority is trusted here".to_owned(),
            FetchError::Timeout { host, phase } => {
                format!("the time was up while {phase} ({})", short(host))
            }
            FetchError::HttpStatus { host, status } => {
                format!("{} answered with status {status}", short(host))
            }
            FetchError::Redirect { status, to } => match to {
                Some(host) => format!("status {status} redirects to {}", short(host)),
                None => format!("status {status} redirects elsewhere"),
            },
            FetchError::TooLarge { part } => format!("the answer is too large: {part}"),
            FetchError::Protocol { host, problem } => {
                format!("{} broke off or spoke no HTTP: {problem}", short(host))
            }
            FetchError::NotJson { problem } => {
                format!("the answer is not the expected JSON: {problem}")
            }
            FetchError::KeySet(problem) => format!("the answer is no usable key set: {problem}"),
            FetchError::IssuerMismatch { difference } => {
                format!("the discovery document names another issuer: {difference}")
            }
            FetchError::JwksUriRefused { problem } => {
                format!("the discovery document's jwks_uri is refused: {problem}")
            }
            FetchError::Internal => "the HTTP client failed unexpectedly".to_owned(),
        }
    }
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&cut(&self.sentence(), MAX_CHARACTERS))
    }
}

impl std::error::Error for FetchError {}

impl From<keys::SetError> for FetchError {
    fn from(problem: keys::SetError) -> Self {
        FetchError::KeySet(problem)
    }
}

fn class_of_key_set(problem: &keys::SetError) -> &'static str {
    match problem {
        keys::SetError::NoUsableKey { .. } => "no_usable_key",
        keys::SetError::Malformed(..) => "not_json",
        _ => "not_a_key_set",
    }
}

/// A host that leaves room for the rest of the sentence.
fn short(host: &str) -> String {
    cut(host, 80)
}

/// The text without control characters, cut to so many characters.
fn cut(text: &str, limit: usize) -> String {
    let mut kept: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(limit)
        .collect();
    if text.chars().nth(limit).is_some() {
        kept.pop();
        kept.push('…');
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_is_short_and_of_one_line() {
        let error = FetchError::Connect {
            host: "h".repeat(300),
            problem: "line\none ".repeat(60),
        };
        let sentence = error.to_string();
        assert_eq!(sentence.chars().count(), 200);
        assert!(
            sentence.ends_with('…') && !sentence.contains('\n'),
            "{sentence}"
        );
    }
}

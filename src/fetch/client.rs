//! One request under all limits.
//!
//! Every request has a connection and an HTTP client of its own: nothing of an earlier answer
//! (leftover bytes, cookies, keep-alive state) can reach a later one, and changed settings count at
//! once.

use super::resolver::{JudgingResolver, Lookup};
use super::url::Target;
use super::{FetchError, Rules, Validators, roots, schedule};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};
use ureq::config::Config;
use ureq::http::header::{CACHE_CONTROL, CONTENT_ENCODING, ETAG, LAST_MODIFIED, LOCATION};
use ureq::http::{HeaderMap, HeaderName, Uri};
use ureq::tls::{RootCerts, TlsConfig, TlsProvider};
use ureq::unversioned::transport::DefaultConnector;
use ureq::{Agent, Proxy, ProxyProtocol, Timeout};

/// The longest time for a connection, TLS handshake included.
const CONNECT: Duration = Duration::from_secs(3);

/// The longest time for looking up a host name.
const RESOLVE: Duration = Duration::from_secs(2);

/// The largest body that is read, in bytes.
const MAX_BODY: u64 = 256 * 1024;

/// The largest status line and headers that are read, in bytes.
const MAX_HEADER: usize = 16 * 1024;

/// The longest entity tag and modification date that are kept, in bytes.
const MAX_ETAG: usize = 128;
const MAX_LAST_MODIFIED: usize = 64;

const USER_AGENT: &str = concat!("pg_third_party_auth/", env!("CARGO_PKG_VERSION"));

/// Asks for the documents of one fetch, all of them by one deadline.
pub(super) struct Client<'a> {
    rules: &'a Rules,
    lookup: Lookup,
    roots: RootCerts,
    proxy: Option<Proxy>,
    deadline: Instant,
}

/// An answer that counts.
pub(super) enum Answer {
    /// Status 200.
    Document { headers: HeaderMap, body: Vec<u8> },
    /// Status 304 to a conditional request.
    NotModified { headers: HeaderMap },
}

impl<'a> Client<'a> {
    /// Starts the clock of `rules.timeout`.
    pub(super) fn new(rules: &'a Rules, lookup: Lookup) -> Result<Self, FetchError> {
        Ok(Client {
            rules,
            lookup,
            deadline: Instant::now() + rules.timeout,
            roots: roots::trusted(rules.ca_file.as_deref())?,
            proxy: rules.proxy.as_deref().map(connect_proxy).transpose()?,
        })
    }

    /// Asks once. With a condition, "not modified" is an answer too.
    pub(super) fn ask(
        &self,
        target: &Target,
        condition: Option<&Validators>,
    ) -> Result<Answer, FetchError> {
        let host = target.host();
        let left = self.deadline.saturating_duration_since(Instant::now());
        let resolver = JudgingResolver::new(self.rules.clone(), Arc::clone(&self.lookup));
        let agent = Agent::with_parts(
            self.config(target, left),
            DefaultConnector::default(),
            resolver,
        );
        let mut request = agent.get(target.as_str());
        if let Some(condition) = condition {
            for (name, value) in [
                ("if-none-match", &condition.etag),
                ("if-modified-since", &condition.last_modified),
            ] {
                if let Some(value) = value.as_deref().filter(|value| is_header_text(value)) {
                    request = request.header(name, value);
                }
            }
        }
        let mut response = request.call().map_err(|error| translate(error, host))?;
        let headers = response.headers().clone();
        match response.status().as_u16() {
            200 => {}
            304 if condition.is_some() => return Ok(Answer::NotModified { headers }),
            status @ (300..=303 | 305..=399) => {
                return Err(FetchError::Redirect {
                    status,
                    to: redirect_host(&headers),
                });
            }
            status => {
                return Err(FetchError::HttpStatus {
                    host: host.to_owned(),
                    status,
                });
            }
        }
        if let Some(encoding) = text_of(&headers, CONTENT_ENCODING)
            && !encoding.eq_ignore_ascii_case("identity")
        {
            return Err(FetchError::NotJson {
                problem: "it is compressed although that was not offered",
            });
        }
        let body = response
            .body_mut()
            .with_config()
            .limit(MAX_BODY)
            .read_to_vec()
            .map_err(|error| translate(error, host))?;
        Ok(Answer::Document { headers, body })
    }

    fn config(&self, target: &Target, left: Duration) -> Config {
        // Never the provider of the process or of ureq's features: one crypto library.
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = TlsConfig::builder()
            .provider(TlsProvider::Rustls)
            .root_certs(self.roots.clone())
            .unversioned_rustls_crypto_provider(provider)
            .build();
        Agent::config_builder()
            .tls_config(tls)
            .https_only(target.is_https())
            .proxy(self.proxy.clone())
            .http_status_as_error(false)
            .max_redirects(0)
            .user_agent(USER_AGENT)
            .accept("application/json")
            .accept_encoding("identity")
            .max_response_header_size(MAX_HEADER)
            .max_idle_connections(0)
            .timeout_global(Some(left))
            .timeout_resolve(Some(RESOLVE))
            .timeout_connect(Some(CONNECT))
            .build()
    }
}

impl Answer {
    /// The body as text; a "not modified" has none.
    pub(super) fn text(self) -> Result<String, FetchError> {
        match self {
            Answer::Document { body, .. } => {
                String::from_utf8(body).map_err(|_| FetchError::NotJson {
                    problem: "it is not UTF-8",
                })
            }
            Answer::NotModified { .. } => Ok(String::new()),
        }
    }

    /// How long it counts as fresh.
    pub(super) fn max_age(&self) -> Option<Duration> {
        let lines: Vec<&str> = self
            .headers()
            .get_all(CACHE_CONTROL)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .collect();
        schedule::max_age(&lines)
    }

    /// Its entity tag and modification date, if they are of a usual size.
    pub(super) fn validators(&self) -> (Option<String>, Option<String>) {
        let kept = |name, limit| {
            text_of(self.headers(), name)
                .filter(|text| text.len() <= limit && is_header_text(text))
                .map(str::to_owned)
        };
        (kept(ETAG, MAX_ETAG), kept(LAST_MODIFIED, MAX_LAST_MODIFIED))
    }

    fn headers(&self) -> &HeaderMap {
        match self {
            Answer::Document { headers, .. } | Answer::NotModified { headers } => headers,
        }
    }
}

fn connect_proxy(url: &str) -> Result<Proxy, FetchError> {
    let refused = |problem| FetchError::Proxy { problem };
    let proxy = Proxy::new(url).map_err(|_| refused("it is not a URL"))?;
    match proxy.protocol() {
        ProxyProtocol::Http | ProxyProtocol::Https => Ok(proxy),
        _ => Err(refused("it is not an http or https URL")),
    }
}

fn text_of(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

fn is_header_text(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| (b' '..=b'~').contains(&b))
}

/// The host that a redirect names. A relative one stays at the host that was asked.
fn redirect_host(headers: &HeaderMap) -> Option<String> {
    let location: Uri = text_of(headers, LOCATION)?.parse().ok()?;
    location.host().map(str::to_owned)
}

fn translate(error: ureq::Error, host: &str) -> FetchError {
    let host = host.to_owned();
    match error {
        ureq::Error::Other(inner) => match inner.downcast::<FetchError>() {
            Ok(own) => *own,
            Err(_) => FetchError::Internal,
        },
        ureq::Error::Timeout(Timeout::Resolve) => FetchError::Dns {
            host,
            problem: "no name server answered in time",
        },
        ureq::Error::Timeout(timeout) => FetchError::Timeout {
            host,
            phase: match timeout {
                Timeout::Connect => "connecting",
                _ => "waiting for the answer",
            },
        },
        ureq::Error::BodyExceedsLimit(_) => FetchError::TooLarge {
            part: "more than 256 KiB of body",
        },
        ureq::Error::LargeResponseHeader(..) => FetchError::TooLarge {
            part: "more than 16 KiB of headers",
        },
        ureq::Error::ConnectProxyFailed(_) => FetchError::Proxy {
            problem: "it refused the connection",
        },
        ureq::Error::InvalidProxyUrl => FetchError::Proxy {
            problem: "it is not a URL",
        },
        ureq::Error::Rustls(error) => FetchError::Tls {
            host,
            problem: tls_problem(&error),
        },
        ureq::Error::Tls(problem) => FetchError::Tls { host, problem },
        ureq::Error::Io(error) => translate_io(&error, host),
        ureq::Error::ConnectionFailed => FetchError::Connect {
            host,
            problem: "none of its addresses could be connected to".to_owned(),
        },
        ureq::Error::Protocol(_) | ureq::Error::Http(_) | ureq::Error::BodyStalled => {
            FetchError::Protocol {
                host,
                problem: "the answer is not HTTP",
            }
        }
        ureq::Error::RequireHttpsOnly(_) => FetchError::SchemeRefused,
        ureq::Error::BadUri(_) => FetchError::UrlRefused {
            problem: "it is not a URL",
        },
        _ => FetchError::Internal,
    }
}

fn translate_io(error: &io::Error, host: String) -> FetchError {
    let inner = error.get_ref();
    if let Some(error) = inner.and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        return FetchError::Tls {
            host,
            problem: tls_problem(error),
        };
    }
    match error.kind() {
        io::ErrorKind::TimedOut => FetchError::Timeout {
            host,
            phase: "connecting",
        },
        io::ErrorKind::UnexpectedEof
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe => FetchError::Protocol {
            host,
            problem: "the connection was closed too early",
        },
        kind => FetchError::Connect {
            host,
            problem: kind.to_string(),
        },
    }
}

/// What is wrong in a handshake, without a word of the certificate.
fn tls_problem(error: &rustls::Error) -> &'static str {
    use rustls::CertificateError as Certificate;
    match error {
        rustls::Error::InvalidCertificate(problem) => match problem {
            // A foreign authority of the same name comes out as a bad signature.
            Certificate::UnknownIssuer | Certificate::BadSignature => {
                "its certificate is not signed by a trusted certification authority"
            }
            Certificate::Expired | Certificate::ExpiredContext { .. } => {
                "its certificate has expired"
            }
            Certificate::NotValidYet | Certificate::NotValidYetContext { .. } => {
                "its certificate is not valid yet"
            }
            Certificate::NotValidForName | Certificate::NotValidForNameContext { .. } => {
                "its certificate is for another name"
            }
            Certificate::Revoked => "its certificate is revoked",
            _ => "its certificate is not acceptable",
        },
        rustls::Error::NoCertificatesPresented => "it has no certificate",
        rustls::Error::AlertReceived(_) => "it refused the handshake",
        rustls::Error::InvalidMessage(_) => "it does not speak TLS",
        rustls::Error::PeerIncompatible(_) => {
            "it offers neither TLS 1.2 nor TLS 1.3 as needed here"
        }
        _ => "the handshake failed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_an_http_or_https_url() {
        for url in [
            "http://proxy.example:3128",
            "https://user:secret@proxy.example",
        ] {
            assert!(connect_proxy(url).is_ok(), "{url}");
        }
        for url in [
            "",
            "socks5://proxy.example",
            "ftp://proxy.example",
            "http://",
        ] {
            assert!(connect_proxy(url).is_err(), "{url}");
        }
    }

    #[test]
    fn a_redirect_is_told_by_its_host_alone() {
        let host = |location: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(LOCATION, location.parse().unwrap());
            redirect_host(&headers)
        };
        let secret = host("https://user:pw@evil.example:8443/keys?token=secret");
        assert_eq!(secret.as_deref(), Some("evil.example"));
        assert_eq!(host("/elsewhere"), None);
        assert_eq!(redirect_host(&HeaderMap::new()), None);
    }

    #[test]
    fn validators_of_an_unusual_size_or_content_are_not_kept() {
        let validators = |etag: &str, modified: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(ETAG, etag.parse().unwrap());
            headers.insert(LAST_MODIFIED, modified.parse().unwrap());
            let body = Vec::new();
            Answer::Document { headers, body }.validators()
        };
        let kept = |text: &str| Some(text.to_owned());
        let longest = ("e".repeat(MAX_ETAG), "m".repeat(MAX_LAST_MODIFIED));
        assert_eq!(
            validators(&longest.0, &longest.1),
            (kept(&longest.0), kept(&longest.1))
        );
        let longer = (longest.0 + "e", longest.1 + "m");
        assert_eq!(validators(&longer.0, &longer.1), (None, None));
        assert_eq!(validators("W/\"é\"", "\t"), (None, None));
        assert_eq!(validators("", "Thu"), (None, kept("Thu")));
    }
}

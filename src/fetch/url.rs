//! Which URLs may be asked for.

use super::address::{judge_address, judge_http_address};
use super::{AllowHttp, FetchError, Rules};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use ureq::http::Uri;

/// The longest URL that is asked for, in bytes.
const MAX_BYTES: usize = 2048;

/// A URL that passed [`judge_url`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    url: String,
    https: bool,
    host: String,
    port: u16,
    has_query: bool,
}

impl Target {
    /// The URL as it was given.
    pub fn as_str(&self) -> &str {
        &self.url
    }

    /// Whether it is asked over TLS.
    pub fn is_https(&self) -> bool {
        self.https
    }

    /// The host in lower case; an IPv6 address without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, also where the scheme implies it.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether there is a `?`.
    pub fn has_query(&self) -> bool {
        self.has_query
    }

    /// Whether both have the same scheme, host and port (RFC 6454 §5).
    pub fn has_same_origin(&self, other: &Target) -> bool {
        self.https == other.https && self.host == other.host && self.port == other.port
    }
}

/// Judges a URL before anything is looked up: https (http where `allow_http` is not off), a host, no
/// user information, no fragment. An address in place of a host name is judged at once; a number that
/// only some programs read as an address (`0x7f.1`, `2130706433`) is refused.
///
/// # Errors
/// [`FetchError::UrlRefused`], [`FetchError::SchemeRefused`], or [`FetchError::AddressRefused`].
pub fn judge_url(url: &str, rules: &Rules) -> Result<Target, FetchError> {
    let refused = |problem| FetchError::UrlRefused { problem };
    if url.len() > MAX_BYTES {
        return Err(refused("it is longer than 2048 bytes"));
    }
    // http::Uri drops fragments silently and takes some of these bytes.
    if !url.bytes().all(|b| b.is_ascii_graphic()) || url.contains(['\\', '"', '<', '>', '`']) {
        return Err(refused("it has characters that no URL has"));
    }
    if url.contains('#') {
        return Err(refused("it has a fragment"));
    }
    let uri: Uri = url.parse().map_err(|_| refused("it is not a URL"))?;
    let https = match uri.scheme_str() {
        Some("https") => true,
        Some("http") if rules.allow_http != AllowHttp::Off => false,
        Some(_) => return Err(FetchError::SchemeRefused),
        None => return Err(refused("it has no scheme")),
    };
    let authority = uri.authority().ok_or(refused("it has no host"))?;
    if authority.as_str().contains('@') {
        return Err(refused("it has user information"));
    }
    let port = match authority.as_str().strip_prefix(authority.host()) {
        Some("") if https => 443,
        Some("") => 80,
        _ => authority
            .port_u16()
            .filter(|&port| port != 0)
            .ok_or(refused("its port is not one"))?,
    };
    let host = authority.host().to_ascii_lowercase();
    let literal = literal_address(&host)?;
    let target = Target {
        host: literal.map_or(host, |address| address.to_string()),
        https,
        port,
        has_query: uri.query().is_some(),
        url: url.to_owned(),
    };
    // Through a proxy nobody resolves "localhost" here, and the proxy's own services are behind it.
    let known = literal.or((is_localhost(&target.host) && rules.proxy.is_some())
        .then_some(IpAddr::V4(Ipv4Addr::LOCALHOST)));
    match known {
        Some(address) if https => judge_address(address, rules),
        Some(address) => judge_http_address(address, rules),
        None if !https && rules.proxy.is_some() => return Err(FetchError::SchemeRefused),
        None => Ok(()),
    }
    .map_err(|refused| FetchError::AddressRefused {
        host: target.host.clone(),
        refused,
    })?;
    Ok(target)
}

/// The address that a host spells, if it is no name.
fn literal_address(host: &str) -> Result<Option<IpAddr>, FetchError> {
    let refused = |problem| FetchError::UrlRefused { problem };
    if let Some(inner) = host.strip_prefix('[') {
        return inner
            .strip_suffix(']')
            .and_then(|inner| inner.parse::<Ipv6Addr>().ok())
            .map(|address| Some(IpAddr::V6(address)))
            .ok_or(refused("its host is not an IPv6 address"));
    }
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    if host.len() > 253 || !host.split('.').all(is_label) {
        return Err(refused("its host is not a host name"));
    }
    let last = host.rsplit('.').next().unwrap_or(host);
    let is_number = last.bytes().all(|b| b.is_ascii_digit())
        || last
            .strip_prefix("0x")
            .is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_hexdigit()));
    if !is_number {
        return Ok(None);
    }
    // The standard library reads four decimal numbers without leading zeros and nothing else.
    host.parse::<Ipv4Addr>()
        .map(|address| Some(IpAddr::V4(address)))
        .map_err(|_| refused("its host is a number that is not an IPv4 address"))
}

fn is_localhost(host: &str) -> bool {
    host == "localhost" || host.ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(url: &str, rules: &Rules) -> &'static str {
        judge_url(url, rules).map_or_else(|error| error.class(), |_| "ok")
    }

    #[test]
    fn only_plain_https_urls_pass_the_default_rules() {
        for url in [
            "https://idp.example",
            "https://idp.example/keys?appid=1",
            "https://IDP.example:8443/keys",
            "https://8.8.8.8/keys",
            "https://[2606:4700::1111]/keys",
            "https://www.example.com/jwk/securetoken@system.example.com",
            "https://xn--mnchen-3ya.example/",
            "https://1password.example/",
            "HTTPS://idp.example/",
        ] {
            assert_eq!(class(url, &Rules::default()), "ok", "{url}");
        }
        for (url, expected) in [
            ("http://idp.example/", "scheme_refused"),
            ("ftp://idp.example/", "scheme_refused"),
            ("file:///etc/passwd", "url_refused"),
            ("idp.example", "url_refused"),
            ("/keys", "url_refused"),
            ("", "url_refused"),
            ("https://", "url_refused"),
            ("https:///keys", "url_refused"),
            ("https://user@idp.example/", "url_refused"),
            ("https://user:password@idp.example/", "url_refused"),
            ("https://idp.example/#x", "url_refused"),
            ("https://idp.example\\@10.0.0.1/", "url_refused"),
            ("https://idp.example/a b", "url_refused"),
            (" https://idp.example/", "url_refused"),
            ("https://idp.example/\r\nX: y", "url_refused"),
            ("https://münchen.example/", "url_refused"),
            ("https://idp..example/", "url_refused"),
            ("https://idp.example./", "url_refused"),
            ("https://idp%2eexample/", "url_refused"),
            ("https://idp.example:0/", "url_refused"),
            ("https://idp.example:65536/", "url_refused"),
            ("https://idp.example:/", "url_refused"),
            ("https://[fe80::1%25eth0]/", "url_refused"),
            ("https://0x7f.1/", "url_refused"),
            ("https://0x7f000001/", "url_refused"),
            ("https://017700000001/", "url_refused"),
            ("https://2130706433/", "url_refused"),
            ("https://127.1/", "url_refused"),
            ("https://127.0.0.01/", "url_refused"),
            ("https://256.0.0.1/", "url_refused"),
            ("https://127.0.0.1/", "address_refused"),
            ("https://169.254.169.254/latest", "address_refused"),
            ("https://[::1]/", "address_refused"),
            ("https://[::ffff:10.0.0.1]/", "address_refused"),
            ("https://[64:ff9b::a00:1]/", "address_refused"),
        ] {
            assert_eq!(class(url, &Rules::default()), expected, "{url}");
        }
        assert_eq!(
            class(
                &format!("https://a/{}", "x".repeat(2048)),
                &Rules::default()
            ),
            "url_refused"
        );
    }

    #[test]
    fn http_passes_only_for_the_addresses_that_the_switch_names() {
        let rules = |networks: &[&str], allow_http| Rules {
            allowed_networks: networks.iter().map(|n| n.parse().unwrap()).collect(),
            allow_http,
            ..Rules::default()
        };
        let loopback = rules(&["127.0.0.0/8", "10.0.0.0/8"], AllowHttp::Loopback);
        assert_eq!(class("http://127.0.0.1:99/", &loopback), "ok");
        assert_eq!(class("http://10.0.0.1/", &loopback), "address_refused");
        assert_eq!(class("http://8.8.8.8/", &loopback), "address_refused");
        let networks = rules(&["10.0.0.0/8"], AllowHttp::AllowedNetworks);
        assert_eq!(class("http://10.0.0.1/", &networks), "ok");
        assert_eq!(class("http://127.0.0.1/", &networks), "address_refused");
        let bare = rules(&[], AllowHttp::Loopback);
        assert_eq!(class("http://127.0.0.1/", &bare), "address_refused");
    }

    #[test]
    fn through_a_proxy_literal_addresses_and_localhost_are_still_judged() {
        let rules = Rules {
            proxy: Some("http://proxy.example:3128".to_owned()),
            allow_http: AllowHttp::Loopback,
            ..Rules::default()
        };
        assert_eq!(class("https://idp.example/", &rules), "ok");
        assert_eq!(class("https://10.0.0.1/", &rules), "address_refused");
        assert_eq!(class("https://localhost/", &rules), "address_refused");
        assert_eq!(class("https://x.localhost/", &rules), "address_refused");
        assert_eq!(class("http://idp.example/", &rules), "scheme_refused");
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        let rules = Rules::default();
        let origin = judge_url("https://idp.example/a", &rules).unwrap();
        let same = |url| judge_url(url, &rules).unwrap().has_same_origin(&origin);
        assert!(same("https://IDP.example:443/b"));
        assert!(!same("https://idp.example:8443/a"));
        assert!(!same("https://keys.idp.example/a"));
        assert!(!same("https://idp.example.evil.example/a"));
    }
}

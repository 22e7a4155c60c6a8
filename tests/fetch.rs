//! Fetching keys from an identity provider that behaves, and from one that does not.

#[path = "support/mod.rs"]
mod support;

#[path = "fetch/answers.rs"]
mod answers;
#[path = "fetch/trust.rs"]
mod trust;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use pg_third_party_auth::fetch::{
    AllowHttp, FetchError, Lookup, Outcome, Rules, Validators, fetch, fetch_with,
};
use pg_third_party_auth::provider::KeyAddress;
use serde_json::{Value, json};
use std::fs;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};
use support::{Authority, Behaviour, IdentityProvider};

/// A test that a machine under load must not make fail.
const AMPLE: Duration = Duration::from_secs(20);

/// For tests that run into it.
const SHORT: Duration = Duration::from_secs(1);

/// By how much a fetch may outlive its timeout.
const TOLERANCE: Duration = Duration::from_millis(500);

struct Setting {
    authority: Authority,
    idp: IdentityProvider,
}

impl Setting {
    fn new() -> Self {
        let authority = Authority::new();
        let idp = IdentityProvider::start(&authority);
        idp.publish(vec![jwk("one")]);
        Setting { authority, idp }
    }

    fn rules(&self) -> Rules {
        rules(&self.authority)
    }

    fn direct(&self) -> KeyAddress {
        direct(self.idp.jwks_uri())
    }

    fn discovery(&self) -> KeyAddress {
        KeyAddress::Discovery {
            issuer: self.idp.issuer(),
        }
    }

    fn fetch(&self) -> Result<Outcome, FetchError> {
        fetch(&self.direct(), &Validators::default(), &self.rules())
    }

    fn discover(&self) -> Result<Outcome, FetchError> {
        fetch(&self.discovery(), &Validators::default(), &self.rules())
    }
}

fn rules(authority: &Authority) -> Rules {
    Rules {
        timeout: AMPLE,
        allowed_networks: vec!["127.0.0.0/8".parse().unwrap()],
        ca_file: Some(authority.ca_file()),
        ..Rules::default()
    }
}

fn direct(jwks_uri: String) -> KeyAddress {
    KeyAddress::Direct { jwks_uri }
}

fn jwk(kid: &str) -> Value {
    let random = SystemRandom::new();
    let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref()).unwrap();
    let point = pair.public_key().as_ref();
    json!({
        "kty": "EC", "crv": "P-256", "kid": kid, "alg": "ES256", "use": "sig",
        "x": URL_SAFE_NO_PAD.encode(&point[1..33]),
        "y": URL_SAFE_NO_PAD.encode(&point[33..65]),
    })
}

fn lookup(addresses: &'static [&'static str], count: &Arc<AtomicUsize>) -> Lookup {
    let count = Arc::clone(count);
    Arc::new(move |_, port| {
        count.fetch_add(1, Ordering::SeqCst);
        let parsed = addresses.iter().map(|a| a.parse().unwrap());
        Ok(parsed
            .map(|address| SocketAddr::new(address, port))
            .collect())
    })
}

/// Number of keys, number of skipped entries, and the validators of an answer with keys.
fn keys(outcome: Result<Outcome, FetchError>) -> (usize, usize, Validators) {
    match outcome {
        Ok(Outcome::Keys {
            reading,
            validators,
            ..
        }) => (reading.keys.keys.len(), reading.skipped.len(), validators),
        other => panic!("keys expected, got {other:?}"),
    }
}

fn class(outcome: Result<Outcome, FetchError>) -> &'static str {
    match outcome {
        Ok(Outcome::Keys { .. }) => "keys",
        Ok(Outcome::NotModified { .. }) => "not_modified",
        Err(error) => error.class(),
    }
}

#[test]
fn keys_come_from_a_direct_address_and_by_discovery() {
    let setting = Setting::new();
    assert_eq!(keys(setting.fetch()).0, 1);
    assert_eq!(
        (setting.idp.fetches(), setting.idp.discovery_fetches()),
        (1, 0)
    );
    let Ok(Outcome::Keys { jwks_uri, .. }) = setting.discover() else {
        panic!("no keys by discovery");
    };
    assert_eq!(jwks_uri, setting.idp.jwks_uri());
    assert_eq!(
        (setting.idp.fetches(), setting.idp.discovery_fetches()),
        (2, 1)
    );
}

#[test]
fn a_request_tells_nothing_but_its_address() {
    let setting = Setting::new();
    keys(setting.fetch());
    let request = setting.idp.requests().remove(0);
    let agent = concat!("pg_third_party_auth/", env!("CARGO_PKG_VERSION"));
    assert_eq!(request.header("user-agent"), Some(agent));
    assert_eq!(request.header("accept"), Some("application/json"));
    assert_eq!(request.header("accept-encoding"), Some("identity"));
    let names: Vec<&str> = request
        .headers
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    let known = ["host", "user-agent", "accept", "accept-encoding"];
    assert!(names.iter().all(|name| known.contains(name)), "{names:?}");
}

#[test]
fn an_unchanged_key_set_is_not_sent_again() {
    for (behaviour, header) in [
        (Behaviour::Normal, "if-none-match"),
        (Behaviour::LastModifiedOnly, "if-modified-since"),
    ] {
        let setting = Setting::new();
        setting.idp.behave(behaviour);
        for address in [setting.direct(), setting.discovery()] {
            let rules = setting.rules();
            let (_, _, validators) = keys(fetch(&address, &Validators::default(), &rules));
            assert_eq!(class(fetch(&address, &validators, &rules)), "not_modified");
            assert!(
                setting
                    .idp
                    .requests()
                    .last()
                    .unwrap()
                    .header(header)
                    .is_some()
            );
            setting.idp.publish(vec![jwk("two"), jwk("three")]);
            assert_eq!(keys(fetch(&address, &validators, &rules)).0, 2);
        }
        let conditional_discovery = setting.idp.requests().iter().any(|request| {
            request.path.ends_with("openid-configuration") && request.header(header).is_some()
        });
        assert!(!conditional_discovery);
    }
}

#[test]
fn validators_are_not_sent_to_another_address() {
    let setting = Setting::new();
    let (_, _, validators) = keys(setting.discover());
    let moved = setting.idp.jwks_uri_at("/moved");
    setting
        .idp
        .publish_at("/moved", vec![jwk("two"), jwk("three")]);
    setting.idp.behave(Behaviour::JwksUri(moved));
    // The entity tags of both sets are equal.
    let outcome = fetch(&setting.discovery(), &validators, &setting.rules());
    assert_eq!(keys(outcome).0, 2);
    assert_eq!(
        setting
            .idp
            .requests()
            .last()
            .unwrap()
            .header("if-none-match"),
        None
    );
}

#[test]
fn a_validator_cannot_smuggle_a_header() {
    let setting = Setting::new();
    let (_, _, mut validators) = keys(setting.fetch());
    validators.etag = Some("\"x\"\r\nCookie: y".to_owned());
    let outcome = fetch(&setting.direct(), &validators, &setting.rules());
    assert_eq!(keys(outcome).0, 1);
    assert_eq!(
        setting.idp.requests().last().unwrap().header("cookie"),
        None
    );
}

#[test]
fn max_age_is_told() {
    let setting = Setting::new();
    setting.idp.behave(Behaviour::MaxAge(77));
    let Ok(Outcome::Keys {
        max_age,
        validators,
        ..
    }) = setting.fetch()
    else {
        panic!("no keys");
    };
    assert_eq!(max_age, Some(Duration::from_secs(77)));
    match fetch(&setting.direct(), &validators, &setting.rules()) {
        Ok(Outcome::NotModified { max_age }) => assert_eq!(max_age, Some(Duration::from_secs(77))),
        other => panic!("{other:?}"),
    }
}

//! Answers that bring no keys, and answers that take too long.

use super::*;

#[test]
fn a_bad_answer_never_brings_keys() {
    let setting = Setting::new();
    for (behaviour, expected, status) in [
        (Behaviour::Reset, "protocol", None),
        (Behaviour::Truncated, "protocol", None),
        (Behaviour::NotHttp, "protocol", None),
        (Behaviour::Garbage, "not_json", Some(200)),
        (Behaviour::Html, "not_json", Some(200)),
        (Behaviour::EmptyBody, "not_json", Some(200)),
        (Behaviour::ClaimsGzip, "not_json", Some(200)),
        (Behaviour::EmptySet, "no_usable_key", Some(200)),
        (Behaviour::OnlyOddKeys, "no_usable_key", Some(200)),
        (Behaviour::HugeHeader, "too_large", None),
        (Behaviour::WrongEtag304, "http_status", Some(304)),
        (Behaviour::Status(201), "http_status", Some(201)),
        (Behaviour::Status(203), "http_status", Some(203)),
        (Behaviour::Status(204), "http_status", Some(204)),
        (Behaviour::Status(206), "http_status", Some(206)),
        (Behaviour::Status(300), "redirect", Some(300)),
        (Behaviour::Status(401), "http_status", Some(401)),
        (Behaviour::Status(404), "http_status", Some(404)),
        (Behaviour::Status(429), "http_status", Some(429)),
        (Behaviour::Status(500), "http_status", Some(500)),
        (Behaviour::Status(503), "http_status", Some(503)),
    ] {
        setting.idp.behave(behaviour.clone());
        let error = setting.fetch().unwrap_err();
        assert_eq!(
            (error.class(), error.http_status()),
            (expected, status),
            "{behaviour:?}: {error}"
        );
        assert!(error.to_string().chars().count() <= 200, "{error}");
        assert!(!error.to_string().contains("Welcome"), "{error}");
        assert!(!error.hint().is_empty());
    }
    setting.idp.behave(Behaviour::Normal);
    assert_eq!(keys(setting.fetch()).0, 1);
}

#[test]
fn odd_keys_do_not_spoil_a_good_one() {
    let setting = Setting::new();
    setting.idp.behave(Behaviour::OddKeys);
    let (usable, skipped, _) = keys(setting.fetch());
    assert_eq!((usable, skipped), (1, 5));
}

#[test]
fn an_endless_body_is_cut_off() {
    let setting = Setting::new();
    setting.idp.behave(Behaviour::Huge);
    let started = Instant::now();
    assert_eq!(class(setting.fetch()), "too_large");
    assert!(started.elapsed() < AMPLE / 2, "{:?}", started.elapsed());
}

#[test]
fn a_redirect_is_not_followed() {
    let setting = Setting::new();
    let canary = IdentityProvider::start(&setting.authority);
    canary.publish(vec![jwk("canary")]);
    for to in [
        canary.jwks_uri(),
        setting.idp.jwks_uri_at("/x?secret"),
        "/x?secret".to_owned(),
    ] {
        setting.idp.behave(Behaviour::Redirect(to));
        let before = setting.idp.fetches();
        let error = setting.fetch().unwrap_err();
        assert_eq!(
            (error.class(), error.http_status()),
            ("redirect", Some(302))
        );
        assert!(!error.to_string().contains("secret"), "{error}");
        assert_eq!(setting.idp.fetches(), before + 1);
    }
    assert_eq!(canary.connections(), 0);
}

#[test]
fn a_provider_that_dawdles_ends_with_the_timeout() {
    let setting = Setting::new();
    let minute = Duration::from_secs(60);
    // Reads the roots, so that the first measurement is of the network alone.
    keys(setting.discover());
    for (behaviour, address) in [
        (Behaviour::TlsStall, setting.direct()),
        (Behaviour::Slow(minute), setting.direct()),
        (Behaviour::Drip, setting.direct()),
        (Behaviour::DripHeader, setting.direct()),
        (Behaviour::SlowEverywhere(minute), setting.discovery()),
        // Each request alone would be in time.
        (
            Behaviour::SlowEverywhere(SHORT * 2 / 3),
            setting.discovery(),
        ),
    ] {
        setting.idp.behave(behaviour.clone());
        let rules = Rules {
            timeout: SHORT,
            ..setting.rules()
        };
        let started = Instant::now();
        let outcome = fetch(&address, &Validators::default(), &rules);
        let elapsed = started.elapsed();
        assert_eq!(class(outcome), "timeout", "{behaviour:?}");
        assert!(elapsed < SHORT + TOLERANCE, "{behaviour:?}: {elapsed:?}");
    }
    setting.idp.behave(Behaviour::Slow(SHORT / 10));
    assert_eq!(keys(setting.fetch()).0, 1);
}

#[test]
fn a_silent_name_server_ends_with_the_timeout() {
    let setting = Setting::new();
    keys(setting.fetch());
    let (_until_the_end, wait) = channel::<()>();
    let wait = Mutex::new(wait);
    let silent: Lookup = Arc::new(move |_, _| {
        let _ = wait.lock().map(|wait| wait.recv());
        Ok(Vec::new())
    });
    let rules = Rules {
        timeout: SHORT,
        ..setting.rules()
    };
    let started = Instant::now();
    let address = direct("https://idp.example/keys".to_owned());
    let outcome = fetch_with(&address, &Validators::default(), &rules, silent);
    assert_eq!(class(outcome), "dns");
    assert!(
        started.elapsed() < SHORT + TOLERANCE,
        "{:?}",
        started.elapsed()
    );
}

#[test]
fn a_provider_that_is_down_is_a_connection_error_until_it_is_back() {
    let setting = Setting::new();
    setting.idp.stop();
    assert_eq!(class(setting.fetch()), "connect");
    setting.idp.resume();
    assert_eq!(keys(setting.fetch()).0, 1);
}

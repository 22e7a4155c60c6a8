//! Which servers are believed, and which addresses are connected to.

use super::*;

#[test]
fn an_untrusted_certificate_is_refused() {
    let setting = Setting::new();
    let other = Authority::new();
    let error = fetch(&setting.direct(), &Validators::default(), &rules(&other)).unwrap_err();
    assert_eq!(error.class(), "tls");
    assert!(error.to_string().contains("trusted"), "{error}");
    assert_eq!(setting.idp.fetches(), 0);
}

#[test]
fn a_certificate_for_another_name_or_time_is_refused() {
    let authority = Authority::new();
    for (config, complaint) in [
        (authority.server_config(&["other.example"]), "another name"),
        (authority.expired_server_config(&["127.0.0.1"]), "expired"),
    ] {
        let idp = IdentityProvider::start_with("127.0.0.1", Some(config));
        let address = direct(idp.jwks_uri());
        let error = fetch(&address, &Validators::default(), &rules(&authority)).unwrap_err();
        assert_eq!(error.class(), "tls");
        assert!(error.to_string().contains(complaint), "{error}");
        assert_eq!(idp.fetches(), 0);
    }
}

#[test]
fn an_unusable_ca_file_is_said_to_be_one() {
    let setting = Setting::new();
    let directory = setting.authority.ca_file().parent().unwrap().to_owned();
    fs::write(directory.join("empty.pem"), "no certificate here\n").unwrap();
    let bad = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    fs::write(directory.join("bad.pem"), bad).unwrap();
    for (name, complaint) in [
        ("missing.pem", "not found"),
        ("", "not a file"),
        ("empty.pem", "no certificate"),
        ("bad.pem", "malformed"),
    ] {
        let rules = Rules {
            ca_file: Some(directory.join(name)),
            ..setting.rules()
        };
        let error = fetch(&setting.direct(), &Validators::default(), &rules).unwrap_err();
        assert_eq!(error.class(), "ca_file");
        assert!(error.to_string().contains(complaint), "{error}");
    }
    assert_eq!(setting.idp.connections(), 0);
}

#[test]
fn http_is_refused_unless_the_switch_and_the_network_admit_it() {
    let authority = Authority::new();
    let idp = IdentityProvider::start_with("127.0.0.1", None);
    idp.publish(vec![jwk("one")]);
    let with = |allow_http, networks: &[&str]| Rules {
        allow_http,
        allowed_networks: networks.iter().map(|n| n.parse().unwrap()).collect(),
        ..rules(&authority)
    };
    let literal = direct(idp.jwks_uri());
    let named = direct(idp.jwks_uri().replace("127.0.0.1", "localhost"));
    for address in [&literal, &named] {
        for (rules, expected) in [
            (with(AllowHttp::Off, &["127.0.0.0/8"]), "scheme_refused"),
            (with(AllowHttp::Loopback, &[]), "address_refused"),
            (with(AllowHttp::AllowedNetworks, &[]), "address_refused"),
        ] {
            assert_eq!(
                class(fetch(address, &Validators::default(), &rules)),
                expected
            );
        }
    }
    assert_eq!(idp.connections(), 0);
    for allow_http in [AllowHttp::Loopback, AllowHttp::AllowedNetworks] {
        let rules = with(allow_http, &["127.0.0.0/8"]);
        for address in [&literal, &named] {
            assert_eq!(keys(fetch(address, &Validators::default(), &rules)).0, 1);
        }
        let discovery = KeyAddress::Discovery {
            issuer: idp.issuer(),
        };
        assert_eq!(keys(fetch(&discovery, &Validators::default(), &rules)).0, 1);
    }
}

#[test]
fn loopback_is_refused_unless_it_is_an_allowed_network() {
    let setting = Setting::new();
    let rules = Rules {
        allowed_networks: Vec::new(),
        ..setting.rules()
    };
    for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"] {
        let url = setting.idp.jwks_uri().replace("127.0.0.1", host);
        let outcome = fetch(&direct(url), &Validators::default(), &rules);
        assert_eq!(class(outcome), "address_refused", "{host}");
    }
    assert_eq!(setting.idp.connections(), 0);
}

#[test]
fn the_address_that_was_judged_is_the_one_connected_to() {
    let authority = Authority::new();
    let config = authority.server_config(&["idp.example"]);
    let idp = IdentityProvider::start_with("idp.example", Some(config));
    idp.publish(vec![jwk("one")]);
    // Only loopback addresses, so that even a broken rule connects to nothing but this machine.
    let canary = TcpListener::bind(("127.0.0.2", idp.port())).unwrap();
    canary.set_nonblocking(true).unwrap();
    let rules = Rules {
        allowed_networks: vec!["127.0.0.1/32".parse().unwrap()],
        ..rules(&authority)
    };
    let address = direct(idp.jwks_uri());
    let ask = |lookup| fetch_with(&address, &Validators::default(), &rules, lookup);
    let count = Arc::new(AtomicUsize::new(0));
    let mixed = lookup(&["127.0.0.2", "::ffff:127.0.0.2", "127.0.0.1"], &count);
    assert_eq!(keys(ask(mixed)).0, 1);
    assert_eq!(count.load(Ordering::SeqCst), 1);
    let refused = lookup(&["127.0.0.2", "::ffff:127.0.0.2", "::1"], &count);
    assert_eq!(class(ask(refused)), "address_refused");
    assert_eq!(idp.connections(), 1);
    let nobody = canary.accept().unwrap_err();
    assert_eq!(nobody.kind(), io::ErrorKind::WouldBlock);
}

#[test]
fn discovery_of_another_issuer_or_to_another_place_is_refused() {
    let setting = Setting::new();
    let canary = IdentityProvider::start(&setting.authority);
    canary.publish(vec![jwk("canary")]);
    let other_host = setting.idp.jwks_uri().replace("127.0.0.1", "localhost");
    let plain = setting.idp.jwks_uri().replace("https:", "http:");
    for (behaviour, expected) in [
        (Behaviour::WrongDiscoveryIssuer, "issuer_mismatch"),
        (Behaviour::JwksUri(canary.jwks_uri()), "jwks_uri_refused"),
        (Behaviour::JwksUri(other_host), "jwks_uri_refused"),
        (Behaviour::JwksUri(plain), "jwks_uri_refused"),
        (Behaviour::DiscoveryStatus(404), "http_status"),
        (Behaviour::DiscoveryStatus(302), "redirect"),
    ] {
        setting.idp.behave(behaviour.clone());
        assert_eq!(class(setting.discover()), expected, "{behaviour:?}");
    }
    let with_slash = KeyAddress::Discovery {
        issuer: format!("{}/", setting.idp.issuer()),
    };
    setting.idp.behave(Behaviour::Normal);
    let error = fetch(&with_slash, &Validators::default(), &setting.rules()).unwrap_err();
    assert_eq!(error.class(), "issuer_mismatch");
    let with_query = KeyAddress::Discovery {
        issuer: format!("{}/?a=", setting.idp.issuer()),
    };
    let error = fetch(&with_query, &Validators::default(), &setting.rules()).unwrap_err();
    assert_eq!(error.class(), "url_refused");
    assert_eq!((setting.idp.fetches(), canary.connections()), (0, 0));
}

#[test]
fn a_proxy_of_the_environment_is_not_used() {
    let status = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "keys_come_from_a_direct_address_and_by_discovery",
        ])
        .envs(["ALL_PROXY", "HTTPS_PROXY", "https_proxy"].map(|name| (name, "http://127.0.0.1:1")))
        .output()
        .unwrap();
    let output = String::from_utf8_lossy(&status.stdout);
    assert!(
        status.status.success() && output.contains("1 passed"),
        "{output}"
    );
}

#[test]
fn a_configured_proxy_is_judged_and_resolves_the_names() {
    let authority = Authority::new();
    let config = authority.server_config(&["idp.example"]);
    let idp = IdentityProvider::start_with("idp.example", Some(config));
    idp.publish(vec![jwk("one")]);
    let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
    let rules = Rules {
        proxy: Some(format!("http://{}", proxy.local_addr().unwrap())),
        ..rules(&authority)
    };
    let closed = Rules {
        allowed_networks: Vec::new(),
        ..rules.clone()
    };
    let address = direct(idp.jwks_uri());
    let ask = |rules: &Rules| {
        let nobody: Lookup = Arc::new(|_, _| Err(io::Error::other("nothing to look up")));
        fetch_with(&address, &Validators::default(), rules, nobody)
    };
    assert_eq!(class(ask(&closed)), "address_refused");
    let port = idp.port();
    let tunnel = thread::spawn(move || serve_one_tunnel(&proxy, port));
    assert_eq!(keys(ask(&rules)).0, 1);
    let request = tunnel.join().unwrap().unwrap();
    assert!(
        request.starts_with(&format!("CONNECT idp.example:{port} ")),
        "{request}"
    );
}

/// Takes one CONNECT to this port on 127.0.0.1, whatever host it names; returns its first line.
fn serve_one_tunnel(proxy: &TcpListener, port: u16) -> io::Result<String> {
    let (mut client, _) = proxy.accept()?;
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        client.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
    let mut server = TcpStream::connect(("127.0.0.1", port))?;
    let (mut from_client, mut to_server) = (client.try_clone()?, server.try_clone()?);
    let upstream = thread::spawn(move || {
        let _ = io::copy(&mut from_client, &mut to_server);
        let _ = to_server.shutdown(Shutdown::Write);
    });
    let _ = io::copy(&mut server, &mut client);
    let _ = client.shutdown(Shutdown::Both);
    let _ = upstream.join();
    let head = String::from_utf8_lossy(&head).into_owned();
    Ok(head.lines().next().unwrap_or_default().to_owned())
}

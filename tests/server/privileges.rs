//! Whoever may not change what is trusted cannot.

use crate::cluster::Cluster;
use crate::setting::{
    PINNED_ISSUER, Signer, add_pinned, claims, create_extension, failure, report, set, subject,
    text,
};
use postgres::{Client, NoTls};

/// Every setting that decides trust, and a value that an attacker would like.
const TRUST: [(&str, &str); 16] = [
    ("allowed_networks", "0.0.0.0/0"),
    ("allow_http", "allowed_networks"),
    ("ca_file", "/tmp/ca.pem"),
    ("proxy", "http://127.0.0.1:8080"),
    ("gateway_roles", "app"),
    ("token_sources", "request.headers:x-forged"),
    ("token_lifetime", "transaction"),
    ("max_stale", "7d"),
    ("removed_key_grace", "7d"),
    ("refresh_interval", "7d"),
    ("http_timeout", "1min"),
    ("max_token_bytes", "1MB"),
    ("fetch_on_standby", "on"),
    ("max_providers", "1"),
    ("max_keys", "64"),
    ("verified_tokens", "0"),
];

/// Loads the library where it is not preloaded, and shows the settings.
fn loaded(client: &mut Client) -> Vec<(String, Option<String>)> {
    assert_eq!(
        text(client, "SELECT is_third_party_jwt()::text").unwrap(),
        "false"
    );
    let mut show = |name: &str| text(client, &format!("SELECT current_setting('{name}', true)"));
    names()
        .map(|(name, _)| {
            let value = show(&name);
            (name, value)
        })
        .collect()
}

fn names() -> impl Iterator<Item = (String, &'static str)> {
    TRUST
        .iter()
        .map(|(name, value)| (format!("third_party_auth.{name}"), *value))
}

#[test]
fn an_ordinary_role_cannot_change_what_is_trusted() {
    let cluster = Cluster::start("trust", &[]);
    let mut owner = cluster.superuser();
    create_extension(&mut owner);
    let mut client = cluster.connect("app", "postgres");
    for (name, value) in names() {
        let mut config = cluster.config("app", "postgres");
        let Err(error) = config.options(&format!("-c {name}={value}")).connect(NoTls) else {
            panic!("{name} can be given as an option");
        };
        let by_option = report(&error).code().code().to_owned();
        let by_set = failure(client.batch_execute(&format!("SET {name} = '{value}'"))).0;
        let set_config = "SELECT set_config($1, $2, false)";
        let by_function = failure(client.execute(set_config, &[&name, &value])).0;
        for code in [by_option, by_set, by_function] {
            // Not allowed, or not now.
            assert!(
                ["42501", "55P02"].contains(&code.as_str()),
                "{name}: {code}"
            );
        }
    }
    // Waiting is everybody's own affair.
    client
        .batch_execute("SET third_party_auth.key_wait = '1 s'")
        .unwrap();
}

#[test]
fn what_was_set_before_the_library_is_loaded_does_not_count() {
    let cluster = Cluster::start("placeholders", &["shared_preload_libraries = ''"]);
    let mut owner = cluster.superuser();
    create_extension(&mut owner);
    owner
        .batch_execute("GRANT pg_read_all_settings TO app")
        .unwrap();
    let defaults = loaded(&mut cluster.connect("app", "postgres"));
    assert!(defaults.contains(&(
        "third_party_auth.token_lifetime".into(),
        Some("session".into())
    )));

    // With options of the connection, the administrator's settings are lost: then no token counts.
    let signer = Signer::new("one");
    owner.batch_execute(&add_pinned(&signer, "")).unwrap();
    let administrators =
        "ALTER DATABASE postgres SET third_party_auth.token_lifetime = 'transaction'";
    owner.batch_execute(administrators).unwrap();
    for option in [
        "-c third_party_auth.token_lifetime=session",
        "-c Third_Party_Auth.token_sources=nonsense",
        "",
    ] {
        let mut config = cluster.config("app", "postgres");
        let mut client = config.options(option).connect(NoTls).unwrap();
        set(&mut client, "request.jwt", &signer.pinned("ada"));
        assert_eq!(subject(&mut client), None, "{option}");
    }
    owner
        .batch_execute("ALTER DATABASE postgres RESET third_party_auth.token_lifetime")
        .unwrap();
    let options: Vec<String> = names()
        .map(|(name, value)| format!("-c {name}={value}"))
        .collect();
    let mut config = cluster.config("app", "postgres");
    let by_options = config.options(&options.join(" ")).connect(NoTls).unwrap();
    let mut by_set = cluster.connect("app", "postgres");
    for (name, value) in names() {
        by_set
            .batch_execute(&format!("SET {name} = '{value}'"))
            .unwrap();
    }
    for mut client in [by_options, by_set] {
        assert_eq!(loaded(&mut client), defaults);
    }
    // What is everybody's own affair stays as it was set, so the library did take the values over.
    let mut client = cluster.connect("app", "postgres");
    client
        .batch_execute("SET third_party_auth.key_wait = '1234 ms'")
        .unwrap();
    loaded(&mut client);
    assert_eq!(
        text(&mut client, "SHOW third_party_auth.key_wait").unwrap(),
        "1234ms"
    );
}

#[test]
fn an_ordinary_role_cannot_make_itself_a_gateway() {
    for preload in ["pg_third_party_auth", ""] {
        let cluster = Cluster::start(
            "gateways",
            &[&format!("shared_preload_libraries = '{preload}'")],
        );
        let mut owner = cluster.superuser();
        create_extension(&mut owner);
        owner
            .batch_execute(&add_pinned(&Signer::new("one"), ""))
            .unwrap();
        let mut config = cluster.config("app", "postgres");
        let option = config
            .options("-c third_party_auth.gateway_roles=app")
            .connect(NoTls);
        assert_eq!(option.is_ok(), preload.is_empty());
        let mut clients: Vec<_> = option.into_iter().collect();
        clients.push(cluster.connect("app", "postgres"));
        let placeholder = clients.last_mut().unwrap();
        let set_in_session =
            placeholder.batch_execute("SET third_party_auth.gateway_roles = 'app'");
        assert_eq!(set_in_session.is_ok(), preload.is_empty());
        for client in &mut clients {
            set(
                client,
                "request.jwt.claims",
                &claims(PINNED_ISSUER).to_string(),
            );
            assert_eq!(subject(client), None);
            assert_eq!(subject(client), None);
        }
        // Where the server says so, the same claims do count: the test would notice.
        owner
            .batch_execute("ALTER SYSTEM SET third_party_auth.gateway_roles = 'app'")
            .unwrap();
        owner.batch_execute("SELECT pg_reload_conf()").unwrap();
        cluster.eventually("app is a gateway", || {
            let mut client = cluster.connect("app", "postgres");
            set(
                &mut client,
                "request.jwt.claims",
                &claims(PINNED_ISSUER).to_string(),
            );
            subject(&mut client).as_deref() == Some("ada")
        });
    }
}

#[test]
fn an_ordinary_role_cannot_register_or_see_providers() {
    let cluster = Cluster::start("registration", &[]);
    let mut owner = cluster.superuser();
    create_extension(&mut owner);
    let signer = Signer::new("one");
    owner.batch_execute(&add_pinned(&signer, "")).unwrap();
    owner.batch_execute("CREATE ROLE mallory LOGIN CREATEDB CREATEROLE; GRANT CREATE ON SCHEMA public TO mallory")
        .unwrap();
    let mut client = cluster.connect("mallory", "postgres");
    for statement in [
        add_pinned(&signer, "").as_str(),
        "SELECT third_party_auth.add_clerk('clerk.example.com')",
        "SELECT third_party_auth.remove_provider('pinned')",
        "SELECT third_party_auth.revoke_key('pinned', 'one')",
        "SELECT third_party_auth.unrevoke_key('pinned', 'one')",
        "SELECT third_party_auth.refresh()",
        "SELECT third_party_auth.fetch_now('pinned')",
        "SELECT * FROM third_party_auth.explain('x')",
        "SELECT * FROM third_party_auth.provider",
        "SELECT * FROM third_party_auth.provider_state",
        "SELECT * FROM third_party_auth.revoked",
        "SELECT * FROM third_party_auth.status",
        "SELECT * FROM third_party_auth.signing_key",
        "SELECT * FROM third_party_auth.worker",
        "UPDATE third_party_auth.provider SET enabled = true",
        "DELETE FROM third_party_auth.revoked",
        "TRUNCATE third_party_auth.provider CASCADE",
        "DO 'BEGIN LOCK third_party_auth.provider IN ACCESS SHARE MODE; END'",
        "CREATE TABLE third_party_auth.mine ()",
        "ALTER TABLE third_party_auth.provider DISABLE TRIGGER ALL",
        "DROP EXTENSION pg_third_party_auth",
    ] {
        assert_eq!(
            failure(client.batch_execute(statement)).0,
            "42501",
            "{statement}"
        );
    }

    // Names that come first in the search path change nothing.
    client
        .batch_execute(
            "SET search_path = public, pg_temp, pg_catalog; \
             CREATE FUNCTION public.now() RETURNS timestamptz LANGUAGE sql AS 'SELECT pg_catalog.to_timestamp(0)'; \
             CREATE TEMP TABLE provider (LIKE pg_class); CREATE TEMP TABLE revoked (LIKE pg_class)",
        )
        .unwrap();
    set(&mut client, "request.jwt", &signer.pinned("ada"));
    assert_eq!(subject(&mut client).as_deref(), Some("ada"));
    set(
        &mut client,
        "request.jwt",
        &Signer::new("one").pinned("ada"),
    );
    assert_eq!(subject(&mut client), None);
}

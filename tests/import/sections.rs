//! What each key and table says.

use super::{CONFIG, entries};
use pg_third_party_auth::provider::Preset;
use pg_third_party_auth::provider::import::{Entry, Finding};
use serde_json::{Value, json};

/// What one entry says.
fn finding(config: &str, entry: &str) -> Finding {
    let entries = entries(config);
    let mut found = entries.iter().filter(|one| one.entry == entry);
    let first = found.next();
    assert!(found.next().is_none(), "{entry} twice");
    let first = first.unwrap_or_else(|| panic!("no {entry} among {entries:?}"));
    first.finding.clone()
}

fn provider(config: &str, entry: &str) -> (&'static str, Value) {
    match finding(config, entry) {
        Finding::Provider { kind, options } => (kind, Value::Object(options)),
        other => panic!("{other:?}"),
    }
}

fn ignored(config: &str, entry: &str) -> String {
    match finding(config, entry) {
        Finding::Ignored(why) => why,
        other => panic!("{other:?}"),
    }
}

fn missing(config: &str, entry: &str) -> String {
    match finding(config, entry) {
        Finding::Missing(what) => what,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_file_without_auth_has_no_entries() {
    for config in [
        "",
        "# nothing",
        "[api]\nport = 1",
        "[remotes.a.auth.third_party.clerk]\nenabled = true",
    ] {
        assert_eq!(entries(config), []);
    }
}

#[test]
fn each_third_party_has_the_keys_of_the_cli() {
    let cases = [
        ("firebase", "project_id = \"p\"", json!({"project_id": "p"})),
        (
            "auth0",
            "tenant = \"t\"",
            json!({"tenant": "t", "tenant_region": null}),
        ),
        (
            "auth0",
            "tenant = \"t\"\ntenant_region = \"eu\"",
            json!({"tenant": "t", "tenant_region": "eu"}),
        ),
        (
            "auth0",
            "tenant = \"t\"\ntenant_region = \"\"",
            json!({"tenant": "t", "tenant_region": null}),
        ),
        (
            "aws_cognito",
            "user_pool_id = \"us-east-1_A\"\nuser_pool_region = \"us-east-1\"",
            json!({"user_pool_id": "us-east-1_A", "user_pool_region": "us-east-1"}),
        ),
        (
            "clerk",
            "domain = \"clerk.example.com\"",
            json!({"domain": "clerk.example.com"}),
        ),
        (
            "workos",
            "issuer_url = \"https://api.workos.com/user_management/client_1\"",
            json!({"issuer_url": "https://api.workos.com/user_management/client_1"}),
        ),
    ];
    for (kind, keys, options) in cases {
        let config = format!("[auth.third_party.{kind}]\nenabled = true\n{keys}");
        let entry = format!("auth.third_party.{kind}");
        assert_eq!(provider(&config, &entry), (kind, options.clone()));
        let preset = Preset::find(kind).unwrap();
        let mut names = options.as_object().unwrap().keys();
        assert!(names.all(|name| preset.own_arguments.contains(&name.as_str())));
    }
}

#[test]
fn several_third_parties_may_be_enabled_at_once() {
    let config = "[auth.third_party]\nclerk = { enabled = true, domain = \"a.b\" }\n\
                  firebase = { enabled = true, project_id = \"p\" }";
    let entries = entries(config);
    let kinds: Vec<_> = entries.iter().filter_map(Entry::name).collect();
    assert_eq!(kinds, ["clerk", "firebase"]);
}

#[test]
fn what_is_not_enabled_is_ignored() {
    for section in [
        "third_party.clerk",
        "third_party.auth0",
        "external.apple",
        "external.github",
    ] {
        for line in ["", "enabled = false\n"] {
            let config = format!("[auth.{section}]\n{line}domain = 1\nclient_id = 1");
            let why = ignored(&config, &format!("auth.{section}"));
            assert!(why.starts_with("not enabled"), "{why}");
        }
    }
}

#[test]
fn names_and_keys_that_are_not_understood_are_named() {
    let config = "[auth.third_party.clerk]\nenabled = true\ndomain = \"a.b\"\naudiences = [\"x\"]";
    ignored(config, "auth.third_party.clerk.audiences");
    assert_eq!(entries(config).len(), 3);
    ignored("auth.third_party.Clerk = 1", "auth.third_party.Clerk");
    ignored(
        "auth.third_party.\"a.b\\n\".enabled = true",
        "auth.third_party.\"a.b\\n\"",
    );
    let long = format!("auth.third_party.{}.enabled = true", "x".repeat(100_000));
    let entries = entries(&long);
    assert!(entries.iter().all(|entry| entry.entry.len() < 100));
}

#[test]
fn a_required_key_that_is_absent_or_empty_is_missing() {
    for line in ["", "domain = \"\""] {
        let config = format!("[auth.third_party.clerk]\nenabled = true\n{line}");
        assert_eq!(
            missing(&config, "auth.third_party.clerk"),
            "auth.third_party.clerk.domain is missing. To register it: \
             SELECT third_party_auth.add_clerk(domain => '…')"
        );
    }
    let both = missing(
        "auth.third_party.aws_cognito.enabled = true",
        "auth.third_party.aws_cognito",
    );
    assert!(both.contains("user_pool_id is missing; auth") && both.contains("user_pool_region is"));
}

#[test]
fn a_reference_to_the_environment_is_missing_and_never_taken_literally() {
    let config = "[auth.third_party.auth0]\nenabled = true\ntenant = \"env(TENANT)\"\n\
                  tenant_region = \"us\"";
    assert_eq!(
        missing(config, "auth.third_party.auth0"),
        "auth.third_party.auth0.tenant is env(TENANT): its value is not in the file. To register it: \
         SELECT third_party_auth.add_auth0(tenant => '…', tenant_region => 'us', \
         audiences => '{your-api}')"
    );
    let cases = [
        (
            "[auth.third_party.auth0]\nenabled = true\ntenant = \"t\"\ntenant_region = \"env(R)\"",
            "auth.third_party.auth0",
        ),
        (
            "[auth.third_party.clerk]\nenabled = \"env(ON)\"\ndomain = \"a.b\"",
            "auth.third_party.clerk",
        ),
        (
            "[auth.third_party.clerk]\nenabled = true\ndomain = \" env(D) \"",
            "auth.third_party.clerk",
        ),
        (
            "[auth.external.apple]\nenabled = true\nclient_id = \"env(A)\"",
            "auth.external.apple",
        ),
        (
            "[auth.external.apple]\nenabled = true\nclient_id = \"a, env(A)\"",
            "auth.external.apple",
        ),
        (
            "[auth.external.azure]\nenabled = true\nclient_id = \"a\"\nurl = \"env(U)\"",
            "auth.external.azure",
        ),
        ("auth.jwt_issuer = \"env(ISSUER)\"", "auth.jwt_issuer"),
    ];
    for (config, entry) in cases {
        let what = missing(config, entry);
        assert!(what.contains(": its value is not in the file"), "{what}");
    }
    // Between the brackets may stand anything.
    let odd = missing("auth.jwt_issuer = \"env(my secret)\"", "auth.jwt_issuer");
    assert!(odd.contains("is env(…)") && !odd.contains("my secret"));
}

#[test]
fn a_value_of_another_type_is_missing() {
    let cases = [
        ("auth = 1", "auth", "auth is not a table"),
        (
            "auth.third_party = 1",
            "auth.third_party",
            "auth.third_party is not a table",
        ),
        (
            "auth.external = []",
            "auth.external",
            "auth.external is not a table",
        ),
        (
            "auth.third_party.clerk = true",
            "auth.third_party.clerk",
            "auth.third_party.clerk is not a table",
        ),
        (
            "[[auth.third_party.clerk]]\nenabled = true",
            "auth.third_party.clerk",
            "auth.third_party.clerk is not a table",
        ),
        (
            "auth.third_party.clerk.enabled = \"true\"",
            "auth.third_party.clerk",
            "auth.third_party.clerk.enabled is not true or false",
        ),
        (
            "auth.third_party.clerk = {enabled = true, domain = 1}",
            "auth.third_party.clerk",
            "auth.third_party.clerk.domain is not a string",
        ),
        (
            "auth.external.apple = {enabled = true, client_id = [\"a\"]}",
            "auth.external.apple",
            "auth.external.apple.client_id is not a string",
        ),
        (
            "auth.jwt_issuer = 1979-05-27",
            "auth.jwt_issuer",
            "auth.jwt_issuer is not a string",
        ),
    ];
    for (config, entry, problem) in cases {
        let what = missing(config, entry);
        assert!(what.starts_with(problem), "{what}");
    }
}

#[test]
fn the_issuer_of_supabase_auth_is_taken_or_missing() {
    let (kind, options) = provider(CONFIG, "auth.jwt_issuer");
    let issuer = json!({"jwt_issuer": "https://api.example.com/auth/v1"});
    assert_eq!((kind, options), ("supabase", issuer));
    for config in ["[auth]", "[auth]\njwt_issuer = \"\"", "auth.email.x = 1"] {
        let what = missing(config, "auth.jwt_issuer");
        assert!(what.contains("/auth/v1"), "{what}");
        assert!(what.ends_with("SELECT third_party_auth.add_supabase(jwt_issuer => '…')"));
    }
}

#[test]
fn without_supabase_auth_only_third_parties_count() {
    let config = "[auth]\nenabled = false\njwt_issuer = \"https://a.example/auth/v1\"\n\
                  external.apple = {enabled = true, client_id = \"a\"}\n\
                  third_party.clerk = {enabled = true, domain = \"a.b\"}";
    assert!(ignored(config, "auth.jwt_issuer").contains("auth.enabled is false"));
    assert!(ignored(config, "auth.external.apple").contains("auth.enabled is false"));
    assert_eq!(provider(config, "auth.third_party.clerk").0, "clerk");
    let unknown = config.replace("enabled = false", "enabled = \"env(ON)\"");
    missing(&unknown, "auth.jwt_issuer");
    missing(&unknown, "auth.external.apple");
}

#[test]
fn client_ids_are_a_list_with_commas() {
    let (kind, options) = provider(CONFIG, "auth.external.apple");
    let ids = json!({"client_ids": ["com.example.app", "com.example.web"]});
    assert_eq!((kind, options), ("apple", ids));
    for ids in ["", " , "] {
        let config = format!("[auth.external.apple]\nenabled = true\nclient_id = \"{ids}\"");
        assert_eq!(
            missing(&config, "auth.external.apple"),
            "auth.external.apple.client_id is missing. To register it: \
             SELECT third_party_auth.add_apple(client_ids => '{your-client-id}')"
        );
    }
}

#[test]
fn the_tenant_of_azure_stands_in_its_url() {
    let tenant = |line: &str| {
        let head = "[auth.external.azure]\nenabled = true\nclient_id = \"a\"\n";
        finding(&format!("{head}{line}"), "auth.external.azure")
    };
    let is = |tenant: &str| Finding::Provider {
        kind: "azure",
        options: json!({"tenant": tenant, "client_ids": ["a"]})
            .as_object()
            .unwrap()
            .clone(),
    };
    assert_eq!(tenant(""), is("common"));
    assert_eq!(tenant("url = \"\""), is("common"));
    for end in ["", "/", "/v2.0", "/v2.0/"] {
        let line = format!("url = \"https://login.microsoftonline.com/organizations{end}\"");
        assert_eq!(tenant(&line), is("organizations"));
    }
    for url in [
        "https://login.microsoftonline.com/",
        "https://login.microsoftonline.com//v2.0",
        "https://login.microsoftonline.com/a/b",
        "https://login.microsoftonline.com.example/common",
        "https://login.microsoftonline.us/common",
        "http://login.microsoftonline.com/common",
        "common",
    ] {
        let found = tenant(&format!("url = \"{url}\""));
        let Finding::Missing(what) = found else {
            panic!("{url}: {found:?}");
        };
        assert!(what.contains("url is not https://login.microsoftonline.com/<tenant>"));
    }
}

#[test]
fn a_call_never_carries_a_value_out_of_its_quotes() {
    let config = "[auth.third_party.auth0]\nenabled = true\ntenant = \"x'); DROP TABLE t; --\"\n\
                  tenant_region = \"env(R)\"";
    let what = missing(config, "auth.third_party.auth0");
    assert!(
        what.contains("tenant => 'x''); DROP TABLE t; --', tenant_region"),
        "{what}"
    );
    let lines = config.replace("x')", "x\\n");
    assert!(missing(&lines, "auth.third_party.auth0").contains("tenant => '…'"));
}

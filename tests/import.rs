//! A `config.toml` of the Supabase CLI: what it says about providers, and what that does to registered
//! ones.

use pg_third_party_auth::provider::import::{self, Action, ConfigError, Entry, Finding, Outcome};
use pg_third_party_auth::provider::{Preset, Registration, Row};
use proptest::prelude::*;
use serde_json::{Value, json};

const SECRET: &str = "a-secret-of-more-than-thirty-two-bytes";

const CONFIG: &str = r#"
project_id = "shop"

[api]
port = 54321

[auth]
enabled = true
site_url = "http://127.0.0.1:3000"
jwt_issuer = "https://api.example.com/auth/v1"
jwt_secret = "a-secret-of-more-than-thirty-two-bytes"
signing_keys_path = "./signing_keys.json"

[auth.email]
enable_signup = true

[auth.external.google]
enabled = true
client_id = "google-id"
secret = "a-secret-of-more-than-thirty-two-bytes"

[auth.external.apple]
enabled = true
client_id = "com.example.app, com.example.web,"
secret = "env(APPLE_SECRET)"
skip_nonce_check = false

[auth.external.azure]
enabled = true
client_id = "6e74172b-be56-4843-9ff4-e66a39bb12e3"
secret = "a-secret-of-more-than-thirty-two-bytes"
url = "https://login.microsoftonline.com/72f988bf-86f1-41af-91ab-2d7cd011db47"

[auth.third_party.firebase]
enabled = false
project_id = "not-this-one"

[auth.third_party.clerk]
enabled = true
domain = "clerk.example.com"

[auth.third_party.auth0]
enabled = true
tenant = "my-tenant"
tenant_region = "us"

[auth.third_party.somebody]
enabled = true

[edge_runtime.secrets]
secret_key = "env(SECRET_VALUE)"
"#;

/// The entries of a text that is TOML.
fn entries(config: &str) -> Vec<Entry> {
    import::read(config).unwrap_or_else(|error| panic!("{error}: {config}"))
}

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

/// What an entry with these options does to a provider.
fn applied(kind: &'static str, options: Value, existing: Option<&Row>) -> Outcome {
    let entry = Entry {
        entry: String::new(),
        finding: Finding::Provider {
            kind,
            options: options.as_object().unwrap().clone(),
        },
    };
    let outcome = entry.apply(existing);
    let has_row = matches!(outcome.action, Action::Registered | Action::Updated);
    assert_eq!(outcome.row.is_some(), has_row, "{outcome:?}");
    outcome
}

/// A row as it is kept after this registration.
fn registered(kind: &str, arguments: Value) -> Row {
    let arguments = arguments.as_object().unwrap();
    let row = Registration::read(kind, arguments).unwrap().row;
    row.clone().judge().unwrap();
    row.as_kept().unwrap()
}

#[test]
fn everything_about_providers_is_reported_in_the_order_of_the_file_and_nothing_else() {
    let entries = entries(CONFIG);
    let outcomes: Vec<_> = entries
        .iter()
        .map(|entry| (entry.entry.as_str(), entry.apply(None).action.as_str()))
        .collect();
    let expected = [
        ("auth.jwt_issuer", "registered"),
        ("auth.jwt_secret", "ignored"),
        ("auth.signing_keys_path", "ignored"),
        ("auth.external.google", "ignored"),
        ("auth.external.apple", "registered"),
        ("auth.external.azure", "registered"),
        ("auth.third_party.firebase", "ignored"),
        ("auth.third_party.clerk", "registered"),
        ("auth.third_party.auth0", "missing"),
        ("auth.third_party.somebody", "ignored"),
    ];
    assert_eq!(outcomes, expected);
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
fn no_secret_is_taken_or_shown() {
    let mut shown = String::new();
    for entry in entries(CONFIG) {
        let outcome = entry.apply(None);
        shown.push_str(&format!("{entry:?} {outcome:?}"));
    }
    assert!(shown.contains("clerk.example.com") && !shown.contains(SECRET));
    assert!(!shown.contains("APPLE_SECRET") && !shown.contains("signing_keys.json"));
    let why = ignored(CONFIG, "auth.jwt_secret");
    assert!(why.contains("add_supabase(jwt_issuer => '…', jwt_secret => '…')"));
    for value in ["\"env(JWT_SECRET)\"", "1", "\"\""] {
        ignored(&format!("auth.jwt_secret = {value}"), "auth.jwt_secret");
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
fn an_audience_that_the_file_cannot_say_is_missing_with_the_call_to_write() {
    let cases = [
        (
            "auth0",
            json!({"tenant": "it's", "tenant_region": null}),
            "is not a tenant",
        ),
        (
            "auth0",
            json!({"tenant": "my-tenant", "tenant_region": "us"}),
            "SELECT third_party_auth.add_auth0(tenant => 'my-tenant', tenant_region => 'us', \
             audiences => '{your-api}')",
        ),
        (
            "aws_cognito",
            json!({"user_pool_id": "us-east-1_A", "user_pool_region": "us-east-1"}),
            "SELECT third_party_auth.add_aws_cognito(user_pool_id => 'us-east-1_A', \
             user_pool_region => 'us-east-1', client_ids => '{your-client-id}')",
        ),
        (
            "azure",
            json!({"tenant": "common", "client_ids": ["a", "it's"]}),
            "SELECT third_party_auth.add_azure(tenant => 'common', client_ids => ARRAY['a', 'it''s'], \
             tenants => '{<Directory (tenant) ID>}')",
        ),
        (
            "workos",
            json!({"issuer_url": "https://api.workos.com"}),
            "SELECT third_party_auth.add_workos(issuer_url => 'https://api.workos.com', \
             client_id => 'client_…')",
        ),
    ];
    for (kind, options, end) in cases {
        let outcome = applied(kind, options, None);
        assert_eq!(outcome.action, Action::Missing);
        let detail = &outcome.detail;
        assert!(detail.ends_with(end) || detail.contains(end), "{detail}");
        assert_eq!(
            detail.contains("SELECT"),
            end.contains("SELECT"),
            "{detail}"
        );
    }
}

#[test]
fn a_value_that_is_wrong_is_missing_with_the_reason() {
    let outcome = applied("clerk", json!({"domain": "Not A Host"}), None);
    assert_eq!(outcome.action, Action::Missing);
    assert!(outcome.detail.contains("\"Not A Host\" is not a host name"));
    let issuer = json!({"jwt_issuer": "supabase"});
    assert_eq!(applied("supabase", issuer, None).action, Action::Missing);
}

#[test]
fn a_new_provider_gets_what_add_would_give_it() {
    let domain = json!({"domain": "clerk.example.com"});
    let outcome = applied("clerk", domain.clone(), None);
    assert_eq!(outcome.action, Action::Registered);
    assert_eq!(outcome.row, Some(registered("clerk", domain)));
    let detail = outcome.detail;
    assert!(detail.contains("issuer https://clerk.example.com"));
    assert!(detail.contains("authorized_parties"), "{detail}");
}

#[test]
fn an_existing_provider_keeps_what_the_file_does_not_name() {
    let own = json!({"tenant": "old", "tenant_region": "us", "custom_domain": "login.example.com",
                     "audiences": ["api"], "clock_skew": 10, "default_role": "authenticated"});
    let existing = registered("auth0", own);
    let file = json!({"tenant": "new", "tenant_region": null});
    let outcome = applied("auth0", file.clone(), Some(&existing));
    assert_eq!(outcome.action, Action::Updated);
    let row = outcome.row.unwrap();
    let options = json!({"tenant": "new", "custom_domain": "login.example.com"});
    assert_eq!(Value::Object(row.options.clone()), options);
    let changed = Row {
        options: existing.options.clone(),
        ..row.clone()
    };
    assert_eq!(changed, existing);
    assert!(
        outcome
            .detail
            .contains("tenant is now 'new', tenant_region is now NULL")
    );
    let again = applied("auth0", file, Some(&row));
    assert_eq!(again.action, Action::Unchanged);
}

#[test]
fn what_is_the_same_is_unchanged() {
    let arguments = json!({"domain": "clerk.example.com"});
    let existing = registered("clerk", arguments.clone());
    let outcome = applied("clerk", arguments, Some(&existing));
    assert_eq!(outcome.action, Action::Unchanged);
    // As it may stand in the table: what the preset says, filled in or not.
    let arguments = json!({"jwt_issuer": "https://a.example/auth/v1"});
    let given = arguments.as_object().unwrap();
    let row = Registration::read("supabase", given).unwrap().row;
    let outcome = applied("supabase", arguments.clone(), Some(&row));
    assert_eq!(outcome.action, Action::Unchanged);
}

#[test]
fn the_tenants_of_azure_are_kept() {
    let tenant = "72f988bf-86f1-41af-91ab-2d7cd011db47";
    let own = json!({"tenant": "common", "client_ids": ["a"], "tenants": [tenant]});
    let existing = registered("azure", own);
    let file = json!({"tenant": "common", "client_ids": ["b"]});
    let outcome = applied("azure", file, Some(&existing));
    let row = outcome.row.unwrap();
    assert_eq!(row.options["tenants"], json!([tenant]));
    assert_eq!(row.options["client_ids"], json!(["b"]));
}

#[test]
fn a_disabled_provider_is_not_enabled_again() {
    let mut existing = registered("clerk", json!({"domain": "clerk.example.com"}));
    existing.enabled = false;
    let other = json!({"domain": "clerk.example.org"});
    let outcome = applied("clerk", other, Some(&existing));
    assert_eq!(outcome.action, Action::Updated);
    assert!(!outcome.row.unwrap().enabled);
    assert!(outcome.detail.contains("disabled"));
}

#[test]
fn keys_that_may_be_those_of_the_former_issuer_are_pointed_at() {
    let own = json!({"domain": "clerk.example.com", "jwks_uri": "https://keys.example.com/"});
    let existing = registered("clerk", own);
    let other = json!({"domain": "clerk.example.org"});
    let detail = applied("clerk", other, Some(&existing)).detail;
    assert!(
        detail.ends_with("check that it still fits: jwks_uri"),
        "{detail}"
    );
}

#[test]
fn a_change_that_makes_no_provider_changes_nothing() {
    let tenant = "72f988bf-86f1-41af-91ab-2d7cd011db47";
    let own = json!({"tenant": "common", "client_ids": ["a"], "tenants": [tenant]});
    let existing = registered("azure", own);
    let file = json!({"tenant": tenant, "client_ids": ["a"]});
    let outcome = applied("azure", file, Some(&existing));
    assert_eq!(outcome.action, Action::Missing);
    assert!(outcome.detail.ends_with("stays as it was registered."));
}

#[test]
fn a_name_that_another_kind_has_is_missing() {
    let arguments = json!({"name": "clerk", "issuer": "https://a.example", "audiences": ["api"]});
    let existing = registered("oidc", arguments);
    let outcome = applied("clerk", json!({"domain": "a.b"}), Some(&existing));
    assert_eq!(outcome.action, Action::Missing);
    let call = "SELECT third_party_auth.add_clerk(domain => 'a.b', name => 'another-name')";
    assert!(outcome.detail.ends_with(call), "{}", outcome.detail);
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

#[test]
fn invalid_toml_has_its_line_and_column() {
    for (config, line, column) in [
        ("a", 1, 2),
        ("[auth]\njwt_issuer = \n", 2, 14),
        ("[auth]\r\nenabled = yes\r\n", 2, 11),
        ("[auth]\na = 1\na = 2", 3, 1),
        ("[auth]\n[auth]", 2, 2),
        ("# äöü€😀\nä = 1", 2, 1),
        ("a = \"äöü€😀\" x", 1, 13),
        ("\u{feff}a = \"ä\" x", 1, 9),
        ("a = {b = \"é\", c = }", 1, 19),
        ("a = \"x", 1, 7),
    ] {
        let error = import::read(config).expect_err(config);
        assert_eq!(
            (error.line, error.column),
            (line, column),
            "{config:?}: {error}"
        );
        assert!(!error.message.is_empty());
        assert!(
            error
                .to_string()
                .starts_with(&format!("line {line}, column {column}: "))
        );
    }
}

#[test]
fn an_error_repeats_nothing_of_the_file() {
    let word = "Zq7secretZq7";
    for config in [
        format!("jwt_secret = {word}"),
        format!("jwt_secret = \"{word}"),
        format!("jwt_secret = \"{word}\" {word}"),
        format!("{word} {word}"),
        format!("{word} = 1\n{word} = 2"),
        format!("{word} = \"a\"\n{word}.b = 2"),
        format!("{word} = 1979-13-45{word}"),
        format!("{word} = 0x{word}"),
        format!("a = [{word}]"),
        format!("a = {{b = {word}"),
        format!("a = \"\\{word}\""),
    ] {
        let error = import::read(&config).expect_err(&config);
        assert!(!format!("{error} {error:?}").contains("Zq7"), "{error:?}");
    }
}

#[test]
fn what_nests_too_deep_is_refused_before_it_is_parsed() {
    let dots = |levels: usize| vec!["a"; levels].join(".");
    // 6,560 levels in 13 kB, each of which is within the limits of the parser.
    let mut deepest = format!("[{}]\n{} = ", dots(80), dots(80));
    deepest.push_str(&format!("{{{} = ", dots(80)).repeat(80));
    deepest.push_str(&format!("1{}", "}".repeat(80)));
    for config in [
        format!("a = {}", "[".repeat(100_000)),
        format!("a = {}", "{b=".repeat(100_000)),
        format!("{} = 1", dots(100_000)),
        format!("[{}]", dots(100_000)),
        format!("a = 1\na = {}", "[".repeat(100)),
        deepest,
    ] {
        let error = import::read(&config).unwrap_err();
        assert_eq!(error.message, "it nests too deep");
    }
}

/// Lines that a file may have, in any order and any number.
fn lines() -> impl Strategy<Value = String> {
    let heads = prop::sample::select(vec![
        "[auth]",
        "[auth.third_party.clerk]",
        "[auth.third_party.auth0]",
        "[auth.third_party.aws_cognito]",
        "[auth.third_party.workos]",
        "[auth.external.apple]",
        "[auth.external.azure]",
        "[[auth.external.azure]]",
        "auth.third_party.firebase",
    ]);
    let names = prop::sample::select(vec![
        "enabled",
        "domain",
        "tenant",
        "tenant_region",
        "user_pool_id",
        "user_pool_region",
        "issuer_url",
        "client_id",
        "url",
        "jwt_issuer",
        "jwt_secret",
        "third_party",
    ]);
    let values = prop_oneof![
        Just("true".to_owned()),
        Just("\"https://login.microsoftonline.com/common\"".to_owned()),
        Just("\"us-east-1\"".to_owned()),
        Just("\"env(X)\"".to_owned()),
        Just("[{}]".to_owned()),
        "\\PC*".prop_map(|text| format!("{text:?}")),
    ];
    let line = prop_oneof![
        heads.prop_map(str::to_owned),
        (names, values).prop_map(|(name, value)| format!("{name} = {value}")),
    ];
    prop::collection::vec(line, 0..12).prop_map(|lines| lines.join("\n"))
}

/// What holds for every text.
fn judge_any(config: &str) {
    match import::read(config) {
        Ok(entries) => entries.iter().for_each(settles),
        Err(ConfigError { line, column, .. }) => {
            let text = config.strip_prefix('\u{feff}').unwrap_or(config);
            let line = text.split('\n').nth(line - 1).expect("a line of the text");
            assert!(column <= line.chars().count() + 1, "{config:?}");
        }
    }
}

/// What an entry registers is a provider, and then as the file says.
fn settles(entry: &Entry) {
    let outcome = entry.apply(None);
    assert!(!outcome.detail.is_empty());
    if let Some(row) = outcome.row {
        assert_eq!(outcome.action, Action::Registered);
        row.clone().judge().expect("a provider");
        assert_eq!(entry.apply(Some(&row)).action, Action::Unchanged);
    }
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(config in "\\PC*|(?s).*") {
        judge_any(&config);
    }

    #[test]
    fn any_configuration_is_read_or_refused(config in lines()) {
        judge_any(&config);
    }
}

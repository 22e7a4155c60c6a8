//! What an entry does to the registered providers.

use pg_third_party_auth::provider::import::{Action, Entry, Finding, Outcome};
use pg_third_party_auth::provider::{Registration, Row};
use serde_json::{Value, json};

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

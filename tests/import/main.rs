//! A `config.toml` of the Supabase CLI: what it says about providers, and what that does to registered
//! ones.

mod outcomes;
mod sections;
mod text;

use pg_third_party_auth::provider::import::{self, Action, Entry};

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
fn no_secret_is_taken_or_shown() {
    let mut shown = String::new();
    for entry in entries(CONFIG) {
        let outcome = entry.apply(None);
        shown.push_str(&format!("{entry:?} {outcome:?}"));
    }
    assert!(shown.contains("clerk.example.com") && !shown.contains(SECRET));
    assert!(!shown.contains("APPLE_SECRET") && !shown.contains("signing_keys.json"));
    let of_secret = entries(CONFIG)
        .into_iter()
        .find(|entry| entry.entry == "auth.jwt_secret");
    let why = of_secret.unwrap().apply(None).detail;
    assert!(why.contains("add_supabase(jwt_issuer => '…', jwt_secret => '…')"));
    for value in ["\"env(JWT_SECRET)\"", "1", "\"\""] {
        let outcome = entries(&format!("auth.jwt_secret = {value}"))[1].apply(None);
        assert_eq!(
            (outcome.action, outcome.detail),
            (Action::Ignored, why.clone())
        );
    }
}

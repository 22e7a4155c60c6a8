//! Providers whose keys are made here, and statements.

use super::mint::{self, KeyPair};
use pgrx::spi::Spi;
use pgrx::{FromDatum, IntoDatum};
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};

/// A registered provider with a pinned key, and claims that pass all of its rules.
pub struct Issuer {
    /// Its key.
    pub key: KeyPair,
    /// What its tokens say unless something else is asked for.
    pub claims: Value,
}

impl Issuer {
    /// Registers an OIDC provider: its name is also part of the issuer.
    pub fn oidc(name: &str) -> Issuer {
        let issuer = format!("https://{name}.example.com");
        let arguments = format!("'{issuer}', name => '{name}', audiences => '{{api}}'");
        let claims = json!({"iss": issuer, "aud": "api", "sub": format!("user of {name}")});
        Issuer::register("oidc", &arguments, KeyPair::ed25519(), claims)
    }

    /// Registers Clerk, with a key that is quicker to make than Clerk's own.
    pub fn clerk() -> Issuer {
        let arguments = "'clerk.example.com', authorized_parties => '{https://app.example.com}', \
                         algorithms => '{ES256}'";
        let claims = json!({
            "iss": "https://clerk.example.com", "azp": "https://app.example.com", "sub": "user_1",
            "sid": "sess_1", "v": 2, "fva": [0, -1], "o": {"id": "org_a", "rol": "admin"},
        });
        Issuer::register("clerk", arguments, KeyPair::p256(), claims)
    }

    /// Registers Firebase, with a key that is quicker to make than Google's own.
    pub fn firebase() -> Issuer {
        let claims = json!({
            "iss": "https://securetoken.google.com/my-project", "aud": "my-project", "sub": "AbC123",
            "auth_time": now() - 100, "firebase": {"sign_in_provider": "password"},
        });
        let arguments = "'my-project', algorithms => '{ES256}'";
        Issuer::register("firebase", arguments, KeyPair::p256(), claims)
    }

    /// Registers Supabase.
    pub fn supabase() -> Issuer {
        let issuer = "https://project.supabase.co/auth/v1";
        let claims = json!({
            "iss": issuer, "aud": "authenticated", "sub": "0b3c4f0e-7b6e-4f57-9a0e-2f3a0a1b2c3d",
            "session_id": "3f1b8f5e-1c56-4e0e-9d34-6a2f0a9d1f10", "aal": "aal1",
        });
        Issuer::register("supabase", &format!("'{issuer}'"), KeyPair::p256(), claims)
    }

    fn register(kind: &str, arguments: &str, key: KeyPair, claims: Value) -> Issuer {
        take_turn();
        let jwks = mint::jwks(&[key.jwk("key_1", None)]);
        run(&format!(
            "select third_party_auth.add_{kind}({arguments}, jwks => '{jwks}')"
        ));
        Issuer { key, claims }
    }

    /// A token that was issued now and holds for an hour, with some claims changed; null takes one out.
    pub fn token(&self, changes: Value) -> String {
        let mut claims = self.claims.clone();
        claims["iat"] = json!(now());
        claims["exp"] = json!(now() + 3600);
        claims["role"] = json!("authenticated");
        for (name, value) in changes.as_object().expect("an object") {
            match value {
                Value::Null => {
                    claims.as_object_mut().expect("an object").remove(name);
                }
                value => claims[name] = value.clone(),
            }
        }
        self.key.sign(&self.header(), &claims)
    }

    /// A token with any payload.
    pub fn token_of_text(&self, payload: &str) -> String {
        let header = self.header().to_string();
        self.key.sign_texts(self.key.algorithm(), &header, payload)
    }

    /// The header of its tokens.
    pub fn header(&self) -> Value {
        json!({"alg": self.key.algorithm(), "typ": "JWT", "kid": "key_1"})
    }
}

/// Seconds since 1970.
pub fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.expect("a time after 1970").as_secs()
}

/// Waits until no other test has a registration open: one that waits for another gives up after a while, and tests
/// run side by side, each in one transaction.
pub fn take_turn() {
    run("select pg_advisory_xact_lock(1)");
}

/// Runs a statement.
pub fn run(statement: &str) {
    Spi::run(statement).unwrap_or_else(|error| panic!("{statement}: {error}"));
}

/// The one value of a query; `None` for NULL.
pub fn value<T: FromDatum + IntoDatum>(query: &str) -> Option<T> {
    Spi::get_one(query).unwrap_or_else(|error| panic!("{query}: {error}"))
}

/// The answer of a boolean question; it must not be NULL.
pub fn truth(expression: &str) -> bool {
    value(&format!("select {expression}")).unwrap_or_else(|| panic!("{expression} is NULL"))
}

/// The answer as text; `None` for NULL.
pub fn text(expression: &str) -> Option<String> {
    value(&format!("select ({expression})::text"))
}

/// Sets the token of the request until the transaction ends; empty: no token.
pub fn set_token(token: &str) {
    run(&format!(
        "select set_config('request.jwt', '{token}', true)"
    ));
}

/// An error as its client sees it.
#[derive(Debug, PartialEq)]
pub struct Failure {
    pub sqlstate: String,
    pub message: String,
    pub detail: String,
    pub hint: String,
    pub context: String,
}

/// How a statement fails; it must.
pub fn failure(statement: &str) -> Failure {
    run("create or replace function pg_temp.failure(statement text) returns text[] language plpgsql as $$
         declare
             parts text[] = '{}';
             state text; message text; detail text; hint text; context text;
         begin
             execute statement;
             return null;
         exception when others then
             get stacked diagnostics state = returned_sqlstate, message = message_text,
                 detail = pg_exception_detail, hint = pg_exception_hint, context = pg_exception_context;
             return array[state, message, detail, hint, context];
         end
         $$");
    let parts: Option<Vec<String>> = value(&format!(
        "select pg_temp.failure($statement${statement}$statement$)"
    ));
    let [sqlstate, message, detail, hint, context] = parts
        .unwrap_or_else(|| panic!("it does not fail: {statement}"))
        .try_into()
        .expect("five parts");
    Failure {
        sqlstate,
        message,
        detail,
        hint,
        context,
    }
}

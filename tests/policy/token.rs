//! Verified tokens of every kind of provider, for tests of what policies ask.

#[path = "../common/court.rs"]
#[allow(dead_code)]
mod court;

pub use court::NOW;

use pg_third_party_auth::provider::{Audiences, Provider, Registry};
use pg_third_party_auth::token::Claims;
use pg_third_party_auth::verify::{Purpose, Question, Verified, verify_gateway_claims};
use serde_json::{Value, json};
use std::sync::Arc;

/// The tenant of the tokens of kind azure.
const TENANT: &str = "72f988bf-86f1-41af-91ab-2d7cd011db47";

/// A provider of this kind that takes [`base`], whatever the audience.
pub fn provider(kind: &str) -> Provider {
    let mut provider = court::provider(kind, kind, &issuer(kind));
    provider.audiences = Audiences::NotChecked;
    provider.tenants = vec![TENANT.to_owned()];
    provider
}

/// Claims that the rules of every kind let through, and that answer next to no question.
pub fn base(kind: &str) -> Value {
    json!({
        "iss": issuer(kind), "sub": "user_1", "sid": "session_1", "session_id": "s1",
        "auth_time": NOW - 100.0, "iat": NOW - 60.0, "exp": NOW + 60.0,
        "token_use": "id", "tid": TENANT,
    })
}

fn issuer(kind: &str) -> String {
    match kind {
        "azure" => format!("https://login.microsoftonline.com/{TENANT}/v2.0"),
        _ => "https://issuer.example".to_owned(),
    }
}

/// [`base`] with some members replaced; null takes a member out.
pub fn changed(kind: &str, changes: Value) -> Value {
    changed_by(base(kind), changes)
}

/// These claims with some members replaced; null takes a member out.
pub fn changed_by(mut claims: Value, changes: Value) -> Value {
    let members = claims.as_object_mut().unwrap();
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => members.remove(name),
            value => members.insert(name.clone(), value.clone()),
        };
    }
    claims
}

/// These claims of [`base`]'s kind, changed, as if their signature had been checked: what policies ask
/// does not depend on it.
pub fn verified(kind: &str, changes: Value) -> Verified {
    judged(provider(kind), &changed(kind, changes)).unwrap()
}

/// These claims and no others; `None` if the provider's rules refuse them.
pub fn judged(provider: Provider, claims: &Value) -> Option<Verified> {
    judged_at(NOW, provider, claims)
}

/// As [`judged`], at another time.
pub fn judged_at(now: f64, provider: Provider, claims: &Value) -> Option<Verified> {
    let registry = Registry {
        providers: vec![Arc::new(provider)],
        revoked: Vec::new(),
        secrets: Default::default(),
    };
    let question = Question {
        now,
        purpose: Purpose::Request,
        provider: None,
        nonce: None,
    };
    let claims = Arc::new(Claims::parse(claims.to_string()).ok()?);
    verify_gateway_claims(&claims, &registry, &question, &mut ()).ok()
}

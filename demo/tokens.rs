//! The tokens of the story, shaped as the providers shape theirs.

use crate::mint::KeyPair;
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};

/// The Firebase project that is registered.
pub const PROJECT: &str = "our-project-1a2b3";

/// Another customer of Firebase: same keys, another project.
const FOREIGN_PROJECT: &str = "their-project-9z8y7";

/// Long enough to play with what `KEEP=1` leaves behind.
const LIFETIME: u64 = 12 * 3600;

/// The providers' keys, and tokens signed with them.
pub struct Tokens {
    clerk_issuer: String,
    supabase_issuer: String,
    clerk_key: KeyPair,
    clerk_rotations: u32,
    firebase_key: KeyPair,
    supabase_key: KeyPair,
}

impl Tokens {
    /// New keys for these issuers.
    pub fn new(clerk_issuer: String, supabase_issuer: String) -> Tokens {
        Tokens {
            clerk_issuer,
            supabase_issuer,
            clerk_key: KeyPair::rsa(),
            clerk_rotations: 0,
            firebase_key: KeyPair::rsa(),
            supabase_key: KeyPair::p256(),
        }
    }

    /// The issuer of Clerk's tokens.
    pub fn clerk_issuer(&self) -> &str {
        &self.clerk_issuer
    }

    /// The issuer of Supabase's tokens.
    pub fn supabase_issuer(&self) -> &str {
        &self.supabase_issuer
    }

    /// Clerk signs with a new key from now on.
    pub fn rotate_clerk(&mut self) {
        self.clerk_rotations += 1;
        self.clerk_key = KeyPair::rsa();
    }

    fn clerk_kid(&self) -> String {
        format!("ins_{}", self.clerk_rotations)
    }

    /// Clerk's present key.
    pub fn clerk_jwk(&self) -> Value {
        self.clerk_key.jwk(&self.clerk_kid(), Some("RS256"))
    }

    /// Firebase's key.
    pub fn firebase_jwk(&self) -> Value {
        self.firebase_key.jwk("firebase_1", Some("RS256"))
    }

    /// Supabase's key.
    pub fn supabase_jwk(&self) -> Value {
        self.supabase_key.jwk("supabase_1", Some("ES256"))
    }

    /// A session token of Clerk, version 2, of a user of org_a with a second factor; with changes.
    pub fn clerk(&self, subject: &str, changes: Value) -> String {
        let now = now();
        let mut claims = json!({
            "iss": self.clerk_issuer, "sub": subject, "sid": "sess_1", "sts": "active", "v": 2,
            "iat": now, "nbf": now - 10, "exp": now + LIFETIME,
            "o": {"id": "org_a", "rol": "member", "slg": "a"}, "fva": [5, 1], "role": "authenticated",
        });
        change(&mut claims, changes);
        sign(&self.clerk_key, &self.clerk_kid(), &claims)
    }

    /// A token of Supabase Auth.
    pub fn supabase(&self, subject: &str) -> String {
        let now = now();
        let claims = json!({
            "iss": self.supabase_issuer, "aud": "authenticated", "sub": subject,
            "session_id": "5e1c8f40", "role": "authenticated", "iat": now, "exp": now + LIFETIME,
            "aal": "aal1", "amr": [{"method": "password", "timestamp": now}],
        });
        sign(&self.supabase_key, "supabase_1", &claims)
    }

    /// The claims of an ID token of our Firebase project.
    pub fn firebase_claims(&self, subject: &str) -> Value {
        firebase_claims(PROJECT, subject)
    }

    /// An ID token of our Firebase project.
    pub fn firebase(&self, subject: &str) -> String {
        self.firebase_with(subject, json!({}))
    }

    /// The same with custom claims.
    pub fn firebase_with(&self, subject: &str, changes: Value) -> String {
        self.firebase_of(PROJECT, subject, changes)
    }

    /// An ID token of somebody else's Firebase project.
    pub fn foreign_firebase(&self, subject: &str, changes: Value) -> String {
        self.firebase_of(FOREIGN_PROJECT, subject, changes)
    }

    fn firebase_of(&self, project: &str, subject: &str, changes: Value) -> String {
        let mut claims = firebase_claims(project, subject);
        change(&mut claims, changes);
        sign(&self.firebase_key, "firebase_1", &claims)
    }
}

fn firebase_claims(project: &str, subject: &str) -> Value {
    let now = now();
    json!({
        "iss": format!("https://securetoken.google.com/{project}"), "aud": project, "sub": subject,
        "user_id": subject, "auth_time": now - 60, "iat": now, "exp": now + LIFETIME,
        "role": "authenticated",
        "firebase": {"sign_in_provider": "password", "identities": {}},
    })
}

fn sign(key: &KeyPair, kid: &str, claims: &Value) -> String {
    key.sign(
        &json!({"alg": key.algorithm(), "kid": kid, "typ": "JWT"}),
        claims,
    )
}

/// Replaces members; null takes one out.
fn change(claims: &mut Value, changes: Value) {
    let claims = claims.as_object_mut().expect("an object");
    for (name, value) in changes.as_object().expect("an object") {
        match value {
            Value::Null => claims.remove(name),
            value => claims.insert(name.clone(), value.clone()),
        };
    }
}

fn now() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970");
    since.as_secs()
}

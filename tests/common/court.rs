//! A registry, a clock and keys for tests of `verify`: everything that judging a token needs.

use pg_third_party_auth::keys::{self, KeySet, Thumbprint};
use pg_third_party_auth::provider::{
    Audiences, ClaimPath, Issuer, KeyAddress, KeySource, Preset, Provider, Registry,
};
use pg_third_party_auth::token::Unverified;
use pg_third_party_auth::verify::{
    Failure, KeyLookup, Purpose, Question, Reason, Refusal, Verified, verify,
};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// The time at which tokens are judged, in seconds since 1970.
pub const NOW: f64 = 1_717_000_300.0;

/// The issuer of [`claims`].
pub const ISSUER: &str = "https://issuer.example";

/// The audience of [`claims`].
pub const AUDIENCE: &str = "api";

/// The limit of a token's size, in bytes.
pub const MAX_BYTES: usize = 16 * 1024;

/// An explicit verification at [`NOW`].
pub const QUESTION: Question<'static> = Question {
    now: NOW,
    purpose: Purpose::Explicit,
    provider: None,
    nonce: None,
};

/// Claims that pass every rule of [`provider`].
pub fn claims() -> Value {
    json!({
        "iss": ISSUER, "aud": AUDIENCE, "sub": "user_1",
        "exp": NOW as u64 + 60, "iat": NOW as u64 - 10, "role": "authenticated",
    })
}

/// [`claims`] with some members replaced; null takes a member out.
pub fn claims_with(changes: Value) -> Value {
    let mut claims = claims();
    for (name, value) in changes.as_object().expect("an object") {
        match value {
            Value::Null => claims.as_object_mut().expect("an object").remove(name),
            value => claims
                .as_object_mut()
                .expect("an object")
                .insert(name.clone(), value.clone()),
        };
    }
    claims
}

/// A provider of this kind, with one issuer and the preset's own rules.
pub fn provider(kind: &str, name: &str, issuer: &str) -> Provider {
    let preset = Preset::find(kind).expect("a kind");
    Provider {
        name: name.to_owned(),
        preset,
        enabled: true,
        issuers: vec![Issuer::exact(issuer)],
        api_key_issuers: Vec::new(),
        tenants: Vec::new(),
        required_claims: Vec::new(),
        audiences: Audiences::OneOf(vec![AUDIENCE.to_owned()]),
        authorized_parties: Vec::new(),
        role_claim: ClaimPath::parse("role").expect("a path"),
        allowed_roles: vec!["authenticated".to_owned()],
        default_role: None,
        clock_skew: Duration::from_secs(30),
        algorithms: preset.algorithms.to_vec(),
        keys: KeySource::Fetched(KeyAddress::Direct {
            jwks_uri: format!("{issuer}/jwks"),
        }),
        for_requests: true,
    }
}

/// A registry of these providers, without revocations.
pub fn registry(providers: Vec<Provider>) -> Registry {
    Registry {
        providers: providers.into_iter().map(Arc::new).collect(),
        revoked: Vec::new(),
        secrets: HashMap::new(),
    }
}

/// The usable keys of these JWKs.
pub fn key_set(jwks: &[Value]) -> Arc<KeySet> {
    let text = json!({ "keys": jwks }).to_string();
    Arc::new(keys::read(&text).expect("a usable key").keys)
}

/// Keys by provider, and what was asked of them.
#[derive(Default)]
pub struct Keys {
    /// By name of the provider. Without an entry it cannot be decided.
    pub current: HashMap<String, Arc<KeySet>>,
    /// What a fetch would bring.
    pub newer: Option<Arc<KeySet>>,
    /// A fetch fails.
    pub unreachable: bool,
    /// How often keys were asked for.
    pub asked: usize,
    /// How often newer keys were asked for.
    pub fetches: usize,
    /// What is remembered to be signed.
    pub known_good: Vec<(String, Thumbprint)>,
}

impl Keys {
    /// Keys of one provider.
    pub fn of(provider: &str, keys: Arc<KeySet>) -> Keys {
        Keys {
            current: HashMap::from([(provider.to_owned(), keys)]),
            ..Keys::default()
        }
    }
}

impl KeyLookup for Keys {
    type Undecided = &'static str;

    fn current(&mut self, provider: &Arc<Provider>) -> Result<Arc<KeySet>, &'static str> {
        self.asked += 1;
        let keys = self.current.get(&provider.name);
        keys.cloned().ok_or("not fetched")
    }

    fn newer(
        &mut self,
        _: &Arc<Provider>,
        _: Option<&str>,
        _: &Arc<KeySet>,
    ) -> Result<Option<Arc<KeySet>>, &'static str> {
        self.fetches += 1;
        if self.unreachable {
            return Err("unreachable");
        }
        Ok(self.newer.clone())
    }

    fn is_known_good(&mut self, token: &Unverified, key: &Thumbprint) -> bool {
        let wanted = (token.text(), key);
        let mut known = self.known_good.iter();
        known.any(|(text, key)| (text.as_str(), key) == wanted)
    }

    fn remember(&mut self, token: &Unverified, key: &Thumbprint) {
        self.known_good.push((token.text().to_owned(), *key));
    }
}

/// Judges a token's text.
pub fn judge(
    text: &str,
    registry: &Registry,
    question: &Question<'_>,
    keys: &mut Keys,
) -> Result<Verified, Failure<&'static str>> {
    let token = Unverified::parse(text, MAX_BYTES).map_err(Refusal::from)?;
    verify(&token, registry, question, keys, &mut ())
}

/// The reason for which a token is refused; `None` if it is not. It must be decidable.
pub fn reason(
    text: &str,
    registry: &Registry,
    question: &Question<'_>,
    keys: &mut Keys,
) -> Option<Reason> {
    match judge(text, registry, question, keys) {
        Ok(_) => None,
        Err(Failure::Refused(refusal)) => Some(refusal.reason),
        Err(Failure::Undecided(why)) => panic!("undecided: {why}"),
    }
}

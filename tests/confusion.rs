//! Algorithm confusion (RFC 8725 §2.1, §3.1): nothing that is public is ever a secret, and a secret is
//! only ever the one of the provider that it was registered for.

#[path = "common/court.rs"]
#[allow(dead_code)]
mod court;
#[path = "common/mint.rs"]
#[allow(dead_code)]
mod mint;
#[path = "common/symmetric.rs"]
#[allow(dead_code)]
mod symmetric;

use court::{ISSUER, Keys, NOW, QUESTION, claims_with, key_set, provider, reason, registry};
use mint::{KeyPair, encode};
use pg_third_party_auth::provider::presets::ALL;
use pg_third_party_auth::provider::{Preset, Provider, Registry, Secret};
use pg_third_party_auth::verify::Reason;
use serde_json::{Value, json};
use std::collections::HashMap;
use symmetric::ALGORITHMS;

const SECRET: &str = "a secret of Supabase Auth, forty-two bytes";
const OTHER_SECRET: &str = "a secret of another project, 44 bytes long..";
const OTHER_ISSUER: &str = "https://other.example";

/// Claims that pass the rules of every kind for `issuer`.
fn claims_of(issuer: &str) -> Value {
    claims_with(json!({
        "iss": issuer, "sid": "session_1", "session_id": "session_1", "token_use": "id",
        "auth_time": NOW as u64 - 60,
    }))
}

fn header(alg: &str) -> Value {
    json!({"alg": alg, "kid": "key-1"})
}

/// A registry with one provider of each of these; a secret belongs to the one of that name.
fn court(providers: Vec<Provider>, secrets: &[(&str, &str)]) -> Registry {
    let mut registry = registry(providers);
    registry.secrets = HashMap::from_iter(secrets.iter().map(|(name, text)| {
        let secret = Secret::new((*text).to_owned(), &[]).expect("a secret");
        ((*name).to_owned(), secret)
    }));
    registry
}

/// Every kind that takes the algorithm, without a secret and, where it may have one, with.
fn courts(alg: &str) -> Vec<(String, Registry)> {
    let takes = |preset: &&&Preset| preset.algorithms.iter().any(|own| own.name() == alg);
    let mut courts = Vec::new();
    for preset in ALL.iter().filter(takes) {
        let one = || vec![provider(preset.kind, "one", ISSUER)];
        courts.push((preset.kind.to_owned(), court(one(), &[])));
        if preset.may_have_secret {
            let with = court(one(), &[("one", SECRET)]);
            courts.push((format!("{} with a secret", preset.kind), with));
        }
    }
    courts
}

fn judge(token: &str, registry: &Registry, jwks: &[Value]) -> Option<Reason> {
    let keys = key_set(jwks);
    let mut keys = Keys {
        current: HashMap::from_iter(
            registry
                .providers
                .iter()
                .map(|provider| (provider.name.clone(), keys.clone())),
        ),
        ..Keys::default()
    };
    reason(token, registry, &QUESTION, &mut keys)
}

/// What a forged token of an algorithm is refused for where a secret is known, and where it is not.
fn refusal(alg: &str, registry: &Registry) -> Option<Reason> {
    Some(match alg {
        "HS256" if !registry.secrets.is_empty() => Reason::BadSignature,
        _ => Reason::AlgorithmNotAllowed,
    })
}

fn is_never_a_secret(pair: &KeyPair, at_least: usize) {
    let jwk = pair.jwk("key-1", None);
    let alg = pair.algorithm();
    let serialisations = symmetric::serialisations(pair);
    assert!(serialisations.len() >= at_least, "{}", serialisations.len());
    let claims = claims_of(ISSUER);
    for (kind, registry) in courts(alg) {
        let judge = |token: &str| judge(token, &registry, std::slice::from_ref(&jwk));
        let honest = pair.sign(&header(alg), &claims);
        assert_eq!(judge(&honest), None, "{kind}");
        for (name, secret) in &serialisations {
            for hmac in ALGORITHMS {
                let forged = symmetric::sign(&header(hmac), &claims, secret);
                let expected = refusal(hmac, &registry);
                assert_eq!(judge(&forged), expected, "{kind}: {hmac} with {name}");
                let posing = symmetric::sign_as(hmac, &header(alg), &claims, secret);
                let expected = Some(Reason::BadSignature);
                assert_eq!(judge(&posing), expected, "{kind}: {hmac} as {alg}, {name}");
            }
        }
    }
}

#[test]
fn no_serialisation_of_an_rsa_public_key_is_ever_a_secret() {
    is_never_a_secret(&KeyPair::rsa(), 20);
}

#[test]
fn no_serialisation_of_an_elliptic_curve_public_key_is_ever_a_secret() {
    is_never_a_secret(&KeyPair::p256(), 10);
    is_never_a_secret(&KeyPair::ed25519(), 10);
}

#[test]
fn a_token_without_a_key_id_finds_no_symmetric_key_either() {
    let pair = KeyPair::rsa();
    let jwk = pair.jwk("key-1", Some("RS256"));
    for (kind, registry) in courts("RS256") {
        for (name, secret) in symmetric::serialisations(&pair) {
            let forged = symmetric::sign(&json!({"alg": "HS256"}), &claims_of(ISSUER), &secret);
            let verdict = judge(&forged, &registry, std::slice::from_ref(&jwk));
            assert_eq!(verdict, refusal("HS256", &registry), "{kind}: {name}");
        }
    }
}

#[test]
fn a_published_symmetric_key_is_never_used() {
    let pair = KeyPair::rsa();
    let secret = OTHER_SECRET.as_bytes();
    let published = |members: Value| {
        let mut jwk = json!({"kty": "oct", "kid": "oct", "k": encode(secret)});
        for (name, value) in members.as_object().expect("an object") {
            jwk[name] = value.clone();
        }
        [pair.jwk("key-1", None), jwk]
    };
    for (kind, registry) in courts("RS256") {
        for members in [json!({}), json!({"alg": "HS256"}), json!({"alg": "RS256"})] {
            let jwks = published(members);
            for alg in ALGORITHMS {
                let head = json!({"alg": alg, "kid": "oct"});
                let token = symmetric::sign(&head, &claims_of(ISSUER), secret);
                let verdict = judge(&token, &registry, &jwks);
                assert_eq!(verdict, refusal(alg, &registry), "{kind}: {alg}");
                let head = json!({"alg": "RS256", "kid": "oct"});
                let token = symmetric::sign_as(alg, &head, &claims_of(ISSUER), secret);
                let verdict = judge(&token, &registry, &jwks);
                assert_eq!(verdict, Some(Reason::UnknownKey), "{kind}: {alg} as RS256");
            }
        }
    }
}

#[test]
fn a_secret_signs_hs256_and_nothing_else() {
    let jwk = KeyPair::rsa().jwk("key-1", None);
    let registry = court(
        vec![provider("supabase", "one", ISSUER)],
        &[("one", SECRET)],
    );
    let verdict = |hmac: &str, header: Value, secret: &str| {
        let token = symmetric::sign_as(hmac, &header, &claims_of(ISSUER), secret.as_bytes());
        judge(&token, &registry, std::slice::from_ref(&jwk))
    };
    let not_allowed = Some(Reason::AlgorithmNotAllowed);
    let bad_signature = Some(Reason::BadSignature);
    // GoTrue's old tokens name no key, newer ones the id of the legacy secret.
    assert_eq!(verdict("HS256", json!({"alg": "HS256"}), SECRET), None);
    assert_eq!(verdict("HS256", header("HS256"), SECRET), None);
    assert_eq!(verdict("HS384", header("HS384"), SECRET), not_allowed);
    assert_eq!(verdict("HS512", header("HS512"), SECRET), not_allowed);
    assert_eq!(verdict("HS384", header("HS256"), SECRET), bad_signature);
    assert_eq!(verdict("HS256", header("RS256"), SECRET), bad_signature);
    assert_eq!(verdict("HS256", header("hs256"), SECRET), not_allowed);
    assert_eq!(
        verdict("HS256", header("HS256"), OTHER_SECRET),
        bad_signature
    );
    assert_eq!(verdict("HS256", header("HS256"), ""), bad_signature);
    let cut = &SECRET[..SECRET.len() - 1];
    assert_eq!(verdict("HS256", header("HS256"), cut), bad_signature);
}

#[test]
fn a_secret_never_reaches_the_tokens_of_another_provider() {
    let jwk = KeyPair::rsa().jwk("key-1", None);
    let sign = |issuer: &str, secret: &str| {
        symmetric::sign(&header("HS256"), &claims_of(issuer), secret.as_bytes())
    };
    for preset in ALL {
        let supabase = provider("supabase", "supabase", ISSUER);
        let other = provider(preset.kind, "other", OTHER_ISSUER);
        let mut providers = vec![other, supabase];
        for _ in 0..2 {
            providers.reverse();
            let registry = court(providers.clone(), &[("supabase", SECRET)]);
            let judge = |token: &str| judge(token, &registry, std::slice::from_ref(&jwk));
            assert_eq!(judge(&sign(ISSUER, SECRET)), None, "{}", preset.kind);
            let verdict = judge(&sign(OTHER_ISSUER, SECRET));
            assert_eq!(
                verdict,
                Some(Reason::AlgorithmNotAllowed),
                "{}",
                preset.kind
            );
        }
    }
}

#[test]
fn a_secret_beside_a_kind_that_has_none_means_nothing() {
    let jwk = KeyPair::rsa().jwk("key-1", None);
    let token = symmetric::sign(&header("HS256"), &claims_of(ISSUER), SECRET.as_bytes());
    for preset in ALL.iter().filter(|preset| !preset.may_have_secret) {
        let one = provider(preset.kind, "one", ISSUER);
        let verdict = judge(
            &token,
            &court(vec![one], &[("one", SECRET)]),
            std::slice::from_ref(&jwk),
        );
        assert_eq!(
            verdict,
            Some(Reason::AlgorithmNotAllowed),
            "{}",
            preset.kind
        );
    }
}

#[test]
fn two_projects_with_secrets_do_not_sign_for_each_other() {
    let jwk = KeyPair::rsa().jwk("key-1", None);
    let registry = court(
        vec![
            provider("supabase", "one", ISSUER),
            provider("supabase", "two", OTHER_ISSUER),
        ],
        &[("one", SECRET), ("two", OTHER_SECRET)],
    );
    let verdict = |issuer: &str, secret: &str| {
        let token = symmetric::sign(&header("HS256"), &claims_of(issuer), secret.as_bytes());
        judge(&token, &registry, std::slice::from_ref(&jwk))
    };
    assert_eq!(verdict(ISSUER, SECRET), None);
    assert_eq!(verdict(OTHER_ISSUER, OTHER_SECRET), None);
    assert_eq!(verdict(OTHER_ISSUER, SECRET), Some(Reason::BadSignature));
    assert_eq!(verdict(ISSUER, OTHER_SECRET), Some(Reason::BadSignature));
}

//! API keys of Supabase: they name an application, and no user. Their issuer is the same for every
//! project, so that the key that verifies one chooses its provider.

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
use mint::KeyPair;
use pg_third_party_auth::keys::KeySet;
use pg_third_party_auth::provider::{Provider, Registry, Revocation, Secret};
use pg_third_party_auth::token::{Claims, Unverified};
use pg_third_party_auth::verify::{Failure, Reason, verify_api_key, verify_gateway_api_key};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

const SECRET: &str = "a secret of Supabase Auth, forty-two bytes";
const OTHER_SECRET: &str = "a secret of another project, 44 bytes long..";
const OTHER_ISSUER: &str = "https://other.example/auth/v1";

static RSA: LazyLock<KeyPair> = LazyLock::new(KeyPair::rsa);
static P256: LazyLock<KeyPair> = LazyLock::new(KeyPair::p256);

/// A verdict on an API key: its provider and its role, or why not.
#[derive(Debug, PartialEq)]
enum Verdict {
    Good(String, String),
    Refused(Reason),
    Undecided,
}

fn good(provider: &str, role: &str) -> Verdict {
    Verdict::Good(provider.to_owned(), role.to_owned())
}

fn project(name: &str, issuer: &str) -> Provider {
    Provider {
        api_key_issuers: vec!["supabase".to_owned(), "supabase-demo".to_owned()],
        allowed_roles: ["anon", "authenticated", "service_role"]
            .map(str::to_owned)
            .to_vec(),
        ..provider("supabase", name, issuer)
    }
}

fn court(providers: Vec<Provider>, secrets: &[(&str, &str)]) -> Registry {
    let mut registry = registry(providers);
    registry.secrets = HashMap::from_iter(secrets.iter().map(|(name, text)| {
        let secret = Secret::new((*text).to_owned(), &[]).expect("a secret");
        ((*name).to_owned(), secret)
    }));
    registry
}

/// A project with a secret.
fn legacy() -> Registry {
    court(vec![project("one", ISSUER)], &[("one", SECRET)])
}

/// What an API key says: no subject, no audience.
fn api_key(role: &str) -> Value {
    json!({
        "iss": "supabase", "ref": "abcdefghijklmnopqrst", "role": role,
        "iat": NOW as u64 - 1000, "exp": NOW as u64 + 1000,
    })
}

fn changed(name: &str, value: Value) -> Value {
    let mut claims = api_key("anon");
    match value {
        Value::Null => {
            claims.as_object_mut().expect("an object").remove(name);
        }
        value => claims[name] = value,
    }
    claims
}

fn by_secret(claims: &Value, secret: &str) -> String {
    let header = json!({"alg": "HS256", "typ": "JWT"});
    symmetric::sign(&header, claims, secret.as_bytes())
}

fn by_key(claims: &Value) -> String {
    P256.sign(
        &json!({"alg": "ES256", "kid": "key-1", "typ": "JWT"}),
        claims,
    )
}

/// The key set of a project with asymmetric keys.
fn published() -> Arc<KeySet> {
    key_set(&[RSA.jwk("key-2", None), P256.jwk("key-1", None)])
}

fn judge_with(token: &str, registry: &Registry, keys: &mut Keys) -> Verdict {
    let token = Unverified::parse(token, court::MAX_BYTES).expect("a token");
    match verify_api_key(&token, registry, NOW, keys) {
        Ok(key) => good(&key.provider().name, key.role()),
        Err(Failure::Refused(refusal)) => Verdict::Refused(refusal.reason),
        Err(Failure::Undecided(_)) => Verdict::Undecided,
    }
}

/// By secrets alone.
fn judge(token: &str, registry: &Registry) -> Verdict {
    judge_with(token, registry, &mut Keys::default())
}

/// By the published keys of `one`.
fn judge_by_key(token: &str, registry: &Registry) -> Verdict {
    judge_with(token, registry, &mut Keys::of("one", published()))
}

#[test]
fn anon_and_service_keys_are_good_by_the_secret() {
    for role in ["anon", "service_role"] {
        for issuer in ["supabase", "supabase-demo"] {
            let mut claims = api_key(role);
            claims["iss"] = json!(issuer);
            let verdict = judge(&by_secret(&claims, SECRET), &legacy());
            assert_eq!(verdict, good("one", role), "{issuer}");
        }
    }
}

#[test]
fn what_a_gateway_makes_of_a_new_api_key_is_good_by_a_signing_key() {
    let registry = court(vec![project("one", ISSUER)], &[]);
    for role in ["anon", "service_role"] {
        let verdict = judge_by_key(&by_key(&api_key(role)), &registry);
        assert_eq!(verdict, good("one", role));
        let header = json!({"alg": "RS256", "kid": "key-2"});
        let verdict = judge_by_key(&RSA.sign(&header, &api_key(role)), &registry);
        assert_eq!(verdict, good("one", role));
    }
}

#[test]
fn keys_that_are_not_there_are_not_fetched_for_an_api_key() {
    let registry = court(vec![project("one", ISSUER)], &[]);
    let header = json!({"alg": "ES256", "kid": "key-3"});
    let mut keys = Keys::of("one", published());
    keys.newer = Some(key_set(&[P256.jwk("key-3", None)]));
    let token = P256.sign(&header, &api_key("anon"));
    let verdict = judge_with(&token, &registry, &mut keys);
    assert_eq!(verdict, Verdict::Refused(Reason::UnknownKey));
    assert_eq!(keys.fetches, 0);
}

#[test]
fn an_api_key_has_an_end() {
    let refused = |claims: Value| {
        let by_secret = judge(&by_secret(&claims, SECRET), &legacy());
        let registry = court(vec![project("one", ISSUER)], &[]);
        assert_eq!(judge_by_key(&by_key(&claims), &registry), by_secret);
        by_secret
    };
    let expired = changed("exp", json!(NOW as u64 - 31));
    assert_eq!(refused(expired), Verdict::Refused(Reason::Expired));
    let endless = changed("exp", Value::Null);
    assert_eq!(refused(endless), Verdict::Refused(Reason::MissingClaim));
    let odd = changed("exp", json!("2033-01-01"));
    assert_eq!(refused(odd), Verdict::Refused(Reason::InvalidClaim));
    let early = changed("nbf", json!(NOW as u64 + 31));
    assert_eq!(refused(early), Verdict::Refused(Reason::NotYetValid));
    let future = changed("iat", json!(NOW as u64 + 31));
    assert_eq!(refused(future), Verdict::Refused(Reason::IssuedInFuture));
}

#[test]
fn only_anon_and_service_role_are_roles_of_api_keys() {
    let roles = [
        json!("authenticated"),
        json!("postgres"),
        json!("Anon"),
        json!(""),
        json!(["anon"]),
        json!(1),
        Value::Null,
    ];
    for role in roles {
        let verdict = judge(
            &by_secret(&changed("role", role.clone()), SECRET),
            &legacy(),
        );
        assert_eq!(verdict, Verdict::Refused(Reason::RoleNotAllowed), "{role}");
    }
}

#[test]
fn an_api_key_has_only_a_role_that_its_provider_allows() {
    let mut one = project("one", ISSUER);
    one.allowed_roles = vec!["anon".to_owned()];
    let registry = court(vec![one], &[("one", SECRET)]);
    let verdict = |role: &str| judge(&by_secret(&api_key(role), SECRET), &registry);
    assert_eq!(verdict("anon"), good("one", "anon"));
    assert_eq!(
        verdict("service_role"),
        Verdict::Refused(Reason::RoleNotAllowed)
    );
}

#[test]
fn an_api_key_of_another_project_is_refused() {
    let verdict = judge(&by_secret(&api_key("anon"), OTHER_SECRET), &legacy());
    assert_eq!(verdict, Verdict::Refused(Reason::BadSignature));
    let header = json!({"alg": "ES256", "kid": "key-1"});
    let foreign = KeyPair::p256().sign(&header, &api_key("anon"));
    let registry = court(vec![project("one", ISSUER)], &[]);
    let verdict = judge_by_key(&foreign, &registry);
    assert_eq!(verdict, Verdict::Refused(Reason::BadSignature));
}

#[test]
fn an_old_api_key_needs_the_secret() {
    let registry = court(vec![project("one", ISSUER)], &[]);
    let verdict = judge_by_key(&by_secret(&api_key("anon"), SECRET), &registry);
    assert_eq!(verdict, Verdict::Refused(Reason::AlgorithmNotAllowed));
}

#[test]
fn the_key_that_verifies_chooses_the_provider() {
    let registry = court(
        vec![project("one", ISSUER), project("two", OTHER_ISSUER)],
        &[("one", SECRET), ("two", OTHER_SECRET)],
    );
    let verdict = |secret: &str| judge(&by_secret(&api_key("anon"), secret), &registry);
    assert_eq!(verdict(SECRET), good("one", "anon"));
    assert_eq!(verdict(OTHER_SECRET), good("two", "anon"));
}

#[test]
fn an_api_key_that_two_providers_verify_is_refused_as_ambiguous() {
    let projects = || vec![project("one", ISSUER), project("two", OTHER_ISSUER)];
    let same_secret = court(projects(), &[("one", SECRET), ("two", SECRET)]);
    let verdict = judge(&by_secret(&api_key("anon"), SECRET), &same_secret);
    assert_eq!(verdict, Verdict::Refused(Reason::UnknownIssuer));
    let same_keys = court(projects(), &[]);
    let mut keys = Keys::of("one", published());
    keys.current.insert("two".to_owned(), published());
    let verdict = judge_with(&by_key(&api_key("anon")), &same_keys, &mut keys);
    assert_eq!(verdict, Verdict::Refused(Reason::UnknownIssuer));
}

#[test]
fn a_shared_secret_is_ambiguous_also_where_one_provider_would_refuse_the_role() {
    let mut two = project("two", OTHER_ISSUER);
    two.allowed_roles = vec!["anon".to_owned()];
    let mut projects = vec![project("one", ISSUER), two];
    for _ in 0..2 {
        projects.reverse();
        let registry = court(projects.clone(), &[("one", SECRET), ("two", SECRET)]);
        let verdict = judge(&by_secret(&api_key("service_role"), SECRET), &registry);
        assert_eq!(verdict, Verdict::Refused(Reason::UnknownIssuer));
    }
}

#[test]
fn the_refusal_of_the_provider_that_verifies_an_api_key_is_the_one_that_is_told() {
    let mut one = project("one", ISSUER);
    one.allowed_roles = vec!["anon".to_owned()];
    let mut projects = vec![one, project("two", OTHER_ISSUER)];
    for _ in 0..2 {
        projects.reverse();
        let registry = court(projects.clone(), &[("one", SECRET), ("two", OTHER_SECRET)]);
        let verdict = judge(&by_secret(&api_key("service_role"), SECRET), &registry);
        assert_eq!(verdict, Verdict::Refused(Reason::RoleNotAllowed));
    }
}

#[test]
fn a_disabled_provider_has_no_api_keys() {
    let mut one = project("one", ISSUER);
    one.enabled = false;
    let registry = court(vec![one], &[("one", SECRET)]);
    let verdict = judge(&by_secret(&api_key("anon"), SECRET), &registry);
    assert_eq!(verdict, Verdict::Refused(Reason::UnknownIssuer));
}

#[test]
fn a_provider_without_api_key_issuers_has_no_api_keys() {
    let mut one = project("one", ISSUER);
    one.api_key_issuers.clear();
    let registry = court(vec![one], &[("one", SECRET)]);
    let verdict = judge(&by_secret(&api_key("anon"), SECRET), &registry);
    assert_eq!(verdict, Verdict::Refused(Reason::UnknownIssuer));
    let odd = judge(
        &by_secret(&changed("iss", json!("Supabase")), SECRET),
        &legacy(),
    );
    assert_eq!(odd, Verdict::Refused(Reason::UnknownIssuer));
    let none = judge(&by_secret(&changed("iss", Value::Null), SECRET), &legacy());
    assert_eq!(none, Verdict::Refused(Reason::UnknownIssuer));
}

#[test]
fn a_users_token_is_no_api_key() {
    for role in ["authenticated", "anon", "service_role"] {
        let claims = claims_with(json!({"session_id": "s", "role": role}));
        let verdict = judge(&by_secret(&claims, SECRET), &legacy());
        assert_eq!(verdict, Verdict::Refused(Reason::UnknownIssuer), "{role}");
    }
}

#[test]
fn an_issuer_that_selects_a_provider_is_not_one_of_api_keys() {
    let user = project("one", "supabase");
    let registry = court(vec![user, project("two", ISSUER)], &[("two", SECRET)]);
    let verdict = judge(&by_secret(&api_key("anon"), SECRET), &registry);
    assert_eq!(verdict, Verdict::Refused(Reason::UnknownIssuer));
}

#[test]
fn a_revoked_key_signs_no_api_keys() {
    let mut registry = court(vec![project("one", ISSUER)], &[("one", SECRET)]);
    let revoke = |kid: &str, thumbprint: Option<String>| Revocation {
        issuer: ISSUER.to_owned(),
        kid: kid.to_owned(),
        thumbprint,
    };
    registry.revoked = vec![revoke("key-1", None)];
    let verdict = judge_by_key(&by_key(&api_key("anon")), &registry);
    assert_eq!(verdict, Verdict::Refused(Reason::KeyRevoked));
    // The same key, which the token does not name.
    let nameless = P256.sign(&json!({"alg": "ES256"}), &api_key("anon"));
    let verdict = judge_by_key(&nameless, &registry);
    assert_eq!(verdict, Verdict::Refused(Reason::KeyRevoked));
    // The same key under another id.
    let thumbprint = published().keys[1].thumbprint.to_string();
    registry.revoked = vec![revoke("old", Some(thumbprint))];
    let verdict = judge_by_key(&by_key(&api_key("anon")), &registry);
    assert_eq!(verdict, Verdict::Refused(Reason::KeyRevoked));
    // Another issuer's revocation.
    registry.revoked = vec![Revocation {
        issuer: OTHER_ISSUER.to_owned(),
        ..revoke("key-1", None)
    }];
    let verdict = judge_by_key(&by_key(&api_key("anon")), &registry);
    assert_eq!(verdict, good("one", "anon"));
}

#[test]
fn a_revoked_id_of_the_legacy_secret_is_refused() {
    let mut registry = legacy();
    registry.revoked = vec![Revocation {
        issuer: ISSUER.to_owned(),
        kid: "legacy".to_owned(),
        thumbprint: None,
    }];
    let header = json!({"alg": "HS256", "kid": "legacy"});
    let token = symmetric::sign(&header, &api_key("anon"), SECRET.as_bytes());
    let verdict = judge(&token, &registry);
    assert_eq!(verdict, Verdict::Refused(Reason::KeyRevoked));
}

#[test]
fn while_the_keys_of_one_provider_cannot_be_obtained_an_api_key_is_undecided() {
    let token = by_key(&api_key("anon"));
    let mut projects = vec![project("one", ISSUER), project("two", OTHER_ISSUER)];
    for _ in 0..2 {
        projects.reverse();
        let registry = court(projects.clone(), &[]);
        let verdict = judge_with(&token, &registry, &mut Keys::of("two", published()));
        // The same key may be the other provider's too, and ambiguity is refused.
        assert_eq!(verdict, Verdict::Undecided);
        let foreign = key_set(&[KeyPair::p256().jwk("key-1", None)]);
        let verdict = judge_with(&token, &registry, &mut Keys::of("two", foreign));
        assert_eq!(verdict, Verdict::Undecided);
        let verdict = judge_with(&token, &registry, &mut Keys::default());
        assert_eq!(verdict, Verdict::Undecided);
    }
}

#[test]
fn a_provider_that_is_not_for_requests_has_no_api_keys() {
    let mut one = project("one", ISSUER);
    one.for_requests = false;
    let registry = court(vec![one], &[("one", SECRET)]);
    let verdict = judge(&by_secret(&api_key("service_role"), SECRET), &registry);
    assert_eq!(verdict, Verdict::Refused(Reason::UnknownIssuer));
}

#[test]
fn an_api_key_is_nobodys_token() {
    let registry = court(vec![project("one", ISSUER)], &[("one", SECRET)]);
    let verdict = |token: &str| {
        let mut keys = Keys::of("one", published());
        reason(token, &registry, &QUESTION, &mut keys)
    };
    for role in ["anon", "service_role"] {
        let old = by_secret(&api_key(role), SECRET);
        assert_eq!(
            verdict(&old),
            Some(Reason::UnknownIssuer),
            "{role} by secret"
        );
        let new = by_key(&api_key(role));
        assert_eq!(verdict(&new), Some(Reason::UnknownIssuer), "{role} by key");
    }
}

#[test]
fn a_gateways_word_stands_for_the_signature_of_an_api_key_and_for_nothing_else() {
    let verdict = |claims: Value, registry: &Registry| {
        let claims = Claims::parse(claims.to_string()).expect("claims");
        match verify_gateway_api_key(&claims, registry, NOW) {
            Ok(key) => good(&key.provider().name, key.role()),
            Err(refusal) => Verdict::Refused(refusal.reason),
        }
    };
    let registry = court(vec![project("one", ISSUER)], &[]);
    let refused = |claims: Value| verdict(claims, &registry);
    assert_eq!(refused(api_key("anon")), good("one", "anon"));
    let expired = changed("exp", json!(NOW as u64 - 31));
    assert_eq!(refused(expired), Verdict::Refused(Reason::Expired));
    let endless = changed("exp", Value::Null);
    assert_eq!(refused(endless), Verdict::Refused(Reason::MissingClaim));
    let role = changed("role", json!("authenticated"));
    assert_eq!(refused(role), Verdict::Refused(Reason::RoleNotAllowed));
    let user = claims_with(json!({"role": "anon"}));
    assert_eq!(refused(user), Verdict::Refused(Reason::UnknownIssuer));
    let mut disabled = project("one", ISSUER);
    disabled.enabled = false;
    let none = verdict(api_key("anon"), &court(vec![disabled], &[]));
    assert_eq!(none, Verdict::Refused(Reason::UnknownIssuer));
}

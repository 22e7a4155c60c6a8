//! Newer keys, revocation, remembered signatures, and the rules that come after the signature.

#[path = "common/court.rs"]
#[allow(dead_code)]
mod court;
#[path = "common/mint.rs"]
#[allow(dead_code)]
mod mint;

use court::{
    ISSUER, Keys, NOW, QUESTION, claims, claims_with, judge, key_set, provider, reason, registry,
};
use mint::KeyPair;
use pg_third_party_auth::provider::{Registry, Revocation};
use pg_third_party_auth::verify::{Failure, Purpose, Question, Reason};
use serde_json::{Value, json};
use std::sync::LazyLock;

static OLD: LazyLock<KeyPair> = LazyLock::new(KeyPair::p256);
static NEW: LazyLock<KeyPair> = LazyLock::new(KeyPair::p256);

fn header(kid: &str) -> Value {
    json!({"alg": "ES256", "kid": kid})
}

fn oidc() -> Registry {
    registry(vec![provider("oidc", "oidc", ISSUER)])
}

fn old_keys() -> Keys {
    Keys::of("oidc", key_set(&[OLD.jwk("old", None)]))
}

fn revoked(kid: &str, thumbprint: Option<String>) -> Registry {
    let mut registry = oidc();
    registry.revoked.push(Revocation {
        issuer: ISSUER.to_owned(),
        kid: kid.to_owned(),
        thumbprint,
    });
    registry
}

#[test]
fn a_rotated_key_is_asked_for_once_and_used() {
    let mut keys = old_keys();
    keys.newer = Some(key_set(&[OLD.jwk("old", None), NEW.jwk("new", None)]));
    let token = NEW.sign(&header("new"), &claims());
    assert_eq!(reason(&token, &oidc(), &QUESTION, &mut keys), None);
    assert_eq!((keys.asked, keys.fetches), (1, 1));
    // A key that was replaced under the same id.
    keys.newer = Some(key_set(&[NEW.jwk("old", None)]));
    let token = NEW.sign(&header("old"), &claims());
    assert_eq!(reason(&token, &oidc(), &QUESTION, &mut keys), None);
    assert_eq!(keys.fetches, 2);
    // No newer keys: refused; keys out of reach: not decided, which is something else.
    keys.newer = None;
    let token = NEW.sign(&header("newest"), &claims());
    assert_eq!(
        reason(&token, &oidc(), &QUESTION, &mut keys),
        Some(Reason::UnknownKey)
    );
    keys.unreachable = true;
    let undecided = judge(&token, &oidc(), &QUESTION, &mut keys);
    assert!(matches!(undecided, Err(Failure::Undecided("unreachable"))));
    let never_fetched = judge(&token, &oidc(), &QUESTION, &mut Keys::default());
    assert!(matches!(
        never_fetched,
        Err(Failure::Undecided("not fetched"))
    ));
}

#[test]
fn nothing_that_breaks_an_earlier_rule_causes_a_fetch() {
    let mut parties = provider("oidc", "oidc", ISSUER);
    parties.authorized_parties = vec!["a".to_owned()];
    let ok = json!({"azp": "a"});
    let registry = registry(vec![parties]);
    for (header, changes) in [
        (json!({"alg": "none", "kid": "x"}), ok.clone()),
        (
            json!({"alg": "ES256", "kid": "x", "typ": "logout+jwt"}),
            ok.clone(),
        ),
        (
            header("x"),
            json!({"azp": "a", "iss": "https://other.example"}),
        ),
        (header("x"), json!({"azp": "a", "aud": "other"})),
        (header("x"), json!({"azp": "b"})),
        (header("x"), json!({"azp": "a", "exp": NOW - 1000.0})),
        (header("x"), json!({"azp": "a", "nbf": NOW + 1000.0})),
        (header("x"), json!({"azp": "a", "iat": NOW + 1000.0})),
        (header("x"), json!({"azp": "a", "sub": 1})),
    ] {
        let mut keys = old_keys();
        let token = NEW.sign(&header, &claims_with(changes.clone()));
        assert!(reason(&token, &registry, &QUESTION, &mut keys).is_some());
        assert_eq!((keys.asked, keys.fetches), (0, 0), "{header} {changes}");
    }
    let mut keys = old_keys();
    let token = NEW.sign(&header("x"), &claims_with(ok));
    assert_eq!(
        reason(&token, &registry, &QUESTION, &mut keys),
        Some(Reason::UnknownKey)
    );
    assert_eq!((keys.asked, keys.fetches), (1, 1));
}

#[test]
fn a_revoked_key_is_refused_by_its_id_and_under_any_other_id() {
    let named = OLD.sign(&header("old"), &claims());
    let nameless = OLD.sign(&json!({"alg": "ES256"}), &claims());
    let renamed = OLD.sign(&header("renamed"), &claims());
    let expected = Some(Reason::KeyRevoked);
    let mut keys = old_keys();
    let thumbprint = keys.current["oidc"].keys[0].thumbprint.to_string();
    let by_id = revoked("old", None);
    assert_eq!(reason(&named, &by_id, &QUESTION, &mut keys), expected);
    assert_eq!((keys.asked, keys.fetches), (0, 0));
    assert_eq!(reason(&nameless, &by_id, &QUESTION, &mut keys), expected);
    // An id that is not among the keys at all.
    let unseen = OLD.sign(&header("unseen"), &claims());
    assert_eq!(
        reason(&unseen, &revoked("unseen", None), &QUESTION, &mut keys),
        expected
    );
    let by_thumbprint = revoked("old", Some(thumbprint));
    let mut keys = Keys::of("oidc", key_set(&[OLD.jwk("renamed", None)]));
    assert_eq!(
        reason(&renamed, &by_thumbprint, &QUESTION, &mut keys),
        expected
    );
    assert_eq!(reason(&renamed, &oidc(), &QUESTION, &mut keys), None);
    // What is remembered as good is refused too.
    assert_eq!(keys.known_good.len(), 1);
    assert_eq!(
        reason(&renamed, &by_thumbprint, &QUESTION, &mut keys),
        expected
    );
    // Another issuer's revocation does not count.
    let mut other = by_thumbprint;
    other.revoked[0].issuer = "https://other.example".to_owned();
    assert_eq!(reason(&renamed, &other, &QUESTION, &mut keys), None);
}

#[test]
fn a_remembered_signature_spares_the_check_and_no_other_rule() {
    let mut keys = old_keys();
    let token = OLD.sign(&header("old"), &claims());
    assert_eq!(reason(&token, &oidc(), &QUESTION, &mut keys), None);
    assert_eq!(reason(&token, &oidc(), &QUESTION, &mut keys), None);
    assert_eq!(
        keys.known_good.len(),
        1,
        "it was remembered once and recalled once"
    );
    let late = Question {
        now: NOW + 1000.0,
        ..QUESTION
    };
    assert_eq!(
        reason(&token, &oidc(), &late, &mut keys),
        Some(Reason::Expired)
    );
    assert_eq!(
        reason(&token, &registry(vec![]), &QUESTION, &mut keys),
        Some(Reason::UnknownIssuer)
    );
    keys.current
        .insert("oidc".to_owned(), key_set(&[NEW.jwk("old", None)]));
    assert_eq!(
        reason(&token, &oidc(), &QUESTION, &mut keys),
        Some(Reason::BadSignature)
    );
}

#[test]
fn a_provider_that_is_asked_for_only_narrows() {
    let both = registry(vec![
        provider("oidc", "oidc", ISSUER),
        provider("oidc", "b", "https://b.example"),
    ]);
    let token = OLD.sign(&header("old"), &claims());
    for (name, expected) in [
        ("oidc", None),
        ("b", Some(Reason::UnknownIssuer)),
        ("nobody", Some(Reason::UnknownIssuer)),
        ("", Some(Reason::UnknownIssuer)),
    ] {
        let question = Question {
            provider: Some(name),
            ..QUESTION
        };
        assert_eq!(
            reason(&token, &both, &question, &mut old_keys()),
            expected,
            "{name}"
        );
    }
}

#[test]
fn a_nonce_that_was_asked_for_is_the_token_s_own_or_its_digest() {
    // The SHA-256 digest of "abc" (FIPS 180-4).
    let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    for (nonce, expected) in [
        (json!("abc"), None),
        (json!(digest), None),
        (json!(digest.to_uppercase()), Some(Reason::NonceMismatch)),
        (json!("ABC"), Some(Reason::NonceMismatch)),
        (json!(null), Some(Reason::NonceMismatch)),
        (json!(""), Some(Reason::NonceMismatch)),
        (json!(["abc"]), Some(Reason::NonceMismatch)),
    ] {
        let token = OLD.sign(&header("old"), &claims_with(json!({"nonce": nonce})));
        let question = Question {
            nonce: Some("abc"),
            ..QUESTION
        };
        assert_eq!(
            reason(&token, &oidc(), &question, &mut old_keys()),
            expected,
            "{nonce}"
        );
        assert_eq!(
            reason(&token, &oidc(), &QUESTION, &mut old_keys()),
            None,
            "{nonce}"
        );
        let empty = Question {
            nonce: Some(""),
            ..QUESTION
        };
        assert_eq!(
            reason(&token, &oidc(), &empty, &mut old_keys()),
            Some(Reason::NonceMismatch)
        );
    }
}

#[test]
fn a_role_that_is_not_allowed_is_refused_and_an_absent_one_is_the_default() {
    let role = |role: Value, default: Option<&str>| {
        let mut provider = provider("oidc", "oidc", ISSUER);
        provider.default_role = default.map(str::to_owned);
        let mut claims = claims();
        claims["role"] = role;
        let token = OLD.sign(&header("old"), &claims);
        match judge(
            &token,
            &registry(vec![provider]),
            &QUESTION,
            &mut old_keys(),
        ) {
            Ok(verified) => Ok(verified.role().map(str::to_owned)),
            Err(Failure::Refused(refusal)) => Err(refusal.reason),
            Err(Failure::Undecided(why)) => panic!("{why}"),
        }
    };
    assert_eq!(
        role(json!("authenticated"), None),
        Ok(Some("authenticated".to_owned()))
    );
    assert_eq!(role(json!(null), None), Ok(None));
    assert_eq!(
        role(json!(null), Some("authenticated")),
        Ok(Some("authenticated".to_owned()))
    );
    for bad in [
        json!("postgres"),
        json!("service_role"),
        json!("Authenticated"),
        json!(""),
        json!(1),
        json!(["authenticated"]),
        json!({}),
    ] {
        assert_eq!(
            role(bad.clone(), Some("authenticated")),
            Err(Reason::RoleNotAllowed),
            "{bad}"
        );
    }
}

#[test]
fn kinds_tell_session_tokens_from_other_tokens_of_the_same_keys() {
    let verdict = |kind: &str, typ: Option<&str>, changes: Value| {
        let mut provider = provider(kind, "oidc", ISSUER);
        provider
            .algorithms
            .push(pg_third_party_auth::keys::Algorithm::ES256);
        let mut header = header("old");
        if let Some(typ) = typ {
            header["typ"] = json!(typ);
        }
        let token = OLD.sign(&header, &claims_with(changes));
        reason(
            &token,
            &registry(vec![provider]),
            &QUESTION,
            &mut old_keys(),
        )
    };
    let (missing, invalid) = (Some(Reason::MissingClaim), Some(Reason::InvalidClaim));
    for (kind, typ, changes, expected) in [
        ("clerk", Some("JWT"), json!({"sid": "sess_1"}), None),
        (
            "clerk",
            None,
            json!({"sid": "sess_1", "sts": "active"}),
            None,
        ),
        ("clerk", None, json!({}), missing),
        ("clerk", None, json!({"sid": ""}), invalid),
        (
            "clerk",
            None,
            json!({"sid": "sess_1", "sub": "mch_1"}),
            invalid,
        ),
        (
            "clerk",
            None,
            json!({"sid": "sess_1", "sts": "pending"}),
            Some(Reason::SessionPending),
        ),
        (
            "clerk",
            None,
            json!({"sid": "sess_1", "sts": ["pending"]}),
            invalid,
        ),
        (
            "clerk",
            Some("at+jwt"),
            json!({"sid": "sess_1"}),
            Some(Reason::TokenTypeNotAllowed),
        ),
        (
            "clerk",
            Some("application/AT+jwt"),
            json!({"sid": "sess_1"}),
            Some(Reason::TokenTypeNotAllowed),
        ),
        ("firebase", None, json!({"auth_time": NOW}), None),
        ("firebase", None, json!({"auth_time": NOW + 31.0}), invalid),
        ("firebase", None, json!({"auth_time": "0"}), invalid),
        ("firebase", None, json!({}), missing),
        (
            "firebase",
            None,
            json!({"auth_time": NOW, "sub": "\u{e9}".repeat(128)}),
            None,
        ),
        (
            "firebase",
            None,
            json!({"auth_time": NOW, "sub": "x".repeat(129)}),
            invalid,
        ),
        ("supabase", None, json!({"session_id": "s"}), None),
        ("supabase", None, json!({}), missing),
    ] {
        assert_eq!(
            verdict(kind, typ, changes.clone()),
            expected,
            "{kind} {typ:?} {changes}"
        );
    }
}

#[test]
fn tokens_that_are_not_for_requests_count_explicitly_only() {
    let mut proof = provider("oidc", "oidc", ISSUER);
    proof.for_requests = false;
    let proof = registry(vec![proof]);
    let token = OLD.sign(&header("old"), &claims());
    let request = Question {
        purpose: Purpose::Request,
        ..QUESTION
    };
    assert_eq!(reason(&token, &proof, &QUESTION, &mut old_keys()), None);
    assert_eq!(
        reason(&token, &proof, &request, &mut old_keys()),
        Some(Reason::NotForRequests)
    );
    assert_eq!(reason(&token, &oidc(), &request, &mut old_keys()), None);
}

//! What policies ask of every token alike: audience, scope, session, kind.

#[path = "policy/token.rs"]
#[allow(dead_code)]
mod token;

use pg_third_party_auth::policy::{self, scope};
use pg_third_party_auth::provider::Preset;
use pg_third_party_auth::provider::presets::ALL;
use serde_json::{Value, json};
use token::verified;

fn has_scope(changes: Value, scope: &str) -> bool {
    scope::has_scope(&verified("oidc", changes), scope)
}

#[test]
fn an_audience_is_a_string_or_one_of_several() {
    let has =
        |aud: Value, asked| policy::has_audience(&verified("oidc", json!({"aud": aud})), asked);
    assert!(has(json!("api"), "api"));
    assert!(has(json!(["a", "b"]), "b"));
    assert!(!has(json!(["a", "b"]), "[\"a\", \"b\"]"));
    assert!(!has(json!("api"), "ap"));
    assert!(!has(json!("api"), "API"));
    assert!(!has(json!(["api", 1]), "api"));
    assert!(!has(json!([["api"]]), "api"));
    assert!(!has(json!({"api": true}), "api"));
    assert!(!has(json!(null), "api"));
}

#[test]
fn an_empty_audience_is_none() {
    for aud in [json!(""), json!([""]), json!([]), json!(null)] {
        let token = verified("oidc", json!({"aud": aud}));
        assert!(!policy::has_audience(&token, ""), "{aud}");
    }
}

#[test]
fn a_scope_is_a_word_of_a_text_or_an_element_of_an_array() {
    for name in ["scope", "scp"] {
        let words = || json!({name: "openid read:items  write"});
        assert!(has_scope(words(), "openid"));
        assert!(has_scope(words(), "read:items"));
        assert!(has_scope(words(), "write"));
        assert!(!has_scope(words(), "read"));
        assert!(!has_scope(words(), "items"));
        assert!(!has_scope(words(), "Write"));
        assert!(!has_scope(words(), "write\n"));
        let elements = || json!({name: ["openid", "a b"]});
        assert!(has_scope(elements(), "openid"));
        assert!(!has_scope(elements(), "a"));
    }
    let both = json!({"scope": "a", "scp": ["b"]});
    assert!(has_scope(both.clone(), "a") && has_scope(both, "b"));
}

#[test]
fn only_a_space_separates_scopes() {
    assert!(!has_scope(json!({"scope": "a,b"}), "a"));
    assert!(!has_scope(json!({"scope": "a\tb\nc"}), "a"));
    assert!(!has_scope(json!({"scope": "a\u{a0}b"}), "a"));
}

#[test]
fn what_is_not_one_scope_is_asked_in_vain() {
    for asked in ["", " ", "a b", "a ", " a"] {
        for scope in [
            json!("a b "),
            json!(["", " ", "a b", "a ", " a"]),
            json!(""),
        ] {
            assert!(!has_scope(json!({"scope": scope}), asked), "{asked:?}");
        }
    }
}

#[test]
fn a_malformed_scope_claim_has_no_scope() {
    for scope in [
        json!(7),
        json!(true),
        json!({"a": true}),
        json!([["a"]]),
        json!(["a", 7]),
        json!(["a", null]),
        json!([]),
    ] {
        assert!(!has_scope(json!({"scope": scope}), "a"), "{scope}");
    }
    assert!(!has_scope(json!({"Scope": "a", "permissions": ["a"]}), "a"));
}

#[test]
fn the_session_is_named_by_the_kinds_own_claim() {
    let session = |kind| {
        let token = verified(kind, json!({"origin_jti": "o1"}));
        policy::session_id(&token).map(str::to_owned)
    };
    for kind in ["clerk", "auth0", "azure", "oidc", "workos"] {
        assert_eq!(session(kind).as_deref(), Some("session_1"), "{kind}");
    }
    assert_eq!(session("supabase").as_deref(), Some("s1"));
    assert_eq!(session("aws_cognito").as_deref(), Some("o1"));
    assert_eq!(session("firebase"), None);
    assert_eq!(session("apple"), None);
}

#[test]
fn a_session_id_that_is_no_text_is_none() {
    for sid in [json!(7), json!(""), json!(["s"]), json!({})] {
        let token = verified("oidc", json!({"sid": sid}));
        assert_eq!(policy::session_id(&token), None, "{sid}");
    }
}

#[test]
fn a_token_is_of_one_kind() {
    for Preset { kind, .. } in ALL {
        let token = verified(kind, json!({}));
        let kinds = ALL
            .iter()
            .filter(|own| policy::is_of_kind(&token, own.kind));
        assert_eq!(kinds.map(|own| own.kind).collect::<Vec<_>>(), [*kind]);
    }
}

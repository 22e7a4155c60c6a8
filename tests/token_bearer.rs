//! The token in the headers of a request, as PostgREST hands them to SQL.

use pg_third_party_auth::token::bearer;
use proptest::prelude::*;
use serde_json::json;

fn of(value: serde_json::Value) -> Option<String> {
    bearer(
        &json!({"accept": "*/*", "authorization": value}).to_string(),
        "authorization",
    )
}

#[test]
fn the_scheme_is_in_any_case_and_any_white_space_ends_it() {
    for value in [
        "Bearer a.b.c",
        "bearer a.b.c",
        "BEARER   a.b.c ",
        " Bearer a.b.c",
        "Bearer\ta.b.c",
        "Bearer\u{b}a.b.c",
        "Bearer\u{a0}a.b.c",
        "Bearer \t a.b.c\n",
    ] {
        assert_eq!(of(json!(value)).as_deref(), Some("a.b.c"), "{value:?}");
    }
    // What follows the token is part of it, so that nobody takes half of it for a token.
    assert_eq!(of(json!("Bearer a.b.c d")).as_deref(), Some("a.b.c d"));
}

#[test]
fn other_schemes_and_what_is_no_text_are_no_token() {
    for value in [
        json!("Basic YTpi"),
        json!("Bearer"),
        json!("Bearer "),
        json!("Bearera.b.c"),
        json!(""),
        json!(null),
        json!(["Bearer a.b.c"]),
        json!({"Bearer": "a.b.c"}),
        json!(1),
    ] {
        assert_eq!(of(value.clone()), None, "{value}");
    }
}

#[test]
fn only_an_object_has_headers_and_only_the_named_one_counts() {
    for headers in [
        "",
        "null",
        "[]",
        "\"Bearer a.b.c\"",
        "{",
        "{}",
        "{\"Authorization\": \"Bearer a.b.c\"}",
        "{\"authorization\": \"Bearer a.b.c\"} x",
        "{\"authorization\": \"Bearer a.b.c\",}",
    ] {
        assert_eq!(bearer(headers, "authorization"), None, "{headers}");
    }
    let headers = "{\"authorization\": 1, \"x\": {\"authorization\": \"Bearer d.e.f\"}, \
                   \"x-user-token\": \"Bearer a.b.c\"}";
    assert_eq!(bearer(headers, "x-user-token").as_deref(), Some("a.b.c"));
    assert_eq!(bearer(headers, "authorization"), None);
    // As for jsonb, the last one of a name counts.
    let twice = "{\"authorization\": \"Bearer a.b.c\", \"\\u0061uthorization\": \"Bearer d.e.f\"}";
    assert_eq!(bearer(twice, "authorization").as_deref(), Some("d.e.f"));
    // However deep the others are.
    let deep = format!(
        "{{\"x\": {}{}, \"authorization\": \"Bearer a.b.c\"}}",
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    assert_eq!(bearer(&deep, "authorization").as_deref(), Some("a.b.c"));
}

proptest! {
    #[test]
    fn any_text_gives_a_token_or_none(headers in any::<String>(), name in "[a-z-]{1,12}") {
        let _ = bearer(&headers, &name);
    }

    #[test]
    fn a_token_comes_out_as_it_went_in(token in "[!-~]{1,80}", other in any::<String>()) {
        let headers = json!({"a": other, "authorization": format!("Bearer {token}"), "z": [other]});
        prop_assert_eq!(bearer(&headers.to_string(), "authorization"), Some(token));
    }
}

//! Strict JSON: what is read is what `serde_json` reads, and what it lets through that must not pass is refused.

use pg_third_party_auth::json::{JsonError, Object, Value, parse_object};
use proptest::prelude::*;
use serde_json::{Map, json};

#[test]
fn hostile_texts_are_read_or_refused_in_linear_time() {
    let started = std::time::Instant::now();
    let members: Vec<String> = (0..50_000).map(|n| format!("\"m{n}\":{n}")).collect();
    assert!(parse_object(format!("{{{}}}", members.join(",")), 64).is_ok());
    assert!(parse_object("\\\"".repeat(1 << 19), 64).is_err());
    assert!(parse_object(format!("{{\"a\":{}}}", "1e1".repeat(1 << 17)), 64).is_err());
    assert!(started.elapsed().as_secs() < 5);
}

/// Texts with and without escapes, of which none is U+0000.
fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z_]{0,8}", "[\\PC\n\t\"\\\\]{0,12}"]
}

fn value() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(|value| json!(value)),
        any::<i64>().prop_map(|number| json!(number)),
        any::<u64>().prop_map(|number| json!(number)),
        (-1e15..1e15_f64).prop_map(|number| json!(number)),
        text().prop_map(|text| json!(text)),
    ];
    leaf.prop_recursive(4, 48, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(|items| json!(items)),
            proptest::collection::btree_map(text(), inner, 0..5).prop_map(|members| json!(members)),
        ]
    })
}

fn members() -> impl Strategy<Value = Map<String, serde_json::Value>> {
    proptest::collection::btree_map(text(), value(), 0..40)
        .prop_map(|members| members.into_iter().collect())
}

/// Every member is found by its name, and is what it should be.
fn found_in(
    object: Object<'_>,
    members: &Map<String, serde_json::Value>,
) -> Result<(), TestCaseError> {
    let mut names: Vec<_> = members.keys().map(String::as_str).collect();
    names.sort_by_key(|name| (name.len(), *name));
    prop_assert!(object.keys().eq(names));
    for (name, expected) in members {
        let Some(value) = object.get(name) else {
            return Err(TestCaseError::fail(format!("no {name}")));
        };
        is_what_was_written(value, expected)?;
    }
    Ok(())
}

fn is_what_was_written(
    value: Value<'_>,
    expected: &serde_json::Value,
) -> Result<(), TestCaseError> {
    let written: serde_json::Value = serde_json::from_str(&value.to_string()).expect("JSON");
    prop_assert_eq!(&written, expected);
    prop_assert_eq!(value.as_str(), expected.as_str());
    prop_assert_eq!(value.as_i64(), expected.as_i64());
    prop_assert_eq!(value.as_f64(), expected.as_f64());
    prop_assert_eq!(value.as_array().is_some(), expected.is_array());
    prop_assert_eq!(value.as_object().is_some(), expected.is_object());
    if let (Some(items), Some(expected)) = (value.as_array(), expected.as_array()) {
        prop_assert_eq!(items.len(), expected.len());
        for (item, expected) in items.iter().zip(expected) {
            is_what_was_written(item, expected)?;
        }
    }
    match (value.as_object(), expected.as_object()) {
        (Some(object), Some(members)) => found_in(object, members),
        _ => Ok(()),
    }
}

proptest! {
    #[test]
    fn reading_never_panics(text in "\\PC{0,200}") {
        let _ = parse_object(text, 64);
    }

    #[test]
    fn what_is_accepted_is_what_serde_json_reads(text in "[\\[\\]{}\":,.eE+\\-0-9a-c\\\\u ]{0,60}") {
        if let Ok(document) = parse_object(text.clone(), 8) {
            let other: serde_json::Value = serde_json::from_str(&text).expect("JSON");
            prop_assert_eq!(serde_json::to_value(document.object()).expect("JSON"), other);
        }
    }

    #[test]
    fn a_duplicate_is_found_at_any_depth(depth in 0_usize..50, name in "[a-z]{1,3}") {
        let inner = format!("{{\"{name}\":1,\"{name}\":2}}");
        let text = format!("{}{inner}{}", "{\"x\":".repeat(depth), "}".repeat(depth));
        prop_assert_eq!(parse_object(text, 64).err(), Some(JsonError::DuplicateMember));
    }

    #[test]
    fn every_value_is_found_where_it_was_written(members in members(), is_pretty in any::<bool>()) {
        let text = match is_pretty {
            true => serde_json::to_string_pretty(&members),
            false => serde_json::to_string(&members),
        };
        let text = text.expect("JSON");
        // Neither reader keeps the last digit of every double.
        let members = serde_json::from_str(&text).expect("JSON");
        let document = parse_object(text.clone(), 64).expect("an object");
        prop_assert_eq!(document.text(), text);
        found_in(document.object(), &members)?;
        prop_assert!(document.object().get("no such member").is_none());
    }
}

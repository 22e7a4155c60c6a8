//! What a token's text must be like before anything in it is judged.

#[path = "common/mint.rs"]
#[allow(dead_code)]
mod mint;

use mint::encode;
use pg_third_party_auth::json::{JsonError, Object, Value, parse_object};
use pg_third_party_auth::token::{Claim, Claims, Part, TokenError, Unverified, base64url};
use proptest::prelude::*;
use serde_json::{Map, json};

const LIMIT: usize = 16 * 1024;
const HEADER: &str = r#"{"alg":"RS256"}"#;

fn parse(header: &str, payload: &str) -> Result<Unverified, TokenError> {
    parse_octets(header.as_bytes(), payload.as_bytes())
}

fn parse_octets(header: &[u8], payload: &[u8]) -> Result<Unverified, TokenError> {
    let text = format!(
        "{}.{}.{}",
        encode(header),
        encode(payload),
        encode(&[1; 64])
    );
    Unverified::parse(&text, 1 << 20)
}

fn claims(payload: &str) -> Claims {
    Claims::parse(payload.to_owned()).expect("claims")
}

fn is_malformed(result: Result<Unverified, TokenError>) -> bool {
    matches!(result, Err(TokenError::Malformed(..)))
}

#[test]
fn a_token_is_taken_apart_byte_for_byte() {
    let payload = "{ \"iss\" : \"a\\/b\",\r\n\"n\":12345678901234567890123}";
    let token = parse(
        r#"{"alg":"RS256","kid":"k","typ":"JWT","jwk":{"kty":"oct"},"x":[1]}"#,
        payload,
    )
    .expect("a token");
    assert_eq!(token.claims().payload(), payload);
    assert_eq!(token.claims().issuer(), Claim::Present("a/b"));
    assert_eq!(token.header().alg.as_deref(), Some("RS256"));
    assert_eq!(token.header().kid.as_deref(), Some("k"));
    assert_eq!(token.signature(), [1; 64]);
    let (input, signature) = (token.signing_input(), token.encoded_signature());
    assert_eq!(token.text(), format!("{input}.{signature}"));
}

#[test]
fn size_is_judged_before_anything_is_decoded() {
    let text = ".".repeat(LIMIT + 1);
    let error = Unverified::parse(&text, LIMIT).expect_err("too large");
    let limit = LIMIT;
    assert_eq!(
        error,
        TokenError::TooLarge {
            bytes: limit + 1,
            limit
        }
    );
}

#[test]
fn anything_but_three_base64url_parts_is_refused() {
    let good = format!(
        "{}.{}.{}",
        encode(HEADER.as_bytes()),
        encode(b"{}"),
        encode(&[7; 64])
    );
    assert!(Unverified::parse(&good, LIMIT).is_ok());
    let (h, rest) = good.split_once('.').expect("a dot");
    let (p, s) = rest.split_once('.').expect("a dot");
    let cases = [
        String::new(),
        "a".to_owned(),
        format!("{h}.{p}"),
        format!("{h}.{p}."),
        format!(".{p}.{s}"),
        format!("{h}..{s}"),
        "..".to_owned(),
        format!("{good}."),
        format!(".{good}"),
        format!("{good}.{s}"),
        format!("{good}.{good}"),
        format!("{h}.{p}.{s}.{s}.{s}"),
        format!(" {good}"),
        format!("{good} "),
        format!("{good}\n"),
        format!("{good}\0"),
        format!("Bearer {good}"),
        format!("\"{good}\""),
        format!("{h}=.{p}.{s}"),
        format!("{h}.{p}=.{s}"),
        format!("{h}.{p}.{s}=="),
        format!("{h}.{p}. {s}"),
        format!("{h}.{p}.{s}\u{e9}"),
        format!("{h}.{p}.+/{s}"),
        format!("{h}.{p}.{s}AAA"),
        format!("{{\"payload\":\"{p}\",\"signatures\":[]}}"),
        ".".repeat(5000),
    ];
    for case in cases {
        let error = Unverified::parse(&case, LIMIT);
        assert!(is_malformed(error), "{case}");
    }
}

#[test]
fn unused_bits_that_are_not_zero_are_refused_in_every_part() {
    // One octet in two characters leaves four unused bits.
    assert_eq!(base64url::decode("AA"), Some(vec![0]));
    for text in [
        "AB", "AP", "A", "AAA=", "AA==", "A A", "A\n", "+A", "/A", "A-_/",
    ] {
        assert_eq!(base64url::decode(text), None, "{text}");
    }
    let header = "eyJhbGciOiJSUzI1NiJ9"; // 15 octets: no unused bits
    for text in [
        format!("{header}.e31.AB"),
        format!("{header}.e30.AB"),
        "e31.e30.AA".to_owned(),
    ] {
        assert!(is_malformed(Unverified::parse(&text, LIMIT)), "{text}");
    }
}

#[test]
fn any_crit_or_b64_is_refused_before_the_payload_is_read() {
    for member in [
        r#""crit":["exp"]"#,
        r#""crit":["cnf"],"cnf":{}"#,
        r#""crit":[]"#,
        r#""crit":null"#,
        r#""crit":"b64""#,
        r#""crit":{}"#,
        r#""crit":[1]"#,
        r#""crit":[""]"#,
        r#""crit":["alg"]"#,
        r#""crit":["b64"],"b64":false"#,
        r#""b64":false"#,
        r#""b64":true"#,
        r#""b64":"no""#,
        r#""\u0063rit":["x"]"#,
    ] {
        let header = format!(r#"{{"alg":"RS256",{member}}}"#);
        assert_eq!(
            parse(&header, "not JSON").err(),
            Some(TokenError::CriticalHeader),
            "{header}"
        );
    }
}

#[test]
fn duplicate_members_are_refused_wherever_and_however_they_are_spelt() {
    let duplicate = |part| Some(TokenError::DuplicateMember(part));
    for header in [
        r#"{"alg":"RS256","alg":"RS256"}"#,
        r#"{"alg":"RS256","kid":"a","kid":"b"}"#,
        r#"{"alg":"RS256","\u0061lg":"none"}"#,
        r#"{"alg":"RS256","x":{"y":1,"y":2}}"#,
    ] {
        assert_eq!(
            parse(header, "{}").err(),
            duplicate(Part::Header),
            "{header}"
        );
    }
    for payload in [
        r#"{"exp":1,"exp":1}"#,
        r#"{"iss":"a","i\u0073s":"b"}"#,
        r#"{"a":{"b":1,"b":1}}"#,
        r#"{"a":[{"b":1,"c":2,"b":1}]}"#,
        r#"{"":1,"":2}"#,
    ] {
        assert_eq!(
            parse(HEADER, payload).err(),
            duplicate(Part::Payload),
            "{payload}"
        );
    }
}

#[test]
fn a_header_or_payload_that_is_not_one_json_object_is_refused() {
    let texts = [
        "",
        " ",
        "null",
        "true",
        "1",
        "\"a\"",
        "[]",
        "[{}]",
        "{",
        "}",
        "{}{}",
        "{} x",
        "{},",
        "{}\0",
        "{\"a\":1,}",
        "{'a':1}",
        "{a:1}",
        "{\"a\":NaN}",
        "{\"a\":Infinity}",
        "{\"a\":01}",
        "{\"a\":+1}",
        "{\"a\":.5}",
        "{\"a\":1.}",
        "{\"a\":0x1}",
        "{\"a\":1}//",
        "{/**/}",
        "{\"a\":\"\n\"}",
        "{\"a\":\"\t\"}",
        "{\"a\":\"\\x\"}",
        "\u{feff}{}",
        "{\"a\":\"\\ud800\"}",
        "{\"a\":\"\\udc00\"}",
        "{\"a\":\"\\udc00\\ud800\"}",
        "{\"\\ud800\":1}",
        "{\"a\":\"\\u0000\"}",
        "{\"\\u0000\":1}",
        "{\"a\":[{\"b\":\"x\\u0000y\"}]}",
        "{\"a\":1e400}",
        "{\"a\":-1e400}",
        "{\"a\":1e-20000}",
        "{\"a\":0e-99999}",
        "{\"a\":0e99999999999999999999999}",
        "{\"a\":0e-99999999999999999999999}",
    ];
    for text in texts {
        assert!(is_malformed(parse(text, "{}")), "header {text:?}");
        assert!(is_malformed(parse(HEADER, text)), "payload {text:?}");
    }
    let digits = "9".repeat(5000);
    assert!(is_malformed(parse(
        HEADER,
        &format!("{{\"exp\":{digits}}}")
    )));
    let digits = format!("{{\"a\":0.{}}}", "0".repeat(16_384));
    assert!(is_malformed(parse(HEADER, &digits)));
}

#[test]
fn text_that_is_not_utf_8_is_refused() {
    let cases: [&[u8]; 7] = [
        b"{\"a\":\"\xc0\xaf\"}",
        b"{\"a\":\"\xed\xa0\x80\"}",
        b"{\"a\":\"\xe2\x82\"}",
        b"{\"a\":\"\xe9\"}",
        b"\xff\xfe{\0}\0",
        b"{\0}\0",
        b"\0\0\0{\0\0\0}",
    ];
    for octets in cases {
        assert!(
            is_malformed(parse_octets(HEADER.as_bytes(), octets)),
            "{octets:?}"
        );
        assert!(is_malformed(parse_octets(octets, b"{}")), "{octets:?}");
    }
}

#[test]
fn valid_json_is_accepted_however_it_is_written() {
    for payload in [
        "{}",
        " {\r\n\t\"a\" : 1 } ",
        r#"{"a":"\ud83d\ude00 \uffff \u00e9","é":"\/","__proto__":1}"#,
        r#"{"a":18446744073709551617,"b":-0.0,"c":1E+2,"d":9007199254740993,"e":"1e99999"}"#,
        r#"{"a":"[[[[{{{{","b":"\\\"[","SUB":1,"sub":2}"#,
    ] {
        let token = parse(HEADER, payload).expect(payload);
        assert_eq!(token.claims().payload(), payload);
    }
}

#[test]
fn nesting_is_bounded_and_never_overflows_the_stack() {
    let arrays = |levels: usize| {
        let (open, close) = ("[".repeat(levels), "]".repeat(levels));
        format!("{{\"a\":{open}{close}}}")
    };
    let objects = |levels: usize| format!("{}1{}", "{\"a\":".repeat(levels), "}".repeat(levels));
    for levels in [1, 60, 63] {
        assert!(parse(HEADER, &arrays(levels)).is_ok(), "{levels}");
        assert!(parse(HEADER, &objects(levels + 1)).is_ok(), "{levels}");
    }
    for levels in [64, 65, 127, 128, 200, 100_000] {
        assert!(is_malformed(parse(HEADER, &arrays(levels))), "{levels}");
        assert!(is_malformed(parse(&arrays(levels), "{}")), "{levels}");
        assert!(
            is_malformed(parse(HEADER, &objects(levels + 1))),
            "{levels}"
        );
    }
    assert!(is_malformed(parse(HEADER, &"[".repeat(100_000))));
    assert!(is_malformed(parse(HEADER, &"{\"a\":".repeat(100_000))));
}

#[test]
fn header_members_of_the_wrong_type_are_refused_except_alg_which_is_judged_later() {
    for name in ["kid", "typ", "cty"] {
        for value in [
            json!(null),
            json!(1),
            json!(true),
            json!(["k"]),
            json!({"k": 1}),
        ] {
            let header = json!({"alg": "RS256", name: value}).to_string();
            assert!(is_malformed(parse(&header, "{}")), "{header}");
        }
    }
    for alg in [json!(null), json!(1), json!(["RS256"]), json!({})] {
        let header = json!({"alg": alg}).to_string();
        assert_eq!(parse(&header, "{}").expect("a token").header().alg, None);
    }
    let kid = |length: usize| json!({"alg": "RS256", "kid": "k".repeat(length)}).to_string();
    assert!(parse(&kid(1024), "{}").is_ok());
    assert!(is_malformed(parse(&kid(1025), "{}")));
    assert!(is_malformed(parse(&kid(65_536), "{}")));
}

#[test]
fn registered_claims_are_absent_invalid_or_present() {
    assert_eq!(claims("{}").issuer(), Claim::Absent);
    for value in ["null", "1", "true", "[\"a\"]", "{}", "\"\""] {
        let claims = claims(&format!("{{\"iss\":{value},\"sub\":{value}}}"));
        assert_eq!(claims.issuer(), Claim::Invalid, "{value}");
        assert_eq!(claims.subject(), Claim::Invalid, "{value}");
    }
    for value in [
        "null",
        "\"1\"",
        "true",
        "[1]",
        "{}",
        "253402300800",
        "1e30",
        "1717000300000",
    ] {
        let claims = claims(&format!("{{\"exp\":{value}}}"));
        assert_eq!(claims.expires_at(), Claim::Invalid, "{value}");
    }
    for (value, date) in [
        ("0", 0.0),
        ("-1", -1.0),
        ("1.5e0", 1.5),
        ("253402300799", 253402300799.0),
    ] {
        let claims = claims(&format!("{{\"nbf\":{value}}}"));
        assert_eq!(claims.not_before(), Claim::Present(date), "{value}");
    }
    for value in [
        "null",
        "1",
        "\"\"",
        "[]",
        "[1]",
        "[\"a\",1]",
        "[\"a\",\"\"]",
        "[null]",
        "{}",
        "[[\"a\"]]",
    ] {
        let claims = claims(&format!("{{\"aud\":{value}}}"));
        assert_eq!(claims.audience(), Claim::Invalid, "{value}");
    }
    assert_eq!(
        claims(r#"{"aud":"a"}"#).audience(),
        Claim::Present(vec!["a"])
    );
    assert_eq!(
        claims(r#"{"aud":["a","b"]}"#).audience(),
        Claim::Present(vec!["a", "b"])
    );
}

#[test]
fn nothing_that_is_printed_repeats_the_token() {
    let token = parse(HEADER, r#"{"sub":"secret-subject"}"#).expect("a token");
    let printed = format!("{token:?} {:?}", token.claims());
    assert!(!printed.contains("secret-subject") && !printed.contains(token.encoded_signature()));
    let error = parse(HEADER, r#"{"sub":"secret-subject","sub":1}"#).expect_err("duplicate");
    assert!(!format!("{error} {error:?}").contains("secret"));
}

#[test]
fn hostile_texts_are_refused_in_linear_time() {
    let started = std::time::Instant::now();
    let members: Vec<String> = (0..50_000).map(|n| format!("\"m{n}\":{n}")).collect();
    assert!(parse_object(format!("{{{}}}", members.join(",")), 64).is_ok());
    assert!(Unverified::parse(&".".repeat(1 << 20), 1 << 20).is_err());
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
    fn parsing_never_panics(text in "\\PC{0,200}") {
        let _ = Unverified::parse(&text, LIMIT);
        let _ = parse_object(text.clone(), 64);
        let _ = base64url::decode(&text);
    }

    #[test]
    fn parsing_never_panics_on_what_looks_like_json(text in "[\\[\\]{}\":,.eE+\\-0-9a-c\\\\u ]{0,60}") {
        if let Ok(document) = parse_object(text.clone(), 8) {
            // What we accept, serde_json accepts, and sees the same members.
            let other: serde_json::Value = serde_json::from_str(&text).expect("JSON");
            prop_assert_eq!(serde_json::to_value(document.object()).expect("JSON"), other);
        }
        let _ = parse(HEADER, &text);
        let _ = parse(&text, "{}");
    }

    #[test]
    fn base64url_has_one_text_for_every_octet_string(octets in proptest::collection::vec(any::<u8>(), 0..80), text in "[A-Za-z0-9_=-]{0,12}") {
        prop_assert_eq!(base64url::decode(&base64url::encode(&octets)), Some(octets));
        if let Some(octets) = base64url::decode(&text) {
            prop_assert_eq!(base64url::encode(&octets), text);
        }
    }

    #[test]
    fn what_was_put_in_comes_out(sub in "\\PC{1,40}", exp in -1.0e9..1.0e10_f64) {
        prop_assume!(!sub.contains('\0'));
        let token = parse(HEADER, &json!({"sub": sub, "exp": exp}).to_string()).expect("a token");
        prop_assert_eq!(token.claims().subject(), Claim::Present(sub.as_str()));
        let Claim::Present(date) = token.claims().expires_at() else {
            return Err(TestCaseError::fail("no date"));
        };
        prop_assert!((date - exp).abs() < 1e-5);
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

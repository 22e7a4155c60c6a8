//! What a token's text must be like before anything in it is judged.

#[path = "common/mint.rs"]
#[allow(dead_code)]
mod mint;

use mint::encode;
use pg_third_party_auth::token::{Claim, Claims, Part, TokenError, Unverified, base64url};
use proptest::prelude::*;
use serde_json::json;

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
    assert!(Unverified::parse(&".".repeat(1 << 20), 1 << 20).is_err());
    assert!(started.elapsed().as_secs() < 5);
}

proptest! {
    #[test]
    fn parsing_never_panics(text in "\\PC{0,200}") {
        let _ = Unverified::parse(&text, LIMIT);
        let _ = base64url::decode(&text);
    }

    #[test]
    fn parsing_never_panics_on_what_looks_like_json(text in "[\\[\\]{}\":,.eE+\\-0-9a-c\\\\u ]{0,60}") {
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
}

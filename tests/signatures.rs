//! Signatures that must not verify although they look like good ones, and odd ones that must.

#[path = "common/court.rs"]
#[allow(dead_code)]
mod court;
#[path = "common/mint.rs"]
#[allow(dead_code)]
mod mint;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    RSA_PSS_SHA256, RsaPssSaltLength, RsaSignatureEncoding, UnparsedPublicKey,
};
use court::{ISSUER, Keys, QUESTION, claims, key_set, provider, reason, registry};
use mint::{KeyPair, encode};
use pg_third_party_auth::token::base64url;
use pg_third_party_auth::verify::Reason;
use serde_json::{Value, json};

/// The orders of P-256, P-384 (SEC 2 §2.4.2, §2.5.1) and of Ed25519's base point (RFC 8032 §5.1),
/// big-endian.
const P256_ORDER: &str = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
const P384_ORDER: &str = "ffffffffffffffffffffffffffffffffffffffffffffffff\
                          c7634d81f4372ddf581a0db248b0a77aecec196accc52973";
const ED25519_ORDER: &str = "1000000000000000000000000000000014def9dea2f79cd65812631a5cf5d3ed";

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .bytes()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    let pair = |pair: &[u8]| std::str::from_utf8(pair).map(|text| u8::from_str_radix(text, 16));
    digits
        .chunks(2)
        .map(|digits| pair(digits).expect("ASCII").expect("hex"))
        .collect()
}

/// Big-endian addition and subtraction modulo 256 to the length.
fn add(left: &[u8], right: &[u8]) -> Vec<u8> {
    let mut carry = 0;
    let octets = left
        .iter()
        .rev()
        .zip(right.iter().rev())
        .map(|(left, right)| {
            carry += u16::from(*left) + u16::from(*right);
            let octet = carry as u8;
            carry >>= 8;
            octet
        });
    let mut sum: Vec<u8> = octets.collect();
    sum.reverse();
    sum
}

fn subtract(left: &[u8], right: &[u8]) -> Vec<u8> {
    let complement: Vec<u8> = right.iter().map(|octet| !octet).collect();
    let mut one = vec![0; right.len()];
    one[right.len() - 1] = 1;
    add(&add(left, &complement), &one)
}

fn verdict(jwk: &Value, token: &str) -> Option<Reason> {
    let registry = registry(vec![provider("oidc", "oidc", ISSUER)]);
    let mut keys = Keys::of("oidc", key_set(std::slice::from_ref(jwk)));
    reason(token, &registry, &QUESTION, &mut keys)
}

fn signed(alg: &str) -> (KeyPair, String) {
    let pair = match alg {
        "ES256" => KeyPair::p256(),
        "ES384" => KeyPair::p384(),
        "EdDSA" => KeyPair::ed25519(),
        _ => KeyPair::rsa(),
    };
    let token = pair.sign(&json!({"alg": alg, "kid": "k"}), &claims());
    (pair, token)
}

fn parts(token: &str) -> (&str, Vec<u8>) {
    let (input, signature) = token.rsplit_once('.').expect("a dot");
    (input, base64url::decode(signature).expect("base64url"))
}

#[test]
fn a_changed_signature_header_or_payload_is_refused() {
    for alg in ["RS256", "PS256", "ES256", "ES384", "EdDSA"] {
        let (pair, token) = signed(alg);
        let jwk = pair.jwk("k", None);
        let (input, signature) = parts(&token);
        assert_eq!(verdict(&jwk, &token), None, "{alg}");
        let refused = |input: &str, signature: &[u8], what: &str| {
            let verdict = verdict(&jwk, &format!("{input}.{}", encode(signature)));
            assert_eq!(verdict, Some(Reason::BadSignature), "{alg} {what}");
        };
        for bit in (0..signature.len() * 8).step_by(37) {
            let mut flipped = signature.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            refused(input, &flipped, "bit flip");
        }
        let length = signature.len();
        refused(input, &signature[..length - 1], "short");
        refused(input, &signature[1..], "without the first octet");
        refused(input, &[&signature[..], &[0]].concat(), "long");
        refused(input, &[&[0], &signature[..]].concat(), "a zero in front");
        refused(input, &vec![0; length], "zeros");
        refused(input, &vec![0xff; length], "ones");
        refused(input, &[0], "one octet");
        let other = pair.sign(&json!({"alg": alg, "kid": "k"}), &json!({"iss": ISSUER}));
        refused(input, &parts(&other).1, "transplant");
        let mut changed = claims();
        changed["sub"] = json!("user_2");
        let header = input.split('.').next().expect("a header");
        refused(
            &format!("{header}.{}", encode(changed.to_string().as_bytes())),
            &signature,
            "payload",
        );
        let header = json!({"alg": alg, "kid": "k", "typ": "JWT"}).to_string();
        let payload = input.split('.').nth(1).expect("a payload");
        refused(
            &format!("{}.{payload}", encode(header.as_bytes())),
            &signature,
            "header",
        );
    }
}

#[test]
fn ecdsa_numbers_outside_the_range_and_other_encodings_are_refused() {
    for (alg, order) in [("ES256", hex(P256_ORDER)), ("ES384", hex(P384_ORDER))] {
        let (pair, token) = signed(alg);
        let jwk = pair.jwk("k", None);
        let (input, signature) = parts(&token);
        let size = order.len();
        let (r, s) = signature.split_at(size);
        let zero = vec![0; size];
        let mut one = zero.clone();
        one[size - 1] = 1;
        let below = subtract(&order, &one);
        let small = [&zero, &one, &below, &order];
        for left in small {
            for right in small {
                let verdict = verdict(
                    &jwk,
                    &format!("{input}.{}", encode(&[&left[..], right].concat())),
                );
                assert_eq!(verdict, Some(Reason::BadSignature), "{alg}");
            }
            for pair in [[r, &left[..]].concat(), [&left[..], s].concat()] {
                let verdict = verdict(&jwk, &format!("{input}.{}", encode(&pair)));
                assert_eq!(verdict, Some(Reason::BadSignature), "{alg}");
            }
        }
        let mut der = vec![0x30, (2 * size + 4) as u8, 2, size as u8];
        der.extend(r);
        der.extend([2, size as u8]);
        der.extend(s);
        for odd in [
            [s, r].concat(),
            [&add(r, &order)[..], s].concat(),
            [r, &add(s, &order)[..]].concat(),
            [&[0], r, &[0], s].concat(),
            der,
        ] {
            let verdict = verdict(&jwk, &format!("{input}.{}", encode(&odd)));
            assert_eq!(verdict, Some(Reason::BadSignature), "{alg}");
        }
        // The twin with n−s is as valid as the original (RFC 7518 §3.4 does not exclude it).
        let twin = [r, &subtract(&order, s)[..]].concat();
        assert_eq!(
            verdict(&jwk, &format!("{input}.{}", encode(&twin))),
            None,
            "{alg}"
        );
    }
}

#[test]
fn ecdsa_signatures_that_begin_with_zero_are_accepted_and_never_stripped() {
    let (pair, header) = (KeyPair::p256(), json!({"alg": "ES256", "kid": "k"}));
    let found = (0..20_000)
        .map(|_| pair.sign(&header, &claims()))
        .find(|token| parts(token).1[0] == 0);
    let token = found.expect("one in 256 signatures");
    let jwk = pair.jwk("k", None);
    assert_eq!(verdict(&jwk, &token), None);
    let (input, signature) = parts(&token);
    let stripped = format!("{input}.{}", encode(&signature[1..]));
    assert_eq!(verdict(&jwk, &stripped), Some(Reason::BadSignature));
}

#[test]
fn ed25519_signatures_are_canonical_and_not_of_small_order() {
    let (pair, token) = signed("EdDSA");
    let jwk = pair.jwk("k", None);
    let (input, signature) = parts(&token);
    let (r, s) = signature.split_at(32);
    let reversed = |octets: &[u8]| octets.iter().rev().copied().collect::<Vec<u8>>();
    let order = reversed(&hex(ED25519_ORDER));
    let mut plus = reversed(s);
    let mut odd = Vec::new();
    for _ in 0..8 {
        plus = add(&plus, &hex(ED25519_ORDER));
        odd.push([r, &reversed(&plus)[..]].concat());
    }
    odd.extend([
        [s, r].concat(),
        [r, &order[..]].concat(),
        [r, &[0; 32]].concat(),
    ]);
    let mut identity = [0; 32];
    identity[0] = 1;
    for small in [[0; 32], identity, [0xff; 32]] {
        odd.push([&small[..], &[0; 32]].concat());
        odd.push([&small[..], s].concat());
    }
    for signature in odd {
        let verdict = verdict(&jwk, &format!("{input}.{}", encode(&signature)));
        assert_eq!(verdict, Some(Reason::BadSignature));
    }
    // Ed25519ph signs the digest (RFC 8032 §5.1).
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA512, input.as_bytes());
    let prehashed = encode(&pair.signature("EdDSA", digest.as_ref()));
    assert_eq!(
        verdict(&jwk, &format!("{input}.{prehashed}")),
        Some(Reason::BadSignature)
    );
}

#[test]
fn pss_salts_of_another_length_than_the_digest_are_refused() {
    static EMPTY: RsaSignatureEncoding =
        RSA_PSS_SHA256.with_pss_salt_length(RsaPssSaltLength::Custom(0));
    static TWENTY: RsaSignatureEncoding =
        RSA_PSS_SHA256.with_pss_salt_length(RsaPssSaltLength::Custom(20));
    static DIGEST: RsaSignatureEncoding =
        RSA_PSS_SHA256.with_pss_salt_length(RsaPssSaltLength::Digest);
    static MAX: RsaSignatureEncoding = RSA_PSS_SHA256.with_pss_salt_length(RsaPssSaltLength::Max);
    let (pair, token) = signed("PS256");
    let jwk = pair.jwk("k", None);
    let (input, _) = parts(&token);
    let KeyPair::Rsa(rsa) = &pair else {
        panic!("an RSA key")
    };
    let bad = Some(Reason::BadSignature);
    for (encoding, expected) in [(&EMPTY, bad), (&TWENTY, bad), (&DIGEST, None), (&MAX, bad)] {
        let mut signature = vec![0; rsa.public_modulus_len()];
        rsa.sign(
            encoding,
            &SystemRandom::new(),
            input.as_bytes(),
            &mut signature,
        )
        .expect("a signature");
        let verdict = verdict(&jwk, &format!("{input}.{}", encode(&signature)));
        assert_eq!(verdict, expected);
    }
}

#[test]
fn rsa_encodings_that_rfc_8017_forbids_are_refused() {
    let vectors: Value = serde_json::from_str(include_str!("vectors/rsa.json")).expect("JSON");
    let input = vectors["input"].as_str().expect("a text");
    for (jwk, cases) in [("jwk", "cases"), ("jwk_e3", "cases_e3")] {
        for case in vectors[cases].as_array().expect("an array") {
            let signature = case["signature"].as_str().expect("a text");
            let verdict = verdict(&vectors[jwk], &format!("{input}.{signature}"));
            let expected = (case["owed"] != true).then_some(Reason::BadSignature);
            assert_eq!(verdict, expected, "{}", case["name"]);
        }
    }
    let leading_zero = &vectors["leading_zero"];
    assert_eq!(
        verdict(
            &vectors["jwk"],
            leading_zero["token"].as_str().expect("a text")
        ),
        None
    );
    let stripped = leading_zero["stripped"].as_str().expect("a text");
    assert_eq!(
        verdict(&vectors["jwk"], stripped),
        Some(Reason::BadSignature)
    );
}

#[test]
fn the_examples_of_rfc_7515_and_rfc_8037_are_no_tokens_to_believe() {
    // RFC 7515 appendix A.3 and RFC 8037 appendix A.4: the signatures are good, the tokens are none
    // that could be believed.
    let es256 = json!({"kty": "EC", "crv": "P-256",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"});
    let token = concat!(
        "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.",
        "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
    );
    let mut joe = provider("oidc", "oidc", "joe");
    joe.audiences = pg_third_party_auth::provider::Audiences::NotChecked;
    let registry = registry(vec![joe]);
    let question = pg_third_party_auth::verify::Question {
        now: 1_300_000_000.0,
        ..QUESTION
    };
    let mut keys = Keys::of("oidc", key_set(&[es256]));
    // It names no subject, and that rule comes before the key.
    assert_eq!(
        reason(token, &registry, &question, &mut keys),
        Some(Reason::MissingClaim)
    );
    let ed = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
    let signature =
        "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
    let input = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
    let key = UnparsedPublicKey::new(
        &aws_lc_rs::signature::ED25519,
        base64url::decode(ed).expect("base64url"),
    );
    assert!(
        key.verify(
            input.as_bytes(),
            &base64url::decode(signature).expect("base64url")
        )
        .is_ok()
    );
    let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": ed});
    let not_json = verdict(&jwk, &format!("{input}.{signature}"));
    assert_eq!(not_json, Some(Reason::Malformed));
}

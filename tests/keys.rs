//! Which keys of a JWKS are used.

#[path = "common/mint.rs"]
#[allow(dead_code)]
mod mint;

use aws_lc_rs::rsa::KeySize;
use mint::{KeyPair, encode, jwks};
use pg_third_party_auth::keys::{KeyProblem, SetError, read};
use pg_third_party_auth::token::base64url;
use serde_json::{Value, json};
use std::sync::LazyLock;

static RSA: LazyLock<Value> = LazyLock::new(|| KeyPair::rsa().jwk("rsa", None));
static P256: LazyLock<Value> = LazyLock::new(|| KeyPair::p256().jwk("p256", None));
static P384: LazyLock<Value> = LazyLock::new(|| KeyPair::p384().jwk("p384", None));
static ED25519: LazyLock<Value> = LazyLock::new(|| KeyPair::ed25519().jwk("ed", None));

/// The JWK with some members replaced; null takes a member out, the text "null" makes it null.
fn with(jwk: &Value, changes: Value) -> Value {
    let mut jwk = jwk.clone();
    let members = jwk.as_object_mut().expect("an object");
    for (name, value) in changes.as_object().expect("an object") {
        match value {
            Value::Null => members.remove(name),
            Value::String(text) if text == "null" => members.insert(name.clone(), Value::Null),
            value => members.insert(name.clone(), value.clone()),
        };
    }
    jwk
}

/// Why a set of this one key is refused; `None` if it is used.
fn problem(jwk: &Value) -> Option<KeyProblem> {
    match read(&jwks(std::slice::from_ref(jwk))) {
        Ok(reading) => {
            assert_eq!(reading.skipped, []);
            None
        }
        Err(SetError::NoUsableKey { skipped }) => Some(skipped[0].problem),
        Err(other) => panic!("{other}"),
    }
}

fn octets(jwk: &Value, member: &str) -> Vec<u8> {
    base64url::decode(jwk[member].as_str().expect("a text")).expect("base64url")
}

#[test]
fn good_keys_are_used_with_and_without_alg_use_and_key_ops() {
    let algs = [
        (&RSA, "RS256"),
        (&P256, "ES256"),
        (&P384, "ES384"),
        (&ED25519, "EdDSA"),
    ];
    for (jwk, alg) in algs {
        for changes in [
            json!({}),
            json!({"use": null}),
            json!({"alg": alg}),
            json!({"kid": null}),
            json!({"use": null, "key_ops": ["verify"]}),
            json!({"key_ops": ["sign", "verify"]}),
            json!({"x5c": ["!"], "x5t": 1, "x5u": "http://x", "ext": true, "issuer": "i", "nbf": 1}),
        ] {
            assert_eq!(
                problem(&with(jwk, changes.clone())),
                None,
                "{alg} {changes}"
            );
        }
    }
    assert_eq!(problem(&with(&ED25519, json!({"alg": "Ed25519"}))), None);
    for alg in ["RS384", "RS512", "PS256", "PS384", "PS512"] {
        assert_eq!(problem(&with(&RSA, json!({"alg": alg}))), None, "{alg}");
    }
}

#[test]
fn an_alg_that_is_unknown_or_does_not_fit_the_key_is_not_the_same_as_none() {
    let algs = [
        "HS256", "RSA-OAEP", "none", "rs256", "ES512", "ECDH-ES", "", "ES256K", "null",
    ];
    for jwk in [&RSA, &P256, &P384, &ED25519] {
        for alg in algs {
            let jwk = with(jwk, json!({"alg": alg}));
            assert_eq!(problem(&jwk), Some(KeyProblem::Algorithm), "{alg}");
        }
        for alg in [json!(1), json!(["RS256"]), json!({})] {
            let jwk = with(jwk, json!({"alg": alg}));
            assert_eq!(problem(&jwk), Some(KeyProblem::Algorithm));
        }
    }
    for (jwk, alg) in [
        (&P256, "ES384"),
        (&P384, "ES256"),
        (&RSA, "ES256"),
        (&P256, "RS256"),
        (&ED25519, "ES256"),
        (&RSA, "EdDSA"),
        (&P256, "Ed25519"),
    ] {
        let jwk = with(jwk, json!({"alg": alg}));
        assert_eq!(problem(&jwk), Some(KeyProblem::Algorithm), "{alg}");
    }
}

#[test]
fn keys_for_other_uses_are_skipped() {
    for usage in [
        json!("enc"),
        json!("SIG"),
        json!(""),
        json!("other"),
        json!("null"),
        json!(1),
        json!(["sig"]),
    ] {
        let jwk = with(&RSA, json!({"use": usage}));
        assert_eq!(problem(&jwk), Some(KeyProblem::Use), "{usage}");
    }
    for ops in [
        json!([]),
        json!("verify"),
        json!("null"),
        json!(["sign"]),
        json!(["encrypt"]),
        json!(["verify", "encrypt"]),
        json!(["verify", "verify"]),
        json!(["Verify"]),
        json!(["verify", 1]),
        json!(["verify", "deriveKey"]),
        json!({"verify": true}),
        json!(["wrapKey"]),
        json!(["verify", "sign", "sign"]),
    ] {
        let jwk = with(&RSA, json!({"key_ops": ops}));
        assert_eq!(problem(&jwk), Some(KeyProblem::KeyOps), "{ops}");
    }
}

#[test]
fn private_and_symmetric_keys_are_never_kept() {
    for member in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] {
        for jwk in [&RSA, &P256, &ED25519] {
            let found = problem(&with(jwk, json!({member: "AQAB"})));
            assert_eq!(found, Some(KeyProblem::Private(member)));
        }
    }
    for oct in [
        json!({"kty": "oct", "k": "c2VjcmV0"}),
        json!({"kty": "oct", "k": "", "alg": "HS256"}),
        json!({"kty": "oct", "k": "c2VjcmV0", "alg": "RS256", "kid": "k"}),
        json!({"kty": "oct"}),
    ] {
        assert_eq!(problem(&oct), Some(KeyProblem::Symmetric));
    }
}

#[test]
fn kty_and_members_have_to_belong_together() {
    for kty in [
        json!(null),
        json!("null"),
        json!("rsa"),
        json!("RSA "),
        json!(""),
        json!(1),
        json!(["RSA"]),
        json!("AKP"),
    ] {
        let jwk = with(&RSA, json!({"kty": kty}));
        assert_eq!(problem(&jwk), Some(KeyProblem::UnknownType), "{kty}");
    }
    for (jwk, kty) in [
        (&RSA, "EC"),
        (&RSA, "OKP"),
        (&P256, "RSA"),
        (&P256, "OKP"),
        (&ED25519, "RSA"),
        (&ED25519, "EC"),
    ] {
        assert!(problem(&with(jwk, json!({"kty": kty}))).is_some(), "{kty}");
    }
    assert_eq!(
        problem(&with(&RSA, json!({"crv": "P-256"}))),
        Some(KeyProblem::ForeignMember("crv"))
    );
    assert_eq!(
        problem(&with(&P256, json!({"n": "AQAB"}))),
        Some(KeyProblem::ForeignMember("n"))
    );
    for kid in [json!(1), json!("null"), json!(["k"]), json!({})] {
        assert_eq!(
            problem(&with(&RSA, json!({"kid": kid}))),
            Some(KeyProblem::Kid),
            "{kid}"
        );
    }
    let long = "k".repeat(1025);
    assert_eq!(
        problem(&with(&RSA, json!({"kid": long}))),
        Some(KeyProblem::KidTooLong)
    );
}

#[test]
fn rsa_sizes_and_exponents_outside_the_bounds_are_refused() {
    let n = octets(&RSA, "n");
    let sized = |octets: usize, first: u8| {
        let mut n = n.clone();
        n.resize(octets, 0x55);
        n[0] = first;
        encode(&n)
    };
    for (text, bits) in [
        (sized(64, 0x80), 512),
        (sized(128, 0x80), 1024),
        (sized(256, 0x7f), 2047),
        (sized(1025, 0x01), 8193),
        (sized(2048, 0x80), 16384),
        (encode(&[1]), 1),
    ] {
        let jwk = with(&RSA, json!({"n": text}));
        assert_eq!(problem(&jwk), Some(KeyProblem::ModulusSize(bits)));
    }
    let mut even = n.clone();
    *even.last_mut().expect("an octet") &= 0xfe;
    assert_eq!(
        problem(&with(&RSA, json!({"n": encode(&even)}))),
        Some(KeyProblem::ModulusFactor)
    );
    for e in [
        vec![0],
        vec![1],
        vec![2],
        vec![1, 0, 0],
        vec![3, 0, 0, 0, 1],
        vec![0xff; 256],
        vec![0, 1],
    ] {
        let jwk = with(&RSA, json!({"e": encode(&e)}));
        assert_eq!(problem(&jwk), Some(KeyProblem::Exponent), "{e:?}");
    }
    for e in [vec![3], vec![17], vec![1, 0, 1], vec![0xff; 4]] {
        assert_eq!(
            problem(&with(&RSA, json!({"e": encode(&e)}))),
            None,
            "{e:?}"
        );
    }
    let text = RSA["n"].as_str().expect("a text");
    let standard = text.replace('-', "+").replace('_', "/") + "+";
    for bad in [
        json!(""),
        json!(null),
        json!(1),
        json!(format!("{text}=")),
        json!(standard),
        json!(format!(" {text}")),
        json!("AB"),
    ] {
        let jwk = with(&RSA, json!({"n": bad}));
        assert_eq!(problem(&jwk), Some(KeyProblem::Member("n")), "{bad}");
    }
}

#[test]
fn one_leading_zero_octet_of_a_modulus_is_the_same_key_and_two_are_none() {
    let n = octets(&RSA, "n");
    let one = with(&RSA, json!({"n": encode(&[&[0], &n[..]].concat())}));
    let two = with(&RSA, json!({"n": encode(&[&[0, 0], &n[..]].concat())}));
    let thumbprint = |jwk: &Value| {
        read(&jwks(std::slice::from_ref(jwk)))
            .expect("a key")
            .keys
            .keys[0]
            .thumbprint
    };
    assert_eq!(thumbprint(&one), thumbprint(&RSA));
    assert_eq!(problem(&two), Some(KeyProblem::Member("n")));
}

#[test]
fn a_modulus_with_the_roca_fingerprint_is_refused() {
    // The product of the primes up to 167, shifted, plus 65537: 65537 modulo each of them.
    let mut number = vec![0_u8; 256];
    number[255] = 1;
    let multiply = |number: &mut Vec<u8>, factor: u32| {
        let mut carry = 0_u32;
        for octet in number.iter_mut().rev() {
            carry += u32::from(*octet) * factor;
            *octet = carry as u8;
            carry >>= 8;
        }
    };
    for prime in (2..=167_u32).filter(|n| (2..*n).all(|d| n % d != 0)) {
        multiply(&mut number, prime);
    }
    while number[0] < 0x80 {
        multiply(&mut number, 2);
    }
    // The product is even and ends in zero bits: adding does not carry further than three octets.
    for (place, octet) in [(255, 1), (253, 1)] {
        let (sum, overflow) = number[place].overflowing_add(octet);
        assert!(!overflow);
        number[place] = sum;
    }
    let jwk = with(&RSA, json!({"n": encode(&number)}));
    assert_eq!(problem(&jwk), Some(KeyProblem::Roca));
    number[255] = number[255].wrapping_add(2);
    assert_ne!(
        problem(&with(&RSA, json!({"n": encode(&number)}))),
        Some(KeyProblem::Roca)
    );
}

#[test]
fn elliptic_curve_keys_have_to_be_points_with_coordinates_of_full_length() {
    for crv in [
        json!(null),
        json!("P-384"),
        json!("P-521"),
        json!("secp256k1"),
        json!("p-256"),
        json!("Ed25519"),
        json!(1),
    ] {
        assert!(
            problem(&with(&P256, json!({"crv": crv}))).is_some(),
            "{crv}"
        );
    }
    let (x, y) = (octets(&P256, "x"), octets(&P256, "y"));
    let mut off = y.clone();
    off[31] ^= 1;
    let cases = [
        (x.clone(), off, KeyProblem::NotOnCurve),
        (vec![0; 32], vec![0; 32], KeyProblem::NotOnCurve),
        (vec![0xff; 32], vec![0xff; 32], KeyProblem::NotOnCurve),
        (y.clone(), x.clone(), KeyProblem::NotOnCurve),
        (x[1..].to_vec(), y.clone(), KeyProblem::CoordinateLength),
        (
            [&[0], &x[..]].concat(),
            y.clone(),
            KeyProblem::CoordinateLength,
        ),
        (
            [&x[..], &y[..1]].concat(),
            y[1..].to_vec(),
            KeyProblem::CoordinateLength,
        ),
        (
            x.clone(),
            [&y[..], &[0]].concat(),
            KeyProblem::CoordinateLength,
        ),
    ];
    for (x, y, expected) in cases {
        let jwk = with(&P256, json!({"x": encode(&x), "y": encode(&y)}));
        assert_eq!(problem(&jwk), Some(expected));
    }
    assert_eq!(
        problem(&with(&P256, json!({"y": null}))),
        Some(KeyProblem::Member("y"))
    );
    assert_eq!(
        problem(&with(&P256, json!({"x": ""}))),
        Some(KeyProblem::Member("x"))
    );
    let shifted = with(&P384, json!({"x": P256["x"], "y": P256["y"]}));
    assert_eq!(problem(&shifted), Some(KeyProblem::CoordinateLength));
}

#[test]
fn coordinates_that_begin_with_zero_are_used() {
    let found = (0..20_000)
        .map(|_| KeyPair::p256().jwk("k", None))
        .find(|jwk| octets(jwk, "x")[0] == 0);
    assert_eq!(problem(&found.expect("one in 256 keys")), None);
}

#[test]
fn ed25519_keys_have_to_be_canonical_points_of_large_order() {
    let ed = |octets: &[u8]| with(&ED25519, json!({"x": encode(octets)}));
    for length in [1, 31, 33, 57, 64] {
        assert_eq!(
            problem(&ed(&vec![9; length])),
            Some(KeyProblem::CoordinateLength)
        );
    }
    assert_eq!(
        problem(&with(&ED25519, json!({"x": ""}))),
        Some(KeyProblem::Member("x"))
    );
    for crv in [
        json!(null),
        json!("Ed448"),
        json!("X25519"),
        json!("P-256"),
        json!("ed25519"),
    ] {
        let jwk = with(&ED25519, json!({"crv": crv}));
        assert_eq!(problem(&jwk), Some(KeyProblem::Curve), "{crv}");
    }
    let point = |hex: &str| -> Vec<u8> {
        (0..32)
            .map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).expect("hex"))
            .collect()
    };
    // The eight points of small order (five y coordinates, both signs), from RFC 8032 §5.1 arithmetic.
    for hex in [
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0000000000000000000000000000000000000000000000000000000000000080",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000080",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    ] {
        assert_eq!(
            problem(&ed(&point(hex))),
            Some(KeyProblem::SmallOrder),
            "{hex}"
        );
    }
    // p, p+1, 2²⁵⁵−1: the same numbers written a second time; and y = 2, which has no x.
    for hex in [
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "0200000000000000000000000000000000000000000000000000000000000000",
    ] {
        assert_eq!(
            problem(&ed(&point(hex))),
            Some(KeyProblem::NotOnCurve),
            "{hex}"
        );
    }
}

#[test]
fn every_generated_key_is_admitted_and_half_of_all_octets_are_no_point() {
    let mut refused = 0;
    for number in 0..200_u8 {
        assert_eq!(problem(&KeyPair::ed25519().jwk("k", None)), None);
        let mut octets = [number.wrapping_mul(31); 32];
        octets[0] = number;
        octets[31] &= 0x7f;
        let jwk = with(&ED25519, json!({"x": encode(&octets)}));
        refused += usize::from(problem(&jwk).is_some());
    }
    assert!((60..140).contains(&refused), "{refused}");
}

#[test]
fn larger_rsa_keys_are_used() {
    for size in [KeySize::Rsa3072, KeySize::Rsa4096] {
        assert_eq!(
            problem(&KeyPair::rsa_of(size).jwk("k", Some("PS512"))),
            None
        );
    }
}

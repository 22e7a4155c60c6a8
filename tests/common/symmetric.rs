//! Tokens with a symmetric signature, and everything about a public key that a careless verifier might
//! take for the secret.

use crate::mint::{KeyPair, encode};
use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::signature::KeyPair as _;
use aws_lc_rs::{digest, hmac};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

/// The symmetric algorithms (RFC 7518 §3.2).
pub const ALGORITHMS: [&str; 3] = ["HS256", "HS384", "HS512"];

/// A text that could be the secret, under a name.
pub type Serialisation = (&'static str, Vec<u8>);

/// A token that is signed with the header's `alg`; HS256 if that is none of [`ALGORITHMS`].
pub fn sign(header: &Value, claims: &Value, secret: &[u8]) -> String {
    sign_as(
        header["alg"].as_str().unwrap_or_default(),
        header,
        claims,
        secret,
    )
}

/// A token that is signed with an algorithm, whatever its header says.
pub fn sign_as(alg: &str, header: &Value, claims: &Value, secret: &[u8]) -> String {
    let kind = match alg {
        "HS384" => hmac::HMAC_SHA384,
        "HS512" => hmac::HMAC_SHA512,
        _ => hmac::HMAC_SHA256,
    };
    let part = |value: &Value| encode(value.to_string().as_bytes());
    let input = format!("{}.{}", part(header), part(claims));
    let tag = hmac::sign(&hmac::Key::new(kind, secret), input.as_bytes());
    format!("{input}.{}", encode(tag.as_ref()))
}

/// What a public key can be written as: numbers, DER, PEM, JWK.
pub fn serialisations(pair: &KeyPair) -> Vec<Serialisation> {
    let jwk = pair.jwk("key-1", None);
    let mut all = match pair {
        KeyPair::Rsa(rsa) => {
            let spki: PublicKeyX509Der<'_> = rsa.public_key().as_der().expect("DER");
            let pkcs1 = rsa.public_key().as_ref();
            let mut all = numbers(&jwk);
            all.extend(encodings("RSA PUBLIC KEY", pkcs1));
            all.extend(encodings("PUBLIC KEY", spki.as_ref()));
            all
        }
        KeyPair::P256(ec) | KeyPair::P384(ec) => {
            let spki: PublicKeyX509Der<'_> = ec.public_key().as_der().expect("DER");
            let point = ec.public_key().as_ref();
            let mut all = vec![("point", point.to_vec()), ("x, y", point[1..].to_vec())];
            all.extend(encodings("PUBLIC KEY", spki.as_ref()));
            all
        }
        KeyPair::Ed25519(ed) => {
            let spki: PublicKeyX509Der<'_> = ed.public_key().as_der().expect("DER");
            let mut all = vec![("x", ed.public_key().as_ref().to_vec())];
            all.extend(encodings("PUBLIC KEY", spki.as_ref()));
            all
        }
    };
    all.extend(texts_of_jwk(&jwk));
    all
}

/// An RSA key's modulus and exponent.
fn numbers(jwk: &Value) -> Vec<Serialisation> {
    let text = |name: &str| jwk[name].as_str().expect("a text").to_owned();
    let octets = |name: &str| URL_SAFE_NO_PAD.decode(text(name)).expect("base64url");
    let (n, e) = (octets("n"), octets("e"));
    let hex: String = n.iter().map(|octet| format!("{octet:02x}")).collect();
    // RFC 4253 §6.6: each number behind its length, with a sign octet.
    let signed = [&[0], &n[..]].concat();
    let field = |octets: &[u8]| [&(octets.len() as u32).to_be_bytes(), octets].concat();
    let ssh = [field(b"ssh-rsa"), field(&e), field(&signed)].concat();
    let line = format!("ssh-rsa {}", STANDARD.encode(&ssh));
    vec![
        ("n", n.clone()),
        ("n with a sign octet", signed),
        ("n, least octet first", n.iter().rev().copied().collect()),
        ("n in base64url", text("n").into_bytes()),
        ("n in base64", STANDARD.encode(&n).into_bytes()),
        ("n in hex", hex.clone().into_bytes()),
        ("n in capital hex", hex.to_uppercase().into_bytes()),
        ("n, e", [&n[..], &e].concat()),
        ("SSH", ssh),
        ("SSH, a line", line.into_bytes()),
    ]
}

/// DER, and what is made of it.
fn encodings(label: &str, der: &[u8]) -> Vec<Serialisation> {
    let base64 = STANDARD.encode(der);
    let lines: Vec<_> = base64.as_bytes().chunks(64).collect();
    let pem = |between: &str| {
        let body: Vec<_> = lines
            .iter()
            .map(|line| String::from_utf8_lossy(line))
            .collect();
        let body = body.join(between);
        format!("-----BEGIN {label}-----{between}{body}{between}-----END {label}-----")
    };
    vec![
        ("DER", der.to_vec()),
        ("DER in base64", base64.clone().into_bytes()),
        ("PEM", format!("{}\n", pem("\n")).into_bytes()),
        ("PEM without the last line break", pem("\n").into_bytes()),
        ("PEM with CRLF", format!("{}\r\n", pem("\r\n")).into_bytes()),
        ("PEM in an environment variable", pem("\\n").into_bytes()),
        ("PEM on one line", pem("").into_bytes()),
    ]
}

fn texts_of_jwk(jwk: &Value) -> Vec<Serialisation> {
    // The members that RFC 7638 §3.2 digests, in its order: serde_json sorts them.
    let mut required = jwk.clone();
    for name in ["alg", "kid", "use"] {
        required.as_object_mut().expect("an object").remove(name);
    }
    let required = required.to_string();
    let thumbprint = digest::digest(&digest::SHA256, required.as_bytes());
    let pretty = serde_json::to_string_pretty(jwk).expect("JSON");
    vec![
        ("JWK", jwk.to_string().into_bytes()),
        ("JWK on several lines", pretty.into_bytes()),
        ("JWK, required members", required.into_bytes()),
        ("JWK Set", json!({ "keys": [jwk] }).to_string().into_bytes()),
        ("thumbprint", thumbprint.as_ref().to_vec()),
        (
            "thumbprint in base64url",
            encode(thumbprint.as_ref()).into_bytes(),
        ),
        ("its id", b"key-1".to_vec()),
        ("nothing", Vec::new()),
    ]
}

//! Key pairs and tokens for tests and demonstrations: an issuer in a few lines.
//!
//! Tokens are put together by hand, so that odd ones can be made too.

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

/// A private key and its public half.
pub enum KeyPair {
    /// RSA
    Rsa(RsaKeyPair),
    /// ECDSA on P-256
    P256(EcdsaKeyPair),
    /// ECDSA on P-384
    P384(EcdsaKeyPair),
    /// Ed25519
    Ed25519(Ed25519KeyPair),
}

impl KeyPair {
    /// A new RSA key of 2048 bits. It takes a tenth of a second: keep it.
    pub fn rsa() -> KeyPair {
        KeyPair::rsa_of(KeySize::Rsa2048)
    }

    /// A new RSA key.
    pub fn rsa_of(size: KeySize) -> KeyPair {
        KeyPair::Rsa(RsaKeyPair::generate(size).expect("an RSA key"))
    }

    /// A new P-256 key.
    pub fn p256() -> KeyPair {
        let algorithm = &signature::ECDSA_P256_SHA256_FIXED_SIGNING;
        KeyPair::P256(EcdsaKeyPair::generate(algorithm).expect("a P-256 key"))
    }

    /// A new P-384 key.
    pub fn p384() -> KeyPair {
        let algorithm = &signature::ECDSA_P384_SHA384_FIXED_SIGNING;
        KeyPair::P384(EcdsaKeyPair::generate(algorithm).expect("a P-384 key"))
    }

    /// A new Ed25519 key.
    pub fn ed25519() -> KeyPair {
        KeyPair::Ed25519(Ed25519KeyPair::generate().expect("an Ed25519 key"))
    }

    /// A new key for this algorithm, if it is one that [`algorithm`](KeyPair::algorithm) can answer.
    pub fn of_algorithm(alg: &str) -> Option<KeyPair> {
        Some(match alg {
            "RS256" => KeyPair::rsa(),
            "ES256" => KeyPair::p256(),
            "ES384" => KeyPair::p384(),
            "EdDSA" => KeyPair::ed25519(),
            _ => return None,
        })
    }

    /// The private key as PKCS #8 (RFC 5208).
    pub fn to_pkcs8(&self) -> Vec<u8> {
        let document = match self {
            KeyPair::Rsa(pair) => {
                let der: Pkcs8V1Der<'_> = pair.as_der().expect("PKCS #8");
                return der.as_ref().to_vec();
            }
            KeyPair::P256(pair) | KeyPair::P384(pair) => pair.to_pkcs8v1(),
            KeyPair::Ed25519(pair) => pair.to_pkcs8v1(),
        };
        document.expect("PKCS #8").as_ref().to_vec()
    }

    /// The key of this algorithm that [`to_pkcs8`](KeyPair::to_pkcs8) gave; `None` if it is no such key.
    pub fn from_pkcs8(alg: &str, der: &[u8]) -> Option<KeyPair> {
        let ecdsa = |curve| EcdsaKeyPair::from_pkcs8(curve, der).ok();
        match alg {
            "RS256" => RsaKeyPair::from_pkcs8(der).ok().map(KeyPair::Rsa),
            "ES256" => ecdsa(&signature::ECDSA_P256_SHA256_FIXED_SIGNING).map(KeyPair::P256),
            "ES384" => ecdsa(&signature::ECDSA_P384_SHA384_FIXED_SIGNING).map(KeyPair::P384),
            "EdDSA" => Ed25519KeyPair::from_pkcs8(der).ok().map(KeyPair::Ed25519),
            _ => None,
        }
    }

    /// The algorithm that `sign` uses unless the header names another one.
    pub fn algorithm(&self) -> &'static str {
        match self {
            KeyPair::Rsa(_) => "RS256",
            KeyPair::P256(_) => "ES256",
            KeyPair::P384(_) => "ES384",
            KeyPair::Ed25519(_) => "EdDSA",
        }
    }

    /// The public half as a JWK; an empty `kid` leaves the member out.
    pub fn jwk(&self, kid: &str, alg: Option<&str>) -> Value {
        let mut jwk = Map::new();
        let mut put = |name: &str, value: &str| jwk.insert(name.to_owned(), json!(value));
        match self {
            KeyPair::Rsa(pair) => {
                let (n, e) = rsa_numbers(pair.public_key().as_ref());
                put("kty", "RSA");
                put("n", &encode(n));
                put("e", &encode(e));
            }
            KeyPair::P256(pair) | KeyPair::P384(pair) => {
                // 0x04, x, y (SEC 1 §2.3.3)
                let point = &pair.public_key().as_ref()[1..];
                let (x, y) = point.split_at(point.len() / 2);
                put("kty", "EC");
                put("crv", if x.len() == 32 { "P-256" } else { "P-384" });
                put("x", &encode(x));
                put("y", &encode(y));
            }
            KeyPair::Ed25519(pair) => {
                put("kty", "OKP");
                put("crv", "Ed25519");
                put("x", &encode(pair.public_key().as_ref()));
            }
        }
        put("use", "sig");
        if !kid.is_empty() {
            put("kid", kid);
        }
        if let Some(alg) = alg {
            put("alg", alg);
        }
        Value::Object(jwk)
    }

    /// A token with this header and these claims, signed with the header's `alg` if this key can,
    /// else with its own algorithm.
    pub fn sign(&self, header: &Value, claims: &Value) -> String {
        let alg = header["alg"].as_str().unwrap_or_default();
        self.sign_texts(alg, &header.to_string(), &claims.to_string())
    }

    /// A token whose header and payload are any texts.
    pub fn sign_texts(&self, alg: &str, header: &str, payload: &str) -> String {
        let input = format!(
            "{}.{}",
            encode(header.as_bytes()),
            encode(payload.as_bytes())
        );
        self.sign_input(alg, &input)
    }

    /// A token whose first two parts are any text.
    pub fn sign_input(&self, alg: &str, input: &str) -> String {
        format!("{input}.{}", encode(&self.signature(alg, input.as_bytes())))
    }

    /// A bare signature.
    pub fn signature(&self, alg: &str, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            KeyPair::Rsa(pair) => {
                let encoding: &dyn signature::RsaEncoding = match alg {
                    "RS384" => &signature::RSA_PKCS1_SHA384,
                    "RS512" => &signature::RSA_PKCS1_SHA512,
                    "PS256" => &signature::RSA_PSS_SHA256,
                    "PS384" => &signature::RSA_PSS_SHA384,
                    "PS512" => &signature::RSA_PSS_SHA512,
                    _ => &signature::RSA_PKCS1_SHA256,
                };
                let mut octets = vec![0; pair.public_modulus_len()];
                pair.sign(encoding, &random, message, &mut octets)
                    .expect("an RSA signature");
                octets
            }
            KeyPair::P256(pair) | KeyPair::P384(pair) => {
                let signature = pair.sign(&random, message).expect("an ECDSA signature");
                signature.as_ref().to_vec()
            }
            KeyPair::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }
}

/// A JWK Set.
pub fn jwks(keys: &[Value]) -> String {
    json!({ "keys": keys }).to_string()
}

/// Base64url without padding.
pub fn encode(octets: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(octets)
}

/// Modulus and exponent of a PKCS #1 RSAPublicKey (RFC 8017 §A.1.1): a SEQUENCE of two INTEGERs.
fn rsa_numbers(der: &[u8]) -> (&[u8], &[u8]) {
    let (sequence, _) = element(der);
    let (n, rest) = element(sequence);
    let (e, _) = element(rest);
    (strip_sign(n), strip_sign(e))
}

/// The content of the first DER element, and what follows it.
fn element(der: &[u8]) -> (&[u8], &[u8]) {
    let (start, length) = match usize::from(der[1]) {
        short @ 0..0x80 => (2, short),
        long => {
            let end = 2 + (long & 0x7f);
            let length = der[2..end]
                .iter()
                .fold(0, |sum, octet| sum << 8 | usize::from(*octet));
            (end, length)
        }
    };
    der[start..].split_at(length)
}

/// A DER INTEGER begins with a zero octet if its first bit would be set.
fn strip_sign(number: &[u8]) -> &[u8] {
    number.strip_prefix(&[0]).unwrap_or(number)
}

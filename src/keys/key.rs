//! One admitted public key.

use super::{Algorithm, KeyProblem, Kid, edwards, rsa};
use crate::token::base64url;
use aws_lc_rs::{digest, signature};
use serde_json::{Map, Value, json};
use std::fmt;

/// The longest `issuer` of a key, in bytes; also the longest that shared memory holds.
pub const MAX_KEY_ISSUER_BYTES: usize = 160;

/// A public key that passed admission.
#[derive(Clone)]
pub struct Key {
    /// Its id, if the JWK has one.
    pub kid: Option<Kid>,
    /// The JWK's own `alg`: then the key is for this algorithm alone (RFC 7517 §4.4).
    pub algorithm: Option<Algorithm>,
    /// The JWK's own `issuer`, a member of Microsoft Entra ID: then the key is for tokens of this issuer
    /// alone, where `{tenantid}` stands for any tenant. Empty: one that cannot be read, so for none.
    pub issuer: Option<String>,
    /// The key itself.
    pub material: Material,
    /// Its RFC 7638 thumbprint.
    pub thumbprint: Thumbprint,
    // Keeps other modules from putting a key together without its checks.
    _admitted: Admitted,
}

#[derive(Clone)]
struct Admitted;

/// The numbers of a public key, big-endian.
#[derive(Clone, PartialEq, Eq)]
pub enum Material {
    /// RSA (RFC 7518 §6.3.1), without leading zero octets.
    Rsa {
        /// The modulus.
        n: Vec<u8>,
        /// The exponent.
        e: Vec<u8>,
    },
    /// A point of P-256 (RFC 7518 §6.2.1).
    P256 {
        /// Its x coordinate.
        x: [u8; 32],
        /// Its y coordinate.
        y: [u8; 32],
    },
    /// A point of P-384 (RFC 7518 §6.2.1).
    P384 {
        /// Its x coordinate.
        x: [u8; 48],
        /// Its y coordinate.
        y: [u8; 48],
    },
    /// An Ed25519 public key (RFC 8037 §2).
    Ed25519 {
        /// The encoded point, in the byte order of RFC 8032 §5.1.2.
        x: [u8; 32],
    },
}

/// The SHA-256 JWK thumbprint (RFC 7638): the same for a key whatever its id, `alg` and origin.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Thumbprint([u8; 32]);

impl Key {
    /// Admits a key: sizes, curve, known weaknesses, and that `algorithm` is one for it.
    ///
    /// # Errors
    /// [`KeyProblem`] says why it must not be used.
    pub fn new(
        kid: Option<Kid>,
        algorithm: Option<Algorithm>,
        material: Material,
    ) -> Result<Key, KeyProblem> {
        let material = material.without_leading_zeros();
        material.admit()?;
        if algorithm.is_some_and(|algorithm| !material.fits(algorithm)) {
            return Err(KeyProblem::Algorithm);
        }
        let thumbprint = material.thumbprint();
        Ok(Key {
            kid,
            algorithm,
            issuer: None,
            material,
            thumbprint,
            _admitted: Admitted,
        })
    }

    /// The key for tokens of this issuer alone; `None`: of any.
    #[must_use]
    pub fn with_issuer(mut self, issuer: Option<String>) -> Key {
        self.issuer = issuer;
        self
    }

    /// Whether it has exactly this id.
    pub fn has_id(&self, kid: &str) -> bool {
        self.kid.as_ref().is_some_and(|own| own.is(kid))
    }

    /// Whether signatures of this algorithm may be checked with this key: its type and curve fit,
    /// and its own `alg`, if it has one, is the same.
    pub fn allows(&self, algorithm: Algorithm) -> bool {
        self.material.fits(algorithm) && self.algorithm.is_none_or(|own| own == algorithm)
    }

    /// The key as a normalised public JWK. An id that was cut is shown as it is kept, and
    /// `kid#S256` then has the base64url of the whole id's SHA-256 digest.
    pub fn to_jwk(&self) -> Value {
        let mut jwk = self.material.required_members();
        jwk.insert("use".to_owned(), json!("sig"));
        if let Some(algorithm) = self.algorithm {
            jwk.insert("alg".to_owned(), json!(algorithm.name()));
        }
        if let Some(issuer) = &self.issuer {
            jwk.insert("issuer".to_owned(), json!(issuer));
        }
        if let Some(kid) = &self.kid {
            jwk.insert("kid".to_owned(), json!(kid.shown()));
            if !kid.is_whole() {
                let hash = base64url::encode(kid.hash());
                jwk.insert("kid#S256".to_owned(), json!(hash));
            }
        }
        Value::Object(jwk)
    }
}

impl Material {
    /// The `kty` of such keys (RFC 7518 §6.1, RFC 8037 §2).
    pub fn key_type(&self) -> &'static str {
        match self {
            Material::Rsa { .. } => "RSA",
            Material::P256 { .. } | Material::P384 { .. } => "EC",
            Material::Ed25519 { .. } => "OKP",
        }
    }

    fn without_leading_zeros(self) -> Material {
        let strip = |mut number: Vec<u8>| {
            let zeros = number.iter().take_while(|octet| **octet == 0).count();
            number.drain(..zeros);
            number
        };
        match self {
            Material::Rsa { n, e } => Material::Rsa {
                n: strip(n),
                e: strip(e),
            },
            other => other,
        }
    }

    fn admit(&self) -> Result<(), KeyProblem> {
        match self {
            Material::Rsa { n, e } => rsa::admit(n, e),
            Material::P256 { x, y } => on_curve(&signature::ECDSA_P256_SHA256_FIXED, x, y),
            Material::P384 { x, y } => on_curve(&signature::ECDSA_P384_SHA384_FIXED, x, y),
            Material::Ed25519 { x } => edwards::admit(x),
        }
    }

    /// RFC 7518 §3.1 (with exactly one curve for each ECDSA algorithm, §3.4) and RFC 8037 §3.1.
    fn fits(&self, algorithm: Algorithm) -> bool {
        use Algorithm::{ES256, ES384, EdDSA, PS256, PS384, PS512, RS256, RS384, RS512};
        match self {
            Material::Rsa { .. } => {
                matches!(algorithm, RS256 | RS384 | RS512 | PS256 | PS384 | PS512)
            }
            Material::P256 { .. } => algorithm == ES256,
            Material::P384 { .. } => algorithm == ES384,
            Material::Ed25519 { .. } => algorithm == EdDSA,
        }
    }

    /// RFC 7638 §3: the required members in lexicographic order, without white space.
    fn thumbprint(&self) -> Thumbprint {
        // The map of serde_json keeps its names sorted, and no value needs escaping.
        let canonical = Value::Object(self.required_members()).to_string();
        let mut hash = [0; 32];
        hash.copy_from_slice(digest::digest(&digest::SHA256, canonical.as_bytes()).as_ref());
        Thumbprint(hash)
    }

    /// The members that make up the key (RFC 7638 §3.2, RFC 8037 §2).
    fn required_members(&self) -> Map<String, Value> {
        let members = match self {
            Material::Rsa { n, e } => {
                vec![("n", base64url::encode(n)), ("e", base64url::encode(e))]
            }
            Material::P256 { x, y } => point("P-256", x, Some(y)),
            Material::P384 { x, y } => point("P-384", x, Some(y)),
            Material::Ed25519 { x } => point("Ed25519", x, None),
        };
        members
            .into_iter()
            .chain([("kty", self.key_type().to_owned())])
            .map(|(name, value)| (name.to_owned(), Value::String(value)))
            .collect()
    }
}

fn point(curve: &str, x: &[u8], y: Option<&[u8]>) -> Vec<(&'static str, String)> {
    let mut members = vec![("crv", curve.to_owned()), ("x", base64url::encode(x))];
    members.extend(y.map(|y| ("y", base64url::encode(y))));
    members
}

/// Whether the coordinates are a point of the algorithm's curve, other than infinity.
fn on_curve(
    algorithm: &'static signature::EcdsaVerificationAlgorithm,
    x: &[u8],
    y: &[u8],
) -> Result<(), KeyProblem> {
    let uncompressed = [&[4], x, y].concat();
    signature::ParsedPublicKey::new(algorithm, uncompressed)
        .map(drop)
        .map_err(|_| KeyProblem::NotOnCurve)
}

impl Thumbprint {
    /// A thumbprint that was kept as octets.
    pub fn from_bytes(octets: [u8; 32]) -> Thumbprint {
        Thumbprint(octets)
    }

    /// The SHA-256 digest.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Base64url, as RFC 7638 §3.1 shows thumbprints.
impl fmt::Display for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&base64url::encode(&self.0))
    }
}

impl fmt::Debug for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Thumbprint({self})")
    }
}

/// Shows the type alone: key material does not belong in logs.
impl fmt::Debug for Material {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Material({})", self.key_type())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("kid", &self.kid)
            .field("algorithm", &self.algorithm)
            .field("material", &self.material)
            .field("thumbprint", &self.thumbprint)
            .finish()
    }
}

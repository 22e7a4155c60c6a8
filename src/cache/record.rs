//! A key as a record of fixed size.

use super::text::Text;
use crate::keys::{Algorithm, Key, KeyProblem, Kid, MAX_KEY_ISSUER_BYTES, Material};

/// Room for an RSA modulus of 8192 bits, or both coordinates of a point.
const MATERIAL_BYTES: usize = 1024;
/// Room for an RSA exponent of 32 bits.
const EXPONENT_BYTES: usize = 4;
/// As much of a key id as is shown.
const SHOWN_KID_BYTES: usize = 208;

const RSA: u8 = 1;
const P256: u8 = 2;
const P384: u8 = 3;
const ED25519: u8 = 4;

/// One public key as plain data. All zeros is no key.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Record {
    kind: u8,
    /// Position in [`Algorithm::ALL`] plus one; 0: the key does not pin one.
    algorithm: u8,
    has_kid: u8,
    exponent_length: u8,
    length: u16,
    exponent: [u8; EXPONENT_BYTES],
    kid_hash: [u8; 32],
    kid: Text<SHOWN_KID_BYTES>,
    has_issuer: u8,
    issuer: Text<MAX_KEY_ISSUER_BYTES>,
    material: [u8; MATERIAL_BYTES],
}

impl Record {
    /// No key.
    pub const EMPTY: Self = Record {
        kind: 0,
        algorithm: 0,
        has_kid: 0,
        exponent_length: 0,
        length: 0,
        exponent: [0; EXPONENT_BYTES],
        kid_hash: [0; 32],
        kid: Text::EMPTY,
        has_issuer: 0,
        issuer: Text::EMPTY,
        material: [0; MATERIAL_BYTES],
    };

    /// The key as a record; `None` if it does not fit, which no admitted key does.
    pub fn of(key: &Key) -> Option<Self> {
        let mut record = Record::EMPTY;
        match &key.material {
            Material::Rsa { n, e } => {
                record.kind = RSA;
                record.exponent_length = u8::try_from(e.len()).ok()?;
                record.exponent.get_mut(..e.len())?.copy_from_slice(e);
                record.put(n, &[])?;
            }
            Material::P256 { x, y } => {
                record.kind = P256;
                record.put(x, y)?;
            }
            Material::P384 { x, y } => {
                record.kind = P384;
                record.put(x, y)?;
            }
            Material::Ed25519 { x } => {
                record.kind = ED25519;
                record.put(x, &[])?;
            }
        }
        if let Some(algorithm) = key.algorithm {
            let position = Algorithm::ALL.iter().position(|&one| one == algorithm)?;
            record.algorithm = u8::try_from(position + 1).ok()?;
        }
        if let Some(kid) = &key.kid {
            record.has_kid = 1;
            record.kid_hash = *kid.hash();
            record.kid = Text::cut(kid.shown());
        }
        if let Some(issuer) = &key.issuer {
            record.has_issuer = 1;
            record.issuer = Text::whole(issuer)?;
        }
        Some(record)
    }

    /// The key again, judged as if it had just been fetched.
    ///
    /// # Errors
    /// [`KeyProblem`] if the record holds no acceptable key.
    pub fn to_key(&self) -> Result<Key, KeyProblem> {
        let bytes = &self.material[..usize::from(self.length).min(MATERIAL_BYTES)];
        let material = match self.kind {
            RSA => Material::Rsa {
                n: bytes.to_vec(),
                e: self.exponent[..usize::from(self.exponent_length).min(EXPONENT_BYTES)].to_vec(),
            },
            P256 => {
                let (x, y) = halves(bytes);
                Material::P256 { x, y }
            }
            P384 => {
                let (x, y) = halves(bytes);
                Material::P384 { x, y }
            }
            _ => {
                let (x, _) = halves::<32>(bytes);
                Material::Ed25519 { x }
            }
        };
        let kid = (self.has_kid != 0)
            .then(|| Kid::from_parts(self.kid_hash, self.kid.as_str().to_owned()));
        let algorithm = usize::from(self.algorithm)
            .checked_sub(1)
            .and_then(|position| Algorithm::ALL.get(position).copied());
        let issuer = (self.has_issuer != 0).then(|| self.issuer.as_str().to_owned());
        Key::new(kid, algorithm, material).map(|key| key.with_issuer(issuer))
    }

    /// Whether there is a key.
    pub fn is_empty(&self) -> bool {
        self.kind == 0
    }

    /// Whether both are the same key with the same id, algorithm and issuer.
    pub fn same_as(&self, other: &Record) -> bool {
        self.kind == other.kind
            && self.algorithm == other.algorithm
            && self.has_kid == other.has_kid
            && self.exponent == other.exponent
            && self.length == other.length
            && self.kid_hash == other.kid_hash
            && self.has_issuer == other.has_issuer
            && self.issuer.as_str() == other.issuer.as_str()
            && self.material == other.material
    }

    /// Whether this key stands in the place of the other: the same id and type, other material.
    pub fn replaces(&self, other: &Record) -> bool {
        self.has_kid != 0
            && other.has_kid != 0
            && self.kid_hash == other.kid_hash
            && self.kind == other.kind
            && !self.same_as(other)
    }

    fn put(&mut self, first: &[u8], second: &[u8]) -> Option<()> {
        let length = first.len() + second.len();
        self.material.get_mut(..first.len())?.copy_from_slice(first);
        self.material
            .get_mut(first.len()..length)?
            .copy_from_slice(second);
        self.length = u16::try_from(length).ok()?;
        Some(())
    }
}

/// The first and the second `N` bytes, zeros where there are none: no valid point, so admission
/// refuses it.
fn halves<const N: usize>(bytes: &[u8]) -> ([u8; N], [u8; N]) {
    let part = |start: usize| {
        let mut out = [0; N];
        if let Some(found) = bytes.get(start..start + N) {
            out.copy_from_slice(found);
        }
        out
    };
    (part(0), part(N))
}

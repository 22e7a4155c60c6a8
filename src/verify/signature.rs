//! The check of one signature: the only file that names `jsonwebtoken`.

use super::KeyLookup;
use crate::keys::{Algorithm, Key, Material};
use crate::provider::Secret;
use crate::token::{Unverified, base64url};
use jsonwebtoken::crypto::{self, aws_lc};
use jsonwebtoken::{Algorithm as Named, DecodingKey};
use std::sync::Once;

/// The witness that a signature was found good. It can be made in this file alone, and a
/// `Verified` cannot be made without it (or without a gateway's word).
#[derive(Debug)]
pub(super) struct SignatureValid(());

/// Checks the signature with one key and one algorithm, unless `keys` remembers that it is good,
/// and has it remembered. `None` if it is not good.
pub(super) fn check_or_recall<K: KeyLookup>(
    token: &Unverified,
    key: &Key,
    algorithm: Algorithm,
    keys: &mut K,
) -> Option<SignatureValid> {
    if !key.allows(algorithm) || !has_exact_length(token.signature(), &key.material) {
        return None;
    }
    if keys.is_known_good(token, &key.thumbprint) {
        return Some(SignatureValid(()));
    }
    let witness = check(token, key, algorithm)?;
    keys.remember(token, &key.thumbprint);
    Some(witness)
}

/// Checks an HS256 signature (RFC 7518 §3.2) with a provider's secret. Nothing of it is remembered, and
/// no public key ever gets here: a [`Key`] cannot be a secret, nor a secret a key.
pub(super) fn check_secret(token: &Unverified, secret: &Secret) -> Option<SignatureValid> {
    install_provider();
    crypto::verify(
        token.encoded_signature(),
        token.signing_input().as_bytes(),
        &DecodingKey::from_secret(secret.as_bytes()),
        Named::HS256,
    )
    .is_ok_and(|valid| valid)
    .then_some(SignatureValid(()))
}

/// RFC 7518 §3.3, §3.4, §3.5 and RFC 8032 §5.1.6 each give signatures one length: no stripped or
/// padded integers, no DER.
fn has_exact_length(signature: &[u8], material: &Material) -> bool {
    signature.len()
        == match material {
            Material::Rsa { n, .. } => n.len(),
            Material::P256 { .. } | Material::Ed25519 { .. } => 64,
            Material::P384 { .. } => 96,
        }
}

fn check(token: &Unverified, key: &Key, algorithm: Algorithm) -> Option<SignatureValid> {
    install_provider();
    let decoding_key = decoding_key(&key.material)?;
    crypto::verify(
        token.encoded_signature(),
        token.signing_input().as_bytes(),
        &decoding_key,
        named(algorithm),
    )
    .is_ok_and(|valid| valid)
    .then_some(SignatureValid(()))
}

/// Once in each process, at first use: nothing of it may be inherited by a fork. Another caller may
/// have installed it before; it is the only one that this build contains.
fn install_provider() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let _ = aws_lc::DEFAULT_PROVIDER.install_default();
    });
}

fn decoding_key(material: &Material) -> Option<DecodingKey> {
    let encode = base64url::encode;
    match material {
        Material::Rsa { n, e } => Some(DecodingKey::from_rsa_raw_components(n, e)),
        Material::P256 { x, y } => DecodingKey::from_ec_components(&encode(x), &encode(y)).ok(),
        Material::P384 { x, y } => DecodingKey::from_ec_components(&encode(x), &encode(y)).ok(),
        Material::Ed25519 { x } => DecodingKey::from_ed_components(&encode(x)).ok(),
    }
}

fn named(algorithm: Algorithm) -> Named {
    match algorithm {
        Algorithm::RS256 => Named::RS256,
        Algorithm::RS384 => Named::RS384,
        Algorithm::RS512 => Named::RS512,
        Algorithm::PS256 => Named::PS256,
        Algorithm::PS384 => Named::PS384,
        Algorithm::PS512 => Named::PS512,
        Algorithm::ES256 => Named::ES256,
        Algorithm::ES384 => Named::ES384,
        Algorithm::EdDSA => Named::EdDSA,
    }
}

//! What stands for a token and the key that it is signed with, where many are remembered.

use crate::keys::Thumbprint;
use crate::token::Unverified;
use aws_lc_rs::digest::{Context, SHA256};

/// The SHA-256 digest of a key's thumbprint and a token, byte for byte. A thumbprint has one length, so no other
/// token and key are written the same.
pub fn fingerprint(token: &Unverified, key: &Thumbprint) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    context.update(key.as_bytes());
    context.update(token.text().as_bytes());
    let mut fingerprint = [0; 32];
    fingerprint.copy_from_slice(context.finish().as_ref());
    fingerprint
}

//! The bare check of a signature: what the crypto library needs for it, and nothing of this project.

use super::mint::KeyPair;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, KeyPair as _, ParsedPublicKey,
    RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey, VerificationAlgorithm,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// A public key as the crypto library takes it.
pub struct Bare {
    parsed: ParsedPublicKey,
    unparsed: UnparsedPublicKey<Vec<u8>>,
}

/// What a token comes down to: the text that was signed, and the octets of the signature.
pub struct Signed {
    input: String,
    signature: Vec<u8>,
}

impl Bare {
    /// The public half of this pair, for the pair's own algorithm.
    pub fn of(pair: &KeyPair) -> Bare {
        let (algorithm, octets): (&'static dyn VerificationAlgorithm, _) = match pair {
            KeyPair::Rsa(pair) => (
                &RSA_PKCS1_2048_8192_SHA256,
                pair.public_key().as_ref().to_vec(),
            ),
            KeyPair::P256(pair) => (
                &ECDSA_P256_SHA256_FIXED,
                pair.public_key().as_ref().to_vec(),
            ),
            KeyPair::P384(pair) => (
                &ECDSA_P384_SHA384_FIXED,
                pair.public_key().as_ref().to_vec(),
            ),
            KeyPair::Ed25519(pair) => (&ED25519, pair.public_key().as_ref().to_vec()),
        };
        Bare {
            parsed: ParsedPublicKey::new(algorithm, &octets).expect("a public key"),
            unparsed: UnparsedPublicKey::new(algorithm, octets),
        }
    }

    /// Checks with the key as the library keeps it.
    pub fn check(&self, signed: &Signed) -> bool {
        let checked = self
            .parsed
            .verify_sig(signed.input.as_bytes(), &signed.signature);
        checked.is_ok()
    }

    /// Checks with the key as it is written, which the library reads each time.
    pub fn check_unparsed(&self, signed: &Signed) -> bool {
        let checked = self
            .unparsed
            .verify(signed.input.as_bytes(), &signed.signature);
        checked.is_ok()
    }
}

impl Signed {
    /// What this token comes down to.
    pub fn of(token: &str) -> Signed {
        let (input, signature) = token.rsplit_once('.').expect("a token");
        Signed {
            input: input.to_owned(),
            signature: URL_SAFE_NO_PAD.decode(signature).expect("base64url"),
        }
    }
}

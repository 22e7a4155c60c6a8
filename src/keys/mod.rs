//! The public keys of a provider: from the text of a JWKS to keys that may be used.
//!
//! # Layout
//! - [`read`], [`KeySet`]: a JWK Set (RFC 7517 §5), key by key
//! - [`Key`]: one admitted key; no other way to make one skips the checks
//! - [`Kid`], [`Thumbprint`]: how keys are told apart
//! - [`Algorithm`]: the signature algorithms that can be trusted here
//!
//! One odd key never spoils its set. Private and symmetric keys are never kept.
#![forbid(unsafe_code)]

mod algorithm;
mod edwards;
mod jwk;
mod key;
mod kid;
mod problem;
mod rsa;
mod set;

pub use algorithm::{Algorithm, UnknownAlgorithm};
pub use key::{Key, MAX_KEY_ISSUER_BYTES, Material, Thumbprint};
pub use kid::{Kid, MAX_SHOWN_BYTES};
pub use problem::KeyProblem;
pub use set::{EMPTY_SET, KeySet, MAX_KEYS, Reading, SetError, Skipped, read, read_stored};

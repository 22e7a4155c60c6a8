//! A token's text taken apart: bytes to parts, nothing trusted yet.
//!
//! # Layout
//! - [`Unverified`]: a JWS in compact serialisation (RFC 7515 §7.1), its header and its claims
//! - [`Claims`]: the claims set (RFC 7519 §4), with typed views of registered claims
//! - [`bearer`]: the token in the headers of a request
//! - [`base64url`]: strict base64url (RFC 7515 §2)
//!
//! What is refused here is refused whatever the provider: size, framing, encoding, JSON, `crit`.
#![forbid(unsafe_code)]

pub mod base64url;
mod bearer;
mod claims;
mod compact;

pub use bearer::bearer;
pub use claims::{Claim, Claims, MAX_NUMERIC_DATE};
pub use compact::{Header, MAX_KID_BYTES, Part, TokenError, Unverified};

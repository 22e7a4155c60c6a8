//! Base64url without padding (RFC 7515 §2, RFC 4648 §5).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The octets that `text` stands for.
///
/// `None` for padding, white space, any character outside the URL-safe alphabet, an impossible
/// length, and for unused bits that are not zero (RFC 4648 §3.5): one octet string has exactly one
/// text.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// The one text that stands for `octets`.
pub fn encode(octets: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(octets)
}

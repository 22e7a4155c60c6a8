//! The compact serialisation (RFC 7515 §7.1) and the header (RFC 7515 §4).

use super::{Claims, base64url};
use crate::json::{self, JsonError, Object, Value};
use std::fmt;
use std::sync::Arc;

/// The longest `kid` that a header may have, in bytes.
pub const MAX_KID_BYTES: usize = 1024;

/// Levels of nesting that a header may have.
const MAX_HEADER_DEPTH: usize = 64;

/// A part of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The token as a whole.
    Token,
    /// The JOSE header.
    Header,
    /// The claims.
    Payload,
    /// The signature.
    Signature,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Part::Token => "token",
            Part::Header => "header",
            Part::Payload => "payload",
            Part::Signature => "signature",
        })
    }
}

/// Why a text is refused before anything in it is judged. It repeats nothing of the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenError {
    /// The text is longer than allowed; nothing of it was decoded.
    TooLarge {
        /// The length of the text, in bytes.
        bytes: usize,
        /// The longest allowed, in bytes.
        limit: usize,
    },
    /// It is not a signed JWT in compact serialisation.
    Malformed(Part, &'static str),
    /// A member name occurs twice in one object (RFC 7515 §4, RFC 7519 §4).
    DuplicateMember(Part),
    /// The header has `crit` or `b64`: no extension is understood, so every critical one is refused
    /// (RFC 7515 §4.1.11), and JWTs must not use unencoded payloads (RFC 7797 §7).
    CriticalHeader,
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TokenError::TooLarge { bytes, limit } => {
                write!(
                    f,
                    "the token has {bytes} bytes, at most {limit} are allowed"
                )
            }
            TokenError::Malformed(part, why) => write!(f, "the {part} cannot be read: {why}"),
            TokenError::DuplicateMember(part) => {
                write!(f, "a member name occurs twice in the {part}")
            }
            TokenError::CriticalHeader => {
                f.write_str("the header asks for an extension that is not supported")
            }
        }
    }
}

impl std::error::Error for TokenError {}

/// A signed JWT taken apart. Nothing in it is to be believed yet.
#[derive(Clone)]
pub struct Unverified {
    text: String,
    signing_input_end: usize,
    header: Header,
    claims: Arc<Claims>,
    signature: Vec<u8>,
}

/// The members of a JOSE header that are looked at. `jwk`, `jku`, `x5u`, `x5c`, `x5t` and unknown
/// ones are ignored, whatever they contain: keys come from the registered provider alone
/// (RFC 8725 §3.9, §3.10).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// `alg` (RFC 7515 §4.1.1); `None` if it is missing or not a string.
    pub alg: Option<String>,
    /// `kid` (RFC 7515 §4.1.4), at most [`MAX_KID_BYTES`] long.
    pub kid: Option<String>,
    /// `typ` (RFC 7515 §4.1.9).
    pub typ: Option<String>,
    /// `cty` (RFC 7515 §4.1.10).
    pub cty: Option<String>,
    /// `cat`, the category that Clerk gives its tokens; `None` if it is missing or not a string.
    pub cat: Option<String>,
}

impl Unverified {
    /// Takes a token apart: size, framing, encoding, header, `crit`, claims, in this order.
    ///
    /// # Errors
    /// [`TokenError`]; with [`TokenError::TooLarge`] nothing was decoded.
    pub fn parse(text: &str, max_bytes: usize) -> Result<Unverified, TokenError> {
        if text.len() > max_bytes {
            return Err(TokenError::TooLarge {
                bytes: text.len(),
                limit: max_bytes,
            });
        }
        let (header, payload, signature) = split(text)?;
        let header = decode_text(Part::Header, header)?;
        let payload = decode_text(Part::Payload, payload)?;
        let signature = decode(Part::Signature, signature)?;
        let header = Header::parse(header)?;
        let claims = Claims::parse(payload)?;
        Ok(Unverified {
            text: text.to_owned(),
            // A part of base64url characters only holds no dot: the last one ends the payload.
            signing_input_end: text.rfind('.').unwrap_or(text.len()),
            header,
            claims: Arc::new(claims),
            signature,
        })
    }

    /// The token, byte for byte.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The header.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The claims.
    pub fn claims(&self) -> &Arc<Claims> {
        &self.claims
    }

    /// What the signature is over (RFC 7515 §5.2): the first two parts as they were written.
    pub fn signing_input(&self) -> &str {
        &self.text[..self.signing_input_end]
    }

    /// The signature's octets.
    pub fn signature(&self) -> &[u8] {
        &self.signature
    }

    /// The signature as it was written.
    pub fn encoded_signature(&self) -> &str {
        &self.text[self.signing_input_end + 1..]
    }
}

/// Says how long the token is: tokens do not belong in logs.
impl fmt::Debug for Unverified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Unverified({} bytes)", self.text.len())
    }
}

/// Exactly three parts, none of them empty.
fn split(text: &str) -> Result<(&str, &str, &str), TokenError> {
    let malformed = |why| TokenError::Malformed(Part::Token, why);
    let mut parts = text.splitn(4, '.');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(header), Some(payload), Some(signature), None) => {
            if header.is_empty() || payload.is_empty() || signature.is_empty() {
                return Err(malformed("one of its three parts is empty"));
            }
            Ok((header, payload, signature))
        }
        _ if text.starts_with("sb_") => Err(malformed(
            "it is an API key of Supabase (sb_…), which the gateway replaces by a token",
        )),
        // RFC 7516 §7.1
        _ if text.split('.').count() == 5 => Err(malformed(
            "it has five parts: it is encrypted, and only its receiver can read it",
        )),
        _ => Err(malformed(
            "it does not have three parts with dots between them",
        )),
    }
}

fn decode(part: Part, text: &str) -> Result<Vec<u8>, TokenError> {
    base64url::decode(text).ok_or(TokenError::Malformed(part, "it is not base64url"))
}

fn decode_text(part: Part, text: &str) -> Result<String, TokenError> {
    String::from_utf8(decode(part, text)?)
        .map_err(|_| TokenError::Malformed(part, "it is not UTF-8"))
}

impl Header {
    fn parse(text: String) -> Result<Header, TokenError> {
        let document = json::parse_object(text, MAX_HEADER_DEPTH).map_err(|error| match error {
            JsonError::DuplicateMember => TokenError::DuplicateMember(Part::Header),
            JsonError::Malformed(why) => TokenError::Malformed(Part::Header, why),
        })?;
        let members = document.object();
        if members.contains_key("crit") || members.contains_key("b64") {
            return Err(TokenError::CriticalHeader);
        }
        let header = Header {
            alg: members
                .get("alg")
                .and_then(Value::as_str)
                .map(str::to_owned),
            kid: text_member(members, "kid", "kid is not a string")?,
            typ: text_member(members, "typ", "typ is not a string")?,
            cty: text_member(members, "cty", "cty is not a string")?,
            cat: members
                .get("cat")
                .and_then(Value::as_str)
                .map(str::to_owned),
        };
        match &header.kid {
            Some(kid) if kid.len() > MAX_KID_BYTES => {
                Err(TokenError::Malformed(Part::Header, "kid is too long"))
            }
            _ => Ok(header),
        }
    }
}

/// A member that may be missing and else has to be a string.
fn text_member(
    members: Object<'_>,
    name: &str,
    problem: &'static str,
) -> Result<Option<String>, TokenError> {
    match members.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.to_owned())),
        Some(_) => Err(TokenError::Malformed(Part::Header, problem)),
    }
}

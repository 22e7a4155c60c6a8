//! Key ids.

use aws_lc_rs::digest;
use std::fmt;

/// How many bytes of a key id are kept to be shown.
pub const MAX_SHOWN_BYTES: usize = 200;

const ELLIPSIS: &str = "…";

/// A key id (RFC 7517 §4.5), known by its SHA-256 digest, so that ids of any length take the same
/// room. Two are equal if their digests are: ids are compared byte for byte.
#[derive(Clone)]
pub struct Kid {
    hash: [u8; 32],
    shown: String,
    is_whole: bool,
}

impl Kid {
    /// The id that a JWK or a header has.
    pub fn new(id: &str) -> Kid {
        Kid::from_parts(sha256(id), shorten(id, MAX_SHOWN_BYTES))
    }

    /// An id that was kept as [`hash`](Kid::hash) and [`shown`](Kid::shown).
    pub fn from_parts(hash: [u8; 32], shown: String) -> Kid {
        let is_whole = sha256(&shown) == hash;
        Kid {
            hash,
            shown,
            is_whole,
        }
    }

    /// The SHA-256 digest of the id.
    pub fn hash(&self) -> &[u8; 32] {
        &self.hash
    }

    /// Whether it is this id.
    pub fn is(&self, id: &str) -> bool {
        match self.is_whole {
            true => self.shown == id,
            false => self.hash == sha256(id),
        }
    }

    /// The id, or as much of it as [`MAX_SHOWN_BYTES`] allow, with `…` at the end.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// Whether [`shown`](Kid::shown) is the whole id.
    pub fn is_whole(&self) -> bool {
        self.is_whole
    }
}

impl PartialEq for Kid {
    fn eq(&self, other: &Kid) -> bool {
        self.hash == other.hash
    }
}

impl Eq for Kid {}

impl std::hash::Hash for Kid {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.hash.hash(state);
    }
}

impl fmt::Debug for Kid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Kid({:?})", self.shown)
    }
}

/// At most `max_bytes` of `text`, cut between characters; `…` shows that something is missing.
pub(super) fn shorten(text: &str, max_bytes: usize) -> String {
    if text.len() <= max_bytes {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(max_bytes.saturating_sub(ELLIPSIS.len()));
    format!("{}{ELLIPSIS}", &text[..end])
}

fn sha256(text: &str) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&digest::SHA256, text.as_bytes()).as_ref());
    hash
}

//! The ways in which the identity provider can misbehave.

use std::time::Duration;

/// What happens to the next requests, until told otherwise.
///
/// Those that are about answers change the answers for keys only; discovery documents stay right
/// unless the behaviour says so.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Behaviour {
    /// Right answers.
    #[default]
    Normal,
    /// Right answers, after this time.
    Slow(Duration),
    /// As slow, for discovery documents and keys alike.
    SlowEverywhere(Duration),
    /// A body that comes byte by byte, 20 bytes a second.
    Drip,
    /// A header that comes byte by byte and never ends.
    DripHeader,
    /// The request is read, the connection closed.
    Reset,
    /// Half the body, then the connection is closed.
    Truncated,
    /// Connections are accepted and no byte of TLS is ever answered.
    TlsStall,
    /// Status 200 with binary rubbish.
    Garbage,
    /// No HTTP at all.
    NotHttp,
    /// Status 200 with a web page, as captive portals send it.
    Html,
    /// Status 200 with nothing.
    EmptyBody,
    /// Status 200 with `{"keys":[]}`.
    EmptySet,
    /// This status, with the right keys as its body.
    Status(u16),
    /// Status 302 to this place, with the right keys as its body.
    Redirect(String),
    /// Status 200 with a body that never ends, in chunks.
    Huge,
    /// Status 200 with a header of 64 KiB.
    HugeHeader,
    /// The right keys among keys that nobody can use.
    OddKeys,
    /// Only keys that nobody can use.
    OnlyOddKeys,
    /// Status 304 although nobody asked for one.
    WrongEtag304,
    /// Right answers with `Cache-Control: public, max-age=`.
    MaxAge(u64),
    /// Right answers with `Last-Modified` in place of an entity tag.
    LastModifiedOnly,
    /// Right answers that claim to be compressed.
    ClaimsGzip,
    /// A discovery document with an issuer of its own.
    WrongDiscoveryIssuer,
    /// A discovery document whose `jwks_uri` is this.
    JwksUri(String),
    /// Discovery is answered with this status.
    DiscoveryStatus(u16),
}

//! Reason codes.

use std::fmt;

/// Why a token is refused; also the name of the rule that it broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// It is not a signed JWT in compact serialisation (RFC 7515 §7.1), or not strict JSON inside.
    Malformed,
    /// It is longer than allowed.
    TooLarge,
    /// A member name occurs twice (RFC 7515 §4, RFC 7519 §4).
    DuplicateMember,
    /// The header has `crit` or `b64` (RFC 7515 §4.1.11, RFC 7797 §7).
    CriticalHeader,
    /// The algorithm is not one that the provider, or the key, may use (RFC 8725 §3.1).
    AlgorithmNotAllowed,
    /// The header says that it is another kind of token (RFC 8725 §3.11).
    TokenTypeNotAllowed,
    /// No registered provider has this issuer (RFC 8725 §3.8).
    UnknownIssuer,
    /// The provider has no key of this id.
    UnknownKey,
    /// The signature is not one of the provider's key.
    BadSignature,
    /// `exp` has passed (RFC 7519 §4.1.4).
    Expired,
    /// `nbf` has not come (RFC 7519 §4.1.5).
    NotYetValid,
    /// `iat` is in the future (RFC 7519 §4.1.6).
    IssuedInFuture,
    /// A claim that is needed is not there.
    MissingClaim,
    /// A claim has the wrong type or an impossible value.
    InvalidClaim,
    /// `aud` names nobody that tokens of this provider may be for (RFC 7519 §4.1.3).
    AudienceMismatch,
    /// `azp` is not one of the registered parties (OpenID Connect Core 1.0 §2).
    AuthorizedPartyMismatch,
    /// The tenant is not one of those registered.
    TenantNotAllowed,
    /// The role is not one that tokens of this provider may ask for.
    RoleNotAllowed,
    /// The session is not complete: the user still has something to do before it counts.
    SessionPending,
    /// `nonce` is not the one that was expected (OpenID Connect Core 1.0 §3.1.3.7).
    NonceMismatch,
    /// The key was revoked here.
    KeyRevoked,
    /// The request has two different tokens.
    ConflictingTokens,
    /// Tokens of this provider are verified explicitly only.
    NotForRequests,
}

impl Reason {
    /// Every reason, in the order of the list in the documentation.
    pub const ALL: [Reason; 23] = [
        Reason::Malformed,
        Reason::TooLarge,
        Reason::DuplicateMember,
        Reason::CriticalHeader,
        Reason::AlgorithmNotAllowed,
        Reason::TokenTypeNotAllowed,
        Reason::UnknownIssuer,
        Reason::UnknownKey,
        Reason::BadSignature,
        Reason::Expired,
        Reason::NotYetValid,
        Reason::IssuedInFuture,
        Reason::MissingClaim,
        Reason::InvalidClaim,
        Reason::AudienceMismatch,
        Reason::AuthorizedPartyMismatch,
        Reason::TenantNotAllowed,
        Reason::RoleNotAllowed,
        Reason::SessionPending,
        Reason::NonceMismatch,
        Reason::KeyRevoked,
        Reason::ConflictingTokens,
        Reason::NotForRequests,
    ];

    /// The code that errors, `explain()` and `stats` show. Codes never change.
    pub fn code(self) -> &'static str {
        match self {
            Reason::Malformed => "malformed",
            Reason::TooLarge => "too_large",
            Reason::DuplicateMember => "duplicate_member",
            Reason::CriticalHeader => "critical_header",
            Reason::AlgorithmNotAllowed => "algorithm_not_allowed",
            Reason::TokenTypeNotAllowed => "token_type_not_allowed",
            Reason::UnknownIssuer => "unknown_issuer",
            Reason::UnknownKey => "unknown_key",
            Reason::BadSignature => "bad_signature",
            Reason::Expired => "expired",
            Reason::NotYetValid => "not_yet_valid",
            Reason::IssuedInFuture => "issued_in_future",
            Reason::MissingClaim => "missing_claim",
            Reason::InvalidClaim => "invalid_claim",
            Reason::AudienceMismatch => "audience_mismatch",
            Reason::AuthorizedPartyMismatch => "authorized_party_mismatch",
            Reason::TenantNotAllowed => "tenant_not_allowed",
            Reason::RoleNotAllowed => "role_not_allowed",
            Reason::SessionPending => "session_pending",
            Reason::NonceMismatch => "nonce_mismatch",
            Reason::KeyRevoked => "key_revoked",
            Reason::ConflictingTokens => "conflicting_tokens",
            Reason::NotForRequests => "not_for_requests",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

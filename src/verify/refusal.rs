//! What is said about a refused token.

use super::Reason;
use crate::token::TokenError;
use std::fmt;

/// A refused token. Only [`detail`](Refusal::detail) contains claim values or configuration.
#[derive(Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Why.
    pub reason: Reason,
    /// The provider's name, once the token's issuer selected it.
    pub provider: Option<String>,
    /// One sentence without values: what happened.
    pub message: String,
    /// One sentence without values: what to do.
    pub hint: &'static str,
    /// What was expected and found, with values: for `explain()` alone.
    pub detail: Detail,
}

/// What a rule expected and what it found, with values: for `explain()` alone.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Detail {
    /// What the configuration asks for: only for those who may see it. May be empty.
    pub expected: String,
    /// What the token has. May be empty.
    pub found: String,
}

/// The outcome of one rule that failed, before the provider's name is added.
#[derive(Debug)]
pub(super) struct Problem {
    pub reason: Reason,
    pub message: String,
    pub hint: &'static str,
    pub detail: Detail,
}

impl Problem {
    pub(super) fn new(reason: Reason, message: impl Into<String>, hint: &'static str) -> Problem {
        Problem {
            reason,
            message: message.into(),
            hint,
            detail: Detail::default(),
        }
    }

    pub(super) fn expected(mut self, expected: impl Into<String>) -> Problem {
        self.detail.expected = expected.into();
        self
    }

    pub(super) fn found(mut self, found: impl Into<String>) -> Problem {
        self.detail.found = found.into();
        self
    }

    pub(super) fn of(self, provider: Option<&str>) -> Refusal {
        Refusal {
            reason: self.reason,
            provider: provider.map(str::to_owned),
            message: self.message,
            hint: self.hint,
            detail: self.detail,
        }
    }
}

impl From<TokenError> for Refusal {
    fn from(error: TokenError) -> Refusal {
        let (reason, hint) = match error {
            TokenError::TooLarge { .. } => (
                Reason::TooLarge,
                "Ask for fewer claims at the provider, or raise third_party_auth.max_token_bytes.",
            ),
            TokenError::Malformed(..) => (
                Reason::Malformed,
                "Pass the JWT alone, as the provider issued it: three base64url parts with dots \
                 between them, no prefix, no quotes, no white space.",
            ),
            TokenError::DuplicateMember(_) => (
                Reason::DuplicateMember,
                "Find out what issued this token: honest issuers name each member once.",
            ),
            TokenError::CriticalHeader => (
                Reason::CriticalHeader,
                "Have tokens issued without the header members crit and b64.",
            ),
        };
        Problem::new(reason, error.to_string(), hint).of(None)
    }
}

impl Detail {
    /// One line: expected, if `with_configuration`, and found.
    pub fn line(&self, with_configuration: bool) -> String {
        let expected = Some(&self.expected).filter(|text| with_configuration && !text.is_empty());
        let found = Some(&self.found).filter(|text| !text.is_empty());
        match (expected, found) {
            (Some(expected), Some(found)) => format!("expected {expected}, found {found}"),
            (Some(expected), None) => format!("expected {expected}"),
            (None, Some(found)) => format!("found {found}"),
            (None, None) => String::new(),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Refusal {}

/// Without the detail: it has claim values.
impl fmt::Debug for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refusal")
            .field("reason", &self.reason)
            .field("provider", &self.provider)
            .field("message", &self.message)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Detail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Detail(..)")
    }
}

//! The rules that come after the signature: what tells session tokens from other tokens of the
//! same keys, the session's state, the nonce, the role, and what the tokens are for.

use super::refusal::Problem;
use super::rules::{at, invalid, list, missing, shown, skew, text};
use super::{Purpose, Question, Reason};
use crate::json::Value;
use crate::provider::Provider;
use crate::provider::presets::{Discriminator, OtherRoles};
use crate::token::{Claim, Claims};
use aws_lc_rs::digest;

/// What only session tokens of this kind of provider have.
pub(super) fn discriminators(
    claims: &Claims,
    provider: &Provider,
    question: &Question<'_>,
) -> Result<(), Problem> {
    let rules = provider.preset.discriminators.iter();
    rules
        .clone()
        .try_for_each(|rule| discriminator(rule, claims, provider, question))?;
    provider
        .required_claims
        .iter()
        .try_for_each(|(name, value)| string(claims, name, |text| text == value))
}

const HINT: &str = "Send the provider's session token: other tokens that it signs with the same keys do \
                    not count.";

fn string(claims: &Claims, name: &'static str, fits: impl Fn(&str) -> bool) -> Result<(), Problem> {
    match claims.string(name) {
        Claim::Absent => Err(missing(name, HINT)),
        Claim::Invalid => Err(invalid(name, HINT)),
        Claim::Present(text) if fits(text) => Ok(()),
        Claim::Present(text) => Err(invalid(name, HINT).found(shown(text))),
    }
}

fn discriminator(
    rule: &Discriminator,
    claims: &Claims,
    provider: &Provider,
    question: &Question<'_>,
) -> Result<(), Problem> {
    match *rule {
        Discriminator::NonEmptyString(name) => string(claims, name, |_| true),
        Discriminator::StartsWith(name, prefix) => {
            string(claims, name, |text| text.starts_with(prefix))
        }
        Discriminator::OneOf(name, values) => string(claims, name, |text| values.contains(&text)),
        Discriminator::Without(name) => match claims.members().contains_key(name) {
            true => Err(invalid(name, HINT).found(format!("a claim {name}"))),
            false => Ok(()),
        },
        Discriminator::AtMostCharacters(name, most) => {
            string(claims, name, |text| text.chars().count() <= most)
        }
        Discriminator::PastDate(name) => match claims.date(name) {
            Claim::Absent => Err(missing(name, HINT)),
            Claim::Present(date) if date <= question.now + skew(provider) => Ok(()),
            Claim::Present(date) => Err(invalid(name, HINT).found(at(name, date, question.now))),
            Claim::Invalid => Err(invalid(name, HINT)),
        },
        // A rule of its own, after these.
        Discriminator::NotPending(..) => Ok(()),
    }
}

/// Whether the session is complete. A state that is no text cannot be judged, so it is refused.
pub(super) fn session(claims: &Claims, provider: &Provider) -> Result<(), Problem> {
    let hint = "Let the user finish signing in: the provider still waits for something.";
    provider.preset.discriminators.iter().try_for_each(|rule| {
        let Discriminator::NotPending(name, pending) = *rule else {
            return Ok(());
        };
        match claims.string(name) {
            Claim::Present(state) if state == pending => Err(Problem::new(
                Reason::SessionPending,
                "the token's session is not complete",
                hint,
            )
            .found(format!("{name} {}", shown(state)))),
            Claim::Invalid => Err(invalid(name, hint)),
            Claim::Absent | Claim::Present(_) => Ok(()),
        }
    })
}

/// The token's nonce is the expected one or its SHA-256 digest in lower-case hex, which is what
/// native apps send to Apple.
pub(super) fn nonce(claims: &Claims, question: &Question<'_>) -> Result<(), Problem> {
    let Some(expected) = question.nonce else {
        return Ok(());
    };
    let nonce = claims.string("nonce");
    if let Claim::Present(nonce) = nonce
        && (nonce == expected || nonce == sha256_hex(expected))
    {
        return Ok(());
    }
    Err(Problem::new(
        Reason::NonceMismatch,
        "the token's nonce is not the one that was expected",
        "Pass the nonce that this sign-in was started with, before hashing.",
    )
    .found(text(&nonce)))
}

/// The effective role: what the role claim asks for, else the provider's default.
pub(super) fn role(claims: &Claims, provider: &Provider) -> Result<Option<String>, Problem> {
    let hint = match provider.preset.may_allow_service_role {
        true => "Have the provider issue another role, or add it to the provider's allowed_roles.",
        false => {
            "Have the provider issue another role, or add it to the provider's allowed_roles \
             (service_role, which bypasses Row Level Security, cannot be added)."
        }
    };
    let problem = |found: String| {
        Problem::new(
            Reason::RoleNotAllowed,
            "the token asks for a role that it may not have",
            hint,
        )
        .expected(list(provider.allowed_roles.iter().map(String::as_str)))
        .found(found)
    };
    match provider.role_claim.find(claims.members()) {
        None | Some(Value::Null) => Ok(provider.default_role.clone()),
        Some(Value::String(role)) if provider.allowed_roles.iter().any(|own| own == role) => {
            Ok(Some(role.to_owned()))
        }
        Some(Value::String(_)) if provider.preset.other_roles == OtherRoles::NoRole => {
            Ok(provider.default_role.clone())
        }
        Some(Value::String(role)) => Err(problem(shown(role))),
        Some(_) => Err(problem("a value that is not a text".to_owned())),
    }
}

/// Tokens of a provider that is not for requests are one-time proofs: they count explicitly only.
pub(super) fn for_requests(provider: &Provider, question: &Question<'_>) -> Result<(), Problem> {
    if provider.for_requests || question.purpose == Purpose::Explicit {
        return Ok(());
    }
    Err(Problem::new(
        Reason::NotForRequests,
        "tokens of this provider do not count for requests",
        "Verify such a token with verify_third_party_jwt(), or register the provider with \
         for_requests => true.",
    ))
}

fn sha256_hex(text: &str) -> String {
    digest::digest(&digest::SHA256, text.as_bytes())
        .as_ref()
        .iter()
        .map(|octet| format!("{octet:02x}"))
        .collect()
}

//! The rules that every kind of provider has: header, issuer, time, subject.

use super::refusal::Problem;
use super::{Question, Reason, api_key};
use crate::json::Value;
use crate::keys::Algorithm;
use crate::provider::{Issuer, Provider, Registry, Secret};
use crate::token::{Claim, Claims, Header};
use std::sync::Arc;

/// The longest text of a token that is shown, in characters.
const MAX_SHOWN: usize = 200;
/// HMAC with SHA-256 (RFC 7518 §3.2). It is no [`Algorithm`]: those are for public keys.
pub(super) const HS256: &str = "HS256";

/// How a token says that it is signed.
#[derive(Clone, Copy)]
pub(super) enum Method<'r> {
    /// With a key of the provider.
    Key(Algorithm),
    /// HS256, with the provider's secret.
    Secret(&'r Secret),
}

/// The algorithm of the header, if the provider may use it; with no provider known, if anyone may.
/// HS256 exists only for a provider that has a secret (RFC 8725 §3.1).
pub(super) fn algorithm<'r>(
    header: &Header,
    provider: Option<&Provider>,
    registry: &'r Registry,
) -> Result<Method<'r>, Problem> {
    let allowed = provider.map_or(&Algorithm::ALL[..], |provider| &provider.algorithms);
    let secret = provider.and_then(|provider| registry.secret_of(provider));
    let name = header.alg.as_deref();
    if let (Some(HS256), Some(secret)) = (name, secret) {
        return Ok(Method::Secret(secret));
    }
    let algorithm = name.and_then(|name| name.parse().ok());
    if let Some(algorithm) = algorithm.filter(|algorithm| allowed.contains(algorithm)) {
        return Ok(Method::Key(algorithm));
    }
    let takes_secret = provider.is_some_and(|provider| provider.preset.may_have_secret);
    let hint = match name {
        Some(HS256) if takes_secret => {
            "Register the provider's legacy secret (jwt_secret; it is not dumped, so a restored database \
             needs it again), or, better, switch Supabase Auth to asymmetric signing keys."
        }
        _ => {
            "Have the provider sign with RS256 or ES256, or list the algorithm in algorithms when the \
             provider is registered. Only kind supabase may sign with a secret (HS256), and none is never \
             allowed."
        }
    };
    let names = allowed.iter().map(|algorithm| algorithm.name());
    let problem = Problem::new(
        Reason::AlgorithmNotAllowed,
        "the token's signature algorithm is not allowed",
        hint,
    );
    Err(problem
        .expected(list(names.chain(secret.map(|_| HS256))))
        .found(name.map_or("no alg that is a string".to_owned(), shown)))
}

/// `typ` is missing, `JWT` or `at+jwt` (RFC 7515 §4.1.9, RFC 9068 §2.1), and nothing is nested
/// (RFC 7519 §5.2).
pub(super) fn token_type(header: &Header, provider: Option<&Provider>) -> Result<(), Problem> {
    let foreign = provider.map_or(&[][..], |provider| provider.preset.foreign_types);
    let allowed = |name: &str| matches!(name, "jwt" | "at+jwt") && !foreign.contains(&name);
    let problem = |found: String| {
        Problem::new(
            Reason::TokenTypeNotAllowed,
            "the token's header says that it is another kind of token",
            "Send the session or access token that the provider issues for your API.",
        )
        .expected(list(
            ["jwt", "at+jwt"].into_iter().filter(|name| allowed(name)),
        ))
        .found(found)
    };
    if let Some(name) = &header.typ
        && !allowed(&media_type(name))
    {
        return Err(problem(format!("typ {}", shown(name))));
    }
    let categories = provider.map_or(&[][..], |provider| provider.preset.foreign_categories);
    if let Some(name) = &header.cat
        && categories.contains(&name.as_str())
    {
        return Err(problem(format!("cat {}", shown(name))));
    }
    if let Some(name) = &header.cty
        && media_type(name) == "jwt"
    {
        return Err(problem("a token inside the token (cty JWT)".to_owned()));
    }
    Ok(())
}

/// Media types are compared in any case, and `application/` may be left out (RFC 7515 §4.1.9).
fn media_type(name: &str) -> String {
    let name = name.to_ascii_lowercase();
    match name.strip_prefix("application/") {
        Some(rest) => rest.to_owned(),
        None => name,
    }
}

/// The provider that the token's issuer selects, if it is the one asked for.
pub(super) fn select<'r>(
    claims: &Claims,
    registry: &'r Registry,
    question: &Question<'_>,
) -> Option<&'r Arc<Provider>> {
    let Claim::Present(issuer) = claims.issuer() else {
        return None;
    };
    registry
        .select(issuer)
        .filter(|provider| question.provider.is_none_or(|name| name == provider.name))
}

/// Says why no provider was selected.
pub(super) fn no_provider(
    claims: &Claims,
    registry: &Registry,
    question: &Question<'_>,
) -> Problem {
    let hint = "Register the provider with this issuer, byte for byte as the token has it, or send a \
                token of a registered provider.";
    let found = match claims.issuer() {
        Claim::Absent => return missing("iss", hint),
        Claim::Invalid => return invalid("iss", hint),
        Claim::Present(issuer) => shown(issuer),
    };
    let is_api_key = api_key::could_be(claims, registry);
    let hint = match is_api_key {
        true => "Send the token of a signed-in user: an API key names an application, nobody.",
        false => hint,
    };
    let message = match question.provider {
        _ if is_api_key => "the token is an API key, not a user's token",
        Some(_) => "the token's issuer is not one of the provider that was asked for",
        None => "the token's issuer is not one of a registered provider",
    };
    let issuers = registry
        .providers
        .iter()
        .filter(|provider| provider.enabled)
        .filter(|provider| question.provider.is_none_or(|name| name == provider.name))
        .flat_map(|provider| provider.issuers.iter().map(Issuer::as_str));
    Problem::new(Reason::UnknownIssuer, message, hint)
        .expected(list(issuers))
        .found(found)
}

/// `exp` (RFC 7519 §4.1.4): required; the instant itself is too late. With the provider's tolerance, which is
/// returned as that instant.
pub(super) fn expiry(claims: &Claims, provider: &Provider, now: f64) -> Result<f64, Problem> {
    let hint =
        "Get a new token from the provider, and compare this server's clock with the right time.";
    let expires_at = match claims.expires_at() {
        Claim::Absent => return Err(missing("exp", hint)),
        Claim::Invalid => return Err(invalid("exp", hint)),
        Claim::Present(date) => date,
    };
    let too_late = expires_at + skew(provider);
    // A clock that shows no number must not make every date right.
    if now.is_finite() && now < too_late {
        return Ok(too_late);
    }
    Err(Problem::new(Reason::Expired, "the token has expired", hint)
        .found(at("exp", expires_at, now)))
}

/// `nbf` (RFC 7519 §4.1.5), if there is one.
pub(super) fn not_before(claims: &Claims, provider: &Provider, now: f64) -> Result<(), Problem> {
    let hint = "Compare this server's clock with the right time.";
    let not_before = match claims.not_before() {
        Claim::Absent => return Ok(()),
        Claim::Invalid => return Err(invalid("nbf", hint)),
        Claim::Present(date) => date,
    };
    if now >= not_before - skew(provider) {
        return Ok(());
    }
    Err(
        Problem::new(Reason::NotYetValid, "the token is not valid yet", hint)
            .found(at("nbf", not_before, now)),
    )
}

/// `iat` (RFC 7519 §4.1.6), if there is one: a token from the future is from a wrong clock.
pub(super) fn issued_at(claims: &Claims, provider: &Provider, now: f64) -> Result<(), Problem> {
    let hint = "Compare this server's clock with the right time.";
    let issued_at = match claims.issued_at() {
        Claim::Absent => return Ok(()),
        Claim::Invalid => return Err(invalid("iat", hint)),
        Claim::Present(date) => date,
    };
    if issued_at <= now + skew(provider) {
        return Ok(());
    }
    Err(Problem::new(
        Reason::IssuedInFuture,
        "the token was issued in the future",
        hint,
    )
    .found(at("iat", issued_at, now)))
}

/// `sub` (RFC 7519 §4.1.2): whom policies decide about.
pub(super) fn subject(claims: &Claims) -> Result<(), Problem> {
    let hint = "Send a token that was issued to a user or a service: it names its subject.";
    match claims.subject() {
        Claim::Absent => Err(missing("sub", hint)),
        Claim::Invalid => Err(invalid("sub", hint)),
        Claim::Present(_) => Ok(()),
    }
}

pub(super) fn missing(claim: &'static str, hint: &'static str) -> Problem {
    let message = format!("the token has no claim \"{claim}\"");
    Problem::new(Reason::MissingClaim, message, hint).found(format!("no {claim}"))
}

pub(super) fn invalid(claim: &'static str, hint: &'static str) -> Problem {
    let message =
        format!("the token's claim \"{claim}\" has the wrong type or an impossible value");
    Problem::new(Reason::InvalidClaim, message, hint)
        .found(format!("{claim} of the wrong type, empty or out of range"))
}

/// The provider's tolerance, in seconds.
pub(super) fn skew(provider: &Provider) -> f64 {
    provider.clock_skew.as_secs_f64()
}

/// A date claim and how far it is from now.
pub(super) fn at(claim: &str, date: f64, now: f64) -> String {
    let distance = date - now;
    let side = if distance < 0.0 { "ago" } else { "ahead" };
    format!("{claim} {date}, {:.0} s {side}", distance.abs())
}

/// A claim for people to read.
pub(super) fn text(claim: &Claim<&str>) -> String {
    match claim {
        Claim::Absent => "none".to_owned(),
        Claim::Invalid => "a value that is not a text".to_owned(),
        Claim::Present(text) => shown(text),
    }
}

/// A text of the token for people to read: quoted, escaped and bounded.
pub(super) fn shown(text: &str) -> String {
    let mut characters = text.chars();
    let head: String = characters.by_ref().take(MAX_SHOWN).collect();
    let more = if characters.next().is_some() {
        "…"
    } else {
        ""
    };
    format!("{head:?}{more}")
}

/// A value of the token for people to read, as JSON, bounded.
pub(super) fn shown_json(value: Value<'_>) -> String {
    let text = value.to_string();
    match text.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// At most ten texts for people to read.
pub(super) fn list<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let mut texts = texts.into_iter();
    let head: Vec<_> = texts.by_ref().take(10).map(shown).collect();
    let more = if texts.next().is_some() { ", …" } else { "" };
    match head.len() {
        0 => "nothing".to_owned(),
        _ => format!("{}{more}", head.join(", ")),
    }
}

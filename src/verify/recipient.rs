//! Whom a token is for: audience and authorized party.

use super::Reason;
use super::refusal::Problem;
use super::rules::{invalid, list, missing, shown, shown_json, text};
use crate::provider::presets::AudienceClaim;
use crate::provider::{Audiences, Provider};
use crate::token::{Claim, Claims};

/// The audience (RFC 7519 §4.1.3).
pub(super) fn audience(claims: &Claims, provider: &Provider) -> Result<(), Problem> {
    let hint = "Send a token that was issued for this database's audience, or register the audience \
                with the provider.";
    if provider.audiences == Audiences::NotChecked {
        return Ok(());
    }
    let name = audience_claim(claims, provider);
    let audience = match name {
        "aud" => claims.audience(),
        other => match claims.string(other) {
            Claim::Absent => Claim::Absent,
            Claim::Invalid => Claim::Invalid,
            Claim::Present(one) => Claim::Present(vec![one]),
        },
    };
    let audience = match audience {
        Claim::Absent => return Err(missing(name, hint).expected(audiences(provider))),
        Claim::Invalid => return Err(invalid(name, hint).expected(audiences(provider))),
        Claim::Present(audience) => audience,
    };
    let matches = match &provider.audiences {
        Audiences::NotChecked => true,
        Audiences::Exactly(only) => {
            claims.members().get(name).and_then(|aud| aud.as_str()) == Some(only)
        }
        Audiences::OneOf(any) => audience.iter().any(|one| any.iter().any(|own| own == one)),
    };
    if matches {
        return Ok(());
    }
    let found = claims.members().get(name);
    Err(Problem::new(
        Reason::AudienceMismatch,
        "the token was issued for another audience",
        hint,
    )
    .expected(audiences(provider))
    .found(found.map_or(list(audience), shown_json)))
}

/// The claim that says whom a token is for.
///
/// Cognito's access tokens have a `client_id` and no `aud`. One that does not say what it is, or says
/// nonsense, is judged by the one that it has, so that `token_use` is what it is refused for.
pub(super) fn audience_claim(claims: &Claims, provider: &Provider) -> &'static str {
    if provider.preset.audience_claim == AudienceClaim::Aud {
        return "aud";
    }
    let is_access_token = match claims.string("token_use") {
        Claim::Present("access") => true,
        Claim::Present("id") => false,
        _ => !claims.members().contains_key("aud"),
    };
    if is_access_token { "client_id" } else { "aud" }
}

fn audiences(provider: &Provider) -> String {
    match &provider.audiences {
        Audiences::NotChecked => String::new(),
        Audiences::Exactly(only) => format!("exactly {}", shown(only)),
        Audiences::OneOf(any) => list(any.iter().map(String::as_str)),
    }
}

/// The party that the token was issued to: one of those registered, if any are.
///
/// Apart from that, a token for several audiences one of which is its own party is an ID token of that
/// party: then that one has to be an audience here (OpenID Connect Core 1.0 §3.1.3.7).
pub(super) fn authorized_party(claims: &Claims, provider: &Provider) -> Result<(), Problem> {
    let problem = |hint| {
        Problem::new(
            Reason::AuthorizedPartyMismatch,
            "the token was issued to another party",
            hint,
        )
    };
    let party = claims.string(party_claim(claims, provider));
    if !provider.authorized_parties.is_empty() {
        return match party {
            Claim::Present(party) if provider.authorized_parties.iter().any(|own| own == party) => {
                Ok(())
            }
            _ => Err(problem(
                "Add the origin or client that the token was issued to (azp) to the provider's \
                 authorized_parties.",
            )
            .expected(list(provider.authorized_parties.iter().map(String::as_str)))
            .found(text(&party))),
        };
    }
    let (Audiences::OneOf(own), Claim::Present(azp)) = (&provider.audiences, claims.string("azp"))
    else {
        return Ok(());
    };
    let Claim::Present(audience) = claims.audience() else {
        return Ok(());
    };
    let is_of_another =
        audience.len() > 1 && audience.contains(&azp) && !own.iter().any(|one| one == azp);
    match is_of_another {
        false => Ok(()),
        true => Err(problem(
            "Send a token that was issued to your own application, or register the client id of that \
             application as an audience.",
        )
        .expected(audiences(provider))
        .found(format!("an ID token of {}", shown(azp)))),
    }
}

/// The claim that names the party: the first one of the kind's that is there.
pub(super) fn party_claim(claims: &Claims, provider: &Provider) -> &'static str {
    let names = provider.preset.party_claims;
    let there = |name: &&&str| claims.members().contains_key(name);
    names
        .iter()
        .find(there)
        .or(names.first())
        .copied()
        .unwrap_or("azp")
}

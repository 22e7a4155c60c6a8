//! What is particular to each kind of provider, as data: one file a kind.
//!
//! A new kind is one file with one [`Preset`], its line in [`ALL`], its line in
//! `sql/install/registration.sql`, its page in `docs/providers/`, and its tests. Where the rules of a kind
//! come from is said in its file. What it does not say is as in [`Preset::PLAIN`].

mod apple;
mod auth0;
mod aws_cognito;
mod azure;
mod clerk;
mod evidence;
mod firebase;
mod oidc;
mod options;
mod supabase;
mod workos;

use super::{Issuer, KeyAddress};
use crate::keys::Algorithm;

pub use evidence::{
    AuthenticationTime, EmailClaim, OrganizationClaims, PermissionClaims, SecondFactorClaims,
};
pub use options::{OptionError, Options};

/// Every kind of provider that can be registered.
pub static ALL: [&Preset; 9] = [
    &apple::PRESET,
    &auth0::PRESET,
    &aws_cognito::PRESET,
    &azure::PRESET,
    &clerk::PRESET,
    &firebase::PRESET,
    &oidc::PRESET,
    &supabase::PRESET,
    &workos::PRESET,
];

/// What is particular to one kind of provider.
#[derive(Debug)]
pub struct Preset {
    /// The kind's name: `add_<kind>()` registers it.
    pub kind: &'static str,
    /// The arguments of `add_<kind>()` that only this kind has, as members of `options`.
    pub own_arguments: &'static [&'static str],
    /// What those of them are that may be left out, as JSON.
    pub default_options: &'static [(&'static str, &'static str)],
    /// What those arguments describe.
    pub identity: fn(&Options<'_>) -> Result<Identity, OptionError>,
    /// The algorithms of tokens of this kind, unless `algorithms` says otherwise.
    pub algorithms: &'static [Algorithm],
    /// Whether a provider of this kind may have a symmetric secret beside its keys.
    pub may_have_secret: bool,
    /// What the audience has to be when no audience is given.
    pub audience: DefaultAudience,
    /// Which claim says whom a token is for.
    pub audience_claim: AudienceClaim,
    /// The claims that name the party a token was issued to: the first one that is there counts.
    pub party_claims: &'static [&'static str],
    /// A NOTICE is given when `authorized_parties` is empty.
    pub wants_authorized_parties: bool,
    /// How a tenant is told, and that keys may belong to one.
    pub tenant: TenantClaims,
    /// Header `typ` values (lower case, without `application/`) that this kind's tokens must not
    /// have although they are JWTs: other tokens signed by the same keys.
    pub foreign_types: &'static [&'static str],
    /// Header `cat` values of other tokens signed by the same keys.
    pub foreign_categories: &'static [&'static str],
    /// Whether the header has to name the key.
    pub needs_kid: bool,
    /// What tells this kind's session tokens from other tokens of the same issuer and keys.
    pub discriminators: &'static [Discriminator],
    /// The roles that tokens may ask for, unless `allowed_roles` says otherwise.
    pub allowed_roles: &'static [&'static str],
    /// Whether `allowed_roles` may name `service_role`.
    pub may_allow_service_role: bool,
    /// What a role that is not allowed means.
    pub other_roles: OtherRoles,
    /// Whether tokens count for requests, unless `for_requests` says otherwise.
    pub for_requests: bool,
    /// The claim with the session's id.
    pub session_claim: Option<&'static str>,
    /// How an organisation and the role in it are told.
    pub organization: OrganizationClaims,
    /// How permissions are told.
    pub permissions: PermissionClaims,
    /// How a second factor is told.
    pub second_factor: SecondFactorClaims,
    /// How the time of the last authentication is told.
    pub authenticated: AuthenticationTime,
    /// How it is told that the e-mail address was verified.
    pub email: EmailClaim,
}

/// What the own arguments of a registration describe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The kind's own issuers; the first one is the one that is shown.
    pub issuers: Vec<Issuer>,
    /// Where their keys are published.
    pub key_address: KeyAddress,
    /// Audiences, beside those of the argument `audiences`.
    pub client_ids: Vec<String>,
    /// Claims that have to have exactly this value.
    pub required_claims: Vec<(&'static str, String)>,
    /// The tenants whose tokens count, as GUIDs.
    pub tenants: Vec<String>,
    /// The issuers of API keys that are signed with this provider's keys.
    pub api_key_issuers: Vec<String>,
}

impl Identity {
    /// One issuer and the address of its keys.
    pub fn new(issuer: impl Into<String>, key_address: KeyAddress) -> Identity {
        Identity {
            issuers: vec![Issuer::exact(issuer)],
            key_address,
            client_ids: Vec::new(),
            required_claims: Vec::new(),
            tenants: Vec::new(),
            api_key_issuers: Vec::new(),
        }
    }
}

/// What the audience has to be when `audiences` is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DefaultAudience {
    /// An audience has to be registered, or `any_audience` asked for.
    Required,
    /// This kind's session tokens carry no `aud`.
    NotUsed,
    /// `aud` must contain this value.
    Value(&'static str),
    /// `aud` must be exactly the value of this own argument.
    OwnArgument(&'static str),
}

/// Which claim says whom a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AudienceClaim {
    /// `aud` (RFC 7519 §4.1.3).
    Aud,
    /// Cognito: `client_id` where `token_use` is `access`, else `aud`.
    CognitoTokenUse,
}

/// How a tenant is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TenantClaims {
    /// There are none.
    None,
    /// Microsoft Entra ID: `tid`, and the GUID in `iss`; a key may be for one issuer alone.
    Entra,
}

/// A rule that only a kind's session tokens fulfil.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Discriminator {
    /// The claim is a string that is not empty.
    NonEmptyString(&'static str),
    /// The claim is a string that begins with the second text.
    StartsWith(&'static str, &'static str),
    /// The claim is one of these strings.
    OneOf(&'static str, &'static [&'static str]),
    /// There is no such claim.
    Without(&'static str),
    /// The claim is a string of at most so many characters.
    AtMostCharacters(&'static str, usize),
    /// The claim is a NumericDate that is not in the future, clock skew allowed.
    PastDate(&'static str),
    /// The claim does not have this value: the session is not complete.
    NotPending(&'static str, &'static str),
}

/// What a role that is not among `allowed_roles` means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OtherRoles {
    /// The token is refused.
    Refused,
    /// The claim says something else than a database role: it counts as absent.
    NoRole,
}

impl Preset {
    /// A plain OpenID Connect issuer (OpenID Connect Core 1.0, RFC 9068), on which the others build.
    const PLAIN: Preset = Preset {
        kind: "",
        own_arguments: &[],
        default_options: &[],
        identity: |_| Err(OptionError::new("kind", "kind describes nothing", "")),
        algorithms: &[Algorithm::RS256],
        may_have_secret: false,
        audience: DefaultAudience::Required,
        audience_claim: AudienceClaim::Aud,
        party_claims: &["azp", "client_id"],
        wants_authorized_parties: false,
        tenant: TenantClaims::None,
        foreign_types: &[],
        foreign_categories: &[],
        needs_kid: false,
        discriminators: &[],
        allowed_roles: &["authenticated"],
        may_allow_service_role: false,
        other_roles: OtherRoles::Refused,
        for_requests: true,
        session_claim: None,
        organization: OrganizationClaims::None,
        permissions: PermissionClaims::None,
        second_factor: SecondFactorClaims::None,
        authenticated: AuthenticationTime::AuthTime,
        email: EmailClaim::EmailVerified,
    };

    /// The preset of that name.
    pub fn find(kind: &str) -> Option<&'static Preset> {
        ALL.into_iter().find(|preset| preset.kind == kind)
    }
}

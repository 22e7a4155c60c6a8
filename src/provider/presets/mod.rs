//! What is particular to each kind of provider, as data: one file a kind.
//!
//! A new kind is one file with one [`Preset`], its line in [`ALL`], and its tests. Where the rules
//! of a kind come from is said in its file.

mod clerk;
mod firebase;
mod oidc;
mod supabase;

use super::KeyAddress;
use crate::keys::Algorithm;
use serde_json::{Map, Value};

/// Every kind of provider that can be registered.
pub static ALL: [&Preset; 4] = [
    &clerk::PRESET,
    &firebase::PRESET,
    &oidc::PRESET,
    &supabase::PRESET,
];

/// What is particular to one kind of provider.
#[derive(Debug)]
pub struct Preset {
    /// The kind's name: `add_<kind>()` registers it.
    pub kind: &'static str,
    /// The arguments of `add_<kind>()` that only this kind has, as members of `options`.
    pub own_arguments: &'static [&'static str],
    /// The issuer that those arguments describe.
    pub issuer: fn(&Options<'_>) -> Result<String, OptionError>,
    /// Where the keys of that issuer are published.
    pub key_address: fn(issuer: &str) -> KeyAddress,
    /// The algorithms of tokens of this kind, unless `algorithms` says otherwise.
    pub algorithms: &'static [Algorithm],
    /// What `aud` has to be when no audience is given.
    pub audience: DefaultAudience,
    /// Header `typ` values (lower case, without `application/`) that this kind's tokens must not
    /// have although they are JWTs: other tokens signed by the same keys.
    pub foreign_types: &'static [&'static str],
    /// What tells this kind's session tokens from other tokens of the same issuer and keys.
    pub discriminators: &'static [Discriminator],
    /// The roles that tokens may ask for, unless `allowed_roles` says otherwise.
    pub allowed_roles: &'static [&'static str],
    /// Whether `allowed_roles` may name `service_role`.
    pub may_allow_service_role: bool,
    /// A NOTICE is given when `authorized_parties` is empty.
    pub wants_authorized_parties: bool,
    /// The claim with the session's id.
    pub session_claim: Option<&'static str>,
    /// How an organisation and the role in it are told.
    pub organization: OrganizationClaims,
    /// How a second factor is told.
    pub second_factor: SecondFactorClaims,
}

/// What `aud` has to be when `audiences` is empty.
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

/// A rule that only a kind's session tokens fulfil.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Discriminator {
    /// The claim is a string that is not empty.
    NonEmptyString(&'static str),
    /// The claim is a string that begins with the second text.
    StartsWith(&'static str, &'static str),
    /// The claim is a string of at most so many characters.
    AtMostCharacters(&'static str, usize),
    /// The claim is a NumericDate that is not in the future, clock skew allowed.
    PastDate(&'static str),
    /// The claim does not have this value: the session is not complete.
    NotPending(&'static str, &'static str),
}

/// How an organisation and the role in it are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrganizationClaims {
    /// Nothing that could be relied on.
    None,
    /// Clerk's version 2 (`o.id`, `o.rol`) or version 1 (`org_id`, `org_role`), never both.
    Clerk,
}

/// How a second factor is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecondFactorClaims {
    /// Clerk's `fva`: minutes since each factor was verified, as of `iat`.
    ClerkFva,
    /// Supabase's `aal` and `amr`, with a time for each method.
    SupabaseAmr,
    /// Firebase's `firebase.sign_in_second_factor`, with `auth_time`.
    Firebase,
    /// The value `mfa` in `amr` (RFC 8176 §2), with `auth_time`.
    AmrMfa,
}

impl Preset {
    /// The preset of that name.
    pub fn find(kind: &str) -> Option<&'static Preset> {
        ALL.into_iter().find(|preset| preset.kind == kind)
    }
}

/// The own arguments of a kind, as registered.
pub struct Options<'a>(pub &'a Map<String, Value>);

/// One of a kind's own arguments is missing or wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OptionError {
    /// The argument.
    pub argument: &'static str,
    /// What is wrong with it.
    pub problem: String,
    /// What to write instead.
    pub hint: String,
}

impl Options<'_> {
    /// A text argument that must be given and not empty.
    ///
    /// # Errors
    /// [`OptionError`] with the hint, if it is missing, null, empty or no text.
    pub fn required(&self, argument: &'static str, hint: &str) -> Result<&str, OptionError> {
        let problem = match self.0.get(argument) {
            Some(Value::String(text)) if text.trim() != text => "has white space around it",
            Some(Value::String(text)) if !text.is_empty() => return Ok(text),
            None | Some(Value::Null | Value::String(_)) => "is missing",
            Some(_) => "is not a text",
        };
        Err(OptionError {
            argument,
            problem: problem.to_owned(),
            hint: hint.to_owned(),
        })
    }
}

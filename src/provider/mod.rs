//! Who may sign for us, and by which rules: a registered provider, parsed.
//!
//! # Layout
//! - [`Provider`]: the rules of one registered row, ready to be judged by `verify`
//! - [`row`]: a registry row as it was written, and the checks that turn it into a [`Provider`]
//! - [`arguments`]: what can be wrong with each argument of a registration
//! - [`registration`]: the arguments of a registration as JSON
//! - [`import`]: the providers of a `config.toml` of the Supabase CLI
//! - [`issuer`]: one issuer string, or a template for those of many tenants
//! - [`secret`]: the symmetric secret that a Supabase provider may have
//! - [`presets`]: what is particular to each kind of provider, as data
//! - [`claim_path`]: where in the claims a value is looked for
//! - [`registry`]: all providers of a database and its revoked keys; which provider an issuer selects
//!
//! Nothing here reads a clock, a socket or a table.
#![forbid(unsafe_code)]

pub mod address;
pub mod arguments;
pub mod claim_path;
pub mod import;
pub mod issuer;
pub mod presets;
pub mod registration;
pub mod registry;
pub mod row;
pub mod secret;

use crate::keys::{Algorithm, KeySet};
use std::sync::Arc;
use std::time::Duration;

pub use address::KeyAddress;
pub use arguments::{MAX_NAME_BYTES, RowError};
pub use claim_path::ClaimPath;
pub use issuer::Issuer;
pub use presets::Preset;
pub use registration::Registration;
pub use registry::{Registry, Revocation};
pub use row::{Advice, AdviceLevel, Row};
pub use secret::Secret;

/// A registered provider whose row passed every check of [`row`].
#[derive(Debug, Clone)]
pub struct Provider {
    /// The registered name, unique in the database.
    pub name: String,
    /// What is particular to its kind.
    pub preset: &'static Preset,
    /// A disabled provider keeps its row and verifies nothing.
    pub enabled: bool,
    /// The issuers of its tokens. The first one is the preset's own.
    pub issuers: Vec<Issuer>,
    /// The issuers of API keys that its keys sign. They select nothing: they are the same everywhere.
    pub api_key_issuers: Vec<String>,
    /// The tenants whose tokens count, as GUIDs; only for kinds that have tenants.
    pub tenants: Vec<String>,
    /// Claims that have to have exactly this value.
    pub required_claims: Vec<(&'static str, String)>,
    /// Whom its tokens may be for.
    pub audiences: Audiences,
    /// Acceptable values of the claim that names the party a token was issued to; empty: not checked.
    pub authorized_parties: Vec<String>,
    /// Where the database role is found.
    pub role_claim: ClaimPath,
    /// The roles that its tokens may ask for.
    pub allowed_roles: Vec<String>,
    /// The role of a token that names none.
    pub default_role: Option<String>,
    /// Tolerance for `exp`, `nbf` and `iat`.
    pub clock_skew: Duration,
    /// The signature algorithms it may use.
    pub algorithms: Vec<Algorithm>,
    /// Where its keys come from.
    pub keys: KeySource,
    /// Whether its tokens count for the current request, or only for an explicit verification.
    pub for_requests: bool,
}

/// Whom a provider's tokens may be for (RFC 7519 §4.1.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Audiences {
    /// `aud` is not looked at: the provider's session tokens carry none, or `any_audience` was asked for.
    NotChecked,
    /// `aud` must be exactly this one string, not an array (Firebase: the project id).
    Exactly(String),
    /// `aud` must be, or contain, one of these.
    OneOf(Vec<String>),
}

/// Where a provider's keys come from.
#[derive(Debug, Clone)]
pub enum KeySource {
    /// Keys given at registration: never fetched, never stale.
    Pinned(Arc<KeySet>),
    /// Keys fetched from this address and kept.
    Fetched(KeyAddress),
}

impl Provider {
    /// The issuer under which the provider is listed.
    pub fn issuer(&self) -> &str {
        self.issuers.first().map_or("", Issuer::as_str)
    }

    /// Whether a token with this `iss` is of this provider.
    pub fn has_issuer(&self, iss: &str) -> bool {
        self.issuers.iter().any(|own| own.matches(iss))
    }

    /// Whether an issuer that was registered, or a template, is one of its own, or a template of one of its
    /// own, or one of its templates: what was said about the one holds for the other.
    pub fn shares_issuer(&self, issuer: &str) -> bool {
        let of_template = Issuer::template(issuer);
        self.issuers.iter().any(|own| {
            own.as_str() == issuer || own.matches(issuer) || of_template.matches(own.as_str())
        })
    }
}

//! All providers of one database, and its revoked keys.

use super::{Provider, Secret};
use crate::keys::Key;
use std::collections::HashMap;
use std::sync::Arc;

/// What a database trusts at one moment.
#[derive(Debug, Default, Clone)]
pub struct Registry {
    /// Every row that passed its checks, disabled ones included, in order of name.
    pub providers: Vec<Arc<Provider>>,
    /// Symmetric secrets, by name of the provider.
    pub secrets: HashMap<String, Secret>,
    /// Keys that are refused whatever the provider publishes.
    pub revoked: Vec<Revocation>,
}

/// A key that an administrator revoked. It survives the removal of the provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revocation {
    /// The issuer whose key it is.
    pub issuer: String,
    /// The key's id.
    pub kid: String,
    /// The key's RFC 7638 thumbprint (base64url), if it was known when it was revoked. It refuses
    /// the same key under another id.
    pub thumbprint: Option<String>,
}

impl Registry {
    /// The enabled provider that a token's `iss` selects, if any. An exact issuer goes before a template,
    /// also where its provider is disabled: then its tokens are nobody's.
    pub fn select(&self, iss: &str) -> Option<&Arc<Provider>> {
        let is_exact = |provider: &&Arc<Provider>| {
            let mut issuers = provider.issuers.iter();
            issuers.any(|own| own.is_exact() && own.matches(iss))
        };
        let enabled = |provider: &&Arc<Provider>| provider.enabled;
        let mut of_this_issuer = self.providers.iter().filter(is_exact).peekable();
        if of_this_issuer.peek().is_some() {
            return of_this_issuer.find(enabled);
        }
        let mut templates = self.providers.iter().filter(enabled);
        templates.find(|provider| provider.has_issuer(iss))
    }

    /// The symmetric secret of a provider: only of a kind that may have one.
    pub fn secret_of(&self, provider: &Provider) -> Option<&Secret> {
        let secret = self.secrets.get(&provider.name);
        secret.filter(|_| provider.preset.may_have_secret)
    }

    /// The provider of that name, enabled or not.
    pub fn by_name(&self, name: &str) -> Option<&Arc<Provider>> {
        self.providers.iter().find(|provider| provider.name == name)
    }

    /// Whether the tokens of some provider give this database role.
    pub fn gives(&self, role: &str) -> bool {
        let roles = |provider: &Provider| provider.allowed_roles.iter().any(|own| own == role);
        self.providers
            .iter()
            .any(|provider| provider.enabled && roles(provider))
    }

    /// Whether a key of this provider is revoked, by its id or by its thumbprint.
    pub fn is_key_revoked(&self, provider: &Provider, key: &Key) -> bool {
        if self.revoked.is_empty() {
            return false;
        }
        let thumbprint = key.thumbprint.to_string();
        self.revoked_of(provider).any(|revoked| {
            revoked.thumbprint.as_deref() == Some(thumbprint.as_str()) || key.has_id(&revoked.kid)
        })
    }

    /// Whether a key id of this provider is revoked.
    pub fn is_kid_revoked(&self, provider: &Provider, kid: &str) -> bool {
        self.revoked_of(provider).any(|revoked| revoked.kid == kid)
    }

    fn revoked_of(&self, provider: &Provider) -> impl Iterator<Item = &Revocation> {
        let revoked = self.revoked.iter();
        revoked.filter(|revoked| provider.shares_issuer(&revoked.issuer))
    }
}

//! All providers of one database, and its revoked keys.

use super::{Provider, Secret};
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
    /// The enabled provider that a token's `iss` selects, if any. An exact issuer goes before a template.
    pub fn select(&self, iss: &str) -> Option<&Arc<Provider>> {
        let enabled = || self.providers.iter().filter(|provider| provider.enabled);
        let mut exact = enabled().filter(|provider| {
            let mut issuers = provider.issuers.iter();
            issuers.any(|own| own.is_exact() && own.matches(iss))
        });
        exact
            .next()
            .or_else(|| enabled().find(|provider| provider.has_issuer(iss)))
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

    /// Whether a key id of this provider is revoked.
    pub fn is_kid_revoked(&self, provider: &Provider, kid: &str) -> bool {
        self.revoked
            .iter()
            .any(|revoked| revoked.kid == kid && provider.lists_issuer(&revoked.issuer))
    }

    /// Whether a key of this provider is revoked by its thumbprint (base64url, RFC 7638).
    pub fn is_thumbprint_revoked(&self, provider: &Provider, thumbprint: &str) -> bool {
        self.revoked.iter().any(|revoked| {
            revoked.thumbprint.as_deref() == Some(thumbprint)
                && provider.lists_issuer(&revoked.issuer)
        })
    }
}

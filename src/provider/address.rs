//! Where a provider's keys are fetched from.

/// The place that publishes a provider's JWKS.
///
/// Two providers with the same address share its keys, its schedule and its budget of requests.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum KeyAddress {
    /// The JWKS itself.
    Direct {
        /// Where the JWKS is, as registered or as the preset builds it.
        jwks_uri: String,
    },
    /// An OpenID Connect discovery document that names the JWKS (OpenID Connect Discovery 1.0 §4).
    Discovery {
        /// The issuer: the document's `issuer` must equal it byte for byte (§4.3).
        issuer: String,
    },
}

impl KeyAddress {
    /// The URL that the first request goes to.
    ///
    /// For discovery that is the issuer without one trailing slash, followed by
    /// `/.well-known/openid-configuration` (OpenID Connect Discovery 1.0 §4.1).
    pub fn url(&self) -> String {
        match self {
            KeyAddress::Direct { jwks_uri } => jwks_uri.clone(),
            KeyAddress::Discovery { issuer } => {
                let base = issuer.strip_suffix('/').unwrap_or(issuer);
                format!("{base}/.well-known/openid-configuration")
            }
        }
    }
}

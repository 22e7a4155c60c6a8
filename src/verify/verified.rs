//! A token that passed every rule.

use super::signature::SignatureValid;
use crate::keys::Thumbprint;
use crate::provider::Provider;
use crate::token::Claims;
use std::fmt;
use std::sync::Arc;

/// A token that passed every rule of its provider. Nothing outside `verify` can make one.
#[derive(Clone)]
pub struct Verified {
    provider: Arc<Provider>,
    claims: Arc<Claims>,
    role: Option<String>,
    period: Period,
    thumbprint: Option<Thumbprint>,
}

/// The times at which every rule that looks at the clock says what it has said. Expiry is the only one that a
/// token breaks by growing older; the others (`nbf`, `iat`, dates that have to be past) it breaks by being judged
/// earlier, so that they hold from the time at which they were seen to hold.
#[derive(Clone, Copy)]
pub(super) struct Period {
    from: f64,
    too_late: f64,
}

impl Period {
    /// From the time at which the token was judged until it expires; seconds since 1970.
    pub(super) fn new(from: f64, too_late: f64) -> Period {
        Period { from, too_late }
    }
}

/// On what the claims are believed.
pub(super) enum Evidence {
    /// A signature that was checked with the key of this thumbprint.
    Signature(SignatureValid, Thumbprint),
    /// A signature that was checked with the provider's secret.
    Secret(SignatureValid),
    /// The word of a gateway that checked the signature (`gateway_roles`).
    Gateway,
}

impl Verified {
    pub(super) fn new(
        provider: Arc<Provider>,
        claims: Arc<Claims>,
        role: Option<String>,
        period: Period,
        evidence: Evidence,
    ) -> Verified {
        let thumbprint = match evidence {
            Evidence::Signature(SignatureValid { .. }, thumbprint) => Some(thumbprint),
            Evidence::Secret(SignatureValid { .. }) | Evidence::Gateway => None,
        };
        Verified {
            provider,
            claims,
            role,
            period,
            thumbprint,
        }
    }

    /// Whether the same token would be accepted at this time too, in seconds since 1970: with the same registry,
    /// the same keys, for the same question. `false` does not say that it would be refused.
    pub fn holds_at(&self, now: f64) -> bool {
        self.period.from <= now && now < self.period.too_late
    }

    /// The provider whose rules it passed.
    pub fn provider(&self) -> &Arc<Provider> {
        &self.provider
    }

    /// Its claims.
    pub fn claims(&self) -> &Arc<Claims> {
        &self.claims
    }

    /// The effective role: the one the token asks for, which is one that it may have, else the
    /// provider's default. `None` if there is neither.
    pub fn role(&self) -> Option<&str> {
        self.role.as_deref()
    }

    /// The thumbprint of the key that signed it; `None` for a secret, and for claims that a
    /// gateway checked.
    pub fn thumbprint(&self) -> Option<&Thumbprint> {
        self.thumbprint.as_ref()
    }
}

/// Without the claims: they do not belong in logs.
impl fmt::Debug for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verified")
            .field("provider", &self.provider.name)
            .finish_non_exhaustive()
    }
}

//! A registry row as it was written, and the checks that turn it into a [`Provider`].
//!
//! The same checks judge `add_<kind>()`, plain INSERT and UPDATE, and every read of the table: a row
//! that got past the first two (a restore without triggers, say) still verifies nothing.

mod audience;
mod keys;
mod roles;

use super::arguments::{RowError, check_name, check_texts, error, find_preset, shown};
use super::presets::{Identity, Options, Preset, TenantClaims};
use super::{ClaimPath, Issuer, Provider};
use crate::keys::Algorithm;
use serde_json::{Map, Value};
use std::time::Duration;

/// The longest issuer, in bytes; also the longest that shared memory holds.
pub const MAX_ISSUER_BYTES: usize = 512;
/// The longest `jwks_uri`, in bytes; also the longest that shared memory holds.
pub const MAX_URL_BYTES: usize = 1024;
/// The largest clock skew, and the one above which there is a warning.
const MAX_CLOCK_SKEW: Duration = Duration::from_secs(300);
const USUAL_CLOCK_SKEW: Duration = Duration::from_secs(60);

/// A row of `third_party_auth.provider`. A `None` stands for "as the kind's preset says".
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Row {
    /// The name, unique in the database.
    pub name: String,
    /// The name of a [`Preset`].
    pub kind: String,
    /// Whether it verifies anything.
    pub enabled: bool,
    /// Further issuer strings, beside the preset's own.
    pub issuers: Vec<String>,
    /// Acceptable audiences.
    pub audiences: Vec<String>,
    /// Accept any audience.
    pub any_audience: bool,
    /// Acceptable parties.
    pub authorized_parties: Vec<String>,
    /// Where the role is found.
    pub role_claim: String,
    /// Roles that tokens may ask for.
    pub allowed_roles: Option<Vec<String>>,
    /// The role of tokens that name none.
    pub default_role: Option<String>,
    /// Tolerance for times, in seconds.
    pub clock_skew: f64,
    /// Names of signature algorithms.
    pub algorithms: Option<Vec<String>>,
    /// Pinned keys: the text of a JWKS.
    pub jwks: Option<String>,
    /// Where the keys are, if not where the preset says.
    pub jwks_uri: Option<String>,
    /// Whether tokens count for the current request.
    pub for_requests: Option<bool>,
    /// The kind's own arguments.
    pub options: Map<String, Value>,
}

/// Something the person who registers a provider should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advice {
    /// How loudly to say it.
    pub level: AdviceLevel,
    /// What is the case.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

/// How loudly an [`Advice`] is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdviceLevel {
    /// Worth knowing.
    Notice,
    /// Probably not intended.
    Warning,
}

impl Row {
    /// Fills what was left open with what the preset says, so that the table shows what holds.
    ///
    /// # Errors
    /// [`RowError`] if the kind is unknown.
    pub fn fill_in(&mut self) -> Result<&'static Preset, RowError> {
        let preset = find_preset(&self.kind)?;
        let names = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        self.allowed_roles
            .get_or_insert_with(|| names(preset.allowed_roles));
        self.algorithms
            .get_or_insert_with(|| preset.algorithms.iter().map(Algorithm::to_string).collect());
        self.for_requests.get_or_insert(preset.for_requests);
        for (argument, default) in preset.default_options {
            if !self.options.contains_key(*argument) {
                // The defaults are JSON: `every_preset_is_complete` reads them.
                let value = serde_json::from_str(default).unwrap_or_default();
                self.options.insert((*argument).to_owned(), value);
            }
        }
        Ok(preset)
    }

    /// The row as it is kept: [`Row::fill_in`], and pinned keys that are not used, a private key say, are
    /// left out.
    ///
    /// # Errors
    /// [`RowError`] if the kind is unknown.
    pub fn as_kept(mut self) -> Result<Row, RowError> {
        self.fill_in()?;
        self.drop_unusable_keys();
        Ok(self)
    }

    /// Whether a provider of this kind may have a symmetric secret.
    pub fn may_have_secret(&self) -> bool {
        Preset::find(&self.kind).is_some_and(|preset| preset.may_have_secret)
    }

    /// Every issuer of the row: the preset's own, then the further ones.
    ///
    /// # Errors
    /// [`RowError`] if the kind or one of its own arguments is wrong.
    pub fn all_issuers(&self) -> Result<Vec<String>, RowError> {
        let preset = find_preset(&self.kind)?;
        let identity = self.identity(preset)?;
        let issuers = self.all_of(preset, &identity)?;
        Ok(issuers.iter().map(|one| one.as_str().to_owned()).collect())
    }

    /// Judges the row.
    ///
    /// # Errors
    /// The first [`RowError`] found, in the order of the columns.
    pub fn judge(mut self) -> Result<(Provider, Vec<Advice>), RowError> {
        let mut advice = Vec::new();
        check_name(&self.name)?;
        let preset = self.fill_in()?;
        let identity = self.identity(preset)?;
        let issuers = self.all_of(preset, &identity)?;
        let audiences = self.audience_rule(preset, &identity)?;
        check_texts("authorized_parties", &self.authorized_parties)?;
        if preset.wants_authorized_parties && self.authorized_parties.is_empty() {
            advice.push(Advice {
                level: AdviceLevel::Notice,
                message: format!(
                    "provider \"{}\" accepts session tokens made for any origin of its instance",
                    self.name
                ),
                hint: "Give authorized_parties => '{https://your.app}' to accept only tokens that were \
                       made for your origins (the azp claim)."
                    .to_owned(),
            });
        }
        let role_claim = ClaimPath::parse(&self.role_claim).map_err(|_| {
            error(
                "role_claim",
                format!("\"{}\" does not name a claim", shown(&self.role_claim)),
                "Write a claim name ('role'), a dotted path ('app_metadata.role'), a JSON Pointer \
                 ('/app_metadata/role') or a namespaced claim ('https://example.com/role').",
            )
        })?;
        let allowed_roles = self.roles(preset, &mut advice)?;
        let clock_skew = self.skew(&mut advice)?;
        let algorithms = self.algorithm_list()?;
        let keys = self.key_source(preset, identity.key_address, &algorithms, &mut advice)?;
        let provider = Provider {
            name: self.name,
            preset,
            enabled: self.enabled,
            issuers,
            api_key_issuers: identity.api_key_issuers,
            tenants: identity.tenants,
            required_claims: identity.required_claims,
            audiences,
            authorized_parties: self.authorized_parties,
            role_claim,
            allowed_roles,
            default_role: self.default_role,
            clock_skew,
            algorithms,
            keys,
            for_requests: self.for_requests.unwrap_or(preset.for_requests),
        };
        Ok((provider, advice))
    }

    /// What the kind's own arguments describe.
    fn identity(&self, preset: &Preset) -> Result<Identity, RowError> {
        let is_own = |name: &str| preset.own_arguments.contains(&name);
        match self.options.keys().find(|name| !is_own(name)) {
            None => Ok((preset.identity)(&Options(&self.options))?),
            Some(unknown) => Err(error(
                "options",
                format!(
                    "\"{}\" is not an argument of kind {}",
                    shown(unknown),
                    preset.kind
                ),
                format!("Its own arguments: {}.", preset.own_arguments.join(", ")),
            )),
        }
    }

    /// The kind's own issuers, then the further ones.
    fn all_of(&self, preset: &Preset, identity: &Identity) -> Result<Vec<Issuer>, RowError> {
        check_texts("issuers", &self.issuers)?;
        let mut issuers = identity.issuers.clone();
        for text in &self.issuers {
            let issuer = match preset.tenant {
                TenantClaims::None => Issuer::exact(text),
                TenantClaims::Entra => Issuer::template(text),
            };
            if !issuers.contains(&issuer) {
                issuers.push(issuer);
            }
        }
        let keys = &identity.api_key_issuers;
        if let Some(both) = issuers
            .iter()
            .find(|one| keys.iter().any(|key| one.matches(key)))
        {
            return Err(error(
                "api_key_issuers",
                format!(
                    "\"{}\" cannot be the issuer of API keys and of users' tokens",
                    shown(both.as_str())
                ),
                "Leave the issuer of users' tokens out of api_key_issuers.",
            ));
        }
        let too_long = |issuer: &&Issuer| issuer.as_str().len() > MAX_ISSUER_BYTES;
        match issuers.iter().find(too_long) {
            None => Ok(issuers),
            Some(long) => Err(error(
                "issuers",
                format!("an issuer of {} bytes is too long", long.as_str().len()),
                format!("An issuer has at most {MAX_ISSUER_BYTES} bytes."),
            )),
        }
    }

    fn skew(&self, advice: &mut Vec<Advice>) -> Result<Duration, RowError> {
        let skew = Duration::try_from_secs_f64(self.clock_skew)
            .ok()
            .filter(|skew| *skew <= MAX_CLOCK_SKEW)
            .ok_or_else(|| {
                error(
                    "clock_skew",
                    "clock_skew is out of range",
                    "Give an interval from '0' to '5 min'.",
                )
            })?;
        if skew > USUAL_CLOCK_SKEW {
            advice.push(Advice {
                level: AdviceLevel::Warning,
                message: format!(
                    "expired tokens of provider \"{}\" stay valid for another {} s",
                    self.name,
                    skew.as_secs()
                ),
                hint: "Synchronised clocks need no more than '60 s'.".to_owned(),
            });
        }
        Ok(skew)
    }
}

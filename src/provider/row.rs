//! A registry row as it was written, and the checks that turn it into a [`Provider`].
//!
//! The same checks judge `add_<kind>()`, plain INSERT and UPDATE, and every read of the table: a row
//! that got past the first two (a restore without triggers, say) still verifies nothing.

use super::arguments::{
    MAX_NAME_BYTES, RowError, check_name, check_texts, check_url, error, find_preset, shown,
};
use super::presets::{DefaultAudience, Options, Preset};
use super::{Audiences, ClaimPath, KeyAddress, KeySource, Provider};
use crate::keys::{self, Algorithm, KeySet};
use serde_json::{Map, Value};
use std::time::Duration;

/// The longest issuer, in bytes; also the longest that shared memory holds.
pub const MAX_ISSUER_BYTES: usize = 512;
/// The longest `jwks_uri`, in bytes; also the longest that shared memory holds.
pub const MAX_URL_BYTES: usize = 1024;
/// The largest clock skew, and the one above which there is a warning.
const MAX_CLOCK_SKEW: Duration = Duration::from_secs(300);
const USUAL_CLOCK_SKEW: Duration = Duration::from_secs(60);
/// The role that bypasses Row Level Security on Supabase.
const SERVICE_ROLE: &str = "service_role";

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
    /// Acceptable `azp` values.
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
    pub for_requests: bool,
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

    fn drop_unusable_keys(&mut self) {
        let Some(Ok(reading)) = self.jwks.as_deref().map(keys::read) else {
            return;
        };
        if !reading.skipped.is_empty() {
            let used: Vec<Value> = reading.keys.keys.iter().map(|key| key.to_jwk()).collect();
            self.jwks = Some(serde_json::json!({ "keys": used }).to_string());
        }
    }

    /// Every issuer of the row: the preset's own, then the further ones.
    ///
    /// # Errors
    /// [`RowError`] if the kind or one of its own arguments is wrong.
    pub fn all_issuers(&self) -> Result<Vec<String>, RowError> {
        let preset = find_preset(&self.kind)?;
        self.issuer_strings(preset)
    }

    /// Judges the row.
    ///
    /// # Errors
    /// The first [`RowError`] found, in the order of the columns.
    pub fn judge(mut self) -> Result<(Provider, Vec<Advice>), RowError> {
        let mut advice = Vec::new();
        check_name(&self.name)?;
        let preset = self.fill_in()?;
        let issuers = self.issuer_strings(preset)?;
        let audiences = self.audience_rule(preset)?;
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
        let allowed_roles = self.roles(preset)?;
        let clock_skew = self.skew(&mut advice)?;
        let algorithms = self.algorithm_list()?;
        let keys = self.key_source(preset, &issuers[0], &algorithms, &mut advice)?;
        let provider = Provider {
            name: self.name,
            preset,
            enabled: self.enabled,
            issuers,
            audiences,
            authorized_parties: self.authorized_parties,
            role_claim,
            allowed_roles,
            default_role: self.default_role,
            clock_skew,
            algorithms,
            keys,
            for_requests: self.for_requests,
        };
        Ok((provider, advice))
    }

    fn issuer_strings(&self, preset: &Preset) -> Result<Vec<String>, RowError> {
        if let Some(unknown) = self
            .options
            .keys()
            .find(|name| !preset.own_arguments.contains(&name.as_str()))
        {
            return Err(error(
                "options",
                format!(
                    "\"{}\" is not an argument of kind {}",
                    shown(unknown),
                    preset.kind
                ),
                format!("Its own arguments: {}.", preset.own_arguments.join(", ")),
            ));
        }
        let mut issuers = vec![(preset.issuer)(&Options(&self.options))?];
        check_texts("issuers", &self.issuers)?;
        for issuer in &self.issuers {
            if !issuers.contains(issuer) {
                issuers.push(issuer.clone());
            }
        }
        if let Some(long) = issuers.iter().find(|i| i.len() > MAX_ISSUER_BYTES) {
            return Err(error(
                "issuers",
                format!("an issuer of {} bytes is too long", long.len()),
                format!("An issuer has at most {MAX_ISSUER_BYTES} bytes."),
            ));
        }
        Ok(issuers)
    }

    fn audience_rule(&self, preset: &Preset) -> Result<Audiences, RowError> {
        check_texts("audiences", &self.audiences)?;
        if let DefaultAudience::OwnArgument(argument) = preset.audience {
            if self.any_audience || !self.audiences.is_empty() {
                return Err(error(
                    if self.any_audience {
                        "any_audience"
                    } else {
                        "audiences"
                    },
                    format!(
                        "the audience of kind {} is always its {argument}",
                        preset.kind
                    ),
                    "Leave it out: every project shares the same signing keys, only issuer and audience \
                     tell their tokens apart.",
                ));
            }
            let options = Options(&self.options);
            return Ok(Audiences::Exactly(
                options.required(argument, "")?.to_owned(),
            ));
        }
        match (
            self.any_audience,
            self.audiences.as_slice(),
            preset.audience,
        ) {
            (true, [], _) => Ok(Audiences::NotChecked),
            (true, _, _) => Err(error(
                "any_audience",
                "any_audience contradicts audiences",
                "Give the audiences, or any_audience => true, not both.",
            )),
            (false, [], DefaultAudience::NotUsed) => Ok(Audiences::NotChecked),
            (false, [], DefaultAudience::Value(value)) => {
                Ok(Audiences::OneOf(vec![value.to_owned()]))
            }
            (false, [], _) => Err(error(
                "audiences",
                format!("kind {} needs an audience", preset.kind),
                "Give audiences => '{your-api}' (the aud of your tokens), or any_audience => true if you \
                 accept tokens that the issuer made for other applications.",
            )),
            (false, given, _) => Ok(Audiences::OneOf(given.to_vec())),
        }
    }

    fn roles(&self, preset: &Preset) -> Result<Vec<String>, RowError> {
        let roles = self.allowed_roles.clone().unwrap_or_default();
        check_texts("allowed_roles", &roles)?;
        if let Some(default) = &self.default_role
            && !roles.contains(default)
        {
            return Err(error(
                "default_role",
                format!(
                    "default_role \"{}\" is not among allowed_roles",
                    shown(default)
                ),
                "Add it to allowed_roles, or choose one of them.",
            ));
        }
        for role in &roles {
            if role.len() > MAX_NAME_BYTES {
                return Err(error(
                    "allowed_roles",
                    "a role name is too long",
                    format!("A role name has at most {MAX_NAME_BYTES} bytes."),
                ));
            }
            if role == SERVICE_ROLE && !preset.may_allow_service_role {
                return Err(error(
                    "allowed_roles",
                    format!(
                        "tokens of kind {} must not ask for {SERVICE_ROLE}",
                        preset.kind
                    ),
                    "service_role bypasses Row Level Security; only Supabase's own tokens may have it. Use \
                     another role.",
                ));
            }
        }
        Ok(roles)
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

    fn algorithm_list(&self) -> Result<Vec<Algorithm>, RowError> {
        let hint = || {
            let all: Vec<_> = Algorithm::ALL.iter().map(|a| a.name()).collect();
            format!("Choose among {}.", all.join(", "))
        };
        let names = self.algorithms.as_deref().unwrap_or_default();
        if names.is_empty() {
            return Err(error("algorithms", "algorithms is empty", hint()));
        }
        check_texts("algorithms", names)?;
        names
            .iter()
            .map(|name| {
                name.parse().map_err(|_| {
                    error(
                        "algorithms",
                        format!("\"{}\" is not a supported signature algorithm", shown(name)),
                        hint(),
                    )
                })
            })
            .collect()
    }

    fn key_source(
        &self,
        preset: &Preset,
        issuer: &str,
        algorithms: &[Algorithm],
        advice: &mut Vec<Advice>,
    ) -> Result<KeySource, RowError> {
        match (&self.jwks, &self.jwks_uri) {
            (Some(_), Some(_)) => Err(error(
                "jwks_uri",
                "jwks and jwks_uri contradict each other",
                "Give jwks to pin keys that are never fetched, or jwks_uri to have them fetched.",
            )),
            (Some(text), None) => self.pinned(text, algorithms, advice).map(KeySource::Pinned),
            (None, Some(url)) => {
                check_url("jwks_uri", url)?;
                Ok(KeySource::Fetched(KeyAddress::Direct {
                    jwks_uri: url.clone(),
                }))
            }
            (None, None) => {
                let address = (preset.key_address)(issuer);
                check_url(preset.own_arguments[0], &address.url())?;
                Ok(KeySource::Fetched(address))
            }
        }
    }

    fn pinned(
        &self,
        text: &str,
        algorithms: &[Algorithm],
        advice: &mut Vec<Advice>,
    ) -> Result<KeySet, RowError> {
        let hint = "jwks takes a JWKS as published by the issuer: {\"keys\": [...]}, with public keys \
                    (RSA of 2048 bits or more, P-256, P-384 or Ed25519) that fit the algorithms.";
        let reading =
            keys::read(text).map_err(|cause| error("jwks", format!("jwks: {cause}"), hint))?;
        let mut warn = |message: String| {
            advice.push(Advice {
                level: AdviceLevel::Warning,
                message,
                hint: "The other keys are used.".to_owned(),
            });
        };
        for skipped in &reading.skipped {
            warn(format!(
                "key {} of jwks is not used: {}",
                skipped.index + 1,
                skipped.problem
            ));
        }
        let (usable, idle): (Vec<_>, Vec<_>) = reading
            .keys
            .keys
            .into_iter()
            .partition(|key| algorithms.iter().any(|&algorithm| key.allows(algorithm)));
        if usable.is_empty() {
            return Err(error(
                "jwks",
                "jwks has no key that fits the algorithms",
                hint,
            ));
        }
        if !idle.is_empty() {
            warn(format!(
                "{} key(s) of jwks fit none of the algorithms",
                idle.len()
            ));
        }
        Ok(KeySet { keys: usable })
    }
}

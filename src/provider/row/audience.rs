//! Whom a row's tokens may be for.

use super::Row;
use crate::provider::Audiences;
use crate::provider::arguments::{RowError, check_texts, error};
use crate::provider::presets::{DefaultAudience, Identity, Options, Preset};

impl Row {
    pub(super) fn audience_rule(
        &self,
        preset: &Preset,
        identity: &Identity,
    ) -> Result<Audiences, RowError> {
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
        // Client ids are audiences.
        let mut given = self.audiences.clone();
        for id in &identity.client_ids {
            if !given.contains(id) {
                given.push(id.clone());
            }
        }
        let has_client_ids = preset.own_arguments.contains(&"client_ids");
        match (self.any_audience, given.is_empty(), preset.audience) {
            (true, true, _) => Ok(Audiences::NotChecked),
            (true, false, _) => Err(error(
                "any_audience",
                "any_audience contradicts the audiences that are given",
                "Give the audiences, or any_audience => true, not both.",
            )),
            (false, false, _) => Ok(Audiences::OneOf(given)),
            (false, true, DefaultAudience::NotUsed) => Ok(Audiences::NotChecked),
            (false, true, DefaultAudience::Value(value)) => {
                Ok(Audiences::OneOf(vec![value.to_owned()]))
            }
            (false, true, _) => Err(error(
                "audiences",
                format!("kind {} needs an audience", preset.kind),
                format!(
                    "Give {} (the aud of your tokens), or any_audience => true if you accept tokens that \
                     the issuer made for other applications.",
                    match has_client_ids {
                        true => "client_ids => '{your-client-id}', or audiences => '{your-api}'",
                        false => "audiences => '{your-api}'",
                    }
                ),
            )),
        }
    }
}

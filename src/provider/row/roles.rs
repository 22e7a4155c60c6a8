//! Which database roles a row's tokens may ask for.

use super::{Advice, AdviceLevel, Row};
use crate::provider::arguments::{MAX_NAME_BYTES, RowError, check_texts, error, shown};
use crate::provider::presets::Preset;

/// The role that bypasses Row Level Security on Supabase.
const SERVICE_ROLE: &str = "service_role";

impl Row {
    pub(super) fn roles(
        &self,
        preset: &Preset,
        advice: &mut Vec<Advice>,
    ) -> Result<Vec<String>, RowError> {
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
        if self.default_role.as_deref() == Some(SERVICE_ROLE) {
            advice.push(Advice {
                level: AdviceLevel::Warning,
                message: format!(
                    "tokens of provider \"{}\" that name no role bypass Row Level Security",
                    self.name
                ),
                hint: "Choose another default_role: service_role is for tokens that ask for it."
                    .to_owned(),
            });
        }
        Ok(roles)
    }
}

//! The questions about claims that policies ask, and from which claim each kind of provider answers
//! them, as its preset says.

use super::token::NOW;
use pg_third_party_auth::policy::{
    self, authentication, email, organization, permissions, reverification, scope, second_factor,
};
use pg_third_party_auth::provider::Preset;
use pg_third_party_auth::provider::presets::{
    AudienceClaim, AuthenticationTime, EmailClaim, OrganizationClaims, OtherRoles,
    PermissionClaims, SecondFactorClaims,
};
use pg_third_party_auth::verify::Verified;

/// One of the functions for policies.
pub struct Question {
    /// How it is called.
    pub function: &'static str,
    /// The claims that its answer is taken from, in backquotes; `None`: this kind never answers.
    pub source: fn(&Preset) -> Option<String>,
    /// Whether a token answers: with a text, or with true for the arguments that are asked with here.
    pub answers: fn(&Verified) -> bool,
}

// What is asked for.
pub const AUDIENCE: &str = "api";
pub const SCOPE: &str = "read";
pub const ORGANIZATION: &str = "org_1";
pub const ROLE: &str = "admin";
pub const PERMISSION: &str = "org:teams:read";
pub const MAX_AGE: f64 = 3600.0;

/// Every function of the interface that asks about claims.
pub static QUESTIONS: [Question; 17] = [
    Question {
        function: "jwt_issuer()",
        source: |_| claims("`iss`"),
        answers: |token| policy::issuer(token).is_some(),
    },
    Question {
        function: "jwt_subject()",
        source: |_| claims("`sub`"),
        answers: |token| policy::subject(token).is_some(),
    },
    Question {
        function: "jwt_session_id()",
        source: |preset| preset.session_claim.map(|claim| format!("`{claim}`")),
        answers: |token| policy::session_id(token).is_some(),
    },
    Question {
        function: "jwt_role()",
        source: |preset| match preset.other_roles {
            OtherRoles::Refused => claims("`role`"),
            OtherRoles::NoRole => claims("`role`, if allowed"),
        },
        answers: |token| token.role().is_some(),
    },
    Question {
        function: "jwt_has_audience(audience)",
        source: |preset| match preset.audience_claim {
            AudienceClaim::Aud => claims("`aud`"),
            AudienceClaim::CognitoTokenUse => claims("`aud` (ID tokens only)"),
        },
        answers: |token| policy::has_audience(token, AUDIENCE),
    },
    Question {
        function: "jwt_has_scope(scope)",
        source: |_| claims("`scope`, `scp`"),
        answers: |token| scope::has_scope(token, SCOPE),
    },
    Question {
        function: "jwt_org_id()",
        source: |preset| match preset.organization {
            OrganizationClaims::None | OrganizationClaims::CognitoGroups => None,
            OrganizationClaims::Clerk => claims("`o.id`; version 1 `org_id`"),
            OrganizationClaims::OrgId | OrganizationClaims::WorkOs => claims("`org_id`"),
        },
        answers: |token| organization::organization(token).is_some(),
    },
    Question {
        function: "jwt_org_role()",
        source: |preset| role_in_organization(preset, None),
        answers: |token| organization::organization(token).is_some_and(|o| o.role.is_some()),
    },
    Question {
        function: "jwt_has_org_role(role)",
        source: |preset| role_in_organization(preset, Some("`cognito:groups`")),
        answers: |token| organization::has_role(token, ROLE),
    },
    Question {
        function: "jwt_has_org_role(role, org_id)",
        source: |preset| role_in_organization(preset, None),
        answers: |token| organization::has_role_in(token, ROLE, ORGANIZATION),
    },
    Question {
        function: "jwt_has_org_permission(permission)",
        source: |preset| match preset.permissions {
            PermissionClaims::None => None,
            PermissionClaims::Clerk => clerk_permissions(),
            PermissionClaims::Permissions => claims("`permissions`"),
            PermissionClaims::CognitoGroups => claims("`cognito:groups`"),
        },
        answers: |token| permissions::has(token, PERMISSION),
    },
    Question {
        function: "jwt_has_org_permission(permission, org_id)",
        source: |preset| match preset.permissions {
            PermissionClaims::None | PermissionClaims::CognitoGroups => None,
            PermissionClaims::Clerk => clerk_permissions(),
            PermissionClaims::Permissions => claims("`permissions` with `org_id`"),
        },
        answers: |token| permissions::has_in(token, PERMISSION, ORGANIZATION),
    },
    Question {
        function: "jwt_second_factor_verified()",
        source: |preset| match preset.second_factor {
            SecondFactorClaims::None => None,
            SecondFactorClaims::ClerkFva => claims("`fva`, second number"),
            SecondFactorClaims::SupabaseAmr => claims("`aal`"),
            SecondFactorClaims::Firebase => claims("`firebase.sign_in_second_factor`"),
            SecondFactorClaims::AmrMfa => claims("mfa in `amr`"),
            SecondFactorClaims::AmrMfaOrAcr(_) => claims("mfa in `amr`, or `acr`"),
        },
        answers: second_factor::is_verified,
    },
    Question {
        function: "jwt_second_factor_verified(max_age)",
        source: |preset| match preset.second_factor {
            SecondFactorClaims::None => None,
            SecondFactorClaims::ClerkFva => claims("`fva`, second number, with `iat`"),
            SecondFactorClaims::SupabaseAmr => claims("`aal` with times in `amr`"),
            SecondFactorClaims::Firebase => {
                claims("`firebase.sign_in_second_factor` with `auth_time`")
            }
            SecondFactorClaims::AmrMfa => claims("mfa in `amr`, with `auth_time`"),
            SecondFactorClaims::AmrMfaOrAcr(_) => {
                claims("mfa in `amr`, or `acr`, with `auth_time`")
            }
        },
        answers: |token| second_factor::is_verified_within(token, MAX_AGE, NOW),
    },
    Question {
        function: "jwt_reverified(level)",
        source: |preset| match preset.second_factor {
            SecondFactorClaims::ClerkFva => claims("`fva` with `iat`"),
            SecondFactorClaims::None
            | SecondFactorClaims::SupabaseAmr
            | SecondFactorClaims::Firebase
            | SecondFactorClaims::AmrMfa
            | SecondFactorClaims::AmrMfaOrAcr(_) => None,
        },
        answers: |token| reverification::is_reverified(token, "strict", NOW),
    },
    Question {
        function: "jwt_authenticated_within(max_age)",
        source: |preset| match preset.authenticated {
            AuthenticationTime::AuthTime => claims("`auth_time`"),
            AuthenticationTime::ClerkFva => claims("`fva` with `iat`"),
            AuthenticationTime::SupabaseAmr => claims("times in `amr`"),
        },
        answers: |token| authentication::is_within(token, MAX_AGE, NOW),
    },
    Question {
        function: "jwt_email_verified()",
        source: |preset| match preset.email {
            EmailClaim::EmailVerified => claims("`email_verified`"),
            EmailClaim::XmsEdov => claims("`xms_edov`"),
        },
        answers: email::is_verified,
    },
];

/// The top-level claims that a source names: what stands in backquotes, up to the first dot.
pub fn named(source: &str) -> Vec<&str> {
    let quoted = source.split('`').skip(1).step_by(2);
    quoted
        .map(|path| path.split_once('.').map_or(path, |(first, _)| first))
        .collect()
}

fn claims(source: &str) -> Option<String> {
    Some(source.to_owned())
}

fn role_in_organization(preset: &Preset, groups: Option<&str>) -> Option<String> {
    match preset.organization {
        OrganizationClaims::None | OrganizationClaims::OrgId => None,
        OrganizationClaims::Clerk => claims("`o.rol`; version 1 `org_role` with `org_id`"),
        OrganizationClaims::WorkOs => claims("`role`, `user_role` or `roles`, with `org_id`"),
        OrganizationClaims::CognitoGroups => groups.map(str::to_owned),
    }
}

fn clerk_permissions() -> Option<String> {
    claims("`fea`, `o.per`, `o.fpm`; version 1 `org_permissions` with `org_id`")
}

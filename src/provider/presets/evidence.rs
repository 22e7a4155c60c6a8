//! From which claims the questions of policies are answered, kind by kind.

/// How an organisation and the role in it are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrganizationClaims {
    /// Nothing that could be relied on.
    None,
    /// Clerk's version 2 (`o.id`, `o.rol`) or version 1 (`org_id`, `org_role`), never both.
    Clerk,
    /// `org_id` alone (Auth0).
    OrgId,
    /// WorkOS: `org_id`, with `role`, `user_role` and `roles`.
    WorkOs,
    /// Cognito's groups, which belong to no organisation: they are roles without one.
    CognitoGroups,
}

/// How permissions are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PermissionClaims {
    /// Nothing that could be relied on.
    None,
    /// Clerk's version 2 (`fea`, `o.per`, `o.fpm`) or version 1 (`org_permissions`), never both.
    Clerk,
    /// The array `permissions` (Auth0, WorkOS).
    Permissions,
    /// Cognito's groups, which belong to no organisation.
    CognitoGroups,
}

/// How a second factor is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecondFactorClaims {
    /// Nothing that could be relied on.
    None,
    /// Clerk's `fva`: minutes since each factor was verified, as of `iat`.
    ClerkFva,
    /// Supabase's `aal` and `amr`, with a time for each method.
    SupabaseAmr,
    /// Firebase's `firebase.sign_in_second_factor`, with `auth_time`.
    Firebase,
    /// The value `mfa` in `amr` (RFC 8176 §2), with `auth_time`.
    AmrMfa,
    /// The same, or this value in `acr` (OpenID Connect Core 1.0 §2).
    AmrMfaOrAcr(&'static str),
}

/// How the time of the last authentication is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthenticationTime {
    /// `auth_time` (OpenID Connect Core 1.0 §2).
    AuthTime,
    /// Clerk's `fva`: the first factor, else the second one.
    ClerkFva,
    /// The newest time in Supabase's `amr` of a method by which somebody really signed in.
    SupabaseAmr,
}

/// How it is told that the e-mail address was verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EmailClaim {
    /// `email_verified` (OpenID Connect Core 1.0 §5.1).
    EmailVerified,
    /// Entra's `xms_edov`; its `email` alone proves nothing.
    XmsEdov,
}

//! The policies whose cost per row is measured, and what each is compared with.

use crate::claims::{self, CLERK, FIREBASE, LONG, SHORT};
use crate::table::Budget;

/// Where a policy comes from, and what it is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// What the others are compared with.
    Baseline,
    /// A policy of ours, compared with `using (true)`.
    Ours,
    /// The same for a policy about the organisation, compared with a constant.
    OurOrganization,
    /// Plain SQL over `request.jwt.claims`, compared with `using (true)`.
    Plain,
    /// The same for a policy about the organisation, compared with a constant.
    PlainOrganization,
}

/// Whose token it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provider {
    Clerk,
    Firebase,
}

impl Provider {
    /// The claims of its token in so many bytes.
    pub fn claims(self, bytes: usize) -> String {
        match self {
            Provider::Clerk => claims::clerk(bytes),
            Provider::Firebase => claims::firebase(bytes),
        }
    }
}

/// A policy over a table.
pub struct Case {
    pub kind: Kind,
    /// What it is called in the table of figures.
    pub name: String,
    /// The policy's expression; none is a role that no policy binds.
    pub policy: Option<String>,
    pub provider: Provider,
    /// How long the claims are.
    pub bytes: usize,
    /// It is so dear that fewer rows have to do.
    pub is_dear: bool,
    /// It is read from the guarded table.
    pub is_guarded: bool,
    pub budget: Option<Budget>,
}

/// The positions of the two cases that others are compared with.
pub const TRUE: usize = 1;
pub const CONSTANT: usize = 2;

/// All of them, for this `server_version_num`.
pub fn all(version: u32) -> Vec<Case> {
    let mut cases = vec![
        case(Kind::Baseline, "no row level security", ""),
        case(Kind::Baseline, "true", "true"),
        case(
            Kind::Baseline,
            "organization_id = 'org_a'",
            "organization_id = 'org_a'",
        ),
    ];
    cases[0].policy = None;
    cases.extend(ours(version));
    for bytes in [SHORT, LONG] {
        cases.extend(plain(bytes));
    }
    cases
}

/// `{}` stands where the schema does. What is wrapped has no column in it.
fn ours(version: u32) -> Vec<Case> {
    let yes = Some(Budget::RatioAtMost(if version >= 180_000 {
        1.6
    } else {
        1.4
    }));
    let claim = format!("{{}}third_party_jwt()->>'iss' = '{CLERK}'");
    let wrapped_claim = format!("(select {{}}third_party_jwt()->>'iss') = '{CLERK}'");
    let mut cases = Vec::new();
    for (policy, budget) in [
        ("{}is_supabase_or_firebase_project_jwt()", yes),
        ("{}is_third_party_jwt()", yes),
        ("{}is_third_party_jwt('clerk')", yes),
        ("{}jwt_second_factor_verified()", yes),
    ] {
        cases.push(our(Kind::Ours, policy, budget));
        cases.push(our(Kind::Ours, &format!("(select {policy})"), None));
    }
    cases.push(our(Kind::Ours, &claim, Some(Budget::RatioAtMost(8.0))));
    cases.push(our(Kind::Ours, &wrapped_claim, None));
    let mut guarded = case(Kind::Ours, "true, and guard_table()", "true");
    guarded.is_guarded = true;
    cases.push(guarded);
    let organization = Kind::OurOrganization;
    for (policy, budget) in [
        (
            "organization_id = {}jwt_org_id()",
            Some(Budget::RatioAtMost(2.0)),
        ),
        ("organization_id = (select {}jwt_org_id())", None),
        ("{}jwt_has_org_role('admin', organization_id)", None),
    ] {
        cases.push(our(organization, policy, budget));
    }
    cases
}

fn our(kind: Kind, policy: &str, budget: Option<Budget>) -> Case {
    let name = policy.replace("{}", "").replace(CLERK, "…");
    let mut case = case(kind, &name, &policy.replace("{}", "extensions."));
    if policy.contains("firebase") {
        case.provider = Provider::Firebase;
    }
    case.budget = budget;
    case
}

/// The policies of Supabase's guides, over claims of so many bytes.
fn plain(bytes: usize) -> Vec<Case> {
    let firebase = "public.is_supabase_or_firebase_project_jwt()";
    let id = "coalesce(auth.jwt()->>'org_id', auth.jwt()->'o'->>'id')";
    let roles = "auth.jwt()->>'org_role' = 'org:admin' or auth.jwt()->'o'->>'rol' = 'admin'";
    let wrapped_roles = "(select auth.jwt()->>'org_role') = 'org:admin' or (select auth.jwt()->'o'->>'rol') = 'admin'";
    let policy = |kind, name: &str, policy: String| {
        let mut case = case(kind, &format!("{name}, {bytes} bytes"), &policy);
        if policy.contains("firebase") {
            case.provider = Provider::Firebase;
        }
        case.bytes = bytes;
        case.is_dear = !policy.contains("(select");
        case
    };
    let (plain, organization) = (Kind::Plain, Kind::PlainOrganization);
    vec![
        policy(
            plain,
            "auth.jwt()->>'iss' = …",
            format!("auth.jwt()->>'iss' = '{CLERK}'"),
        ),
        policy(
            plain,
            "(select auth.jwt()->>'iss') = …",
            format!("(select auth.jwt()->>'iss') = '{CLERK}'"),
        ),
        policy(
            plain,
            "the guide's is_supabase_or_firebase_project_jwt()",
            format!("{firebase} is true"),
        ),
        policy(
            plain,
            "(select the guide's is_supabase_or_…_jwt())",
            format!("(select {firebase}) is true"),
        ),
        policy(
            plain,
            "(auth.jwt()->'fva'->>1) != '-1'",
            "(auth.jwt()->'fva'->>1) != '-1'".to_owned(),
        ),
        policy(
            plain,
            "(select auth.jwt()->'fva'->>1) != '-1'",
            "(select auth.jwt()->'fva'->>1) != '-1'".to_owned(),
        ),
        policy(
            organization,
            "organization_id = coalesce(auth.jwt()…)",
            format!("organization_id = {id}"),
        ),
        policy(
            organization,
            "organization_id = (select coalesce(auth.jwt()…))",
            format!("organization_id = (select {id})"),
        ),
        policy(
            organization,
            "the guide's policy for admins, without select",
            format!("({roles}) and organization_id = {id}"),
        ),
        policy(
            organization,
            "the guide's policy for admins",
            format!("({wrapped_roles}) and organization_id = (select {id})"),
        ),
    ]
}

fn case(kind: Kind, name: &str, policy: &str) -> Case {
    Case {
        kind,
        name: name.to_owned(),
        policy: Some(policy.to_owned()),
        provider: Provider::Clerk,
        bytes: LONG,
        is_dear: false,
        is_guarded: false,
        budget: None,
    }
}

/// The guide's function for a project that has users of Supabase Auth and of Firebase, and what it stands on:
/// `auth.jwt()` as Supabase defines it.
pub fn guide() -> String {
    format!(
        "CREATE SCHEMA auth;
        GRANT USAGE ON SCHEMA auth TO public;
        CREATE FUNCTION auth.jwt() RETURNS jsonb LANGUAGE sql STABLE AS $$
            SELECT coalesce(
                nullif(current_setting('request.jwt.claim', true), ''),
                nullif(current_setting('request.jwt.claims', true), '')
            )::jsonb
        $$;
        CREATE FUNCTION public.is_supabase_or_firebase_project_jwt() RETURNS bool
            LANGUAGE sql STABLE RETURNS NULL ON NULL INPUT
            RETURN (
                (auth.jwt()->>'iss' = 'https://abcdefghijklmnopqrst.supabase.co/auth/v1')
                OR (
                    auth.jwt()->>'iss' = concat('{FIREBASE}')
                    AND auth.jwt()->>'aud' = 'bench'
                )
            )"
    )
}

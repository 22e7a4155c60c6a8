//! What policies ask about the organisation: its id, and the role in it.

#[path = "policy/token.rs"]
#[allow(dead_code)]
mod token;

use pg_third_party_auth::policy::{organization, permissions};
use pg_third_party_auth::provider::ClaimPath;
use pg_third_party_auth::verify::Verified;
use serde_json::{Value, json};
use token::{changed, judged, provider, verified};

/// The organisation's id and the role in it.
fn org(token: &Verified) -> Option<(&str, Option<&str>)> {
    organization::organization(token).map(|o| (o.id, o.role))
}

/// Claims of WorkOS, and the role in the organisation that they tell.
fn work_os_role(changes: Value) -> Option<String> {
    let token = verified("workos", changes);
    organization::organization(&token)?.role.map(str::to_owned)
}

#[test]
fn clerks_versions_are_read_and_never_mixed() {
    let clerk = |changes| verified("clerk", changes);
    let admin = Some(("org_a", Some("admin")));
    for claims in [
        json!({"v": 2, "o": {"id": "org_a", "rol": "admin"}}),
        json!({"v": 2.0, "o": {"id": "org_a", "rol": "admin"}}),
        json!({"org_id": "org_a", "org_role": "org:admin"}),
        // Custom claims of the other version's names.
        json!({"v": 2, "o": {"id": "org_a", "rol": "admin"}, "org_id": "org_b", "org_role": "org:member"}),
    ] {
        assert_eq!(org(&clerk(claims.clone())), admin, "{claims}");
    }
    for claims in [
        json!({"v": 2, "org_id": "org_b", "org_role": "org:admin"}),
        json!({"o": {"id": "org_a"}, "org_id": "org_b"}),
        json!({"o": {"id": "org_a", "rol": "admin"}}),
        json!({"v": 1, "org_id": "org_b"}),
        json!({"v": "2", "o": {"id": "org_a"}}),
        json!({"v": 3, "o": {"id": "org_a"}}),
        json!({"v": 2, "o": {"id": ""}}),
        json!({"v": 2, "o": {"id": 7}}),
        json!({"v": 2, "o": "org_a"}),
        json!({"org_id": ""}),
        json!({}),
    ] {
        assert_eq!(org(&clerk(claims.clone())), None, "{claims}");
    }
}

#[test]
fn an_organisation_of_another_kind_is_none() {
    for kind in [
        "firebase",
        "supabase",
        "oidc",
        "apple",
        "azure",
        "aws_cognito",
    ] {
        let token = verified(
            kind,
            json!({"org_id": "org_a", "v": 2, "fea": "o:x", "org_permissions": ["org:x:read"],
                   "permissions": ["x:read"], "roles": ["admin"], "org_role": "admin",
                   "o": {"id": "org_a", "rol": "admin", "per": "read", "fpm": "1"}}),
        );
        assert_eq!(org(&token), None, "{kind}");
        assert!(!organization::has_role(&token, "admin"), "{kind}");
        assert!(!organization::has_role_in(&token, "admin", "org_a"));
        assert!(!permissions::has(&token, "x:read"), "{kind}");
        assert!(!permissions::has_in(&token, "x:read", "org_a"));
    }
}

#[test]
fn a_role_is_the_same_with_and_without_its_prefix() {
    let token = verified(
        "clerk",
        json!({"v": 2, "o": {"id": "org_a", "rol": "admin"}}),
    );
    assert!(organization::has_role(&token, "admin"));
    assert!(organization::has_role(&token, "org:admin"));
    assert!(!organization::has_role(&token, "org:member"));
    assert!(!organization::has_role(&token, "Admin"));
    assert!(!organization::has_role(&token, ""));
    assert!(!organization::has_role(&token, "org:"));
    assert!(organization::has_role_in(&token, "admin", "org_a"));
    assert!(!organization::has_role_in(&token, "admin", "org_b"));
    assert!(!organization::has_role_in(&token, "member", "org_a"));
}

#[test]
fn an_empty_role_is_none() {
    for claims in [
        json!({"v": 2, "o": {"id": "org_a", "rol": "org:"}}),
        json!({"v": 2, "o": {"id": "org_a", "rol": ""}}),
        json!({"v": 2, "o": {"id": "org_a", "rol": ["admin"]}}),
        json!({"v": 2, "o": {"id": "org_a"}}),
        json!({"org_id": "org_a", "org_role": "org:"}),
    ] {
        let token = verified("clerk", claims);
        assert_eq!(org(&token), Some(("org_a", None)));
        for asked in ["org:", "", "admin"] {
            assert!(!organization::has_role(&token, asked));
        }
    }
}

#[test]
fn auth0_names_the_organisation_and_no_role_in_it() {
    let token = verified(
        "auth0",
        json!({"org_id": "org_a", "org_name": "acme", "org_role": "admin", "roles": ["admin"],
               "user_role": "admin", "https://example.com/role": "admin", "o": {"rol": "admin"}}),
    );
    assert_eq!(org(&token), Some(("org_a", None)));
    assert!(!organization::has_role(&token, "admin"));
    assert!(!organization::has_role_in(&token, "admin", "org_a"));
    for odd in [json!(null), json!(""), json!(7), json!(["org_a"])] {
        assert_eq!(org(&verified("auth0", json!({"org_id": odd}))), None);
    }
}

#[test]
fn work_os_role_is_the_organisations_unless_it_is_the_database_role() {
    let role = |changes| work_os_role(changes);
    let some = |text: &str| Some(text.to_owned());
    // As WorkOS writes it.
    assert_eq!(
        role(json!({"org_id": "o", "role": "member", "roles": ["member"]})),
        some("member")
    );
    // With a JWT template.
    assert_eq!(
        role(json!({"org_id": "o", "role": "authenticated", "user_role": "admin", "roles": ["x"]})),
        some("admin")
    );
    assert_eq!(
        role(json!({"org_id": "o", "role": "authenticated", "roles": ["admin"]})),
        some("admin")
    );
    assert_eq!(
        role(json!({"org_id": "o", "roles": ["admin"]})),
        some("admin")
    );
    assert_eq!(
        role(json!({"org_id": "o", "user_role": "org:admin"})),
        some("admin")
    );
    for none in [
        json!({"org_id": "o", "role": "authenticated"}),
        json!({"org_id": "o", "roles": ["a", "b"]}),
        json!({"org_id": "o", "roles": []}),
        json!({"org_id": "o", "roles": ["admin", 7]}),
        json!({"org_id": "o", "roles": [["admin"]]}),
        json!({"org_id": "o", "roles": "admin"}),
        json!({"org_id": "o", "user_role": ""}),
        json!({"org_id": "o", "user_role": ["admin"]}),
        // No organisation.
        json!({"role": "member", "user_role": "admin", "roles": ["admin"]}),
        json!({"org_id": "", "role": "member"}),
        json!({"org_id": 7, "role": "member"}),
    ] {
        assert_eq!(role(none.clone()), None, "{none}");
    }
}

#[test]
fn work_os_database_role_is_told_by_where_it_was_found() {
    let role = |path: &str, changes: Value| {
        let mut provider = provider("workos");
        provider.role_claim = ClaimPath::parse(path).unwrap();
        let token = judged(provider, &changed("workos", changes)).unwrap();
        org(&token).and_then(|(_, role)| role.map(str::to_owned))
    };
    let claims = || json!({"org_id": "o", "role": "authenticated", "user_role": "admin"});
    // Another spelling of the same place.
    assert_eq!(role("/role", claims()).as_deref(), Some("admin"));
    // The database role is elsewhere: role is the organisation's, whatever it is called.
    assert_eq!(role("db.role", claims()).as_deref(), Some("authenticated"));
    // The database role is in user_role.
    let swapped = json!({"org_id": "o", "user_role": "authenticated", "roles": ["admin"]});
    assert_eq!(role("user_role", swapped).as_deref(), Some("admin"));
}

#[test]
fn work_os_has_every_role_that_it_lists() {
    let token = verified(
        "workos",
        json!({"org_id": "org_a", "role": "member", "roles": ["member", "billing", "org:odd"]}),
    );
    for role in ["member", "billing", "org:billing", "odd", "org:odd"] {
        assert!(organization::has_role(&token, role), "{role}");
        assert!(organization::has_role_in(&token, role, "org_a"));
        assert!(!organization::has_role_in(&token, role, "org_b"));
    }
    for role in ["admin", "authenticated", "", "org:", "bill"] {
        assert!(!organization::has_role(&token, role), "{role}");
    }
    let nowhere = verified("workos", json!({"role": "member", "roles": ["member"]}));
    assert!(!organization::has_role(&nowhere, "member"));
    let odd = verified("workos", json!({"org_id": "o", "roles": ["a", "b", null]}));
    assert!(!organization::has_role(&odd, "a"));
}

#[test]
fn cognitos_groups_are_roles_and_permissions_without_an_organisation() {
    let token = verified(
        "aws_cognito",
        json!({"cognito:groups": ["admins", "org:odd"], "org_id": "org_a"}),
    );
    assert_eq!(org(&token), None);
    for (asked, expected) in [
        ("admins", true),
        ("org:admins", false),
        ("odd", false),
        ("org:odd", true),
        ("admin", false),
        ("", false),
    ] {
        assert_eq!(organization::has_role(&token, asked), expected, "{asked}");
        assert_eq!(permissions::has(&token, asked), expected, "{asked}");
        for id in ["org_a", "", "admins"] {
            assert!(!organization::has_role_in(&token, asked, id));
            assert!(!permissions::has_in(&token, asked, id));
        }
    }
    for odd in [
        json!("admins"),
        json!(["admins", 7]),
        json!([["admins"]]),
        json!({"admins": 1}),
    ] {
        let token = verified("aws_cognito", json!({"cognito:groups": odd}));
        assert!(!organization::has_role(&token, "admins"), "{odd}");
        assert!(!permissions::has(&token, "admins"), "{odd}");
    }
}

//! What policies ask about the organisation: its id, the role in it, the permissions.

#[path = "policy/token.rs"]
#[allow(dead_code)]
mod token;

use pg_third_party_auth::policy::{organization, permissions};
use pg_third_party_auth::provider::ClaimPath;
use pg_third_party_auth::verify::Verified;
use proptest::prelude::*;
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

/// Clerk's version 2 with these features, names and masks.
fn clerk_2(fea: Value, per: Value, fpm: Value) -> Verified {
    let active = json!({"id": "org_a", "per": per, "fpm": fpm});
    verified("clerk", json!({"v": 2, "fea": fea, "o": active}))
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
fn clerks_permissions_are_never_mixed_either() {
    let v2 = json!({"id": "org_a", "per": "read", "fpm": "1"});
    let mixed = [
        // Version 2, and version 1's claim.
        json!({"v": 2, "o": {"id": "org_a"}, "org_id": "org_a", "org_permissions": ["org:x:read"]}),
        json!({"v": 2, "org_id": "org_a", "org_permissions": ["org:x:read"]}),
        // Version 1, and version 2's.
        json!({"org_id": "org_a", "fea": "o:x", "o": v2}),
        json!({"v": 1, "fea": "o:x", "o": v2}),
        json!({"v": 1, "org_id": "org_a", "org_permissions": ["org:x:read"]}),
        // Version 2's, in other places.
        json!({"v": 2, "fea": "o:x", "per": "read", "fpm": "1", "o": {"id": "org_a"}}),
        json!({"v": 2, "o": {"id": "org_a", "fea": "o:x", "per": "read", "fpm": "1"}}),
        // Not in any organisation.
        json!({"v": 2, "fea": "o:x", "o": {"per": "read", "fpm": "1"}}),
        json!({"org_permissions": ["org:x:read"]}),
    ];
    for claims in mixed {
        let token = verified("clerk", claims.clone());
        assert!(!permissions::has(&token, "org:x:read"), "{claims}");
        assert!(!permissions::has_in(&token, "org:x:read", "org_a"));
    }
    let token = verified("clerk", json!({"v": 2, "fea": "o:x", "o": v2}));
    assert!(permissions::has(&token, "org:x:read"));
    assert!(!permissions::has(&token, "org:x:write"));
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

#[test]
fn the_permissions_of_auth0_and_work_os_are_exact_texts() {
    for kind in ["auth0", "workos"] {
        let token = verified(
            kind,
            json!({"permissions": ["read:items", "org:x"], "org_id": "org_a"}),
        );
        assert!(permissions::has(&token, "read:items"), "{kind}");
        assert!(permissions::has(&token, "org:x"), "{kind}");
        for asked in ["org:read:items", "x", "read", "READ:ITEMS", ""] {
            assert!(!permissions::has(&token, asked), "{kind} {asked}");
        }
        assert!(permissions::has_in(&token, "read:items", "org_a"));
        assert!(!permissions::has_in(&token, "read:items", "org_b"));
        assert!(!permissions::has_in(&token, "x", "org_a"));
        let nowhere = verified(kind, json!({"permissions": ["read:items"]}));
        assert!(permissions::has(&nowhere, "read:items"), "{kind}");
        assert!(!permissions::has_in(&nowhere, "read:items", ""), "{kind}");
        for odd in [json!("a b"), json!(["a", 7]), json!({"a": true}), json!([])] {
            let token = verified(kind, json!({"permissions": odd, "scope": "a"}));
            assert!(!permissions::has(&token, "a"), "{kind} {odd}");
        }
    }
}

#[test]
fn clerks_version_1_lists_its_permissions() {
    let token = verified(
        "clerk",
        json!({"org_id": "org_a", "org_permissions": ["org:teams:read", "org:teams:write"]}),
    );
    for asked in ["org:teams:read", "teams:read", "teams:write"] {
        assert!(permissions::has(&token, asked), "{asked}");
        assert!(permissions::has_in(&token, asked, "org_a"));
        assert!(!permissions::has_in(&token, asked, "org_b"));
    }
    for asked in [
        "teams",
        "teams:",
        "",
        "org:",
        "org:org:teams:read",
        "Teams:read",
    ] {
        assert!(!permissions::has(&token, asked), "{asked}");
    }
    for odd in [
        json!("org:a:b"),
        json!(["org:a:b", 7]),
        json!({"org:a:b": 1}),
    ] {
        let token = verified("clerk", json!({"org_id": "o", "org_permissions": odd}));
        assert!(!permissions::has(&token, "org:a:b"), "{odd}");
    }
}

#[test]
fn clerks_version_2_grants_what_the_masks_say() {
    let token = clerk_2(
        json!("o:dashboard,o:teams"),
        json!("manage,read"),
        json!("3,2"),
    );
    for (asked, expected) in [
        ("org:dashboard:manage", true),
        ("org:dashboard:read", true),
        ("org:teams:manage", false),
        ("org:teams:read", true),
        ("teams:read", true),
        ("org:org:teams:read", false),
        ("read", false),
        ("teams", false),
        ("teams:", false),
        (":read", false),
        ("teams:read:", false),
        ("", false),
        ("org:", false),
    ] {
        assert_eq!(permissions::has(&token, asked), expected, "{asked}");
        assert_eq!(permissions::has_in(&token, asked, "org_a"), expected);
        assert!(!permissions::has_in(&token, asked, "org_b"));
    }
}

#[test]
fn only_features_of_the_organisation_have_masks() {
    let token = clerk_2(
        json!("u:mail,ou:a,u:b,uo:c,o:d"),
        json!("read,write"),
        json!("1,2,3"),
    );
    let granted: Vec<_> = ["mail", "a", "b", "c", "d"]
        .into_iter()
        .flat_map(|feature| ["read", "write"].map(|name| format!("{feature}:{name}")))
        .filter(|permission| permissions::has(&token, permission))
        .collect();
    assert_eq!(granted, ["a:read", "c:write", "d:read", "d:write"]);
    // The user's own feature of the same name takes nothing from the organisation's.
    let both = clerk_2(json!("u:a,o:a"), json!("read"), json!("1"));
    assert!(permissions::has(&both, "a:read"));
}

#[test]
fn bits_beyond_the_names_mean_nothing() {
    let token = clerk_2(json!("o:a"), json!("read"), json!("6"));
    assert!(!permissions::has(&token, "a:read"));
    let more = clerk_2(json!("o:a"), json!("read"), json!("7"));
    assert!(permissions::has(&more, "a:read"));
    let zero = clerk_2(json!("o:a,o:b"), json!("read"), json!("0,1"));
    assert!(!permissions::has(&zero, "a:read") && permissions::has(&zero, "b:read"));
}

#[test]
fn malformed_features_names_or_masks_grant_nothing_at_all() {
    let good = || (json!("o:a,o:b"), json!("read,write"), json!("3,3"));
    let (fea, per, fpm) = good();
    assert!(permissions::has(&clerk_2(fea, per, fpm), "a:read"));
    let odd_masks = [
        json!("3"),
        json!("3,3,3"),
        json!("3,"),
        json!(",3"),
        json!("3,x"),
        json!("3,-1"),
        json!("3,+1"),
        json!("3,1.0"),
        json!("3,1e1"),
        json!("3,0x1"),
        json!("3, 3"),
        json!("3,\u{663}"),
        json!(""),
        json!(3),
        json!(33),
        json!([3, 3]),
        json!(["3", "3"]),
        json!(null),
    ];
    let odd_features = [
        json!("o:a,o:a"),
        json!("o:a,ou:a"),
        json!("o:a,o:"),
        json!("o:a,o"),
        json!("o:a,b"),
        json!("o:a,"),
        json!("o:a,o:b:c"),
        json!("o:a,o:b,u:"),
        json!("o:a,o:b,x:c"),
        json!("o:a,O:b"),
        json!("o:a,oo:b"),
        json!("o:a,:b"),
        json!("o:a,u:b"),
        json!(""),
        json!(["o:a", "o:b"]),
        json!(7),
        json!(null),
    ];
    let odd_names = [
        json!("read,read"),
        json!("read,"),
        json!(",read"),
        json!("read,a:b"),
        json!(""),
        json!(["read", "write"]),
        json!(7),
        json!(null),
    ];
    let asked = [
        "a:read", "b:read", "a:write", "a:", ":read", "a:read:", "a:b:read",
    ];
    let none = |token: Verified, odd: Value| {
        for asked in asked {
            assert!(!permissions::has(&token, asked), "{odd} {asked}");
        }
    };
    for odd in odd_masks {
        let (fea, per, _) = good();
        none(clerk_2(fea, per, odd.clone()), odd);
    }
    for odd in odd_features {
        let (_, per, fpm) = good();
        none(clerk_2(odd.clone(), per, fpm), odd);
    }
    for odd in odd_names {
        let (fea, _, fpm) = good();
        none(clerk_2(fea, odd.clone(), fpm), odd);
    }
}

#[test]
fn masks_of_more_than_64_bits_are_exact() {
    let names: Vec<_> = (0..200).map(|n| format!("p{n}")).collect();
    // 2^53 + 1, which a double rounds; 2^64; 2^199 + 1
    let masks = [
        ("9007199254740993", vec![0, 53]),
        ("18446744073709551616", vec![64]),
        (
            "803469022129495137770981046170581301261101496891396417650689",
            vec![0, 199],
        ),
    ];
    for (mask, bits) in masks {
        let token = clerk_2(json!("o:a"), json!(names.join(",")), json!(mask));
        let granted = |bit: &usize| permissions::has(&token, &format!("org:a:p{bit}"));
        assert_eq!((0..200).filter(granted).collect::<Vec<_>>(), bits, "{mask}");
    }
}

#[test]
fn the_longest_mask_that_fits_a_token_is_read() {
    let names: Vec<_> = (0..1500).map(|n| n.to_string()).collect();
    let mask = "9".repeat(9000);
    let token = clerk_2(json!("o:a"), json!(names.join(",")), json!(mask));
    // 10^9000 - 1 is odd, and 10^9000 has 9000 zero bits at its end.
    assert!(permissions::has(&token, "a:0") && permissions::has(&token, "a:1499"));
}

proptest! {
    #[test]
    fn every_bit_of_every_mask_is_the_machines(masks in prop::collection::vec(any::<u128>(), 1..4)) {
        let list = |texts: Vec<String>| json!(texts.join(","));
        let token = clerk_2(
            list((0..masks.len()).map(|n| format!("o:f{n}")).collect()),
            list((0..128).map(|n| format!("p{n}")).collect()),
            list(masks.iter().map(u128::to_string).collect()),
        );
        for (feature, mask) in masks.iter().enumerate() {
            for bit in 0..128 {
                let asked = format!("org:f{feature}:p{bit}");
                prop_assert_eq!(permissions::has(&token, &asked), mask >> bit & 1 == 1);
            }
        }
    }
}

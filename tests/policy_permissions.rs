//! What policies ask about permissions in the organisation.

#[path = "policy/token.rs"]
#[allow(dead_code)]
mod token;

use pg_third_party_auth::policy::permissions;
use pg_third_party_auth::verify::Verified;
use proptest::prelude::*;
use serde_json::{Value, json};
use token::verified;

/// Clerk's version 2 with these features, names and masks.
fn clerk_2(fea: Value, per: Value, fpm: Value) -> Verified {
    let active = json!({"id": "org_a", "per": per, "fpm": fpm});
    verified("clerk", json!({"v": 2, "fea": fea, "o": active}))
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

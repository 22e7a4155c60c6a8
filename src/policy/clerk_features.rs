//! Clerk's permissions of version 2. `fea` lists the features, each with the scope in which it is
//! enabled; `o.per` lists names of permissions; `o.fpm` has a number for each feature of the organisation,
//! in the order of `fea`, whose lowest bit stands for the first name (Clerk's session token reference).

use super::text;
use crate::json::Object;
use std::collections::BTreeSet;

/// Whether the permission, `feature:name` without `org:`, was granted. `active` is `o`. `None`: the claims
/// are not as Clerk writes them, so that no permission can be read from them, or they do not name it.
pub fn grants(claims: Object<'_>, active: Object<'_>, permission: &str) -> Option<bool> {
    let features = features_of_organization(text(claims, "fea")?)?;
    let names = distinct(text(active, "per")?.split(',').collect())?;
    let masks: Vec<_> = text(active, "fpm")?.split(',').collect();
    // One mask too many or too few, and each could belong to another feature.
    if masks.len() != features.len() || !masks.iter().all(|mask| is_decimal(mask)) {
        return None;
    }
    let (feature, name) = permission.split_once(':')?;
    let mask = masks.get(features.iter().position(|own| *own == feature)?)?;
    Some(has_bit(mask, names.iter().position(|own| *own == name)?))
}

/// The features that the organisation has, in order; those of the user alone have no mask.
fn features_of_organization(list: &str) -> Option<Vec<&str>> {
    let mut features = Vec::new();
    for entry in list.split(',') {
        let (scope, feature) = entry.split_once(':')?;
        match scope {
            "o" | "ou" | "uo" => features.push(feature),
            "u" if is_name(feature) => {}
            _ => return None,
        }
    }
    distinct(features)
}

/// The names, if all are names and none occurs twice.
fn distinct(names: Vec<&str>) -> Option<Vec<&str>> {
    let mut seen = BTreeSet::new();
    let usable = names.iter().all(|name| is_name(name) && seen.insert(*name));
    usable.then_some(names)
}

/// With a colon in a name, two permissions could have the same text.
fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(':')
}

fn is_decimal(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// Whether a decimal number of any length has this bit. Neither 64 bits nor a double would hold the
/// mask of an organisation with many permissions. Carries only go up, so that the limbs above the one
/// with the bit are never needed.
fn has_bit(decimal: &str, bit: usize) -> bool {
    let mut limbs = vec![0_u32; bit / 32 + 1];
    for digit in decimal.bytes() {
        // The value of an ASCII digit is in its low four bits.
        let mut carry = u64::from(digit & 0x0f);
        for limb in &mut limbs {
            let wide = u64::from(*limb) * 10 + carry;
            *limb = wide as u32;
            carry = wide >> 32;
        }
    }
    limbs
        .last()
        .is_some_and(|limb| (limb >> (bit % 32)) & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_of_small_numbers_are_those_of_the_machine() {
        for number in 0_u64..300 {
            for bit in 0..20 {
                let expected = (number >> bit) & 1 == 1;
                assert_eq!(
                    has_bit(&number.to_string(), bit),
                    expected,
                    "{number} {bit}"
                );
            }
        }
    }

    #[test]
    fn bits_beyond_a_double_and_beyond_64_are_exact() {
        // A double would round 2^53 + 1 to 2^53.
        assert!(has_bit("9007199254740993", 0));
        assert!(has_bit("9007199254740993", 53));
        assert!(!has_bit("9007199254740992", 0));
        // 2^64
        assert!(has_bit("18446744073709551616", 64));
        assert!(!has_bit("18446744073709551616", 0));
        // 2^127 + 2^31
        let number = (1_u128 << 127) + (1 << 31);
        for bit in 0..140 {
            assert_eq!(has_bit(&number.to_string(), bit), [127, 31].contains(&bit));
        }
    }
}

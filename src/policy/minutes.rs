//! Clerk's `fva`: the minutes since each factor was verified, as of the token's `iat`.

use crate::json::{Object, Value};

/// The largest number of minutes that Clerk writes: as many, or any number more.
const MOST: i64 = 99_999;

/// The ages of both factors, in minutes; `None`: never verified, or there is no such factor. Longer ago
/// than Clerk counts is infinitely long ago: no limit is known to hold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FactorAges {
    /// Of the first factor.
    pub first: Option<f64>,
    /// Of the second factor.
    pub second: Option<f64>,
}

/// Reads `fva`. Clerk writes two whole numbers, each -1 or the minutes; anything else (another
/// length, a fraction, a text, `true`, below -1, both -1) is no evidence.
pub fn factor_ages(claims: Object<'_>) -> Option<FactorAges> {
    let mut factors = claims.get("fva")?.as_array()?.iter();
    let (Some(first), Some(second), None) = (factors.next(), factors.next(), factors.next()) else {
        return None;
    };
    let ages = FactorAges {
        first: age(first)?,
        second: age(second)?,
    };
    (ages.first.is_some() || ages.second.is_some()).then_some(ages)
}

/// `Some(None)` for -1. Only JSON integers count: `-1.0` is not how Clerk writes "never".
fn age(value: Value<'_>) -> Option<Option<f64>> {
    match value.as_i64()? {
        -1 => Some(None),
        MOST.. => Some(Some(f64::INFINITY)),
        minutes if minutes >= 0 => Some(Some(minutes as f64)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::parse_object;
    use serde_json::json;

    fn ages_of(claims: &serde_json::Value) -> Option<FactorAges> {
        factor_ages(parse_object(claims.to_string(), 8).unwrap().object())
    }

    #[test]
    fn only_two_whole_numbers_are_evidence() {
        for odd in [
            json!(null),
            json!([]),
            json!([0]),
            json!([0, null]),
            json!([0, true]),
            json!([0, -1.0]),
            json!([0, []]),
            json!([0, ""]),
            json!([0, "5"]),
            json!([0, -2]),
            json!([0, 1, 2]),
            json!([-1, -1]),
            json!("[0,1]"),
            json!({"1": 3}),
            json!([0, 1.5]),
            json!([0, 1e300]),
        ] {
            let claims = json!({"fva": odd});
            assert_eq!(ages_of(&claims), None, "{claims}");
        }
        let claims = json!({"fva": [7, -1]});
        assert_eq!(
            ages_of(&claims),
            Some(FactorAges {
                first: Some(7.0),
                second: None
            })
        );
    }

    #[test]
    fn what_clerk_no_longer_counts_is_infinitely_long_ago() {
        let claims = json!({"fva": [99_998, 99_999]});
        let ages = ages_of(&claims).unwrap();
        assert_eq!(
            (ages.first, ages.second),
            (Some(99_998.0), Some(f64::INFINITY))
        );
    }
}

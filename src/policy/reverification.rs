//! Clerk's reverification levels, with Clerk's own downgrade rule: where a user has no second
//! factor, the first one counts for it. Whoever wants a second factor to have been really used asks
//! [`super::second_factor`] instead. Source: Clerk's guide on reverification.

use super::age;
use super::minutes::{FactorAges, factor_ages};
use crate::provider::presets::SecondFactorClaims;
use crate::verify::Verified;

/// A level by the name that Clerk gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Both factors within 10 minutes.
    StrictMfa,
    /// The second factor within 10 minutes.
    Strict,
    /// The second factor within an hour.
    Moderate,
    /// The second factor within a day.
    Lax,
}

impl Level {
    /// The level of that name, spelled as in Clerk's SDK.
    pub fn find(name: &str) -> Option<Level> {
        match name {
            "strict_mfa" => Some(Level::StrictMfa),
            "strict" => Some(Level::Strict),
            "moderate" => Some(Level::Moderate),
            "lax" => Some(Level::Lax),
            _ => None,
        }
    }

    /// A factor's age has to be below this, in minutes.
    fn limit(self) -> f64 {
        match self {
            Level::StrictMfa | Level::Strict => 10.0,
            Level::Moderate => 60.0,
            Level::Lax => 1440.0,
        }
    }
}

/// Whether the session was reverified at this level. Only Clerk has levels; an unknown name is "no".
pub fn is_reverified(token: &Verified, level: &str, now: f64) -> bool {
    if token.provider().preset.second_factor != SecondFactorClaims::ClerkFva {
        return false;
    }
    let evidence = || {
        let level = Level::find(level)?;
        let ages = factor_ages(token.claims().members())?;
        Some(holds(level, ages, age(token, now)? / 60.0))
    };
    evidence().unwrap_or(false)
}

/// The truth table. `elapsed` is the token's own age in minutes.
fn holds(level: Level, ages: FactorAges, elapsed: f64) -> bool {
    let fresh = |age: f64| age + elapsed < level.limit();
    match (level, ages.first, ages.second) {
        (_, Some(first), None) => fresh(first),
        (Level::StrictMfa, None, _) => false,
        (Level::StrictMfa, Some(first), Some(second)) => fresh(first) && fresh(second),
        (_, _, Some(second)) => fresh(second),
        (_, None, None) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clerks_truth_table_holds() {
        let none: Option<f64> = None;
        let cases = [
            (Level::Strict, Some(3.0), none, true),
            (Level::Strict, Some(10.0), none, false),
            (Level::Strict, none, Some(9.0), true),
            (Level::Strict, Some(99.0), Some(9.0), true),
            (Level::Strict, Some(1.0), Some(10.0), false),
            (Level::StrictMfa, Some(1.0), none, true),
            (Level::StrictMfa, none, Some(1.0), false),
            (Level::StrictMfa, Some(11.0), Some(1.0), false),
            (Level::StrictMfa, Some(1.0), Some(1.0), true),
            (Level::Moderate, Some(59.0), none, true),
            (Level::Lax, Some(0.0), Some(1440.0), false),
        ];
        for (level, first, second, expected) in cases {
            let ages = FactorAges { first, second };
            assert_eq!(holds(level, ages, 0.0), expected, "{level:?} {ages:?}");
        }
    }

    #[test]
    fn the_tokens_own_age_counts() {
        let ages = FactorAges {
            first: Some(0.0),
            second: Some(5.0),
        };
        assert!(holds(Level::Strict, ages, 4.9));
        assert!(!holds(Level::Strict, ages, 5.0));
    }
}

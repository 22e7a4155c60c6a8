//! When to ask again. Pure: the time and the randomness are the caller's.

use std::time::Duration;

/// However short `max-age` is, it does not shorten the interval below this.
const SHORTEST_BY_MAX_AGE: Duration = Duration::from_secs(300);

/// The first wait after a failure, and the shortest.
const FIRST_BACK_OFF: Duration = Duration::from_secs(5);

/// The longest wait after failures.
const LONGEST_BACK_OFF: Duration = Duration::from_secs(300);

/// The share of the interval over which scheduled fetches are spread.
const SPREAD: f64 = 0.1;

/// The longest `max-age` that is told apart from longer ones (RFC 9111 §1.2.2).
const LONGEST_AGE: u64 = 1 << 31;

/// The time from a successful fetch to the next scheduled one.
///
/// `interval` (`refresh_interval`), shortened to `max_age` if that is shorter, but by that to no less
/// than 5 minutes; spread by `jitter` (0 to 1) over the last tenth before it, so that the result is
/// between 0.9 and 1.0 times that: never later than the interval promises.
pub fn next_refresh(interval: Duration, max_age: Option<Duration>, jitter: f64) -> Duration {
    let base = match max_age {
        Some(age) => interval.min(age.max(SHORTEST_BY_MAX_AGE)),
        None => interval,
    };
    base.mul_f64(1.0 - SPREAD + SPREAD * unit(jitter))
}

/// The time from a failed fetch to the next scheduled one, after so many failures in a row.
///
/// A random time (`jitter`, 0 to 1) between 5 s and a bound that is 5 s after the first failure and
/// doubles with each one, up to 5 minutes.
pub fn back_off(consecutive_failures: u32, jitter: f64) -> Duration {
    let doublings = consecutive_failures.saturating_sub(1).min(16);
    let bound = (FIRST_BACK_OFF * (1 << doublings)).min(LONGEST_BACK_OFF);
    FIRST_BACK_OFF + (bound - FIRST_BACK_OFF).mul_f64(unit(jitter))
}

/// How long an answer counts as fresh, by its `Cache-Control` lines (RFC 9111 §5.2.2).
///
/// Zero for `no-store` and `no-cache`; of several `max-age` the shortest; `None` if there is none that
/// can be read. `s-maxage` is for shared caches and is not looked at.
pub fn max_age(cache_control: &[&str]) -> Option<Duration> {
    cache_control
        .iter()
        .flat_map(|line| directives(line))
        .filter_map(age_of)
        .min()
}

fn age_of(directive: &str) -> Option<Duration> {
    let (name, value) = match directive.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (directive, None),
    };
    let is = |known: &str| name.eq_ignore_ascii_case(known);
    if is("no-store") || is("no-cache") {
        return Some(Duration::ZERO);
    }
    if !is("max-age") {
        return None;
    }
    let value = value?;
    let digits = value
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .unwrap_or(value);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    // Only digits: what does not fit is too large.
    let seconds = digits.parse().unwrap_or(u64::MAX).min(LONGEST_AGE);
    Some(Duration::from_secs(seconds))
}

/// The parts of a line between commas that are not inside quotes.
fn directives(line: &str) -> Vec<&str> {
    let mut in_quotes = false;
    let mut is_escaped = false;
    line.split(move |c: char| {
        let is_separator = c == ',' && !in_quotes;
        if c == '"' && !is_escaped {
            in_quotes = !in_quotes;
        }
        is_escaped = in_quotes && c == '\\' && !is_escaped;
        is_separator
    })
    .map(str::trim)
    .collect()
}

/// A jitter that is no number between 0 and 1 is taken as the nearest one, NaN as 1.
fn unit(jitter: f64) -> f64 {
    if jitter.is_nan() {
        1.0
    } else {
        jitter.clamp(0.0, 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn cache_control_is_read_as_its_rfc_says() {
        let cases: [(&[&str], Option<u64>); 21] = [
            (&[], None),
            (&[""], None),
            (&["public"], None),
            (&["max-age=600"], Some(600)),
            (&["public, Max-Age=18671, must-revalidate"], Some(18671)),
            (&["max-age=\"600\""], Some(600)),
            (&["max-age=0"], Some(0)),
            (&["no-store"], Some(0)),
            (&["No-Cache, max-age=600"], Some(0)),
            (&["no-cache=\"set-cookie, x\", max-age=600"], Some(0)),
            (&["max-age=600", "max-age=60"], Some(60)),
            (&["public", "max-age=60"], Some(60)),
            (&["s-maxage=5"], None),
            (&["s-maxage=5, max-age=7"], Some(7)),
            (&["x-max-age=5"], None),
            (&["x=\"a, max-age=5\""], None),
            (&["x=\"a\\\", max-age=5\""], None),
            (&["max-age"], None),
            (
                &["max-age=, max-age=-1, max-age=1.5, max-age=abc, max-age = 5"],
                None,
            ),
            (&["max-age=99999999999999999999999999"], Some(LONGEST_AGE)),
            (&["max-age=garbage, max-age=9"], Some(9)),
        ];
        for (lines, expected) in cases {
            assert_eq!(max_age(lines), expected.map(seconds), "{lines:?}");
        }
    }

    #[test]
    fn max_age_shortens_the_interval_down_to_five_minutes_and_never_lengthens_it() {
        for (interval, age, expected) in [
            (600, None, 600),
            (600, Some(18671), 600),
            (600, Some(400), 400),
            (600, Some(10), 300),
            (600, Some(0), 300),
            (60, Some(0), 60),
            (60, Some(30), 60),
            (86_400, Some(3600), 3600),
        ] {
            let next = next_refresh(seconds(interval), age.map(seconds), 1.0);
            assert_eq!(next, seconds(expected), "{interval} {age:?}");
        }
    }

    #[test]
    fn the_bound_of_the_back_off_doubles_up_to_five_minutes() {
        let bounds: Vec<u64> = (0..9).map(|n| back_off(n, 1.0).as_secs()).collect();
        assert_eq!(bounds, [5, 5, 10, 20, 40, 80, 160, 300, 300]);
        assert_eq!(back_off(u32::MAX, 1.0), LONGEST_BACK_OFF);
        assert_eq!(back_off(u32::MAX, 0.0), FIRST_BACK_OFF);
    }

    proptest! {
        #[test]
        fn a_refresh_is_never_later_than_its_interval(
            interval in 1_u64..604_800,
            age in proptest::option::of(any::<u64>()),
            jitter in any::<f64>(),
        ) {
            let next = next_refresh(seconds(interval), age.map(seconds), jitter);
            prop_assert!(next <= seconds(interval));
            prop_assert!(next >= seconds(interval.min(300)).mul_f64(0.899));
        }

        #[test]
        fn a_back_off_is_between_five_seconds_and_five_minutes(failures: u32, jitter in any::<f64>()) {
            let wait = back_off(failures, jitter);
            prop_assert!(wait >= FIRST_BACK_OFF && wait <= LONGEST_BACK_OFF);
        }

        #[test]
        fn no_cache_control_line_is_too_odd_to_read(lines in proptest::collection::vec(".{0,60}", 0..4)) {
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            prop_assert!(max_age(&lines).is_none_or(|age| age <= seconds(LONGEST_AGE)));
        }
    }
}

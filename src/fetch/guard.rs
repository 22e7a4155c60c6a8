//! The guard against a loop of crashes: a fetcher that dies of what it reads takes the whole server down,
//! and would do so again as soon as it is back. Pure: files and the time are the caller's.
//!
//! While something is fetched a *mark* is left behind, and taken away whenever the fetcher ends in order.
//! A start that finds one follows an unclean end. After [`UNCLEAN_ENDS`] of them within [`WINDOW`] nothing
//! is fetched for [`SAFE_MODE`]. Both texts begin with the boot of the machine that they are of: what a
//! power cut left behind, or what was copied from another machine, says nothing about this fetcher.

use crate::provider::KeyAddress;

/// So many unclean ends within [`WINDOW`] begin the safe mode.
pub const UNCLEAN_ENDS: usize = 3;
/// In seconds. The time that a server takes to recover from a crash does not count, however long it is.
pub const WINDOW: f64 = 60.0;
/// How long the safe mode lasts, in seconds.
pub const SAFE_MODE: f64 = 600.0;
/// What is longer than this, in bytes, is no text of ours.
pub const MAX_TEXT_BYTES: u64 = 16 * 1024;

/// When the fetcher ended uncleanly, in seconds since 1970, and until when nothing is fetched.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct History {
    unclean: Vec<f64>,
    safe_until: f64,
}

/// What a start of the fetcher means.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Start {
    /// Fetch.
    Normal,
    /// The last one ended uncleanly; fetch all the same.
    AfterUncleanEnd,
    /// The last one ended uncleanly once too often: fetch nothing for so many seconds.
    SafeModeBegins(f64),
    /// Fetch nothing for so many more seconds.
    SafeModeGoesOn(f64),
}

impl History {
    /// Reads what [`History::to_text`] wrote; what cannot be read, or is of another boot, is not there.
    pub fn read(text: &str, boot: &str) -> History {
        let Some(lines) = lines(text, boot) else {
            return History::default();
        };
        let mut history = History::default();
        for line in lines {
            let number = |text: &str| text.parse().ok().filter(|time: &f64| time.is_finite());
            match line.split_once(' ') {
                Some(("unclean", time)) => history.unclean.extend(number(time)),
                Some(("safe_until", time)) => history.safe_until = number(time).unwrap_or(0.0),
                _ => {}
            }
        }
        history
    }

    /// A text for the next start.
    pub fn to_text(&self, boot: &str) -> String {
        let unclean = self.unclean.iter().map(|time| format!("unclean {time}\n"));
        let unclean: String = unclean.collect();
        format!("boot {boot}\n{unclean}safe_until {}\n", self.safe_until)
    }

    /// The fetcher starts, and has found a mark or has not.
    pub fn start(&mut self, mark: Option<&Mark>, now: f64) -> Start {
        // As if the others had been later by as long as nothing ran.
        let pause = mark.map_or(0.0, |mark| now - mark.at);
        if pause > 0.0 {
            self.unclean.iter_mut().for_each(|time| *time += pause);
        }
        // Times to come are of a clock that was set back.
        self.unclean
            .retain(|time| (0.0..=WINDOW).contains(&(now - time)));
        let rest = self.safe_until - now;
        let is_safe_mode = rest > 0.0 && rest <= SAFE_MODE;
        if mark.is_some() {
            self.unclean.push(now);
        }
        if is_safe_mode {
            return Start::SafeModeGoesOn(rest);
        }
        self.safe_until = 0.0;
        if self.unclean.len() >= UNCLEAN_ENDS {
            self.unclean.clear();
            self.safe_until = now + SAFE_MODE;
            return Start::SafeModeBegins(SAFE_MODE);
        }
        if mark.is_some() {
            Start::AfterUncleanEnd
        } else {
            Start::Normal
        }
    }
}

/// What was left behind.
#[derive(Debug, Clone, PartialEq)]
pub struct Mark {
    /// The addresses that were asked.
    pub asked: Vec<String>,
    /// When it was written, in seconds since 1970.
    pub at: f64,
}

/// The mark that is left behind while these addresses are asked.
pub fn mark(addresses: &[KeyAddress], boot: &str, now: f64) -> String {
    let lines = addresses
        .iter()
        .map(|address| format!("asked {}\n", address.url()));
    format!("boot {boot}\nat {now}\n{}", lines.collect::<String>())
}

/// Reads a mark; `None`: it is none, or of another boot.
pub fn read_mark(text: &str, boot: &str) -> Option<Mark> {
    let mut lines = lines(text, boot)?;
    let at = lines.next()?.strip_prefix("at ")?.parse().ok();
    let asked = lines.filter_map(|line| line.strip_prefix("asked "));
    Some(Mark {
        asked: asked.map(str::to_owned).collect(),
        at: at.filter(|at: &f64| at.is_finite())?,
    })
}

/// The lines after the first, which names the boot.
fn lines<'a>(text: &'a str, boot: &str) -> Option<std::str::Lines<'a>> {
    let mut lines = text.lines();
    (lines.next()?.strip_prefix("boot ")? == boot).then_some(lines)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BOOT: &str = "b1";

    /// A start of the fetcher that has only what the last one wrote.
    fn start(text: &mut String, found_mark: bool, now: f64) -> Start {
        start_after(text, found_mark.then_some(0.0), now)
    }

    /// The same, so many seconds after the mark was written.
    fn start_after(text: &mut String, pause: Option<f64>, now: f64) -> Start {
        let mut history = History::read(text, BOOT);
        let mark = pause.map(|pause| Mark {
            asked: Vec::new(),
            at: now - pause,
        });
        let start = history.start(mark.as_ref(), now);
        *text = history.to_text(BOOT);
        start
    }

    #[test]
    fn the_third_unclean_end_within_a_minute_begins_the_safe_mode() {
        let mut text = String::new();
        assert_eq!(start(&mut text, false, 1000.0), Start::Normal);
        assert_eq!(start(&mut text, true, 1001.5), Start::AfterUncleanEnd);
        assert_eq!(start(&mut text, true, 1030.0), Start::AfterUncleanEnd);
        assert_eq!(start(&mut text, false, 1040.0), Start::Normal);
        let begins = Start::SafeModeBegins(SAFE_MODE);
        assert_eq!(start(&mut text, true, 1061.0), begins);
        // It outlives restarts, and ends by itself.
        assert_eq!(
            start(&mut text, false, 1661.0 - 1.5),
            Start::SafeModeGoesOn(1.5)
        );
        assert_eq!(start(&mut text, false, 1661.0), Start::Normal);
        // What led to it does not count twice.
        assert_eq!(start(&mut text, true, 1662.0), Start::AfterUncleanEnd);
        assert_eq!(start(&mut text, true, 1663.0), Start::AfterUncleanEnd);
        assert_eq!(start(&mut text, true, 1664.0), begins);
    }

    #[test]
    fn unclean_ends_far_from_each_other_begin_nothing() {
        let mut text = String::new();
        for time in [1000.0, 1031.0, 1062.0, 1093.0, 1124.0] {
            assert_eq!(start(&mut text, true, time), Start::AfterUncleanEnd);
        }
    }

    #[test]
    fn a_server_that_recovers_for_long_is_guarded_all_the_same() {
        let mut text = String::new();
        let mut start = |now| start_after(&mut text, Some(300.0), now);
        assert_eq!(start(1000.0), Start::AfterUncleanEnd);
        assert_eq!(start(1310.0), Start::AfterUncleanEnd);
        assert_eq!(start(1620.0), Start::SafeModeBegins(SAFE_MODE));
        // What it had run before counts.
        let mut text = String::new();
        for now in [1000.0, 1331.0, 1662.0, 1993.0] {
            let start = start_after(&mut text, Some(300.0), now);
            assert_eq!(start, Start::AfterUncleanEnd);
        }
    }

    #[test]
    fn a_clock_that_is_set_makes_no_safe_mode_and_no_endless_one() {
        let mut text = String::new();
        for time in [1000.0, 1001.0] {
            start(&mut text, true, time);
        }
        // Set back by a day, then forward again.
        assert_eq!(start(&mut text, true, -85_000.0), Start::AfterUncleanEnd);
        assert_eq!(start(&mut text, true, 2000.0), Start::AfterUncleanEnd);
        let mut text = format!("boot {BOOT}\nsafe_until 1e12\n");
        assert_eq!(start(&mut text, false, 1000.0), Start::Normal);
    }

    #[test]
    fn what_is_of_another_boot_or_machine_says_nothing() {
        let history = "boot other\nunclean 999\nunclean 998\nsafe_until 1100\n";
        let mut text = history.to_owned();
        assert_eq!(start(&mut text, true, 1000.0), Start::AfterUncleanEnd);
        let mut own = history.replace("other", BOOT);
        assert_eq!(start(&mut own, true, 1000.0), Start::SafeModeGoesOn(100.0));

        let address = KeyAddress::Direct {
            jwks_uri: "https://idp.example/jwks".to_owned(),
        };
        let issuer = KeyAddress::Discovery {
            issuer: "https://two.example/".to_owned(),
        };
        let mark = mark(&[address, issuer], BOOT, 12.5);
        let read = read_mark(&mark, BOOT).unwrap();
        assert_eq!(
            read.asked,
            [
                "https://idp.example/jwks",
                "https://two.example/.well-known/openid-configuration"
            ]
        );
        assert_eq!(read.at, 12.5);
        assert_eq!(read_mark(&mark, "other"), None);
        assert_eq!(read_mark("", BOOT), None);
    }

    proptest! {
        #[test]
        fn no_text_is_too_odd_to_read(text in ".{0,200}", lines in proptest::collection::vec("(boot|unclean|safe_until|asked|at)? ?[-0-9.einfaNb]{0,12}", 0..8), now in any::<f64>(), at in proptest::option::of(any::<f64>())) {
            for text in [text, format!("boot {BOOT}\n{}", lines.join("\n"))] {
                let _ = read_mark(&text, BOOT);
                let mut history = History::read(&text, BOOT);
                let mark = at.map(|at| Mark { asked: Vec::new(), at });
                match history.start(mark.as_ref(), now) {
                    Start::SafeModeBegins(rest) | Start::SafeModeGoesOn(rest) => {
                        prop_assert!(rest > 0.0 && rest <= SAFE_MODE);
                    }
                    Start::Normal | Start::AfterUncleanEnd => {}
                }
                prop_assert_eq!(History::read(&history.to_text(BOOT), BOOT), history);
            }
        }
    }
}

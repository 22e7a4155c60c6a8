//! What `make bench` is asked for.

/// How it is called.
pub const USAGE: &str = "\
usage: make bench [PG=18] [ARGS='[--quick] [--write] [GROUP …]']

Without a group everything is measured and written to docs/performance.md.
  --quick   a few rows and rounds: whether it works, no figures to keep
  --write   writes docs/performance.md although not everything was measured
  --help    this";

/// What is measured, and what becomes of it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Arguments {
    /// These groups; none means all.
    pub groups: Vec<String>,
    /// Fewer rows and rounds.
    pub quick: bool,
    /// The page is written in any case.
    pub write: bool,
    /// Only say how it is called.
    pub help: bool,
}

impl Arguments {
    /// Reads what was given; the groups must be among these.
    pub fn parse(given: impl IntoIterator<Item = String>, known: &[&str]) -> Result<Self, String> {
        let mut arguments = Arguments::default();
        for word in given {
            match word.as_str() {
                "--quick" => arguments.quick = true,
                "--write" => arguments.write = true,
                "--help" | "-h" => arguments.help = true,
                option if option.starts_with('-') => {
                    return Err(format!("unknown option {option}"));
                }
                group if known.contains(&group) => arguments.groups.push(word),
                group => {
                    let known = known.join(", ");
                    return Err(format!("unknown group {group}; there are {known}"));
                }
            }
        }
        Ok(arguments)
    }

    /// Whether this group is measured.
    pub fn wants(&self, group: &str) -> bool {
        self.groups.is_empty() || self.groups.iter().any(|wanted| wanted == group)
    }

    /// Whether the page is written: a part of the figures would take the place of all of them.
    pub fn writes(&self) -> bool {
        self.write || (self.groups.is_empty() && !self.quick)
    }
}

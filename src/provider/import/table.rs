//! One table of the file, and what can be wrong with a value in it.

use toml::de::{DeTable, DeValue};

/// As much of a name that strangers chose as an entry repeats, in characters.
const MAX_SHOWN: usize = 60;

/// A table and where it stands.
pub(super) struct Table<'a> {
    path: String,
    members: &'a DeTable<'a>,
}

impl<'a> Table<'a> {
    /// The file itself.
    pub fn root(members: &'a DeTable<'a>) -> Table<'a> {
        Table {
            path: String::new(),
            members,
        }
    }

    /// Where a member of it stands.
    pub fn path_of(&self, name: &str) -> String {
        let is_bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        let is_short = name.chars().nth(MAX_SHOWN).is_none();
        let name = if !name.is_empty() && is_short && name.chars().all(is_bare) {
            name.to_owned()
        } else {
            let shown: String = name.chars().take(MAX_SHOWN).collect();
            format!("\"{}\"", shown.escape_debug())
        };
        match self.path.as_str() {
            "" => name,
            path => format!("{path}.{name}"),
        }
    }

    /// The members, each with its place in the file.
    pub fn names(&self) -> impl Iterator<Item = (usize, &'a str)> {
        let members = self.members.keys();
        members.map(|name| (name.span().start, name.get_ref().as_ref()))
    }

    /// The place of a member in the file.
    pub fn place(&self, name: &str) -> Option<usize> {
        let mut names = self.names();
        names.find(|(_, own)| *own == name).map(|(place, _)| place)
    }

    /// A member that has to be a table.
    ///
    /// # Errors
    /// What to say if it is something else.
    pub fn table(&self, name: &str) -> Result<Option<Table<'a>>, String> {
        match self.value(name) {
            None => Ok(None),
            Some(DeValue::Table(members)) => Ok(Some(Table {
                path: self.path_of(name),
                members,
            })),
            Some(_) => Err(format!("{} is not a table", self.path_of(name))),
        }
    }

    /// A member that has to be a string; an empty one is as good as none.
    ///
    /// # Errors
    /// What to say if it is something else, or a reference to an environment variable.
    pub fn text(&self, name: &str) -> Result<Option<&'a str>, String> {
        match self.value(name) {
            None => Ok(None),
            Some(DeValue::String(text)) if text.is_empty() => Ok(None),
            Some(DeValue::String(text)) => match variable(text) {
                None => Ok(Some(text)),
                Some(variable) => Err(self.not_here(name, variable)),
            },
            Some(_) => Err(format!("{} is not a string", self.path_of(name))),
        }
    }

    /// A member that has to be a string with several values and commas between them.
    ///
    /// # Errors
    /// As [`Table::text`], for each of them.
    pub fn list(&self, name: &str) -> Result<Vec<&'a str>, String> {
        let text = self.text(name)?.unwrap_or_default();
        let values = text.split(',').map(str::trim);
        values
            .filter(|value| !value.is_empty())
            .map(|value| match variable(value) {
                None => Ok(value),
                Some(variable) => Err(self.not_here(name, variable)),
            })
            .collect()
    }

    /// A member that has to be true or false.
    ///
    /// # Errors
    /// As [`Table::text`].
    pub fn switch(&self, name: &str) -> Result<Option<bool>, String> {
        match self.value(name) {
            None => Ok(None),
            Some(DeValue::Boolean(value)) => Ok(Some(*value)),
            Some(DeValue::String(text)) if variable(text).is_some() => {
                self.text(name).map(|_| None)
            }
            Some(_) => Err(format!("{} is not true or false", self.path_of(name))),
        }
    }

    fn value(&self, name: &str) -> Option<&'a DeValue<'a>> {
        self.members.get(name).map(|value| value.get_ref())
    }

    fn not_here(&self, name: &str, variable: &str) -> String {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let is_name = variable.len() <= MAX_SHOWN && variable.chars().all(is_plain);
        let shown = if is_name { variable } else { "…" };
        let path = self.path_of(name);
        format!("{path} is env({shown}): its value is not in the file")
    }
}

/// The environment variable that a string stands for: the CLI puts its value in the place of
/// `env(NAME)`.
fn variable(text: &str) -> Option<&str> {
    text.trim().strip_prefix("env(")?.strip_suffix(')')
}

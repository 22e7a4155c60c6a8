//! Whose counters are whose: decisions are counted in rows, one for each provider of a database and one
//! for its tokens that are of no provider.

use super::text::Text;

/// The owner of a row of counters. All zeros is a row that nobody has.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Owner {
    is_used: u8,
    has_provider: u8,
    database: u32,
    provider: Text<NAME_BYTES>,
}

/// A provider's name has at most so many bytes.
const NAME_BYTES: usize = crate::provider::MAX_NAME_BYTES;

impl Owner {
    /// Nobody.
    pub const EMPTY: Self = Owner {
        is_used: 0,
        has_provider: 0,
        database: 0,
        provider: Text::EMPTY,
    };

    /// Whether the row is one of this database.
    pub fn is_of(&self, database: u32) -> bool {
        self.is_used != 0 && self.database == database
    }

    /// The database.
    pub fn database(&self) -> u32 {
        self.database
    }

    /// The provider; `None`: no provider was selected.
    pub fn provider(&self) -> Option<&str> {
        (self.has_provider != 0).then(|| self.provider.as_str())
    }
}

/// A row of counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// Its position.
    pub position: usize,
    /// Whether it has just got this owner: what it counted before is another one's.
    pub is_new: bool,
}

/// The row of a provider. If there is none left, the one that has counted least (`total`) gets another
/// owner, so that names that come and go take nothing from those that stay.
pub fn row(
    owners: &mut [Owner],
    database: u32,
    provider: Option<&str>,
    total: impl Fn(usize) -> u64,
) -> Option<Row> {
    let own = |owner: &Owner| owner.is_of(database) && owner.provider() == provider;
    if let Some(position) = owners.iter().position(own) {
        let is_new = false;
        return Some(Row { position, is_new });
    }
    let free = owners.iter().position(|owner| owner.is_used == 0);
    let position = free.or_else(|| (0..owners.len()).min_by_key(|&position| total(position)))?;
    owners[position] = Owner {
        is_used: 1,
        has_provider: u8::from(provider.is_some()),
        database,
        provider: Text::cut(provider.unwrap_or_default()),
    };
    let is_new = true;
    Some(Row { position, is_new })
}

/// Gives back the rows of owners that are not kept, and tells which.
pub fn retain(
    owners: &mut [Owner],
    is_kept: impl Fn(&Owner) -> bool,
    mut given_back: impl FnMut(usize),
) {
    for (position, owner) in owners.iter_mut().enumerate() {
        if owner.is_used != 0 && !is_kept(owner) {
            *owner = Owner::EMPTY;
            given_back(position);
        }
    }
}

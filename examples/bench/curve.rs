//! Cost against size.

use crate::common::ratio;
use crate::report::whole;
use crate::table::Table;

/// What one thing costs at growing sizes of another.
pub struct Curve {
    /// A word, as a [`Table`] has.
    pub id: &'static str,
    pub title: String,
    pub note: String,
    /// What grows, in the plural.
    pub axis: &'static str,
    pub sizes: Vec<u32>,
    /// What was measured, and its median at each size, in microseconds.
    pub lines: Vec<(&'static str, Vec<f64>)>,
}

impl Curve {
    /// The same as a table; the ratio is to the smallest size.
    pub fn table(&self) -> Table {
        let mut rows = Vec::new();
        for (what, values) in &self.lines {
            for (&size, &value) in self.sizes.iter().zip(values) {
                let name = format!("{what}, {}: {}", self.axis, whole(size.into()));
                rows.push(ratio(name, value, values[0], None));
            }
        }
        Table {
            id: self.id,
            title: self.title.clone(),
            note: self.note.clone(),
            unit: "µs",
            rows,
        }
    }
}

/// What a group hands over.
#[derive(Default)]
pub struct Measured {
    pub tables: Vec<Table>,
    /// Those of the tables that are plotted as curves.
    pub curves: Vec<Curve>,
}

impl From<Vec<Table>> for Measured {
    fn from(tables: Vec<Table>) -> Self {
        let curves = Vec::new();
        Measured { tables, curves }
    }
}

impl From<Vec<Curve>> for Measured {
    fn from(curves: Vec<Curve>) -> Self {
        let tables = curves.iter().map(Curve::table).collect();
        Measured { tables, curves }
    }
}

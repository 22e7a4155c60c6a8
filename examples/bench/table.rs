//! What was measured, as tables: the one form that every part of the bench hands over.

/// A group of figures that belong together.
pub struct Table {
    /// A word of lower-case letters and underscores, for files and arguments.
    pub id: &'static str,
    /// What was measured, as a heading.
    pub title: String,
    /// How it was measured, and what the ratio is to, in one or two sentences.
    pub note: String,
    /// The unit of the absolute figures.
    pub unit: &'static str,
    /// The figures.
    pub rows: Vec<Row>,
}

/// One figure.
pub struct Row {
    /// What was measured.
    pub name: String,
    /// The median of the rounds, in the unit of the table.
    pub value: f64,
    /// As a multiple of what it is compared with.
    pub ratio: Option<f64>,
    /// The budget.
    pub budget: Option<Budget>,
}

/// What a figure may be at most, or must be at least.
#[derive(Clone, Copy)]
pub enum Budget {
    /// The ratio may be this at most.
    RatioAtMost(f64),
    /// The ratio must be this at least.
    RatioAtLeast(f64),
    /// The absolute figure may be this at most.
    ValueAtMost(f64),
}

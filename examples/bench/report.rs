//! What was measured, as text: on the terminal and in docs/performance.md.

use crate::table::{Budget, Row, Table};
use std::fmt::Write;

/// A table for the terminal. What is over its budget says so.
pub fn text(table: &Table) -> String {
    let width = |row: &Row| row.name.chars().count();
    let widest = table.rows.iter().map(width).max().unwrap_or(0);
    let mut text = format!("{}\n{}\n\n", table.title, table.note);
    for row in &table.rows {
        let _ = writeln!(
            text,
            "  {:widest$}  {:>10} {:<4} {:>8}  {}{}",
            row.name,
            figure(row.value),
            table.unit,
            row.ratio
                .map_or(String::new(), |ratio| format!("{} ×", figure(ratio))),
            row.budget
                .map_or(String::new(), |budget| limit(budget, table.unit)),
            if is_over(row) { "  over" } else { "" },
        );
    }
    text
}

/// A table for the page.
pub fn markdown(table: &Table) -> String {
    let mut text = format!(
        "#### {}\n\n{}\n\n| | {} | ratio | budget |\n|---|---:|---:|---|\n",
        table.title, table.note, table.unit
    );
    for row in &table.rows {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {}{} |",
            row.name.replace('|', "\\|"),
            figure(row.value),
            row.ratio.map_or(String::new(), figure),
            row.budget
                .map_or(String::new(), |budget| limit(budget, table.unit)),
            if is_over(row) { " **over**" } else { "" },
        );
    }
    text
}

/// Whether a figure is not within its budget. One that is no number is not.
pub fn is_over(row: &Row) -> bool {
    let is_kept = |budget| match (budget, row.ratio) {
        (Budget::RatioAtMost(most), Some(ratio)) => ratio <= most,
        (Budget::RatioAtLeast(least), Some(ratio)) => ratio >= least,
        (Budget::ValueAtMost(most), _) => row.value <= most,
        (_, None) => false,
    };
    row.budget.is_some_and(|budget| !is_kept(budget))
}

/// Three digits or more, with commas between thousands.
pub fn figure(value: f64) -> String {
    let decimals = match value.abs() {
        small if small < 9.995 => 2,
        small if small < 99.95 => 1,
        _ => 0,
    };
    grouped(&format!("{value:.decimals$}"))
}

/// A number without decimals, with commas between thousands.
pub fn whole(value: f64) -> String {
    grouped(&format!("{value:.0}"))
}

fn grouped(text: &str) -> String {
    let (whole, fraction) = text.split_at(text.find('.').unwrap_or(text.len()));
    let (sign, digits) = whole.split_at(usize::from(whole.starts_with('-')));
    let mut grouped = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    format!("{sign}{grouped}{fraction}")
}

fn limit(budget: Budget, unit: &str) -> String {
    match budget {
        Budget::RatioAtMost(most) => format!("≤ {most} ×"),
        Budget::RatioAtLeast(least) => format!("≥ {least} ×"),
        Budget::ValueAtMost(most) if most < 100.0 => format!("≤ {most} {unit}"),
        Budget::ValueAtMost(most) => format!("≤ {} {unit}", figure(most)),
    }
}

/// The page with this text in the place of a version's figures, or after everything if it has none of that version;
/// what else is in the page stays.
pub fn replace_figures(page: &str, version: u32, figures: &str) -> Result<String, String> {
    let begin = format!("<!-- begin {version} -->\n");
    let end = format!("<!-- end {version} -->");
    let figures = figures.trim();
    match [&begin, &end].map(|marker| page.matches(marker.as_str()).count()) {
        [0, 0] => Ok(format!(
            "{}\n\n{begin}\n{figures}\n\n{end}\n",
            page.trim_end()
        )),
        [1, 1] => {
            let (before, rest) = page.split_once(&begin).unwrap_or_default();
            let Some((_, after)) = rest.split_once(&end) else {
                return Err(format!("the page has {end:?} before its beginning"));
            };
            Ok(format!("{before}{begin}\n{figures}\n\n{end}{after}"))
        }
        _ => Err(format!(
            "the page does not have {begin:?} and {end:?} once each"
        )),
    }
}

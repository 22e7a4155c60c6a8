//! What is printed: chapters, steps with what was expected and what happened, and their sum.

use postgres::Error;
use std::process::ExitCode;

/// How wide the description of a step is.
const WIDTH: usize = 36;

/// How wide a column of a table may be; longer texts are wrapped.
const WIDEST: usize = 72;

/// Counts what happened as expected.
#[derive(Default)]
pub struct Story {
    chapters: usize,
    steps: usize,
    surprises: usize,
}

impl Story {
    /// Begins a chapter.
    pub fn chapter(&mut self, title: &str) {
        self.chapters += 1;
        println!("\n{}. {title}\n", self.chapters);
    }

    /// Explains.
    pub fn say(&mut self, text: &str) {
        println!("   {text}");
    }

    /// Shows what somebody else said.
    pub fn quote(&mut self, text: &str) {
        for line in text.lines() {
            println!("   | {line}");
        }
    }

    /// One step: what was expected, and what happened.
    pub fn step(&mut self, what: &str, expected: &str, got: &str) {
        self.steps += 1;
        let what = format!("{what:WIDTH$}");
        if got == expected {
            println!("   {what} expected {expected}, got {got} ✓");
        } else {
            self.surprises += 1;
            println!("   {what} expected {expected}, got {got} ✗");
        }
    }

    /// The sum.
    pub fn end(&self) -> ExitCode {
        let good = self.steps - self.surprises;
        println!("\n{good} of {} steps happened as expected.", self.steps);
        match (self.surprises, self.steps) {
            (_, 0) | (1.., _) => ExitCode::FAILURE,
            (0, _) => ExitCode::SUCCESS,
        }
    }
}

/// How many rows a statement read or wrote, or its SQLSTATE and reason.
pub fn outcome(answer: &Result<u64, Error>) -> String {
    match answer {
        Ok(1) => "1 row".to_owned(),
        Ok(count) => format!("{count} rows"),
        Err(error) => code(error),
    }
}

/// A text, or the SQLSTATE and reason why there is none.
pub fn short(answer: &Result<String, Error>) -> String {
    match answer {
        Ok(text) => text.clone(),
        Err(error) => code(error),
    }
}

fn code(error: &Error) -> String {
    let Some(report) = error.as_db_error() else {
        return error.to_string();
    };
    let detail = report.detail().unwrap_or_default();
    let reason = detail
        .strip_prefix("reason=")
        .and_then(|rest| rest.split(' ').next());
    match reason {
        Some(reason) => format!("{} {reason}", report.code().code()),
        None => report.code().code().to_owned(),
    }
}

/// Prints a table.
pub fn rows(columns: &[&str], table: &[Vec<String>]) {
    let widths: Vec<usize> = (0..columns.len())
        .map(|column| {
            let longest = table.iter().map(|row| row[column].chars().count()).max();
            longest.unwrap_or(0).max(columns[column].len()).min(WIDEST)
        })
        .collect();
    let heads: Vec<String> = columns.iter().map(|&head| head.to_owned()).collect();
    line(&heads, &widths);
    line(
        &widths
            .iter()
            .map(|&width| "-".repeat(width))
            .collect::<Vec<_>>(),
        &widths,
    );
    for row in table {
        line(row, &widths);
    }
    println!();
}

/// Prints a row, in as many lines as its longest cell needs.
fn line(cells: &[String], widths: &[usize]) {
    let wrapped: Vec<Vec<String>> = cells
        .iter()
        .zip(widths)
        .map(|(cell, &width)| wrap(cell, width))
        .collect();
    let height = wrapped.iter().map(Vec::len).max().unwrap_or(0);
    for number in 0..height {
        let parts = wrapped.iter().zip(widths).map(|(lines, &width)| {
            let part = lines.get(number).map_or("", String::as_str);
            format!("{part:width$}")
        });
        println!("   {}", parts.collect::<Vec<_>>().join("  ").trim_end());
    }
}

fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let last = lines.last_mut().expect("never empty");
        if last.is_empty() {
            *last = word.to_owned();
        } else if last.chars().count() + 1 + word.chars().count() <= width {
            last.push(' ');
            last.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

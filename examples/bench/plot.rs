//! Plots as SVG. The colours are readable on light and on dark pages; there is no background.

use crate::curve::Curve;
use crate::report::{figure, whole};
use crate::table::{Budget, Row, Table};
use std::fmt::Write;

const TEXT: &str = "#6e7681";
const GRID: &str = "#8c959f";
const BASELINE: &str = "#8c959f";
const OURS: &str = "#1f883d";
const PLAIN: &str = "#bc6c25";
const BUDGET: &str = "#cf222e";

/// The tables whose rows become bars, under a heading, each in a colour.
const BARS: [(&str, &str, &str); 5] = [
    (
        "policies_baseline",
        "what the others are compared with",
        BASELINE,
    ),
    ("policies", "pg_third_party_auth", OURS),
    (
        "organization",
        "pg_third_party_auth, the organisation of a row",
        OURS,
    ),
    ("policies_plain", "plain SQL over request.jwt.claims", PLAIN),
    (
        "organization_plain",
        "plain SQL, the organisation of a row",
        PLAIN,
    ),
];

/// The cost per row of the policies as horizontal bars on a logarithmic axis, with a tick at each budget.
pub fn bars(tables: &[Table]) -> Option<String> {
    const LEFT: f64 = 400.0;
    const WIDTH: f64 = 420.0;
    const STEP: f64 = 19.0;
    let groups: Vec<(&Table, &str, &str)> = BARS
        .iter()
        .filter_map(|&(id, heading, colour)| {
            let table = tables.iter().find(|table| table.id == id)?;
            Some((table, heading, colour))
        })
        .collect();
    let values = || {
        groups
            .iter()
            .flat_map(|(table, ..)| &table.rows)
            .map(|row| row.value)
    };
    let least = values().min_by(f64::total_cmp)?;
    let most = values().max_by(f64::total_cmp)?;
    let first = (least / 1.5).log10().floor();
    let last = most.log10().ceil();
    let x = |value: f64| LEFT + WIDTH * (value.log10() - first) / (last - first);

    let mut marks = String::new();
    let mut y = 44.0;
    for (table, heading, colour) in &groups {
        y += 12.0;
        text(&mut marks, LEFT, y, "start", "bold", heading);
        y += 8.0;
        for row in &table.rows {
            text(&mut marks, LEFT - 8.0, y + 12.0, "end", "normal", &row.name);
            let end = x(row.value);
            let _ = writeln!(
                marks,
                r#"<rect x="{LEFT}" y="{y}" width="{:.1}" height="14" rx="2" fill="{colour}"/>"#,
                end - LEFT
            );
            let mut after = end;
            if let Some(budget) = budget_of(row) {
                let at = x(budget);
                after = after.max(at);
                line(&mut marks, (at, y - 2.0), (at, y + 16.0), BUDGET, 2.0);
            }
            text(
                &mut marks,
                after + 6.0,
                y + 12.0,
                "start",
                "normal",
                &figure(row.value),
            );
            y += STEP;
        }
        y += 6.0;
    }
    let mut grid = String::new();
    for power in first as i32..=last as i32 {
        let value = 10_f64.powi(power);
        line(&mut grid, (x(value), 36.0), (x(value), y), GRID, 0.4);
        let unit = if power == last as i32 { " ns" } else { "" };
        let label = format!("{}{unit}", whole(value));
        text(&mut grid, x(value), 30.0, "middle", "normal", &label);
    }
    text(
        &mut grid,
        0.0,
        12.0,
        "start",
        "bold",
        "Time on a CPU for one row, logarithmic; a red tick is a budget",
    );
    Some(document(
        LEFT + WIDTH + 60.0,
        y + 6.0,
        &format!("{grid}{marks}"),
    ))
}

/// Cost against size, a panel for each curve, from zero.
pub fn curves(curves: &[Curve]) -> Option<String> {
    const PANEL: (f64, f64) = (410.0, 250.0);
    const LEFT: f64 = 52.0;
    const TOP: f64 = 52.0;
    const AREA: (f64, f64) = (320.0, 150.0);
    if curves.is_empty() {
        return None;
    }
    let mut marks = String::new();
    for (number, curve) in curves.iter().enumerate() {
        let left = LEFT + PANEL.0 * (number % 2) as f64;
        let top = TOP + PANEL.1 * (number / 2) as f64;
        let bottom = top + AREA.1;
        let values = curve
            .lines
            .iter()
            .flat_map(|(_, values)| values.iter().copied());
        let most = round_up(values.fold(0.0, f64::max));
        let largest = f64::from(*curve.sizes.last()?).ln().max(1.0);
        let x = |size: u32| left + AREA.0 * f64::from(size).ln() / largest;
        let y = |value: f64| bottom - AREA.1 * value.max(0.0) / most;

        let title = format!("{}: µs for one decision", curve.title);
        text(
            &mut marks,
            left - LEFT + 8.0,
            top - 32.0,
            "start",
            "bold",
            &title,
        );
        for part in 0..=4 {
            let value = most * f64::from(part) / 4.0;
            line(
                &mut marks,
                (left, y(value)),
                (left + AREA.0, y(value)),
                GRID,
                0.4,
            );
            text(
                &mut marks,
                left - 6.0,
                y(value) + 4.0,
                "end",
                "normal",
                &figure_of_axis(value),
            );
        }
        for &size in &curve.sizes {
            text(
                &mut marks,
                x(size),
                bottom + 16.0,
                "middle",
                "normal",
                &whole(size.into()),
            );
        }
        let axis = format!("{} (logarithmic)", curve.axis);
        text(
            &mut marks,
            left + AREA.0 / 2.0,
            bottom + 32.0,
            "middle",
            "normal",
            &axis,
        );
        for (position, ((name, values), colour)) in
            curve.lines.iter().zip([OURS, PLAIN]).enumerate()
        {
            let points: Vec<(f64, f64)> = curve
                .sizes
                .iter()
                .zip(values)
                .map(|(&size, &value)| (x(size), y(value)))
                .collect();
            for pair in points.windows(2) {
                line(&mut marks, pair[0], pair[1], colour, 1.8);
            }
            for &(x, y) in &points {
                let _ = writeln!(
                    marks,
                    r#"<circle cx="{x:.1}" cy="{y:.1}" r="3" fill="{colour}"/>"#
                );
            }
            let at = left + 160.0 * position as f64;
            line(
                &mut marks,
                (at, top - 15.0),
                (at + 16.0, top - 15.0),
                colour,
                3.0,
            );
            text(&mut marks, at + 22.0, top - 11.0, "start", "normal", name);
        }
    }
    let rows = curves.len().div_ceil(2) as f64;
    Some(document(PANEL.0 * 2.0, PANEL.1 * rows, &marks))
}

/// What the budget of a row allows, in the unit of its value.
fn budget_of(row: &Row) -> Option<f64> {
    match (row.budget?, row.ratio) {
        (Budget::ValueAtMost(most), _) => Some(most),
        (Budget::RatioAtMost(most), Some(ratio)) => Some(row.value / ratio * most),
        _ => None,
    }
}

/// 1, 2 or 5 times a power of ten, and at least this.
fn round_up(value: f64) -> f64 {
    let power = 10_f64.powf(value.max(1e-3).log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|step| step * power);
    steps
        .into_iter()
        .find(|&step| step >= value)
        .unwrap_or(value)
}

fn figure_of_axis(value: f64) -> String {
    if value.fract() == 0.0 {
        whole(value)
    } else {
        figure(value)
    }
}

fn line(marks: &mut String, from: (f64, f64), to: (f64, f64), colour: &str, width: f64) {
    let _ = writeln!(
        marks,
        r#"<line x1="{:.1}" y1="{:.1}" x2="{:.1}" y2="{:.1}" stroke="{colour}" stroke-width="{width}"/>"#,
        from.0, from.1, to.0, to.1
    );
}

fn text(marks: &mut String, x: f64, y: f64, anchor: &str, weight: &str, what: &str) {
    let what = what
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    let _ = writeln!(
        marks,
        r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}" font-weight="{weight}">{what}</text>"#
    );
}

fn document(width: f64, height: f64, marks: &str) -> String {
    format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0} {height:.0}" width="{width:.0}" height="{height:.0}" font-family="system-ui, 'DejaVu Sans', sans-serif" font-size="11.5" fill="{TEXT}">
{marks}</svg>
"#
    )
}

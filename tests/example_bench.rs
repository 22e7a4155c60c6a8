//! What `make bench` writes: numbers, verdicts, the page, and its command line.

#[path = "../examples/bench/arguments.rs"]
mod arguments;
#[path = "../examples/bench/report.rs"]
mod report;
#[path = "../examples/bench/table.rs"]
#[allow(dead_code)]
mod table;

use arguments::{Arguments, USAGE};
use report::{figure, is_over, markdown, replace_figures, text, whole};
use table::{Budget, Row, Table};

fn row(value: f64, ratio: Option<f64>, budget: Option<Budget>) -> Row {
    let name = "a | b".to_owned();
    Row {
        name,
        value,
        ratio,
        budget,
    }
}

#[test]
fn a_figure_has_three_digits_and_commas() {
    for (value, expected) in [
        (0.0, "0.00"),
        (1.234, "1.23"),
        (9.994, "9.99"),
        (9.996, "10.0"),
        (99.94, "99.9"),
        (99.96, "100"),
        (999.4, "999"),
        (12_345.6, "12,346"),
        (1_234_567.0, "1,234,567"),
        (-0.5, "-0.50"),
        (-1_234.5, "-1,234"),
    ] {
        assert_eq!(figure(value), expected);
    }
    assert_eq!([whole(8.0), whole(100_000.0)], ["8", "100,000"]);
}

#[test]
fn a_figure_is_over_when_it_is_not_within_its_budget() {
    use Budget::{RatioAtLeast, RatioAtMost, ValueAtMost};
    for (value, ratio, budget, expected) in [
        (9.0, None, None, false),
        (9.0, Some(1.4), Some(RatioAtMost(1.4)), false),
        (9.0, Some(1.41), Some(RatioAtMost(1.4)), true),
        (9.0, Some(0.95), Some(RatioAtLeast(0.95)), false),
        (9.0, Some(0.94), Some(RatioAtLeast(0.95)), true),
        (5.0, None, Some(ValueAtMost(5.0)), false),
        (5.1, None, Some(ValueAtMost(5.0)), true),
        // What was not measured is not kept.
        (9.0, None, Some(RatioAtMost(1.4)), true),
        (f64::NAN, None, Some(ValueAtMost(5.0)), true),
        (9.0, Some(f64::NAN), Some(RatioAtLeast(0.95)), true),
    ] {
        let row = row(value, ratio, budget);
        assert_eq!(is_over(&row), expected, "{value} {ratio:?}");
    }
}

#[test]
fn what_is_over_its_budget_says_so() {
    let table = Table {
        id: "some",
        title: "Some figures".to_owned(),
        note: "How.".to_owned(),
        unit: "µs",
        rows: vec![
            row(2.5, Some(1.0), None),
            row(7.0, Some(2.8), Some(Budget::RatioAtMost(1.4))),
            row(3.0, None, Some(Budget::ValueAtMost(5.0))),
        ],
    };
    let printed = text(&table);
    let lines: Vec<&str> = printed
        .lines()
        .filter(|line| line.contains("a | b"))
        .collect();
    let ends: Vec<bool> = lines.iter().map(|line| line.ends_with("  over")).collect();
    assert_eq!(ends, [false, true, false], "{printed}");
    assert_eq!(
        markdown(&table),
        "#### Some figures\n\nHow.\n\n| | µs | ratio | budget |\n|---|---:|---:|---|\n\
         | a \\| b | 2.50 | 1.00 |  |\n| a \\| b | 7.00 | 2.80 | ≤ 1.4 × **over** |\n\
         | a \\| b | 3.00 |  | ≤ 5 µs |\n"
    );
}

const PAGE: &str = "Before.\n<!-- begin 15 -->\nold\n<!-- end 15 -->\nBetween.\n\
                    <!-- begin 18 -->\nkept\n<!-- end 18 -->\nAfter.\n";

#[test]
fn a_run_replaces_the_figures_of_its_version_alone() {
    let once = replace_figures(PAGE, 15, "\nnew\n").unwrap();
    assert_eq!(
        once,
        "Before.\n<!-- begin 15 -->\n\nnew\n\n<!-- end 15 -->\nBetween.\n\
         <!-- begin 18 -->\nkept\n<!-- end 18 -->\nAfter.\n"
    );
    assert_eq!(replace_figures(&once, 15, "new").unwrap(), once);
    let both = replace_figures(&once, 18, "newer").unwrap();
    assert!(both.contains("new\n") && both.contains("newer") && !both.contains("kept"));
}

#[test]
fn the_first_figures_of_a_version_come_last() {
    let more = replace_figures(PAGE, 17, "new").unwrap();
    assert_eq!(
        more,
        format!("{PAGE}\n<!-- begin 17 -->\n\nnew\n\n<!-- end 17 -->\n")
    );
    assert_eq!(replace_figures(&more, 17, "new").unwrap(), more);
}

#[test]
fn a_page_whose_marks_are_broken_is_left_alone() {
    let turned = "<!-- end 15 -->\n<!-- begin 15 -->\n";
    for page in [
        turned,
        "<!-- begin 15 -->\n",
        "<!-- end 15 -->\n",
        &PAGE.repeat(2),
    ] {
        assert!(replace_figures(page, 15, "new").is_err(), "{page}");
    }
}

fn parsed(words: &[&str]) -> Result<Arguments, String> {
    let words = words.iter().map(|&word| word.to_owned());
    Arguments::parse(words, &["policies", "growth"])
}

#[test]
fn only_a_full_run_writes_the_page_unasked() {
    for (words, writes) in [
        (&[][..], true),
        (&["--quick"], false),
        (&["growth"], false),
        (&["--quick", "--write"], true),
        (&["--write", "growth"], true),
    ] {
        assert_eq!(parsed(words).unwrap().writes(), writes, "{words:?}");
    }
    let some = parsed(&["growth"]).unwrap();
    assert!(some.wants("growth") && !some.wants("policies"));
    assert!(parsed(&[]).unwrap().wants("policies"));
}

#[test]
fn a_wrong_question_says_what_is_wrong() {
    assert_eq!(parsed(&["--fast"]).unwrap_err(), "unknown option --fast");
    assert!(parsed(&["--help"]).unwrap().help && USAGE.contains("--help"));
    assert_eq!(
        parsed(&["polices"]).unwrap_err(),
        "unknown group polices; there are policies, growth"
    );
}

//! The table of `docs/functions.md`, made from the presets, and every cell of it put to the test.
//!
//! `UPDATE_DOCS=1 cargo test --test function_table` writes the table anew.

#[path = "policy/questions.rs"]
mod questions;
#[path = "policy/samples.rs"]
mod samples;
#[path = "policy/token.rs"]
#[allow(dead_code)]
mod token;

use pg_third_party_auth::provider::Preset;
use pg_third_party_auth::provider::presets::ALL;
use questions::{QUESTIONS, Question, named};
use samples::{everything, samples};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;

/// What stands around the table.
const BEGIN: &str = "<!-- The table is written by tests/function_table.rs. -->\n";
const END: &str = "<!-- End of the table. -->\n";

/// Claims without which a token of some kind is refused, or says of which kind of claims the others are.
const ALWAYS: [&str; 10] = [
    "iss",
    "sub",
    "sid",
    "session_id",
    "iat",
    "exp",
    "token_use",
    "tid",
    "v",
    "auth_time",
];

/// For each question a line, for each kind a column.
fn table() -> String {
    let kinds = ALL.map(|preset| format!("`{}`", preset.kind));
    let rule = ["---"; ALL.len() + 1];
    let mut lines = vec![row("", &kinds.map(Some)), format!("|{}|", rule.join("|"))];
    for question in &QUESTIONS {
        let cells = ALL.map(question.source);
        lines.push(row(&format!("`{}`", question.function), &cells));
    }
    lines.join("\n") + "\n"
}

fn row(first: &str, cells: &[Option<String>]) -> String {
    let cells = cells.iter().map(|cell| cell.as_deref().unwrap_or("–"));
    let cells: Vec<_> = [first].into_iter().chain(cells).collect();
    format!("| {} |", cells.join(" | "))
}

/// Whether a token with these claims answers; a token that is refused does not.
fn answers(question: &Question, preset: &Preset, claims: &Value) -> bool {
    let token = token::judged(token::provider(preset.kind), claims);
    token.is_some_and(|token| (question.answers)(&token))
}

/// What the sample says about the claims that this test wants, and what every token says.
fn only(kind: &str, claims: &Value, wanted: &[&str]) -> Value {
    let mut claims = claims.clone();
    claims.as_object_mut().unwrap().retain(|name, _| {
        let always = ALWAYS.contains(&name.as_str());
        // Firebase refuses tokens without auth_time; elsewhere it is an answer.
        let always = always && (name != "auth_time" || kind == "firebase");
        always || wanted.contains(&name.as_str())
    });
    claims
}

fn without(claims: &Value, name: &str) -> Value {
    let mut claims = claims.clone();
    claims.as_object_mut().unwrap().remove(name);
    claims
}

/// Each question of each kind, and from which claims it is answered; empty if it is not.
fn cells() -> impl Iterator<Item = (&'static Question, &'static Preset, String)> {
    QUESTIONS.iter().flat_map(|question| {
        let sources = ALL
            .into_iter()
            .map(|preset| (preset, (question.source)(preset)));
        sources.map(move |(preset, source)| (question, preset, source.unwrap_or_default()))
    })
}

/// Tokens of a kind that say what tokens of all kinds say, each time with another kind that has the last
/// word, and with Clerk's version and without.
fn tokens_with_everything(kind: &'static str) -> impl Iterator<Item = Value> {
    let kinds = ALL.map(|preset| preset.kind);
    kinds.into_iter().flat_map(move |last| {
        let claims = token::changed(kind, everything(kinds.into_iter().chain([last])));
        [json!(2), Value::Null].map(|v| token::changed_by(claims.clone(), json!({"v": v})))
    })
}

#[test]
fn the_page_has_the_table_that_the_presets_make() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/functions.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(BEGIN).expect("the beginning of the table");
    let (found, after) = rest.split_once(END).expect("the end of the table");
    let table = format!("\n{}\n", table());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        let page = [before, BEGIN, &table, END, after].concat();
        std::fs::write(&path, page).unwrap();
        return;
    }
    assert!(
        found == table,
        "docs/functions.md is not what the presets say: run UPDATE_DOCS=1 cargo test --test function_table\n\
         {table}"
    );
}

#[test]
fn every_function_that_asks_about_claims_has_its_line() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("sql/install/functions.sql");
    let script = std::fs::read_to_string(path).unwrap();
    let declared = script.lines().filter_map(|line| {
        let (name, rest) = line.strip_prefix("CREATE FUNCTION ")?.split_once('(')?;
        let (arguments, _) = rest.split_once(')')?;
        let arguments = arguments
            .split(", ")
            .filter_map(|one| one.split(' ').next());
        let arguments: Vec<_> = arguments.collect();
        // The registered name is no claim, and the overloads with it narrow the same answer.
        let asks = name.starts_with("jwt_") && name != "jwt_provider";
        let asks = asks && !arguments.contains(&"provider");
        asks.then(|| format!("{name}({})", arguments.join(", ")))
    });
    let declared: BTreeSet<_> = declared.collect();
    let lines = QUESTIONS
        .iter()
        .map(|question| question.function.to_owned());
    assert_eq!(declared, lines.collect());
}

#[test]
fn a_question_is_answered_from_the_claims_of_its_cell_alone() {
    for (question, preset, source) in cells() {
        let mut tokens = samples(preset.kind)
            .into_iter()
            .map(|own| token::changed(preset.kind, own))
            .map(|claims| only(preset.kind, &claims, &named(&source)));
        let answered = tokens.any(|claims| answers(question, preset, &claims));
        let expected = !source.is_empty();
        assert_eq!(answered, expected, "{}, {}", question.function, preset.kind);
    }
}

#[test]
fn every_claim_of_a_cell_is_needed_in_some_token() {
    for (question, preset, source) in cells() {
        for claim in named(&source) {
            let decides = samples(preset.kind).into_iter().any(|own| {
                let claims = token::changed(preset.kind, own);
                let claims = only(preset.kind, &claims, &named(&source));
                answers(question, preset, &claims)
                    && !answers(question, preset, &without(&claims, claim))
            });
            assert!(decides, "{}, {}: {claim}", question.function, preset.kind);
        }
    }
}

#[test]
fn without_the_claims_of_its_cell_a_question_has_no_answer_whatever_else_is_there() {
    for (question, preset, source) in cells() {
        for mut claims in tokens_with_everything(preset.kind) {
            for name in named(&source) {
                claims = without(&claims, name);
            }
            let answered = answers(question, preset, &claims);
            assert!(
                !answered,
                "{}, {}: {claims}",
                question.function, preset.kind
            );
        }
    }
}

#[test]
fn a_token_that_says_everything_is_not_refused() {
    // Otherwise the test before this one would be about nothing.
    for preset in ALL {
        for claims in tokens_with_everything(preset.kind) {
            let token = token::judged(token::provider(preset.kind), &claims);
            assert!(token.is_some(), "{}: {claims}", preset.kind);
        }
    }
}

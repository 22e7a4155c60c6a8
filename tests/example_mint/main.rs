//! The program that makes key pairs and signs tokens: its command line, files, output and exit codes.

#[path = "../../examples/mint/arguments.rs"]
mod arguments;
mod command_line;
#[path = "../common/court.rs"]
#[allow(dead_code)]
mod court;
mod files;
#[path = "../../examples/mint/key_file.rs"]
mod key_file;
#[path = "../common/mint.rs"]
#[allow(dead_code)]
mod mint;
#[path = "../../examples/mint/run.rs"]
mod run;
mod tokens;

use run::Answer;
use serde_json::Value;
use std::ffi::OsString;
use std::path::Path;

const NOW: u64 = 1_717_000_300;

/// A path under a name that no other test uses, where there is no file.
fn path(name: &str) -> String {
    let path = format!("{}/mint-{name}", env!("CARGO_TARGET_TMPDIR"));
    if Path::new(&path).exists() {
        std::fs::remove_file(&path).expect("an old file can be removed");
    }
    path
}

/// A file with this text.
fn file(name: &str, text: &str) -> String {
    let path = path(name);
    std::fs::write(&path, text).expect("a file");
    path
}

/// A new key for this algorithm, in a file.
fn new_key(name: &str, algorithm: &str) -> String {
    let path = path(name);
    let answer = run(&["new-key", "--alg", algorithm, "--kid", name, "--out", &path]);
    assert_eq!(said(&answer), (0, ""), "{answer:?}");
    path
}

fn run_with(words: &[&str], input: &str) -> Answer {
    let words: Vec<OsString> = words.iter().map(Into::into).collect();
    run::run(words, &mut input.as_bytes(), || NOW)
}

/// Without standard input.
fn run(words: &[&str]) -> Answer {
    run_with(words, "")
}

/// Code and output.
fn said(answer: &Answer) -> (u8, &str) {
    (answer.code, answer.output.as_str())
}

/// What it prints if all is well.
fn printed(words: &[&str]) -> String {
    let answer = run(words);
    assert_eq!((answer.code, answer.notes.len()), (0, 0), "{answer:?}");
    answer.output
}

/// A part of a token, decoded.
fn part(token: &str, index: usize) -> String {
    let part = token.split('.').nth(index).expect("a part");
    let octets = pg_third_party_auth::token::base64url::decode(part).expect("base64url");
    String::from_utf8(octets).expect("UTF-8")
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

//! Reads Rust source well enough to judge its imports: what is code, and which paths it names.

use std::fs;
use std::path::{Path, PathBuf};

/// The root of the repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A file under `src`.
pub struct Source {
    /// Its path below `src`, with `/`.
    pub path: String,
    /// As it was written.
    pub text: String,
    /// The same with comments and the contents of literals blanked, line by line.
    pub code: String,
    /// `code` without what is compiled for unit tests only.
    pub shipped: String,
}

impl Source {
    /// A file of this path and text.
    pub fn new(path: &str, text: &str) -> Self {
        let code = blank_comments_and_literals(text);
        Source {
            path: path.to_owned(),
            text: text.to_owned(),
            shipped: blank_unit_tests(&code),
            code,
        }
    }

    /// Every file under `src`, by path.
    pub fn all() -> Vec<Source> {
        let base = root().join("src");
        let mut paths = Vec::new();
        collect(&base, &mut paths);
        paths.sort();
        paths
            .iter()
            .map(|path| {
                let below = path.strip_prefix(&base).unwrap();
                let parts: Vec<_> = below.iter().map(|part| part.to_str().unwrap()).collect();
                Source::new(&parts.join("/"), &fs::read_to_string(path).unwrap())
            })
            .collect()
    }

    /// The folder directly under `src` that it lies in; empty for `lib.rs`.
    pub fn folder(&self) -> &str {
        self.path.split_once('/').map_or("", |(folder, _)| folder)
    }

    /// How many modules lie between its folder and the code of the file: 0 for `folder/mod.rs`.
    pub fn depth(&self) -> usize {
        let parts = self.path.split('/').count() - 1;
        parts - usize::from(self.path.ends_with("/mod.rs"))
    }
}

fn collect(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push(path);
        }
    }
}

/// Whether a character can be part of a name.
fn in_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn blank(text: &mut [char]) {
    for c in text.iter_mut().filter(|c| **c != '\n') {
        *c = ' ';
    }
}

/// Blanks comments, and what stands between the quotes of texts and characters.
fn blank_comments_and_literals(text: &str) -> String {
    let mut code: Vec<char> = text.chars().collect();
    let mut at = 0;
    while at < code.len() {
        let rest = &code[at..];
        let length = match rest {
            ['/', '/', ..] => rest.iter().position(|c| *c == '\n').unwrap_or(rest.len()),
            ['/', '*', ..] => block_comment(rest),
            ['"', ..] => text_literal(rest, hashes_of_raw_text(&code[..at])),
            ['\'', '\\', ..] => 3 + rest[3..].iter().position(|c| *c == '\'').unwrap_or(0) + 1,
            ['\'', _, '\'', ..] => 3,
            _ => 0,
        };
        blank(&mut code[at..at + length]);
        at += length.max(1);
    }
    code.into_iter().collect()
}

fn block_comment(rest: &[char]) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        match rest[at..] {
            ['/', '*', ..] => (depth, at) = (depth + 1, at + 2),
            ['*', '/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

/// How many `#` a raw text has whose opening quote follows; `None` for an ordinary text.
fn hashes_of_raw_text(before: &[char]) -> Option<usize> {
    let hashes = before.iter().rev().take_while(|c| **c == '#').count();
    let before = &before[..before.len() - hashes];
    let name: Vec<_> = before.iter().rev().take_while(|c| in_name(**c)).collect();
    matches!(name[..], ['r'] | ['r', 'b' | 'c']).then_some(hashes)
}

fn text_literal(rest: &[char], raw: Option<usize>) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match (rest[at], raw) {
            ('\\', None) => at += 1,
            ('"', None) => return at + 1,
            ('"', Some(hashes)) => {
                let following = rest[at + 1..].iter().take_while(|c| **c == '#').count();
                if following >= hashes {
                    return at + 1 + hashes;
                }
            }
            _ => {}
        }
        at += 1;
    }
    rest.len()
}

/// Blanks every item under `#[cfg(test)]`.
fn blank_unit_tests(code: &str) -> String {
    let marker: Vec<char> = "#[cfg(test)]".chars().collect();
    let mut code: Vec<char> = code.chars().collect();
    let mut at = 0;
    while at < code.len() {
        if !code[at..].starts_with(&marker) {
            at += 1;
            continue;
        }
        let mut end = at + marker.len();
        let mut depth = 0;
        while end < code.len() {
            match code[end] {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            end += 1;
            if depth == 0 && matches!(code[end - 1], '}' | ';') {
                break;
            }
        }
        blank(&mut code[at..end]);
        at = end;
    }
    code.into_iter().collect()
}

/// A path that the code names, with the line (from 1) where it begins.
#[derive(Debug, PartialEq, Eq)]
pub struct Named {
    pub line: usize,
    pub path: Vec<String>,
}

/// Every path that begins with `first::`, a use tree spread out into its paths.
pub fn paths(code: &str, first: &str) -> Vec<Named> {
    let code: Vec<char> = code.chars().collect();
    let mut found = Vec::new();
    for at in names(&code, first) {
        let line = 1 + code[..at].iter().filter(|c| **c == '\n').count();
        let mut rest = Tree {
            code: &code,
            at: at + first.chars().count(),
        };
        if !rest.eats("::") {
            continue;
        }
        let mut spread = Vec::new();
        rest.spread(&mut Vec::new(), &mut spread);
        found.extend(spread.into_iter().map(|path| Named { line, path }));
    }
    found
}

/// The lines (from 1) where the code has this name.
pub fn lines_with(code: &str, name: &str) -> Vec<usize> {
    let code: Vec<char> = code.chars().collect();
    names(&code, name)
        .into_iter()
        .map(|at| 1 + code[..at].iter().filter(|c| **c == '\n').count())
        .collect()
}

fn names(code: &[char], name: &str) -> Vec<usize> {
    let name: Vec<char> = name.chars().collect();
    (0..code.len())
        .filter(|&at| {
            code[at..].starts_with(&name)
                && !code[..at].last().is_some_and(|c| in_name(*c))
                && !code.get(at + name.len()).is_some_and(|c| in_name(*c))
        })
        .collect()
}

struct Tree<'a> {
    code: &'a [char],
    at: usize,
}

impl Tree<'_> {
    fn space(&mut self) {
        while self.code.get(self.at).is_some_and(|c| c.is_whitespace()) {
            self.at += 1;
        }
    }

    fn eats(&mut self, text: &str) -> bool {
        self.space();
        let text: Vec<char> = text.chars().collect();
        let there = self.code[self.at..].starts_with(&text);
        if there {
            self.at += text.len();
        }
        there
    }

    fn name(&mut self) -> String {
        self.space();
        let rest = &self.code[self.at..];
        let name: String = rest.iter().take_while(|c| in_name(**c)).collect();
        self.at += name.chars().count();
        name
    }

    /// What follows a `::`.
    fn spread(&mut self, path: &mut Vec<String>, into: &mut Vec<Vec<String>>) {
        let before = path.len();
        loop {
            if self.eats("{") {
                while !self.eats("}") && self.at < self.code.len() {
                    self.spread(path, into);
                    if self.eats("as ") {
                        self.name();
                    }
                    if !self.eats(",") && self.code.get(self.at) != Some(&'}') {
                        // No use tree that could be read: go on behind it.
                        self.at += 1;
                    }
                }
                break;
            }
            let name = if self.eats("*") {
                "*".to_owned()
            } else {
                self.name()
            };
            if name.is_empty() {
                // Type arguments, `::<`: the path has ended.
                into.push(path.clone());
                break;
            }
            path.push(name);
            if !self.eats("::") {
                into.push(path.clone());
                break;
            }
        }
        path.truncate(before);
    }
}

/// Every `super::super…` with its line, how many `super` it has, and how many inline modules it stands
/// in.
pub fn ascents(code: &str) -> Vec<(usize, usize, usize)> {
    let chars: Vec<char> = code.chars().collect();
    let mut found = Vec::new();
    // For each open brace, whether it opened a module.
    let mut open = Vec::new();
    let (mut line, mut at) = (1, 0);
    let mut last_names = (String::new(), String::new());
    while at < chars.len() {
        let c = chars[at];
        if in_name(c) {
            let mut tree = Tree { code: &chars, at };
            let name = tree.name();
            at = tree.at;
            if name == "super" {
                let mut count = 1;
                while tree.eats("::") && tree.name() == "super" {
                    count += 1;
                    at = tree.at;
                }
                let modules = open.iter().filter(|is_module| **is_module).count();
                found.push((line, count, modules));
            }
            last_names = (std::mem::take(&mut last_names.1), name);
            continue;
        }
        match c {
            '\n' => line += 1,
            '{' => open.push(last_names.0 == "mod"),
            '}' => drop(open.pop()),
            c if !c.is_whitespace() => last_names = Default::default(),
            _ => {}
        }
        at += 1;
    }
    found
}

//! Which folder of `src` may name what: the directions and absences that can be read off the source.
//! The layout is in `src/lib.rs`, the reasons in the README.

#[path = "architecture/source.rs"]
mod source;

use source::{Source, ascents, lines_with, paths, root};
use std::process::Command;

/// What each folder may import, beside itself.
const DIRECTIONS: [(&str, &[&str]); 8] = [
    ("json", &[]),
    ("token", &["json"]),
    ("keys", &["json", "token"]),
    ("provider", &["json", "keys"]),
    ("verify", &["json", "token", "keys", "provider"]),
    ("policy", &["json", "provider", "verify"]),
    ("cache", &["keys", "provider"]),
    ("fetch", &["keys", "provider"]),
];

/// What `keys` may take from `token`: how bytes are read, and nothing about tokens.
const KEYS_MAY_TAKE: [&str; 2] = ["base64url", "MAX_KID_BYTES"];

/// The folders without pgrx, I/O and clock.
const PURE: [&str; 7] = [
    "json", "token", "keys", "provider", "verify", "policy", "cache",
];

/// The only folder that touches PostgreSQL.
const BOUNDARY: &str = "pg";

/// The features with which files outside `src` become part of the library.
const NOT_SHIPPED: [&str; 2] = ["pg_test", "pg_bench"];

const MAX_LINES: usize = 500;
/// How far above an `unsafe {` its SAFETY comment may begin.
const SAFETY_REACH: usize = 10;

/// Fails with every violation, one a line.
fn promise(violations: Vec<String>) {
    assert!(violations.is_empty(), "\n{}\n", violations.join("\n"));
}

/// Every file's violations, each with its path.
fn judged(rule: impl Fn(&Source) -> Vec<String>) -> Vec<String> {
    let sources = Source::all();
    assert!(sources.len() > 30, "only {} files were read", sources.len());
    sources
        .iter()
        .flat_map(|source| {
            let with_path = |found| format!("src/{}:{found}", source.path);
            rule(source).into_iter().map(with_path).collect::<Vec<_>>()
        })
        .collect()
}

fn forbidden_imports(source: &Source) -> Vec<String> {
    let folder = source.folder();
    let Some((_, allowed)) = DIRECTIONS.iter().find(|(name, _)| *name == folder) else {
        return Vec::new();
    };
    let mut violations = Vec::new();
    for named in paths(&source.code, "crate") {
        let to = named.path.first().map_or("", String::as_str);
        let item = named.path.get(1).map_or("", String::as_str);
        let whole = format!("crate::{}", named.path.join("::"));
        if to != folder && !allowed.contains(&to) {
            violations.push(format!("{}: {folder} must not name {whole}", named.line));
        } else if folder == "keys" && to == "token" && !KEYS_MAY_TAKE.contains(&item) {
            violations.push(format!(
                "{}: keys may take {} from token, not {whole}",
                named.line,
                KEYS_MAY_TAKE.join(", ")
            ));
        }
    }
    for (line, count, modules) in ascents(&source.code) {
        if count > source.depth() + modules {
            violations.push(format!(
                "{line}: super leads out of {folder}; write crate::"
            ));
        }
    }
    violations
}

#[test]
fn every_folder_is_in_the_map() {
    promise(judged(|source| {
        let known = DIRECTIONS.iter().any(|(name, _)| *name == source.folder());
        let lies_well = known || source.folder() == BOUNDARY || source.path == "lib.rs";
        if lies_well {
            Vec::new()
        } else {
            vec!["1: lies in no folder of the map".to_owned()]
        }
    }));
}

#[test]
fn imports_point_in_one_direction() {
    promise(judged(forbidden_imports));
}

#[test]
fn only_the_boundary_names_pgrx() {
    promise(judged(|source| {
        if source.folder() == BOUNDARY {
            return Vec::new();
        }
        let macros = [
            "extension_sql_file",
            "pg_guard",
            "pg_module_magic",
            "pg_schema",
        ];
        let in_lib = source.path == "lib.rs";
        let other_use = paths(&source.code, "pgrx").into_iter().filter(|named| {
            !(in_lib
                && named
                    .path
                    .first()
                    .is_some_and(|item| macros.contains(&item.as_str())))
        });
        let mut violations: Vec<_> = other_use
            .map(|named| format!("{}: names pgrx::{}", named.line, named.path.join("::")))
            .collect();
        for name in ["pg_sys", "pgrx_macros", "pgrx_pg_sys"] {
            let lines = lines_with(&source.code, name);
            violations.extend(lines.iter().map(|line| format!("{line}: names {name}")));
        }
        violations
    }));
}

#[test]
fn only_the_boundary_has_unsafe_code() {
    promise(judged(|source| {
        if source.folder() == BOUNDARY {
            return Vec::new();
        }
        let lines = lines_with(&source.code, "unsafe");
        lines.iter().map(|line| format!("{line}: unsafe")).collect()
    }));
}

#[test]
fn every_folder_outside_the_boundary_forbids_unsafe_code() {
    let sources = Source::all();
    let without: Vec<_> = DIRECTIONS
        .iter()
        .map(|(folder, _)| format!("{folder}/mod.rs"))
        .filter(|path| {
            let module = sources.iter().find(|source| source.path == *path);
            !module.is_some_and(|module| module.code.contains("#![forbid(unsafe_code)]"))
        })
        .collect();
    promise(without);
}

#[test]
fn every_unsafe_block_says_why_it_is_safe() {
    let mut blocks = 0;
    let mut violations = Vec::new();
    for source in Source::all() {
        let found = blocks_without_reason(&source);
        blocks += found.0;
        violations.extend(found.1);
    }
    assert!(blocks > 0, "no unsafe block was found");
    promise(violations);
}

/// How many unsafe blocks there are, and which have no SAFETY comment near.
fn blocks_without_reason(source: &Source) -> (usize, Vec<String>) {
    let text: Vec<_> = source.text.lines().collect();
    let code: Vec<_> = source.code.lines().collect();
    let blocks: Vec<_> = lines_with(&source.code, "unsafe")
        .into_iter()
        .filter(|line| {
            let rest = code[line - 1..].join("\n");
            let after = rest.split_once("unsafe").map_or("", |(_, after)| after);
            after.trim_start().starts_with('{')
        })
        .collect();
    let violations = blocks
        .iter()
        .filter(|line| {
            let first = line.saturating_sub(1 + SAFETY_REACH);
            !text[first..**line]
                .iter()
                .any(|line| line.contains("SAFETY:"))
        })
        .map(|line| format!("src/{}:{line}: no SAFETY comment", source.path))
        .collect();
    (blocks.len(), violations)
}

#[test]
fn only_fetch_talks_to_the_network() {
    promise(judged(|source| {
        if source.folder() == "fetch" {
            return Vec::new();
        }
        let mut lines: Vec<_> = [
            "ureq",
            "TcpStream",
            "TcpListener",
            "UdpSocket",
            "ToSocketAddrs",
        ]
        .iter()
        .flat_map(|name| lines_with(&source.shipped, name))
        .collect();
        lines.sort_unstable();
        lines
            .iter()
            .map(|line| format!("{line}: names the network"))
            .collect()
    }));
}

#[test]
fn signatures_are_checked_in_one_file() {
    promise(judged(|source| {
        if source.path == "verify/signature.rs" {
            return Vec::new();
        }
        let lines = lines_with(&source.code, "jsonwebtoken");
        lines
            .iter()
            .map(|line| format!("{line}: names jsonwebtoken"))
            .collect()
    }));
}

#[test]
fn pure_folders_read_no_clock_and_no_file() {
    promise(judged(|source| {
        if !PURE.contains(&source.folder()) {
            return Vec::new();
        }
        let mut violations = Vec::new();
        for clock in ["SystemTime", "Instant"] {
            let calls = paths(&source.shipped, clock);
            let now = calls.iter().filter(|named| named.path == ["now"]);
            violations.extend(now.map(|named| format!("{}: {clock}::now", named.line)));
        }
        for named in paths(&source.shipped, "std") {
            let module = named.path.first().map_or("", String::as_str);
            if ["fs", "net", "env", "process", "thread", "os"].contains(&module) {
                violations.push(format!("{}: std::{module}", named.line));
            }
        }
        violations
    }));
}

#[test]
fn nothing_that_is_shipped_unwraps() {
    promise(judged(|source| {
        let mut violations = Vec::new();
        for (number, line) in (1..).zip(source.shipped.lines()) {
            if [".unwrap()", ".expect(", ".unwrap_err()", ".expect_err("]
                .iter()
                .any(|call| line.contains(call))
            {
                violations.push(format!("{number}: {}", line.trim()));
            }
        }
        violations
    }));
}

#[test]
fn what_is_shipped_has_neither_tests_nor_benches() {
    let features: toml::Table = include_str!("../Cargo.toml").parse().unwrap();
    let default = features["features"]["default"].as_array().unwrap();
    assert!(
        !default
            .iter()
            .any(|feature| NOT_SHIPPED.contains(&feature.as_str().unwrap())),
        "{default:?}"
    );

    let text = include_str!("../src/lib.rs");
    let lines: Vec<_> = text.lines().collect();
    let outside: Vec<_> = lines
        .windows(2)
        .filter(|pair| pair[1].starts_with("#[path = \"../"))
        .collect();
    assert_eq!(outside.len(), NOT_SHIPPED.len());
    let always = outside.iter().filter(|pair| {
        let is_behind = |feature| pair[0].contains(&format!("feature = \"{feature}\""));
        !(pair[0].starts_with("#[cfg(") && NOT_SHIPPED.into_iter().any(is_behind))
    });
    promise(always.map(|pair| pair.join(" ")).collect());
}

#[test]
fn no_file_is_longer_than_500_lines() {
    promise(judged(|source| {
        let lines = source.text.lines().count();
        if lines > MAX_LINES {
            vec![format!("{lines}: too many lines")]
        } else {
            Vec::new()
        }
    }));
}

#[test]
fn no_file_names_a_path_of_a_developers_machine() {
    let listed = Command::new("git")
        .args([
            "-c",
            "safe.directory=*",
            "ls-files",
            "-z",
            "--cached",
            "--others",
        ])
        .arg("--exclude-standard")
        .current_dir(root())
        .output()
        .expect("git is needed, and is not there");
    assert!(
        listed.status.success(),
        "this test needs the git repository"
    );
    let listed = String::from_utf8(listed.stdout).unwrap();
    let files: Vec<_> = listed.split_terminator('\0').collect();
    assert!(files.len() > 30, "only {} files are listed", files.len());

    // In two parts, so that this file does not name them.
    let places = [["/wo", "rk/"], ["/ro", "ot/"], ["/ho", "me/"]].map(|parts| parts.concat());
    let mut violations = Vec::new();
    for file in files {
        // A file that is deleted but still listed, or that is no text, names nothing.
        let Ok(text) = std::fs::read_to_string(root().join(file)) else {
            continue;
        };
        for (number, line) in (1..).zip(text.lines()) {
            if places.iter().any(|place| line.contains(place)) {
                violations.push(format!("{file}:{number}: {}", line.trim()));
            }
        }
    }
    promise(violations);
}

/// The rules above are only as good as the reader.
mod reading {
    use super::*;

    fn spread(code: &str) -> Vec<String> {
        let named = paths(&Source::new("a/b.rs", code).code, "crate");
        named.iter().map(|named| named.path.join("::")).collect()
    }

    #[test]
    fn comments_and_literals_are_no_code() {
        let text = r###"
            // crate::a
            /* crate::b /* crate::c */ crate::d */
            let x = "crate::e \" crate::f"; let y = r#"crate::g " crate::h"#; let z = b"crate::i";
            let q = '"'; let e = '\''; fn f<'a>(x: &'a str) { crate::k(x) } // crate::l
        "###;
        assert_eq!(spread(text), ["k"]);
    }

    #[test]
    fn a_use_tree_is_spread_into_its_paths() {
        let text =
            "use crate::{a, b::{self, c as d, e::*}, f::g}; crate::h::i(1); crate::j::<u8>();";
        let all = ["a", "b::self", "b::c", "b::e::*", "f::g", "h::i", "j"];
        assert_eq!(spread(text), all);
    }

    #[test]
    fn a_path_is_found_on_its_line() {
        let found = paths("use a;\nuse crate::\n    b;", "crate");
        assert_eq!(
            (found[0].line, found[0].path.join("::")),
            (2, "b".to_owned())
        );
    }

    #[test]
    fn an_import_against_the_direction_is_found() {
        let cases = [
            ("token/mod.rs", "use crate::keys::KeySet;", 1),
            ("keys/set.rs", "use crate::{token::{base64url, Claims}};", 1),
            (
                "keys/set.rs",
                "use crate::token::{base64url, MAX_KID_BYTES};",
                0,
            ),
            ("cache/mod.rs", "use crate::pg::clock;", 1),
            (
                "verify/mod.rs",
                "use crate::{token, keys::Kid, provider::Registry};",
                0,
            ),
            ("verify/rules.rs", "use super::super::policy;", 1),
            ("verify/rules.rs", "use super::Reason;", 0),
            ("verify/mod.rs", "use super::policy;", 1),
            ("verify/mod.rs", "mod tests { use super::Reason; }", 0),
            (
                "verify/mod.rs",
                "mod tests { fn f() { super::super::policy() } }",
                1,
            ),
            (
                "provider/presets/oidc.rs",
                "use super::super::KeyAddress;",
                0,
            ),
            (
                "provider/presets/oidc.rs",
                "use super::super::super::pg;",
                1,
            ),
            ("pg/mod.rs", "use crate::verify::Verified;", 0),
        ];
        for (path, text, count) in cases {
            let found = forbidden_imports(&Source::new(path, text));
            assert_eq!(found.len(), count, "{path}: {text}: {found:?}");
        }
    }

    #[test]
    fn unit_tests_are_not_shipped() {
        let text =
            "fn a() { x.b(); }\n#[cfg(test)]\nmod tests { fn c() { x.unwrap(); } }\nfn d() {}";
        let shipped = Source::new("a/b.rs", text).shipped;
        assert!(!shipped.contains("unwrap"));
        assert!(shipped.contains("x.b()") && shipped.contains("fn d()"));
    }

    #[test]
    fn an_unsafe_block_without_a_reason_is_found() {
        let with = "// SAFETY: it is.\nunsafe { f() }";
        let without = "unsafe { f() }\nunsafe fn g() {}";
        assert_eq!(
            blocks_without_reason(&Source::new("pg/a.rs", with)),
            (1, vec![])
        );
        assert_eq!(
            blocks_without_reason(&Source::new("pg/a.rs", without))
                .1
                .len(),
            1
        );
    }
}

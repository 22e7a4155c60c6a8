//! A provider's page in `docs/providers`: its example tokens and its list of what is refused.

use serde_json::Value;
use std::path::Path;

/// The page of a kind.
pub struct Page {
    text: String,
}

impl Page {
    /// Reads `docs/providers/<kind>.md`.
    pub fn read(kind: &str) -> Page {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let path = root.join(format!("docs/providers/{kind}.md"));
        let text = std::fs::read_to_string(&path)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Page { text }
    }

    /// The claims of the example tokens: every block of JSON.
    pub fn examples(&self) -> Vec<Value> {
        self.blocks("json")
            .map(|block| serde_json::from_str(block).unwrap_or_else(|e| panic!("{e}: {block}")))
            .collect()
    }

    /// The rows of the table under "Refused": what, and the reason code.
    pub fn refused(&self) -> Vec<(String, String)> {
        let rows = self
            .section("Refused")
            .lines()
            .filter(|line| line.starts_with('|'));
        // The heading and the line under it.
        rows.skip(2)
            .map(|row| {
                let cells: Vec<_> = row.trim_matches('|').split('|').map(str::trim).collect();
                let [what, reason] = cells[..] else {
                    panic!("not two cells: {row}");
                };
                (what.to_owned(), reason.trim_matches('`').to_owned())
            })
            .collect()
    }

    fn section(&self, title: &str) -> &str {
        let heading = format!("\n## {title}\n");
        let (_, rest) = self.text.split_once(&heading).expect("the section");
        rest.split("\n## ").next().unwrap_or_default()
    }

    fn blocks(&self, language: &str) -> impl Iterator<Item = &str> {
        let opening = format!("```{language}\n");
        let mut rest = self.text.as_str();
        std::iter::from_fn(move || {
            let (_, block) = rest.split_once(&opening)?;
            let (block, after) = block.split_once("```")?;
            rest = after;
            Some(block)
        })
    }
}

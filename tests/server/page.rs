//! A page of the documentation, whose SQL psql runs as it stands.

use crate::cluster::Cluster;
use crate::cluster::programs::server_command;
use std::collections::BTreeSet;
use std::fs;
use std::vec::IntoIter;

/// What stands in the blocks of a language.
pub fn blocks<'a>(page: &'a str, language: &str) -> Vec<&'a str> {
    let opening = format!("\n```{language}\n");
    let parts = page.split(opening.as_str()).skip(1);
    parts
        .map(|part| part.split_once("\n```").expect("the end of a block").0)
        .collect()
}

/// The value that a block of YAML or INI gives a name.
pub fn configured(page: &str, language: &str, name: &str) -> String {
    let block = blocks(page, language).concat();
    let line = block
        .lines()
        .find_map(|line| line.trim().strip_prefix(name));
    let value = line.unwrap_or_else(|| panic!("{name} in {block}"));
    value.trim_matches([':', '=', ' ', '"']).to_owned()
}

/// A page on its way through psql.
pub struct Reading<'a> {
    cluster: &'a Cluster,
    user: &'a str,
    page: &'a str,
    /// What the page has its reader tell psql, under `-v`.
    variables: Vec<(&'a str, String)>,
    /// Likewise in the environment.
    environment: Vec<(&'a str, &'a str)>,
    blocks: IntoIter<&'a str>,
}

impl<'a> Reading<'a> {
    /// A page that this login role reads.
    pub fn new(cluster: &'a Cluster, user: &'a str, page: &'a str) -> Reading<'a> {
        Reading {
            cluster,
            user,
            page,
            variables: Vec::new(),
            environment: Vec::new(),
            blocks: blocks(page, "sql").into_iter(),
        }
    }

    /// Runs the next blocks, up to the one that has this in it; what that one printed.
    pub fn on_to(&mut self, part: &str) -> String {
        loop {
            let block = self.blocks.next();
            let block = block.unwrap_or_else(|| panic!("no block with {part} is left"));
            let printed = self.run(self.user, block);
            if block.contains(part) {
                return printed;
            }
        }
    }

    /// Runs what is left.
    pub fn finish(&mut self) {
        while let Some(block) = self.blocks.next() {
            self.run(self.user, block);
        }
    }

    /// The next block, which runs as it is called for.
    pub fn next(&mut self) -> &'a str {
        self.blocks.next().expect("another block")
    }

    /// Runs a block as this login role; what it printed.
    pub fn run(&self, user: &str, block: &str) -> String {
        let directory = self.cluster.directory();
        fs::write(directory.join("block.sql"), block).expect("the block");
        let mut psql = server_command("psql");
        psql.args([
            "-XqAt",
            "-v",
            "ON_ERROR_STOP=1",
            "-d",
            "postgres",
            "-U",
            user,
            "-h",
        ])
        .arg(directory)
        .args(["-f", "block.sql"])
        .current_dir(directory)
        .envs(self.environment.iter().copied());
        for (name, value) in &self.variables {
            psql.args(["-v", &format!("{name}={value}")]);
        }
        let output = psql.output().expect("psql");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{block}\n{errors}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Puts a token where the page reads it from.
    pub fn token_file(&self, token: &str) {
        fs::write(self.cluster.directory().join("token.txt"), token).expect("token.txt");
    }

    /// With these variables; the page names them and no others.
    pub fn with(mut self, variables: &[(&'a str, &str)]) -> Self {
        let named: BTreeSet<&str> = self
            .page
            .split(" -v ")
            .skip(1)
            .filter_map(|rest| rest.split_once('='))
            .map(|(name, _)| name)
            .collect();
        let given: BTreeSet<&str> = variables.iter().map(|(name, _)| *name).collect();
        assert_eq!(named, given);
        let owned = |(name, value): &(&'a str, &str)| (*name, (*value).to_owned());
        self.variables = variables.iter().map(owned).collect();
        self
    }

    /// With this in the environment.
    pub fn with_environment(mut self, name: &'a str, value: &'a str) -> Self {
        self.environment.push((name, value));
        self
    }
}

//! From the command line to the answer.

use crate::arguments::{self, Arguments, USAGE};
use pg_third_party_auth::json;
use pg_third_party_auth::keys::{self, KeySet, SetError, Skipped};
use pg_third_party_auth::provider::{
    AdviceLevel, KeySource, Provider, Registration, Registry, RowError,
};
use pg_third_party_auth::token::Unverified;
use pg_third_party_auth::verify::{
    Failure, KeyLookup, Purpose, Question, Refusal, Step, explain, verify,
};
use std::collections::HashMap;
use std::convert::Infallible;
use std::ffi::OsString;
use std::fmt::Display;
use std::fs;
use std::io::Read;
use std::sync::Arc;

/// The default of `third_party_auth.max_token_bytes`.
const MAX_TOKEN_BYTES: usize = 16 * 1024;

/// Levels of nesting that a registration may have: it may have a key set.
const MAX_CONFIG_DEPTH: usize = 20;

/// What the program says.
#[derive(Debug, Default, PartialEq)]
pub struct Answer {
    /// 0: accepted, 1: refused, 2: the question is wrong.
    pub code: u8,
    /// For standard output: the payload, or the reason code.
    pub output: String,
    /// Lines for standard error.
    pub notes: Vec<String>,
}

/// Answers a command line. The clock gives seconds since 1970, and is read only where the command line
/// says no time.
pub fn run(words: Vec<OsString>, input: &mut dyn Read, clock: impl Fn() -> f64) -> Answer {
    if words.iter().any(|word| word == "--help") {
        return Answer {
            output: USAGE.to_owned(),
            ..Answer::default()
        };
    }
    let mut notes = Vec::new();
    let answer = arguments::read(words)
        .map_err(|problem| format!("{problem}\n{USAGE}"))
        .and_then(|arguments| judge(&arguments, input, clock, &mut notes));
    let (code, output) = answer.unwrap_or_else(|problem| {
        notes.push(problem);
        (2, String::new())
    });
    Answer {
        code,
        output,
        notes,
    }
}

/// The exit code and the output.
fn judge(
    arguments: &Arguments,
    input: &mut dyn Read,
    clock: impl Fn() -> f64,
    notes: &mut Vec<String>,
) -> Result<(u8, String), String> {
    let registry = registry(arguments, notes)?;
    let keys = published_keys(arguments, &registry, notes)?;
    let text = match arguments.token.as_str() {
        "-" => from_input(input)?,
        token => token.to_owned(),
    };
    let question = Question {
        now: arguments.now.unwrap_or_else(clock),
        purpose: match arguments.request {
            true => Purpose::Request,
            false => Purpose::Explicit,
        },
        provider: None,
        nonce: arguments.nonce.as_deref(),
    };
    if arguments.explain {
        let mut lookup = Published(Arc::clone(&keys));
        let (steps, _) = explain(&text, MAX_TOKEN_BYTES, &registry, &question, &mut lookup);
        notes.extend(steps.iter().enumerate().map(told));
    }
    let answer = Unverified::parse(&text, MAX_TOKEN_BYTES)
        .map_err(Refusal::from)
        .and_then(|token| {
            match verify(&token, &registry, &question, &mut Published(keys), &mut ()) {
                Ok(verified) => Ok(verified.claims().payload().to_owned()),
                Err(Failure::Refused(refusal)) => Err(refusal),
                Err(Failure::Undecided(never)) => match never {},
            }
        });
    Ok(match answer {
        Ok(payload) => (0, payload),
        Err(refusal) => {
            notes.push(format!("{}. {}", refusal.message, refusal.hint));
            (1, refusal.reason.code().to_owned())
        }
    })
}

/// The provider alone.
fn registry(arguments: &Arguments, notes: &mut Vec<String>) -> Result<Registry, String> {
    let config = match arguments.config.strip_prefix('@') {
        Some(path) => file("--config", path)?,
        None => arguments.config.clone(),
    };
    let unreadable =
        |error: &dyn Display| format!("--config is not a JSON object that can be read: {error}");
    let document = json::parse_object(config, MAX_CONFIG_DEPTH).map_err(|e| unreadable(&e))?;
    let members = serde_json::from_str(document.text()).map_err(|e| unreadable(&e))?;
    let registration = Registration::read(&arguments.provider, &members).map_err(said)?;
    let (provider, advice) = registration.row.judge().map_err(said)?;
    notes.extend(advice.iter().map(|one| {
        let level = match one.level {
            AdviceLevel::Notice => "NOTICE",
            AdviceLevel::Warning => "WARNING",
        };
        format!("{level}: {}. {}", one.message, one.hint)
    }));
    let secret = registration.secret.map(|own| (provider.name.clone(), own));
    Ok(Registry {
        secrets: HashMap::from_iter(secret),
        providers: vec![Arc::new(provider)],
        revoked: Vec::new(),
    })
}

/// The keys of the file. There may be none if the provider has others.
fn published_keys(
    arguments: &Arguments,
    registry: &Registry,
    notes: &mut Vec<String>,
) -> Result<Arc<KeySet>, String> {
    let mut providers = registry.providers.iter();
    let is_pinned = providers.any(|one| matches!(one.keys, KeySource::Pinned(_)));
    let Some(path) = &arguments.jwks else {
        return match is_pinned || !registry.secrets.is_empty() {
            true => Ok(Arc::default()),
            false => Err("--jwks is missing, and so is jwks in --config".to_owned()),
        };
    };
    if is_pinned {
        notes.push("--jwks is not used: the registration has keys of its own".to_owned());
    }
    let (keys, skipped) = match keys::read(&file("--jwks", path)?) {
        Ok(reading) => (reading.keys, reading.skipped),
        Err(SetError::NoUsableKey { skipped }) => {
            notes.push("--jwks has no key that can be used".to_owned());
            (KeySet::default(), skipped)
        }
        Err(problem) => return Err(format!("--jwks: {problem}")),
    };
    notes.extend(skipped.iter().map(not_used));
    Ok(Arc::new(keys))
}

/// The keys of the file, as if they had been fetched right now.
struct Published(Arc<KeySet>);

impl KeyLookup for Published {
    type Undecided = Infallible;

    fn current(&mut self, provider: &Arc<Provider>) -> Result<Arc<KeySet>, Infallible> {
        Ok(match &provider.keys {
            KeySource::Pinned(keys) => Arc::clone(keys),
            KeySource::Fetched(_) => Arc::clone(&self.0),
        })
    }

    fn newer(
        &mut self,
        _: &Arc<Provider>,
        _: Option<&str>,
        _: &Arc<KeySet>,
    ) -> Result<Option<Arc<KeySet>>, Infallible> {
        Ok(None)
    }
}

/// The token on standard input, without the end of its line.
fn from_input(input: &mut dyn Read) -> Result<String, String> {
    // One that is too long is refused below; there is no need for all of it.
    let most = 2 * MAX_TOKEN_BYTES as u64;
    let mut octets = Vec::new();
    let read = input.take(most).read_to_end(&mut octets);
    read.map_err(|error| format!("standard input: {error}"))?;
    // What is not UTF-8 is no token either way.
    let text = String::from_utf8_lossy(&octets);
    let line = text.strip_suffix('\n').unwrap_or(&text);
    Ok(line.strip_suffix('\r').unwrap_or(line).to_owned())
}

fn file(option: &str, path: &str) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("{option} {path}: {error}"))
}

fn said(error: RowError) -> String {
    format!("{}: {}. {}", error.argument, error.message, error.hint)
}

fn not_used(skipped: &Skipped) -> String {
    let kid = skipped.kid.as_deref();
    let kid = kid.map_or(String::new(), |kid| format!(" ({kid})"));
    let number = skipped.index + 1;
    format!("key {number}{kid} is not used: {}", skipped.problem)
}

fn told((index, step): (usize, &Step)) -> String {
    let ok = match step.ok {
        Some(true) => "ok",
        Some(false) => "failed",
        None => "not reached",
    };
    let line = format!(
        "{:2}  {:25}  {ok:11}  {}",
        index + 1,
        step.rule.code(),
        step.detail
    );
    line.trim_end().to_owned()
}

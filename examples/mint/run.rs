//! From the command line to the answer.

use crate::arguments::{self, Additions, Command, USAGE};
use crate::key_file::Key;
use crate::mint;
use pg_third_party_auth::json::{self, Object};
use serde_json::{Value, json};
use std::ffi::OsString;
use std::fs;
use std::io::Read;

/// Levels of nesting that a header or claims may have: as many as the extension reads.
const MAX_DEPTH: usize = 64;

/// What the program says.
#[derive(Debug, Default, PartialEq)]
pub struct Answer {
    /// 0: done, 2: the question is wrong, or a file.
    pub code: u8,
    /// For standard output: the key set or the token.
    pub output: String,
    /// Lines for standard error.
    pub notes: Vec<String>,
}

/// Answers a command line. The clock gives whole seconds since 1970.
pub fn run(words: Vec<OsString>, input: &mut dyn Read, clock: impl Fn() -> u64) -> Answer {
    let options = words.iter().take_while(|word| *word != "--");
    if options.into_iter().any(|word| word == "--help") {
        return Answer {
            output: USAGE.to_owned(),
            ..Answer::default()
        };
    }
    let answer = arguments::read(words)
        .map_err(|problem| format!("{problem}\n{USAGE}"))
        .and_then(|command| match command {
            Command::NewKey {
                algorithm,
                out,
                kid,
            } => new_key(&algorithm, &out, kid),
            Command::Jwks { keys } => jwks(&keys),
            Command::Token {
                key,
                header,
                additions,
                claims,
            } => {
                let claims = text(&claims, input)?;
                token(&key, header.as_deref(), additions, &claims, clock)
            }
        });
    answer.unwrap_or_else(|problem| Answer {
        code: 2,
        notes: vec![problem],
        ..Answer::default()
    })
}

fn new_key(algorithm: &str, out: &str, kid: Option<String>) -> Result<Answer, String> {
    let key = Key::new(algorithm, kid)?;
    key.write_new(out)
        .map_err(|error| format!("--out {out}: {error}"))?;
    let note = format!(
        "{out}: a new key for {}, kid {}",
        key.algorithm(),
        key.kid()
    );
    Ok(Answer {
        notes: vec![note],
        ..Answer::default()
    })
}

fn jwks(paths: &[String]) -> Result<Answer, String> {
    let keys = paths
        .iter()
        .map(|path| Key::read(path).map(|key| key.jwk()));
    let keys = keys.collect::<Result<Vec<_>, _>>()?;
    Ok(said(mint::jwks(&keys)))
}

fn token(
    path: &str,
    header: Option<&str>,
    additions: Additions,
    claims: &str,
    clock: impl Fn() -> u64,
) -> Result<Answer, String> {
    let key = Key::read(path)?;
    let header = self::header(&key, header)?;
    let document = json::parse_object(claims.to_owned(), MAX_DEPTH)
        .map_err(|error| format!("the claims are not a JSON object that can be read: {error}"))?;
    let payload = match additions {
        Additions::None => claims.to_owned(),
        Additions::Times { expires_in } => {
            let now = i64::try_from(clock()).map_err(|_| "the clock is wrong")?;
            let exp = now
                .checked_add(expires_in)
                .ok_or("--expires-in is too long")?;
            with_times(claims, document.object(), now, exp)
        }
    };
    Ok(said(key.sign(&header, &payload)))
}

fn said(output: String) -> Answer {
    Answer {
        output,
        ..Answer::default()
    }
}

fn header(key: &Key, more: Option<&str>) -> Result<Value, String> {
    let mut header = json!({"alg": key.algorithm(), "kid": key.kid(), "typ": "JWT"});
    let more = json::parse_object(more.unwrap_or("{}").to_owned(), MAX_DEPTH)
        .map_err(|error| format!("--header is not a JSON object that can be read: {error}"))?;
    for (name, value) in more.object().iter() {
        header[name] = json!(value);
    }
    if let Value::Object(members) = &mut header {
        members.retain(|_, value| !value.is_null());
    }
    Ok(header)
}

/// The claims as they are written, and behind them `iat` and `exp` where they are missing. An expired
/// token was issued before it expired, as real ones are.
fn with_times(claims: &str, members: Object<'_>, now: i64, exp: i64) -> String {
    let mut added = Vec::new();
    if !members.contains_key("iat") {
        let exp = match members.get("exp") {
            Some(own) => own.as_i64().unwrap_or(now),
            None => exp,
        };
        added.push(format!(r#""iat":{}"#, now.min(exp)));
    }
    if !members.contains_key("exp") {
        added.push(format!(r#""exp":{exp}"#));
    }
    let separator = match members.is_empty() || added.is_empty() {
        true => "",
        false => ",",
    };
    // It is an object without white space around it.
    let open = claims.strip_suffix('}').unwrap_or(claims);
    format!("{open}{separator}{}}}", added.join(","))
}

/// The claims' text, without the white space around it.
fn text(claims: &str, input: &mut dyn Read) -> Result<String, String> {
    let text = match claims.strip_prefix('@') {
        Some(path) => fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?,
        None if claims == "-" => {
            let mut text = String::new();
            let read = input.read_to_string(&mut text);
            read.map_err(|error| format!("standard input: {error}"))?;
            text
        }
        None => claims.to_owned(),
    };
    Ok(text.trim().to_owned())
}

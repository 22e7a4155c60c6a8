//! The command line.

use std::ffi::OsString;

/// What is to be judged.
#[derive(Debug, Default, PartialEq)]
pub struct Arguments {
    /// The kind of provider.
    pub provider: String,
    /// The arguments of its registration: JSON, or `@` and the name of a file.
    pub config: String,
    /// The file with its key set.
    pub jwks: Option<String>,
    /// The time, in seconds since 1970.
    pub now: Option<f64>,
    /// The nonce that the token must have.
    pub nonce: Option<String>,
    /// As the token of a request.
    pub request: bool,
    /// Every rule is told.
    pub explain: bool,
    /// The token, or `-`.
    pub token: String,
}

/// How it is called.
pub const USAGE: &str = "usage: verify --provider KIND --config JSON|@FILE [--jwks FILE] [--now UNIX] \
                         [--nonce NONCE] [--request] [--explain] TOKEN|-";

/// Reads the command line, without the name of the program. Behind `--` there are no options.
///
/// # Errors
/// What is wrong with it. It never repeats the token.
pub fn read(words: Vec<OsString>) -> Result<Arguments, String> {
    let mut words = words.into_iter();
    let mut options = Options::default();
    let mut tokens = Vec::new();
    while let Some(word) = words.next() {
        let word = text(word)?;
        match word.as_str() {
            "--" => tokens.extend(words.by_ref().map(text).collect::<Result<Vec<_>, _>>()?),
            "--request" => options.request = true,
            "--explain" => options.explain = true,
            "--provider" => set(&mut options.provider, &word, words.next())?,
            "--config" => set(&mut options.config, &word, words.next())?,
            "--jwks" => set(&mut options.jwks, &word, words.next())?,
            "--now" => set(&mut options.now, &word, words.next())?,
            "--nonce" => set(&mut options.nonce, &word, words.next())?,
            option if option.starts_with("--") => {
                return Err(format!("unknown option {option:.40}"));
            }
            _ => tokens.push(word),
        }
    }
    let token = match (tokens.pop(), tokens.is_empty()) {
        (Some(token), true) => token,
        (Some(_), false) => return Err("there is more than one token".to_owned()),
        (None, _) => return Err("there is no token".to_owned()),
    };
    Ok(Arguments {
        provider: options.provider.ok_or("--provider is missing")?,
        config: options.config.ok_or("--config is missing")?,
        jwks: options.jwks,
        now: options.now.as_deref().map(time).transpose()?,
        nonce: options.nonce,
        request: options.request,
        explain: options.explain,
        token,
    })
}

/// The options as they were given.
#[derive(Default)]
struct Options {
    provider: Option<String>,
    config: Option<String>,
    jwks: Option<String>,
    now: Option<String>,
    nonce: Option<String>,
    request: bool,
    explain: bool,
}

fn set(place: &mut Option<String>, option: &str, value: Option<OsString>) -> Result<(), String> {
    let value = value.ok_or_else(|| format!("{option} has no value"))?;
    match place.replace(text(value)?) {
        None => Ok(()),
        Some(_) => Err(format!("{option} is given twice")),
    }
}

fn text(word: OsString) -> Result<String, String> {
    word.into_string()
        .map_err(|_| "an argument is not UTF-8".to_owned())
}

fn time(text: &str) -> Result<f64, String> {
    let time = text.parse().ok().filter(|time: &f64| time.is_finite());
    time.ok_or_else(|| "--now is not a number of seconds since 1970".to_owned())
}

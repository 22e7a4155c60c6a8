//! The command line.

use std::ffi::OsString;

/// What is to be done.
#[derive(Debug, PartialEq)]
pub enum Command {
    /// Make a key pair.
    NewKey {
        /// Its algorithm.
        algorithm: String,
        /// The file that it is written to.
        out: String,
        /// Its id.
        kid: Option<String>,
    },
    /// Print public keys.
    Jwks {
        /// The files of the key pairs; at least one.
        keys: Vec<String>,
    },
    /// Sign a token.
    Token {
        /// The file of the key pair.
        key: String,
        /// Members of the header: JSON.
        header: Option<String>,
        /// What is added to the claims.
        additions: Additions,
        /// The claims: JSON, `-`, or `@` and the name of a file.
        claims: String,
    },
}

/// What is added to claims.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Additions {
    /// Nothing.
    None,
    /// `iat` and `exp`, where they are missing.
    Times {
        /// How many seconds from now the token expires.
        expires_in: i64,
    },
}

/// How it is called.
pub const USAGE: &str =
    "usage: mint new-key [--alg RS256|ES256|ES384|EdDSA] [--kid ID] --out KEY.json
       mint jwks KEY.json…
       mint token [--header JSON] [--expires-in 1h|--bare] KEY.json CLAIMS|@FILE|-";

const DEFAULT_ALGORITHM: &str = "RS256";
const DEFAULT_EXPIRES_IN: i64 = 3600;

/// Reads the command line, without the name of the program. Behind `--` there are no options.
///
/// # Errors
/// What is wrong with it. It never repeats the claims.
pub fn read(words: Vec<OsString>) -> Result<Command, String> {
    let mut words = words.into_iter();
    let command = words.next().map(text).transpose()?;
    match command.as_deref() {
        Some("new-key") => new_key(Words::read(words, &["--alg", "--kid", "--out"])?),
        Some("jwks") => jwks(Words::read(words, &[])?),
        Some("token") => token(Words::read(words, &["--header", "--expires-in", "--bare"])?),
        Some(_) => Err("the first word is new-key, jwks or token".to_owned()),
        None => Err("there is no command".to_owned()),
    }
}

fn new_key(words: Words) -> Result<Command, String> {
    if !words.plain.is_empty() {
        return Err("new-key takes options only".to_owned());
    }
    let algorithm = words.alg.unwrap_or_else(|| DEFAULT_ALGORITHM.to_owned());
    Ok(Command::NewKey {
        algorithm,
        out: words.out.ok_or("--out is missing")?,
        kid: words.kid,
    })
}

fn jwks(words: Words) -> Result<Command, String> {
    if words.plain.is_empty() {
        return Err("there is no key".to_owned());
    }
    Ok(Command::Jwks { keys: words.plain })
}

fn token(words: Words) -> Result<Command, String> {
    let mut plain = words.plain.into_iter();
    let (key, claims) = match (plain.next(), plain.next(), plain.next()) {
        (Some(key), Some(claims), None) => (key, claims),
        (None, _, _) => return Err("there is no key".to_owned()),
        (_, None, _) => return Err("there are no claims".to_owned()),
        (_, _, Some(_)) => return Err("more than a key and claims is given".to_owned()),
    };
    let additions = match (words.bare, words.expires_in) {
        (false, None) => Additions::Times {
            expires_in: DEFAULT_EXPIRES_IN,
        },
        (false, Some(time)) => Additions::Times {
            expires_in: seconds(&time)
                .ok_or("--expires-in is not a time such as 90s, 5m, 1h or 2d")?,
        },
        (true, None) => Additions::None,
        (true, Some(_)) => return Err("--bare adds no --expires-in".to_owned()),
    };
    Ok(Command::Token {
        key,
        header: words.header,
        additions,
        claims,
    })
}

/// The words behind the command as they were given.
#[derive(Default)]
struct Words {
    alg: Option<String>,
    kid: Option<String>,
    out: Option<String>,
    header: Option<String>,
    expires_in: Option<String>,
    bare: bool,
    plain: Vec<String>,
}

impl Words {
    /// Reads what follows a command that has these options.
    fn read(mut words: impl Iterator<Item = OsString>, options: &[&str]) -> Result<Words, String> {
        let mut read = Words::default();
        while let Some(word) = words.next() {
            let word = text(word)?;
            if word == "--" {
                let rest = words.by_ref().map(text);
                read.plain.extend(rest.collect::<Result<Vec<_>, _>>()?);
            } else if !word.starts_with("--") {
                read.plain.push(word);
            } else if !options.contains(&word.as_str()) {
                return Err(format!("unknown option {word:.40}"));
            } else {
                match word.as_str() {
                    "--alg" => set(&mut read.alg, &word, words.next())?,
                    "--kid" => set(&mut read.kid, &word, words.next())?,
                    "--out" => set(&mut read.out, &word, words.next())?,
                    "--header" => set(&mut read.header, &word, words.next())?,
                    "--expires-in" => set(&mut read.expires_in, &word, words.next())?,
                    _ => read.bare = true,
                }
            }
        }
        Ok(read)
    }
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

/// A whole number and its unit, in seconds.
fn seconds(text: &str) -> Option<i64> {
    let unit = text.chars().last()?;
    let length = match unit {
        's' => 1,
        'm' => 60,
        'h' => 60 * 60,
        'd' => 24 * 60 * 60,
        _ => return None,
    };
    let number: i64 = text.strip_suffix(unit)?.parse().ok()?;
    number.checked_mul(length)
}

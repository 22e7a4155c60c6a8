//! A key pair and the file that it lies in.

use crate::mint::{self, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pg_third_party_auth::json::{self, Object};
use pg_third_party_auth::keys::{self, SetError};
use serde_json::{Value, json};
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;

/// What such a file is told by, to whoever finds one.
const PURPOSE: &str =
    "private key for tests; whoever has it can sign as anybody where it is trusted";

const PEM_BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const PEM_END: &str = "-----END PRIVATE KEY-----";
/// Characters of a line (RFC 7468 §2).
const PEM_LINE: usize = 64;

/// A key pair under its id.
pub struct Key {
    pair: KeyPair,
    kid: String,
}

impl Key {
    /// A new key for this algorithm; without an id, its thumbprint is the id.
    ///
    /// # Errors
    /// Why there is no such key, or why its id cannot be used.
    pub fn new(algorithm: &str, kid: Option<String>) -> Result<Key, String> {
        let Some(pair) = KeyPair::of_algorithm(algorithm) else {
            return Err("--alg is RS256, ES256, ES384 or EdDSA".to_owned());
        };
        match kid {
            Some(kid) if kid.is_empty() => Err("--kid is empty".to_owned()),
            Some(kid) => {
                let key = Key { pair, kid };
                key.thumbprint().map_err(|why| format!("--kid: {why}"))?;
                Ok(key)
            }
            None => {
                let kid = String::new();
                let key = Key { pair, kid };
                let kid = key.thumbprint()?;
                Ok(Key { kid, ..key })
            }
        }
    }

    /// Reads a file that [`write_new`](Key::write_new) wrote.
    ///
    /// # Errors
    /// Why it cannot be read. Nothing of its content is repeated.
    pub fn read(path: &str) -> Result<Key, String> {
        let text = fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
        let key = json::parse_object(text, 2)
            .ok()
            .and_then(|document| Key::of_members(document.object()));
        key.ok_or_else(|| format!("{path} is not a file that new-key wrote"))
    }

    fn of_members(members: Object<'_>) -> Option<Key> {
        let text = |name: &str| members.get(name)?.as_str();
        let der = from_pem(text("private_key")?)?;
        let pair = KeyPair::from_pkcs8(text("alg")?, &der)?;
        let kid = text("kid").filter(|kid| !kid.is_empty())?.to_owned();
        Some(Key { pair, kid })
    }

    /// Writes it into a new file that only its owner may read.
    ///
    /// # Errors
    /// The file exists already, or cannot be written; then there is none afterwards.
    pub fn write_new(&self, path: &str) -> io::Result<()> {
        let members = json!({
            "purpose": PURPOSE,
            "alg": self.algorithm(),
            "kid": self.kid,
            "private_key": to_pem(&self.pair.to_pkcs8()),
        });
        let mut options = OpenOptions::new();
        let mut file = options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)?;
        let written = writeln!(file, "{members:#}").and_then(|()| file.sync_all());
        if written.is_err() {
            // Half a key is of no use; the first error is the one to tell.
            let _ = fs::remove_file(path);
        }
        written
    }

    /// The algorithm that it signs with.
    pub fn algorithm(&self) -> &'static str {
        self.pair.algorithm()
    }

    /// Its id.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// Its public half.
    pub fn jwk(&self) -> Value {
        self.pair.jwk(&self.kid, Some(self.algorithm()))
    }

    /// A token with this header and exactly this payload.
    pub fn sign(&self, header: &Value, payload: &str) -> String {
        let alg = header["alg"].as_str().unwrap_or_default();
        self.pair.sign_texts(alg, &header.to_string(), payload)
    }

    /// Its RFC 7638 thumbprint, as the extension reads it.
    fn thumbprint(&self) -> Result<String, String> {
        match keys::read(&mint::jwks(&[self.jwk()])) {
            Ok(reading) => {
                let mut keys = reading.keys.keys.iter();
                let thumbprint = keys.next().map(|key| key.thumbprint.to_string());
                thumbprint.ok_or_else(|| "it would not be used".to_owned())
            }
            Err(SetError::NoUsableKey { skipped }) => {
                let problems: Vec<_> = skipped.iter().map(|one| one.problem.to_string()).collect();
                Err(problems.join(", "))
            }
            Err(error) => Err(error.to_string()),
        }
    }
}

fn to_pem(der: &[u8]) -> String {
    let mut pem = format!("{PEM_BEGIN}\n");
    let text = STANDARD.encode(der);
    let mut rest = text.as_str();
    while !rest.is_empty() {
        // Base64 is ASCII, so that every place is one between characters.
        let (line, after) = rest.split_at(rest.len().min(PEM_LINE));
        pem.push_str(line);
        pem.push('\n');
        rest = after;
    }
    pem.push_str(PEM_END);
    pem.push('\n');
    pem
}

fn from_pem(pem: &str) -> Option<Vec<u8>> {
    let body = pem.trim().strip_prefix(PEM_BEGIN)?.strip_suffix(PEM_END)?;
    let text: String = body.split_ascii_whitespace().collect();
    STANDARD.decode(text).ok()
}

//! A symmetric secret: the legacy way to sign Supabase tokens, and the only one that is accepted here.
//!
//! Whoever can verify with it can sign with it, so that it is as good as its secrecy. It is no part of
//! a registered row, is kept apart from all public keys, and is shown nowhere.

use super::arguments::{RowError, error};
use super::issuer::Issuer;
use std::fmt;

/// The shortest secret, in bytes: as long as the hash that it is used with (RFC 7518 §3.2).
pub const MIN_SECRET_BYTES: usize = 32;

/// The longest secret, in bytes.
pub const MAX_SECRET_BYTES: usize = 1024;

/// Secrets that stand in published defaults and examples: everybody knows them.
const PUBLISHED: [&str; 6] = [
    // Supabase CLI, and the example environment of self-hosted Supabase
    "super-secret-jwt-token-with-at-least-32-characters-long",
    "your-super-secret-jwt-token-with-at-least-32-characters-long",
    // PostgREST's tutorial
    "reallyreallyreallyreallyverysafe",
    // jwt.io
    "a-string-secret-at-least-256-bits-long",
    "a-valid-string-secret-that-is-at-least-384-bits-long",
    "a-valid-string-secret-that-is-at-least-512-bits-long-which-is-very-long",
];

/// The secret of a provider, for HS256 (RFC 7518 §3.2).
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// A secret for a provider with these issuers.
    ///
    /// # Errors
    /// [`RowError`] if it is too short, too long, or published and the issuer is not on loopback.
    pub fn new(text: String, issuers: &[Issuer]) -> Result<Secret, RowError> {
        let problem = |message: String, hint: &str| Err(error("jwt_secret", message, hint));
        if text.len() < MIN_SECRET_BYTES {
            return problem(
                format!("jwt_secret has less than {MIN_SECRET_BYTES} bytes"),
                "Use a secret of 32 random bytes or more, or, better, asymmetric signing keys and no \
                 jwt_secret at all.",
            );
        }
        if text.len() > MAX_SECRET_BYTES {
            return problem(
                format!("jwt_secret has more than {MAX_SECRET_BYTES} bytes"),
                "Give the secret itself (GOTRUE_JWT_SECRET, JWT_SECRET), not a file or a key set.",
            );
        }
        let is_local = issuers.iter().all(|issuer| is_on_loopback(issuer.as_str()));
        if PUBLISHED.contains(&text.as_str()) && !is_local {
            return problem(
                "jwt_secret is a published default: anyone can sign with it".to_owned(),
                "Make a secret of your own (openssl rand -base64 48) and set it at Supabase Auth too.",
            );
        }
        Ok(Secret(text))
    }

    /// The octets that are the key: the text as it is, as GoTrue and PostgREST use it.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// The text, to be kept and compared.
    pub fn text(&self) -> &str {
        &self.0
    }
}

/// Whether an issuer is a URL of this machine: `localhost`, 127.0.0.0/8 or `[::1]`.
fn is_on_loopback(issuer: &str) -> bool {
    let rest = issuer
        .strip_prefix("http://")
        .or_else(|| issuer.strip_prefix("https://"));
    let authority = rest.and_then(|rest| rest.split(['/', '?', '#']).next());
    // What stands before an @ is no host.
    let authority = authority.filter(|authority| !authority.contains('@'));
    authority.is_some_and(|authority| {
        let host = match authority.strip_prefix('[') {
            Some(rest) => rest.split(']').next().unwrap_or_default(),
            None => authority.split(':').next().unwrap_or_default(),
        };
        host == "localhost"
            || host
                .parse::<core::net::IpAddr>()
                .is_ok_and(|address| address.is_loopback())
    })
}

/// Says nothing.
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(text: &str, issuer: &str) -> Result<Secret, RowError> {
        Secret::new(text.to_owned(), &[Issuer::exact(issuer)])
    }

    #[test]
    fn short_and_endless_secrets_are_refused() {
        let issuer = "https://project.supabase.co/auth/v1";
        assert!(judged(&"x".repeat(31), issuer).is_err());
        assert!(judged(&"x".repeat(32), issuer).is_ok());
        assert!(judged(&"x".repeat(1025), issuer).is_err());
    }

    #[test]
    fn published_defaults_are_for_loopback_alone() {
        for secret in PUBLISHED {
            for local in [
                "http://127.0.0.1:54321/auth/v1",
                "http://localhost:8000/auth/v1",
                "http://[::1]:54321/auth/v1",
            ] {
                assert!(judged(secret, local).is_ok(), "{local}");
            }
            for remote in [
                "https://project.supabase.co/auth/v1",
                "http://localhost.example.com/auth/v1",
                "http://127.0.0.1.example.com",
                "http://user@127.0.0.1/",
                "http://localhost:x@evil.example/auth/v1",
                "supabase",
            ] {
                let error = judged(secret, remote).unwrap_err();
                assert!(!format!("{error:?}").contains(secret), "{error:?}");
            }
        }
    }

    #[test]
    fn a_secret_is_not_shown() {
        let secret = judged(&"s".repeat(40), "https://a.example").unwrap();
        assert_eq!(format!("{secret:?}"), "Secret(..)");
    }
}

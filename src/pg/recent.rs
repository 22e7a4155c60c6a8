//! The last tokens of this backend.

use super::keyring::{Good, Keyring};
use super::registry::Loaded;
use super::settings;
use crate::keys::Thumbprint;
use crate::token::{TokenError, Unverified};
use std::collections::VecDeque;
use std::rc::Rc;

/// How many tokens a backend remembers.
const RECENT: usize = 8;

/// The last tokens whose signatures were good: parsed, and under which key. Everything else about a token is
/// judged anew each time.
#[derive(Default)]
pub struct Recent {
    tokens: VecDeque<(Rc<Unverified>, Thumbprint)>,
}

impl Recent {
    /// Nothing is remembered yet.
    pub const fn new() -> Self {
        Recent {
            tokens: VecDeque::new(),
        }
    }

    /// Judges a token with what is remembered of it, and remembers it if its signature is good. With how that is
    /// known.
    ///
    /// # Errors
    /// [`TokenError`] if there is nothing to judge.
    pub fn judge<R>(
        &mut self,
        text: &str,
        loaded: &Loaded,
        judge: impl FnOnce(&Unverified, &mut Keyring<'_>) -> R,
    ) -> Result<(R, Option<Good>), TokenError> {
        let token = self.find_or_parse(text)?;
        let mut keys = Keyring::new(loaded, self);
        let judged = judge(&token, &mut keys);
        let good = keys.good().cloned();
        if let Some(good) = &good
            && !self.is_known_good(&token, &good.key)
        {
            self.remember(token, good.key);
        }
        Ok((judged, good))
    }

    /// Whether exactly this token was good under exactly this key.
    pub fn is_known_good(&self, token: &Unverified, key: &Thumbprint) -> bool {
        self.tokens.iter().any(|(known, good)| {
            good == key && (std::ptr::eq(&**known, token) || known.text() == token.text())
        })
    }

    fn find_or_parse(&self, text: &str) -> Result<Rc<Unverified>, TokenError> {
        let limit = settings::max_token_bytes();
        let known = |(token, _): &&(Rc<Unverified>, _)| token.text() == text;
        match self.tokens.iter().find(known) {
            Some((token, _)) if text.len() <= limit => Ok(Rc::clone(token)),
            _ => Unverified::parse(text, limit).map(Rc::new),
        }
    }

    fn remember(&mut self, token: Rc<Unverified>, key: Thumbprint) {
        self.tokens
            .retain(|(known, _)| known.text() != token.text());
        self.tokens.truncate(RECENT - 1);
        self.tokens.push_front((token, key));
    }
}

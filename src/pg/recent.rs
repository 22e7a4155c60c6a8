//! The last tokens of this backend.

use super::settings;
use crate::keys::Thumbprint;
use crate::token::Unverified;
use crate::verify::Refusal;
use std::collections::VecDeque;
use std::rc::Rc;

/// How many tokens a backend remembers.
const RECENT: usize = 8;

/// The last tokens: parsed, and under which key the signature was good. Everything
/// else about a token is judged anew each time.
#[derive(Default)]
pub struct Recent {
    tokens: VecDeque<(Rc<Unverified>, Option<Thumbprint>)>,
}

impl Recent {
    /// Nothing is remembered yet.
    pub const fn new() -> Self {
        Recent {
            tokens: VecDeque::new(),
        }
    }

    /// The token, parsed now or before.
    pub fn find_or_parse(&mut self, text: &str) -> Result<Rc<Unverified>, Refusal> {
        let known = |(token, _): &&(Rc<Unverified>, _)| token.text() == text;
        if text.len() <= settings::max_token_bytes()
            && let Some(known) = self.tokens.iter().find(known)
        {
            return Ok(Rc::clone(&known.0));
        }
        let token = Unverified::parse(text, settings::max_token_bytes())?;
        Ok(Rc::new(token))
    }

    /// Whether exactly this token was good under exactly this key.
    pub fn is_known_good(&self, token: &Unverified, key: &Thumbprint) -> bool {
        self.tokens
            .iter()
            .any(|(known, good)| good.as_ref() == Some(key) && known.text() == token.text())
    }

    /// This token is good under this key.
    pub fn remember(&mut self, token: &Unverified, key: &Thumbprint) {
        self.tokens
            .retain(|(known, _)| known.text() != token.text());
        self.tokens.truncate(RECENT - 1);
        self.tokens.push_front((Rc::new(token.clone()), Some(*key)));
    }
}

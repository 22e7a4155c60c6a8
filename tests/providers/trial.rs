//! A kind's example token, what is changed about it, and the verdict.

use crate::court::{Keys, NOW, judge, key_set};
use crate::mint::{KeyPair, encode};
use crate::page::Page;
use crate::symmetric;
use pg_third_party_auth::provider::{Provider, Registration, Registry};
use pg_third_party_auth::verify::{Failure, Purpose, Question, Reason, Verified};
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

/// The id of the key that signs.
pub const KID: &str = "key-1";

/// The key that signs.
pub static KEY: LazyLock<KeyPair> = LazyLock::new(KeyPair::rsa);
static FOREIGN_KEY: LazyLock<KeyPair> = LazyLock::new(KeyPair::rsa);
static P256: LazyLock<KeyPair> = LazyLock::new(KeyPair::p256);

/// A line of a page's table, and the token that it is about.
pub struct Case {
    /// The first cell, as the page has it.
    pub line: &'static str,
    /// The second cell.
    pub reason: Reason,
    /// Makes the token out of the page's first example.
    pub change: fn(&mut Draft),
}

/// A kind's registration; its rules are judged against its page.
pub struct Kind {
    /// The kind.
    pub name: &'static str,
    /// The arguments of `add_<kind>()`.
    pub arguments: Value,
    /// The header of its tokens, without `alg` and `kid`.
    pub header: Value,
}

/// A token that is still being written, and the question that is asked about it.
pub struct Draft {
    /// The header.
    pub header: Value,
    /// The claims.
    pub claims: Value,
    /// The published keys.
    pub jwks: Vec<Value>,
    /// Sign with a key that is not published, under the id of one that is.
    pub is_forged: bool,
    /// Sign with this secret and the header's `alg`, which is symmetric, instead.
    pub secret: Option<&'static str>,
    /// The whole token, instead.
    pub text: Option<String>,
    /// The time, in seconds since 1970.
    pub now: f64,
    /// The nonce that is asked for.
    pub nonce: Option<&'static str>,
    /// What the token is used for.
    pub purpose: Purpose,
    /// The arguments of the registration.
    pub arguments: Map<String, Value>,
}

impl Draft {
    /// Gives a claim another value.
    pub fn claim(&mut self, name: &str, value: Value) {
        self.claims[name] = value;
    }

    /// Takes a claim out.
    pub fn without(&mut self, name: &str) {
        self.claims.as_object_mut().expect("claims").remove(name);
    }

    /// Gives a header member another value; null takes it out.
    pub fn head(&mut self, name: &str, value: Value) {
        let header = self.header.as_object_mut().expect("a header");
        match value {
            Value::Null => header.remove(name),
            value => header.insert(name.to_owned(), value),
        };
    }

    /// Changes an argument of the registration.
    pub fn argument(&mut self, name: &str, value: Value) {
        self.arguments.insert(name.to_owned(), value);
    }

    /// Gives the published key another member.
    pub fn key_member(&mut self, name: &str, value: Value) {
        self.jwks[0][name] = value;
    }

    fn token(&self) -> String {
        if let Some(text) = &self.text {
            return text.clone();
        }
        if let Some(secret) = self.secret {
            return symmetric::sign(&self.header, &self.claims, secret.as_bytes());
        }
        let key = match self.header["alg"].as_str() {
            Some("ES256") => &*P256,
            _ if self.is_forged => &*FOREIGN_KEY,
            _ => &*KEY,
        };
        match self.header["alg"].as_str() {
            Some("none") => {
                let part = |value: &Value| encode(value.to_string().as_bytes());
                format!("{}.{}.", part(&self.header), part(&self.claims))
            }
            _ => key.sign(&self.header, &self.claims),
        }
    }
}

impl Kind {
    /// A draft of a token with these claims, and nothing wrong with it.
    pub fn draft(&self, claims: Value) -> Draft {
        let mut header = self.header.clone();
        header["alg"] = json!("RS256");
        header["kid"] = json!(KID);
        Draft {
            header,
            claims,
            jwks: vec![KEY.jwk(KID, None), P256.jwk("key-2", None)],
            is_forged: false,
            secret: None,
            text: None,
            now: NOW,
            nonce: None,
            purpose: Purpose::Explicit,
            arguments: self.arguments.as_object().expect("arguments").clone(),
        }
    }

    /// The first example of the page, with a change.
    pub fn verdict(&self, change: impl FnOnce(&mut Draft)) -> Option<Reason> {
        let example = Page::read(self.name).examples().remove(0);
        let mut draft = self.draft(example);
        change(&mut draft);
        self.judge(&draft)
    }

    /// What is believed of the first example of the page, with a change that leaves it good.
    pub fn accepted(&self, change: impl FnOnce(&mut Draft)) -> Verified {
        let example = Page::read(self.name).examples().remove(0);
        let mut draft = self.draft(example);
        change(&mut draft);
        self.outcome(&draft).expect("an accepted token")
    }

    /// The provider that the registration describes, after a change.
    pub fn provider(&self, change: impl FnOnce(&mut Draft)) -> Provider {
        let mut draft = self.draft(json!({}));
        change(&mut draft);
        let registration = Registration::read(self.name, &draft.arguments).expect("arguments");
        registration.row.judge().expect("a valid registration").0
    }

    /// The reason for which a token is refused; `None` if it is not.
    pub fn judge(&self, draft: &Draft) -> Option<Reason> {
        self.outcome(draft).err()
    }

    fn outcome(&self, draft: &Draft) -> Result<Verified, Reason> {
        let registration = Registration::read(self.name, &draft.arguments).expect("arguments");
        let (provider, _) = registration.row.judge().expect("a valid registration");
        let name = provider.name.clone();
        let registry = Registry {
            providers: vec![Arc::new(provider)],
            revoked: Vec::new(),
            secrets: HashMap::from_iter(registration.secret.map(|secret| (name.clone(), secret))),
        };
        let question = Question {
            now: draft.now,
            purpose: draft.purpose,
            provider: None,
            nonce: draft.nonce,
        };
        let mut keys = Keys::of(&name, key_set(&draft.jwks));
        match judge(&draft.token(), &registry, &question, &mut keys) {
            Ok(verified) => Ok(verified),
            Err(Failure::Refused(refusal)) => Err(refusal.reason),
            Err(Failure::Undecided(why)) => panic!("undecided: {why}"),
        }
    }

    /// The argument that the registration is refused for, after a change. The error says what to do.
    pub fn wrong_argument(&self, change: impl FnOnce(&mut Draft)) -> String {
        let mut draft = self.draft(json!({}));
        change(&mut draft);
        let registration = Registration::read(self.name, &draft.arguments);
        let judged = registration.and_then(|registration| registration.row.judge());
        let error = judged.expect_err("a wrong argument");
        assert!(!error.hint.is_empty(), "{error:?}");
        error.argument
    }

    /// The page's examples are accepted; its table and `cases` are the same list, and each token of it
    /// is refused for exactly its reason.
    pub fn holds(&self, cases: &[Case]) {
        let page = Page::read(self.name);
        for example in page.examples() {
            let draft = self.draft(example.clone());
            assert_eq!(self.judge(&draft), None, "{}: {example}", self.name);
        }
        let told: Vec<_> = cases
            .iter()
            .map(|case| (case.line.to_owned(), case.reason.code().to_owned()))
            .collect();
        assert_eq!(page.refused(), told, "docs/providers/{}.md", self.name);
        for case in cases {
            let verdict = self.verdict(case.change);
            assert_eq!(verdict, Some(case.reason), "{}: {}", self.name, case.line);
        }
    }
}

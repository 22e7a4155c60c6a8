//! Every rule, told one by one.

use super::api_key::{self, verify_api_key};
use super::{
    Detail, Failure, KeyLookup, Question, Reason, Refusal, Trace, verify, verify_gateway_claims,
};
use crate::provider::Registry;
use crate::token::{Claims, TokenError, Unverified};
use std::sync::Arc;

/// One rule and how the token stands to it.
#[derive(Clone, PartialEq, Eq)]
pub struct Step {
    /// The rule, by the reason that its failure gives. If it failed, the reason that it gave.
    pub rule: Reason,
    /// `None`: not reached, or not applicable.
    pub ok: Option<bool>,
    /// What was expected and found, and what to do about it.
    pub detail: String,
    /// The same without what the configuration expects, for those who may not see it.
    pub public_detail: String,
}

/// The order of checking. Rows of the token itself, which are judged while it is taken apart, come
/// first; each of the others is one step of the trace.
const ORDER: [Reason; 22] = [
    Reason::TooLarge,
    Reason::Malformed,
    Reason::DuplicateMember,
    Reason::CriticalHeader,
    Reason::AlgorithmNotAllowed,
    Reason::TokenTypeNotAllowed,
    Reason::UnknownIssuer,
    Reason::AudienceMismatch,
    Reason::AuthorizedPartyMismatch,
    Reason::TenantNotAllowed,
    Reason::Expired,
    Reason::NotYetValid,
    Reason::IssuedInFuture,
    Reason::MissingClaim,
    Reason::KeyRevoked,
    Reason::UnknownKey,
    Reason::BadSignature,
    Reason::InvalidClaim,
    Reason::SessionPending,
    Reason::NonceMismatch,
    Reason::RoleNotAllowed,
    Reason::NotForRequests,
];

/// The rules that need the header, the key or the signature: a gateway has judged them.
const GATEWAYS: [Reason; 6] = [
    Reason::CriticalHeader,
    Reason::AlgorithmNotAllowed,
    Reason::TokenTypeNotAllowed,
    Reason::KeyRevoked,
    Reason::UnknownKey,
    Reason::BadSignature,
];

/// Tells how a token stands to every rule, in the order of checking. If it cannot be decided, the
/// row of `unknown_key` is open, and the reason is returned beside the rows.
pub fn explain<K: KeyLookup>(
    text: &str,
    max_bytes: usize,
    registry: &Registry,
    question: &Question<'_>,
    keys: &mut K,
) -> (Vec<Step>, Option<K::Undecided>) {
    let mut rows = Rows::new(&[]);
    let token = match Unverified::parse(text, max_bytes) {
        Ok(token) => token,
        Err(error) => return (rows.unreadable(error), None),
    };
    rows.readable();
    match verify(&token, registry, question, keys, &mut rows) {
        Ok(_) => (rows.steps, None),
        Err(Failure::Refused(refusal)) => {
            let mut steps = rows.refused(&refusal);
            if refusal.reason == Reason::UnknownIssuer
                && api_key::could_be(token.claims(), registry)
                && let Some(failed) = steps.iter_mut().find(|step| step.ok == Some(false))
            {
                let note = as_api_key(&token, registry, question.now, keys);
                failed.detail.push_str(&note);
                failed.public_detail.push_str(&note);
            }
            (steps, None)
        }
        Err(Failure::Undecided(why)) => {
            rows.note_next("the keys are not obtainable now, so it cannot be decided");
            (rows.steps, Some(why))
        }
    }
}

/// How a token that is no user's stands as an API key.
fn as_api_key<K: KeyLookup>(
    token: &Unverified,
    registry: &Registry,
    now: f64,
    keys: &mut K,
) -> String {
    match verify_api_key(token, registry, now, keys) {
        Ok(key) => format!(" As an API key it is good, with the role {}.", key.role()),
        Err(Failure::Refused(why)) => {
            format!(
                " As an API key it is refused ({}): {}.",
                why.reason, why.message
            )
        }
        Err(Failure::Undecided(_)) => {
            " As an API key it cannot be judged now: the keys are not obtainable.".to_owned()
        }
    }
}

/// The same for claims whose signature a gateway has checked; `payload` is their JSON text.
pub fn explain_gateway_claims(
    payload: &str,
    max_bytes: usize,
    registry: &Registry,
    question: &Question<'_>,
) -> Vec<Step> {
    let mut rows = Rows::new(&GATEWAYS);
    let claims = if payload.len() > max_bytes {
        Err(TokenError::TooLarge {
            bytes: payload.len(),
            limit: max_bytes,
        })
    } else {
        Claims::parse(payload.to_owned())
    };
    let claims = match claims {
        Ok(claims) => Arc::new(claims),
        Err(error) => return rows.unreadable(error),
    };
    rows.readable();
    match verify_gateway_claims(&claims, registry, question, &mut rows) {
        Ok(_) => rows.steps,
        Err(refusal) => rows.refused(&refusal),
    }
}

/// One row for every rule of [`ORDER`], filled in from the top.
struct Rows {
    steps: Vec<Step>,
    applicable: Vec<usize>,
    judged: usize,
}

impl Rows {
    fn new(not_applicable: &[Reason]) -> Rows {
        let row = |rule: &Reason| {
            let detail = if not_applicable.contains(rule) {
                "not applicable: the gateway has checked the signature"
            } else {
                ""
            };
            Step {
                rule: *rule,
                ok: None,
                detail: detail.to_owned(),
                public_detail: detail.to_owned(),
            }
        };
        Rows {
            steps: ORDER.iter().map(row).collect(),
            applicable: (0..ORDER.len())
                .filter(|index| !not_applicable.contains(&ORDER[*index]))
                .collect(),
            judged: 0,
        }
    }

    /// The text could be taken apart: the first rows passed.
    fn readable(&mut self) {
        for rule in &ORDER[..=3] {
            if self.next().is_some_and(|step| step.rule == *rule) {
                self.step(*rule, true, &Detail::default);
            }
        }
    }

    /// The text could not be taken apart: the rows before the failing one passed.
    fn unreadable(mut self, error: TokenError) -> Vec<Step> {
        let refusal = Refusal::from(error);
        while self.next().is_some_and(|step| step.rule != refusal.reason) {
            let rule = ORDER[self.applicable[self.judged]];
            self.step(rule, true, &Detail::default);
        }
        self.step(refusal.reason, false, &|| Detail {
            expected: String::new(),
            found: refusal.message.clone(),
        });
        self.refused(&refusal)
    }

    /// Adds what happened and what to do to the failed row.
    fn refused(mut self, refusal: &Refusal) -> Vec<Step> {
        if let Some(failed) = self.steps.iter_mut().find(|step| step.ok == Some(false)) {
            let say = |line: String| {
                let line = if line.is_empty() || line.contains(&refusal.message) {
                    String::new()
                } else {
                    format!(": {line}")
                };
                format!("{}{line}. {}", refusal.message, refusal.hint)
            };
            failed.detail = say(refusal.detail.line(true));
            failed.public_detail = say(refusal.detail.line(false));
        }
        self.steps
    }

    fn note_next(&mut self, note: &str) {
        if let Some(step) = self.next() {
            step.detail = note.to_owned();
            step.public_detail = note.to_owned();
        }
    }

    fn next(&mut self) -> Option<&mut Step> {
        let index = *self.applicable.get(self.judged)?;
        self.steps.get_mut(index)
    }
}

impl Trace for Rows {
    fn step(&mut self, reason: Reason, ok: bool, detail: &dyn Fn() -> Detail) {
        let detail = detail();
        if let Some(step) = self.next() {
            step.rule = reason;
            step.ok = Some(ok);
            let say = |with_configuration| match ok {
                true => detail.found.clone(),
                false => detail.line(with_configuration),
            };
            step.detail = say(true);
            step.public_detail = say(false);
        }
        self.judged += 1;
    }
}

/// Without the details: they have claim values.
impl std::fmt::Debug for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {:?}", self.rule, self.ok)
    }
}

//! What was answered last to questions with an argument.
//!
//! A policy asks the same for every row, mostly. Then the last answer is given again, as [`answers`](super::answers)
//! gives those to questions without arguments: two numbers are compared, and the argument.

use super::answers::Moment;
use super::process::Process;
use std::cell::Cell;

/// A question with an argument, which counts byte for byte.
#[derive(Clone, Copy)]
#[repr(usize)]
pub enum Question {
    /// Whether the token is for an audience.
    Audience,
    /// Whether the user has a role in the organisation.
    Role,
    /// The same, and the organisation is the token's, which is compared before.
    RoleInOrganization,
    /// Whether the token has a scope.
    Scope,
    /// Whether the user has a permission in the organisation.
    Permission,
    /// The same, and the organisation is the token's, which is compared before.
    PermissionInOrganization,
    /// Whether the user signed in so long ago.
    AuthenticatedWithin,
    /// Whether the second factor was used so long ago.
    SecondFactorWithin,
    /// Whether Clerk reverified the user on a level.
    Reverified,
}

const QUESTIONS: usize = Question::Reverified as usize + 1;

/// What is asked with a longer argument is not remembered.
const MOST_BYTES: usize = 40;

/// What was asked, and the answer.
#[derive(Clone, Copy)]
struct Last {
    /// Since when it holds.
    moment: Moment,
    answer: bool,
    length: u8,
    argument: [u8; MOST_BYTES],
}

const NOTHING: Last = Last {
    moment: Moment::NEVER,
    answer: false,
    length: 0,
    argument: [0; MOST_BYTES],
};

static LAST: Process<[Cell<Last>; QUESTIONS]> =
    Process::new([const { Cell::new(NOTHING) }; QUESTIONS]);

/// The answer, if the same was asked last and it still holds.
#[inline(always)]
pub fn last_answer(question: Question, argument: &[u8]) -> Option<bool> {
    let last = LAST.get()[question as usize].get();
    let is_same = last.moment == Moment::present()
        && last.argument.get(..last.length.into()) == Some(argument);
    is_same.then_some(last.answer)
}

/// Remembers an answer, which holds since this moment.
pub fn remember(question: Question, argument: &[u8], moment: Moment, answer: bool) {
    let mut last = Last {
        moment,
        answer,
        ..NOTHING
    };
    if let Some(place) = last.argument.get_mut(..argument.len()) {
        place.copy_from_slice(argument);
        last.length = argument.len() as u8;
        LAST.get()[question as usize].set(last);
    }
}

//! What was answered about the token of the current request, and for how long it holds.
//!
//! A policy asks for every row, and then [`give_remembered`] is all that runs: two numbers are compared. One is
//! the epoch, which advances with everything that may change an answer: a setting that the token is taken from,
//! the start of a query, a change of what is trusted, the end of a transaction or of a part of one. The other is
//! the time of the statement, which moves without telling anyone. Texts and `jsonb` are built once for each
//! decision, and copied into the caller's memory.

use super::clock;
use super::process::Process;
use pgrx::{PgMemoryContexts, pg_sys};
use std::cell::Cell;
use std::ptr;

/// A question without arguments, whose answer is remembered as long as the decision stands that it is taken from:
/// for many statements, perhaps. So it must not depend on the time.
#[derive(Clone, Copy)]
#[repr(usize)]
pub enum Answer {
    /// The verified claims.
    Claims,
    /// Whether the token is valid.
    IsValid,
    /// Whether it is of Supabase or Firebase.
    IsSupabaseOrFirebase,
    /// The provider's name.
    Provider,
    /// The issuer.
    Issuer,
    /// The subject.
    Subject,
    /// The effective role.
    Role,
    /// The session's id.
    SessionId,
    /// The organisation's id.
    OrganizationId,
    /// The role in the organisation.
    OrganizationRole,
    /// Whether a second factor was used.
    SecondFactor,
    /// Whether the e-mail address was verified.
    EmailVerified,
}

const ANSWERS: usize = Answer::EmailVerified as usize + 1;

/// When something was found to hold.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    epoch: u64,
    statement: i64,
}

impl Moment {
    /// No moment ever is this one.
    pub const NEVER: Self = Moment {
        epoch: 0,
        statement: 0,
    };

    /// The present one.
    #[inline(always)]
    pub fn present() -> Self {
        Moment {
            epoch: STATE.get().epoch.get(),
            statement: clock::statement(),
        }
    }
}

/// An answer as PostgreSQL wants it.
#[derive(Clone, Copy)]
pub struct Value {
    is_null: bool,
    /// Bytes to copy; 0: the datum is the value itself.
    length: usize,
    datum: pg_sys::Datum,
}

/// What is remembered of an answer.
#[derive(Clone, Copy)]
struct Slot {
    /// When it was last given by decision.
    moment: Moment,
    /// Whether it was built from the present decision.
    is_built: bool,
    value: Value,
}

/// In one place, so that a row costs one address.
struct State {
    epoch: Cell<u64>,
    slots: [Cell<Slot>; ANSWERS],
    /// Where texts and `jsonb` lie.
    memory: Cell<pg_sys::MemoryContext>,
}

const NOT_BUILT: Slot = Slot {
    moment: Moment::NEVER,
    is_built: false,
    value: NULL,
};

static STATE: Process<State> = Process::new(State {
    epoch: Cell::new(1),
    slots: [const { Cell::new(NOT_BUILT) }; ANSWERS],
    memory: Cell::new(ptr::null_mut()),
});

/// Something has happened that may change an answer.
pub fn advance() {
    let epoch = &STATE.get().epoch;
    epoch.set(epoch.get() + 1);
}

/// The answer as the result of a call, if it was given before and still holds.
///
/// # Safety
/// `fcinfo` must be valid, and no frame between here and PostgreSQL may have anything to drop.
#[inline(always)]
pub unsafe fn give_remembered(
    answer: Answer,
    fcinfo: pg_sys::FunctionCallInfo,
) -> Option<pg_sys::Datum> {
    let slot = STATE.get().slots[answer as usize].get();
    // SAFETY: the caller's promise.
    (slot.moment == Moment::present()).then(|| unsafe { slot.value.give(fcinfo) })
}

/// Whether the answer was given before and still holds.
#[inline(always)]
pub fn is_remembered(answer: Answer) -> bool {
    STATE.get().slots[answer as usize].get().moment == Moment::present()
}

/// The answer that was just remembered, a text, as long as it is remembered.
#[inline(always)]
pub fn last_text<'a>(answer: Answer) -> Option<&'a [u8]> {
    let value = STATE.get().slots[answer as usize].get().value;
    // SAFETY: texts are built by `stored`, as plain varlenas that lie there until the slots are cleared.
    (!value.is_null).then(|| unsafe { pgrx::varlena_to_byte_slice(value.datum.cast_mut_ptr()) })
}

/// The answer that was just remembered, as the result of a call.
///
/// # Safety
/// As [`give_remembered`].
pub unsafe fn give_last(answer: Answer, fcinfo: pg_sys::FunctionCallInfo) -> pg_sys::Datum {
    let slot = STATE.get().slots[answer as usize].get();
    // SAFETY: the caller's promise.
    unsafe { slot.value.give(fcinfo) }
}

/// Remembers an answer of the present decision, which holds since this moment. It is built once, unless it is NULL:
/// that costs little, and may have been for want of something that was missing at that moment alone (the stack that
/// PostgreSQL reads `jsonb` on).
pub fn remember(answer: Answer, moment: Moment, build: impl FnOnce() -> Value) {
    let place = &STATE.get().slots[answer as usize];
    let slot = place.get();
    let value = match slot.is_built {
        true => slot.value,
        false => build(),
    };
    place.set(Slot {
        moment,
        is_built: !value.is_null,
        value,
    });
}

/// Forgets everything: another decision is coming.
pub fn forget() {
    let state = STATE.get();
    for slot in &state.slots {
        slot.set(NOT_BUILT);
    }
    let memory = state.memory.get();
    if !memory.is_null() {
        // SAFETY: our own context; the slots that pointed into it have just been cleared.
        unsafe { pg_sys::MemoryContextReset(memory) };
    }
}

/// Raw declarations: no guard, because where they are called nothing has to be dropped.
mod raw {
    unsafe extern "C-unwind" {
        pub fn palloc(size: usize) -> *mut u8;
    }
}

/// NULL.
pub const NULL: Value = Value {
    is_null: true,
    length: 0,
    datum: pg_sys::Datum::null(),
};

/// A boolean.
pub fn boolean(value: bool) -> Value {
    Value {
        is_null: false,
        length: 0,
        datum: pg_sys::Datum::from(value),
    }
}

/// A value of variable length, built in the memory of the decision; NULL if there is none.
pub fn stored(build: impl FnOnce() -> Option<pg_sys::Datum>) -> Value {
    let memory = &STATE.get().memory;
    // SAFETY: creating a context and switching to it; switched back also when `build` raises, because
    // PostgreSQL resets CurrentMemoryContext then.
    let datum = unsafe {
        if memory.get().is_null() {
            memory.set(pg_sys::AllocSetContextCreateExtended(
                pg_sys::TopMemoryContext,
                c"third_party_auth decision".as_ptr(),
                pg_sys::ALLOCSET_SMALL_MINSIZE as usize,
                pg_sys::ALLOCSET_SMALL_INITSIZE as usize,
                pg_sys::ALLOCSET_DEFAULT_MAXSIZE as usize,
            ));
        }
        PgMemoryContexts::For(memory.get()).switch_to(|_| build())
    };
    match datum {
        None => NULL,
        Some(datum) => Value {
            is_null: false,
            // SAFETY: text and jsonb are built as plain (not toasted) varlenas.
            length: unsafe { pgrx::varsize_any(datum.cast_mut_ptr()) },
            datum,
        },
    }
}

impl Value {
    /// As the result of a call, copied into the caller's memory.
    ///
    /// # Safety
    /// As [`give_remembered`].
    #[inline(always)]
    pub unsafe fn give(self, fcinfo: pg_sys::FunctionCallInfo) -> pg_sys::Datum {
        // SAFETY: the caller vouches for fcinfo and the frames (palloc may raise); `datum` points to
        // `length` bytes in our memory, which is only reset when the slots are cleared.
        unsafe {
            (*fcinfo).isnull = self.is_null;
            if self.length == 0 {
                return self.datum;
            }
            let copy = raw::palloc(self.length);
            ptr::copy_nonoverlapping(self.datum.cast_mut_ptr::<u8>(), copy, self.length);
            pg_sys::Datum::from(copy)
        }
    }
}

//! State of this process.

use std::cell::UnsafeCell;

/// A static of this process. PostgreSQL runs everything on one thread, so plain cells suffice, and a
/// policy that is asked per row pays for no atomic and no thread-local look-up.
pub struct Process<T>(UnsafeCell<T>);

// SAFETY: only the main thread of a PostgreSQL process reaches these statics: every SQL function,
// hook and callback of ours runs there, and the threads of the fetcher are handed owned values and
// call nothing under src/pg.
unsafe impl<T> Sync for Process<T> {}

impl<T> Process<T> {
    /// A static with this value.
    pub const fn new(value: T) -> Self {
        Process(UnsafeCell::new(value))
    }

    /// The value. `T` uses cells for what changes.
    #[inline(always)]
    pub fn get(&self) -> &T {
        // SAFETY: shared references only; no method hands out a mutable one.
        unsafe { &*self.0.get() }
    }
}

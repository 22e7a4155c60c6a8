//! The atomics of [`verified`](super::verified). A test puts a model checker's in their place.

pub use std::sync::atomic::{AtomicU64, Ordering, fence};

//! What administrators call.
//!
//! - [`triggers`]: the checks of the tables, which hold for plain SQL too, and their invalidation
//! - [`registration`]: `add_<kind>()` and `remove_provider()`
//! - [`status`]: the rows of the views
//! - [`refreshing`]: `refresh()`, which fetches now
//! - [`revocation`]: `revoke_key()` and `unrevoke_key()`

pub mod refreshing;
pub mod registration;
pub mod revocation;
pub mod status;
pub mod triggers;

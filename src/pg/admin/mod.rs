//! What administrators call.
//!
//! - [`triggers`]: the checks of the tables, which hold for plain SQL too, and their invalidation
//! - [`registration`]: `add_<kind>()` and `remove_provider()`
//! - [`secrets`]: the symmetric secrets of Supabase providers
//! - [`importing`] reads a `config.toml` for `import_supabase_config()`
//! - [`status`]: the rows of the views `status` and `signing_key`
//! - [`refreshing`]: `refresh()`, which fetches now
//! - [`worker`]: the view `worker` and `restart_worker()`; [`statistics`]: the view `stats`
//! - [`revocation`]: `revoke_key()` and `unrevoke_key()`

pub mod importing;
pub mod refreshing;
pub mod registration;
pub mod revocation;
pub mod secrets;
pub mod statistics;
pub mod status;
pub mod triggers;
pub mod worker;

//! The table of faults: each row has a test here whose name begins with it.
//!
//! - [`process`]: processes that fail, are killed or are cancelled
//! - [`provider`]: identity providers that are down, slow, wrong or out of reach
//! - [`rotation`]: keys that come, change and go
//! - [`flood`]: more questions than an identity provider shall hear of
//! - [`standby`]: standbys, promotion, backups
//! - [`databases`]: extensions and databases that come and go under load
//! - [`dumps`]: dumps, upgrades, a server without workers
//! - [`resources`]: full tables, full slots, no processes left
//! - [`clock`]: settings that change, clocks that jump
//! - [`replication`]: logical replication, snapshots, cursors

mod flood;
mod rotation;

//! A certification authority and an identity provider for tests, on 127.0.0.1 only.
//!
//! Shared by several test programs and the demo through `#[path]`; each uses a part of it.
#![allow(dead_code, unused_imports)]

pub mod authority;
mod behaviour;
mod connection;
pub mod identity_provider;

pub use authority::Authority;
pub use behaviour::Behaviour;
pub use identity_provider::{IdentityProvider, Request};

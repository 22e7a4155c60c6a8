//! What only servers of one's own can show: real processes, several databases, crashes, a standby.
//!
//! Needs the extension installed where `PG_BIN` points to (`make test` sees to it).

/// A server of a test's own.
#[path = "../support/cluster.rs"]
mod cluster;
/// Every row of the table of faults.
mod faults;
/// What the gateways of a Supabase send.
mod gateways;
/// What holds after every fault.
#[path = "../support/invariants.rs"]
mod invariants;
/// Sessions that verify tokens all the time.
#[path = "../support/load.rs"]
mod load;
/// Key pairs and tokens.
#[path = "../common/mint.rs"]
#[allow(dead_code)]
mod mint;
/// A page of the documentation.
mod page;
/// A server, an identity provider and their tokens, as most tests want them.
mod setting;
/// An identity provider that behaves, or does not.
#[path = "../support/mod.rs"]
mod support;
/// Tokens that are signed with a secret.
#[path = "../common/symmetric.rs"]
#[allow(dead_code)]
mod symmetric;

/// Policies that were written for Supabase run on a plain PostgreSQL.
mod auth_schema;
/// authenticate() holds for a transaction, and for nothing else.
mod direct;
/// The pages about Supabase, PostgREST and direct connections, as they stand.
mod documents;
/// Guards outlive dumps and restores, and no table slips past them.
mod guards;
/// Jobs of pg_cron on guarded tables.
#[cfg(feature = "pg15")]
mod jobs;
/// For how long a token is the request's.
mod lifetime;
/// However much is asked of the server, a provider is asked rarely, and nobody else waits.
mod limits;
/// The page about operations, as it stands.
mod operations;
/// Behind a pooler every answer is of the client's own token.
mod pooler;
/// check_request(), as PostgREST calls it.
mod postgrest;
/// PostgREST has the keys, and hears of new ones.
mod postgrest_keys;
/// Whoever may not change what is trusted cannot.
mod privileges;
/// Keys come, change and go as their provider says.
mod refresh;
/// What is registered or revoked counts at once, everywhere in its database and nowhere else.
mod registry;
/// What is in a statement stays out of the log.
mod secrecy;
/// A token that stands falls with what it was accepted on.
mod standing;
/// Decisions are counted, whoever made them.
mod stats;
/// Supabase Studio on guarded tables.
mod studio;
/// Behind Storage and Realtime.
mod supabase;
/// The page about tests of policies, as it stands.
mod testing;
/// Which token is the request's.
mod tokens;
/// Servers that did not preload the library.
mod unloaded;
/// What an older release has installed goes on, and becomes what this one installs.
mod upgrades;
/// Signatures that one session has checked, and others need not check again.
mod verified;
/// Who waits is seen to wait, and for what.
mod waits;
/// The worker says how it is, and does not take the server down again and again.
mod worker;

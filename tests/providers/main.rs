//! Every kind of provider by its exact rules. Its page in `docs/providers` has an example token, which is
//! accepted here, and the table of what is refused, each line of which is a case here.

#[path = "../common/court.rs"]
#[allow(dead_code)]
mod court;
#[path = "../common/mint.rs"]
#[allow(dead_code)]
mod mint;
#[path = "../common/symmetric.rs"]
#[allow(dead_code)]
mod symmetric;

mod page;
mod trial;

mod apple;
mod auth0;
mod aws_cognito;
mod azure;
mod azure_keys;
mod clerk;
mod firebase;
mod oidc;
mod oidc_arguments;
mod supabase;
mod supabase_arguments;
mod workos;

//! What a policy costs whose function does nothing.

#[pgrx::pg_schema]
mod benches {
    use pgrx::prelude::*;

    /// The least that a function of pgrx can do.
    #[pg_extern(stable, parallel_safe)]
    fn returns_true() -> bool {
        true
    }
}

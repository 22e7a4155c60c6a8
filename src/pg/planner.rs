//! What the planner is told about the functions that policies call.

use super::call::{Call, Returned};
use crate::c_function;
use pgrx::pg_sys;

/// A request that is answered at all mostly has a token that is good. Without being told, the planner takes a
/// function of a policy to let a third of the rows through, two of them a ninth, and plans for too few.
const SHARE_OF_ROWS: f64 = 1.0;

c_function!(
    /// `condition_support(internal) → internal`: for functions that give every row of a statement the same
    /// answer (`prosupport`, PostgreSQL's "Function Optimization Information").
    third_party_auth_condition_support, pg_finfo_third_party_auth_condition_support, condition_support
);

fn condition_support(call: Call) -> Returned {
    /// "Not answered" is a pointer to nothing, not NULL: the planner takes no NULL.
    const NO_ANSWER: Returned = Ok(Some(pg_sys::Datum::null()));
    let Some(request) = call.argument::<pg_sys::Datum>(0) else {
        return NO_ANSWER;
    };
    let request = request.cast_mut_ptr::<pg_sys::SupportRequestSelectivity>();
    // SAFETY: the planner calls it with a node, which begins with its tag; arguments are a list of nodes, or
    // NULL. Functions with an argument of type internal cannot be called otherwise.
    unsafe {
        let is_about_rows = (*request).type_ == pg_sys::NodeTag::T_SupportRequestSelectivity;
        // With a column among its arguments it has an answer for each row.
        if !is_about_rows || pg_sys::contain_var_clause((*request).args.cast()) {
            return NO_ANSWER;
        }
        (*request).selectivity = SHARE_OF_ROWS;
    }
    Ok(Some(pg_sys::Datum::from(request)))
}

//! The columns of a function that returns rows are declared twice, in the library and in the SQL of the
//! extension, and the two may be of different versions.

use pgrx::pg_sys::{self, panic::ErrorReport};
use pgrx::prelude::*;
use std::ptr;

/// Raises 55000 unless the SQL declares this many columns: more would be read beyond what there is. Columns
/// that stay keep their types and places in every version; a function that changes them gets another name.
///
/// # Safety
/// `fcinfo` is that of the present call.
pub unsafe fn must_be(fcinfo: pg_sys::FunctionCallInfo, columns: i32) {
    let mut description: pg_sys::TupleDesc = ptr::null_mut();
    // SAFETY: the caller vouches for fcinfo; the description is NULL or valid.
    let declared = unsafe {
        pg_sys::get_call_result_type(fcinfo, ptr::null_mut(), &mut description);
        description
            .as_ref()
            .map_or(0, |description| description.natts)
    };
    if declared == columns {
        return;
    }
    ErrorReport::new(
        PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
        "the SQL of pg_third_party_auth is of another version than its library",
        "must_be",
    )
    .set_hint(
        "ALTER EXTENSION pg_third_party_auth UPDATE; or restart the server, if it still runs with the library of before.",
    )
    .report(PgLogLevel::ERROR);
}

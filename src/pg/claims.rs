//! Claims as `jsonb`, made from the payload text itself, so that numbers of any size stay exact.

use pgrx::pg_sys::panic::CaughtError;
use pgrx::{PgSqlErrorCode, PgTryBuilder, pg_sys};
use std::ffi::CString;

/// The payload as `jsonb` in the current memory context; `None` if `jsonb` cannot hold it.
///
/// What `jsonb` refuses (a number outside numeric's range, say) is caught without a subtransaction,
/// which parallel queries do not have: the input function only allocates, in a context that is reset.
pub fn to_jsonb(payload: &str) -> Option<pg_sys::Datum> {
    let text = CString::new(payload).ok()?;
    let pointer = text.as_ptr();
    PgTryBuilder::new(|| {
        // SAFETY: jsonb_in takes one C string and has no other argument.
        unsafe {
            pgrx::direct_function_call_as_datum(
                pg_sys::jsonb_in,
                &[Some(pg_sys::Datum::from(pointer))],
            )
        }
    })
    .catch_others(|caught| match &caught {
        CaughtError::PostgresError(error) if is_about_the_text(error.sql_error_code()) => None,
        _ => caught.rethrow(),
    })
    .execute()
}

/// Class 22 (data exception) and 54001 (too deep for the stack).
fn is_about_the_text(code: PgSqlErrorCode) -> bool {
    const CLASS_22: i32 = 2 + (2 << 6);
    let code_number = code as i32;
    code_number & 0xfff == CLASS_22 || code == PgSqlErrorCode::ERRCODE_STATEMENT_TOO_COMPLEX
}

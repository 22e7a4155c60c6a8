//! Claims as `jsonb`, made from the payload text itself, so that numbers of any size stay exact.

use pgrx::pg_sys;
use std::ffi::{CStr, CString};

/// The payload as `jsonb` in the current memory context; `None` if `jsonb` cannot hold it.
///
/// What `jsonb` refuses (a number outside numeric's range, say) costs no subtransaction, which parallel
/// queries do not have.
pub fn to_jsonb(payload: &str) -> Option<pg_sys::Datum> {
    let text = CString::new(payload).ok()?;
    jsonb_in(&text)
}

/// The input function says what it refuses, without raising.
#[cfg(not(any(feature = "pg13", feature = "pg14", feature = "pg15")))]
fn jsonb_in(text: &CStr) -> Option<pg_sys::Datum> {
    /// As it is: PostgreSQL takes its address.
    mod raw {
        use pgrx::pg_sys::{Datum, FunctionCallInfo};
        unsafe extern "C-unwind" {
            pub fn jsonb_in(fcinfo: FunctionCallInfo) -> Datum;
        }
    }
    let mut refusal = pg_sys::ErrorSaveContext {
        type_: pg_sys::NodeTag::T_ErrorSaveContext,
        error_occurred: false,
        details_wanted: false,
        error_data: std::ptr::null_mut(),
    };
    let mut answer = pg_sys::Datum::null();
    // SAFETY: jsonb_in reads one C string and has neither a type parameter nor a modifier; what the
    // pointers lead to outlives the call.
    let is_good = unsafe {
        pg_sys::DirectInputFunctionCallSafe(
            Some(raw::jsonb_in),
            text.as_ptr().cast_mut(),
            pg_sys::InvalidOid,
            -1,
            (&raw mut refusal).cast(),
            &raw mut answer,
        )
    };
    is_good.then_some(answer)
}

/// The input function raises, and is caught: it only allocates, in a context that is reset.
#[cfg(any(feature = "pg13", feature = "pg14", feature = "pg15"))]
fn jsonb_in(text: &CStr) -> Option<pg_sys::Datum> {
    use pgrx::pg_sys::panic::CaughtError;
    use pgrx::{PgSqlErrorCode, PgTryBuilder};

    /// Class 22 (data exception) and 54001 (too deep for the stack).
    fn is_about_the_text(code: PgSqlErrorCode) -> bool {
        const CLASS_22: i32 = 2 + (2 << 6);
        let code_number = code as i32;
        code_number & 0xfff == CLASS_22 || code == PgSqlErrorCode::ERRCODE_STATEMENT_TOO_COMPLEX
    }

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

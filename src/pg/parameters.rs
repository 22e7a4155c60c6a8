//! Settings of PostgreSQL and of others, set for the rest of the transaction.

use pgrx::pg_sys;
use std::ffi::{CStr, CString};

/// What `SET LOCAL` does, without a query: no transaction id is taken, so that it works on a standby
/// too. It raises as SET does.
pub fn set_local(name: &CStr, value: &str) {
    let value = CString::new(value).unwrap_or_default();
    // SAFETY: NUL-terminated texts, which guc.c copies.
    unsafe {
        let context = match pg_sys::superuser() {
            true => pg_sys::GucContext::PGC_SUSET,
            false => pg_sys::GucContext::PGC_USERSET,
        };
        pg_sys::set_config_option(
            name.as_ptr(),
            value.as_ptr(),
            context,
            pg_sys::GucSource::PGC_S_SESSION,
            pg_sys::GucAction::GUC_ACTION_LOCAL,
            true,
            0,
            false,
        );
    }
}

//! What differs between the versions of PostgreSQL; [`wait_event`](super::wait_event) and
//! [`claims`](super::claims) have one difference each of their own.

use pgrx::pg_sys;
use std::ffi::c_void;
use std::os::raw::c_int;

/// The local number of a process' current transaction; 0: none.
#[inline(always)]
pub fn local_transaction(process: &pg_sys::PGPROC) -> u32 {
    #[cfg(any(feature = "pg13", feature = "pg14", feature = "pg15", feature = "pg16"))]
    return process.lxid;
    #[cfg(not(any(feature = "pg13", feature = "pg14", feature = "pg15", feature = "pg16")))]
    return process.vxid.lxid;
}

/// Whether SET ROLE from one role to another would be allowed.
///
/// # Safety
/// Inside a transaction.
pub unsafe fn may_set_role(from: pg_sys::Oid, to: pg_sys::Oid) -> bool {
    // SAFETY: catalog look-ups, which the caller vouches for.
    unsafe {
        #[cfg(any(feature = "pg13", feature = "pg14", feature = "pg15"))]
        return pg_sys::is_member_of_role(from, to);
        #[cfg(not(any(feature = "pg13", feature = "pg14", feature = "pg15")))]
        return pg_sys::member_can_set_role(from, to);
    }
}

/// Memory for what a check hook of a setting keeps with its value; NULL if there is none. PostgreSQL
/// frees it.
pub fn allocate_for_setting(size: usize) -> *mut c_void {
    // SAFETY: plain allocations; at LOG the second raises nothing.
    unsafe {
        #[cfg(any(feature = "pg13", feature = "pg14", feature = "pg15"))]
        return libc::malloc(size);
        #[cfg(not(any(feature = "pg13", feature = "pg14", feature = "pg15")))]
        return pg_sys::guc_malloc(pg_sys::LOG as c_int, size);
    }
}

/// A column of a table.
///
/// # Safety
/// A valid description and a position below its `natts`.
pub unsafe fn attribute(
    description: pg_sys::TupleDesc,
    position: usize,
) -> *const pg_sys::FormData_pg_attribute {
    // SAFETY: the caller's promise.
    #[cfg(not(feature = "pg18"))]
    return unsafe { (*description).attrs.as_ptr().add(position) };
    #[cfg(feature = "pg18")]
    return unsafe { pg_sys::TupleDescAttr(description, position as c_int) };
}

/// Sets what this process does at a signal.
///
/// # Safety
/// The handler must be one that may run at any moment.
pub unsafe fn handle_signal(signal: c_int, handler: unsafe extern "C-unwind" fn(c_int)) {
    // SAFETY: the caller's promise.
    unsafe {
        #[cfg(not(feature = "pg18"))]
        pg_sys::pqsignal(signal, Some(handler));
        #[cfg(feature = "pg18")]
        pg_sys::pqsignal_be(signal, Some(handler));
    }
}

/// All settings, of PostgreSQL and of extensions.
///
/// # Safety
/// Only until one is defined or removed.
pub unsafe fn settings<'a>() -> &'a [*mut pg_sys::config_generic] {
    // SAFETY: an array with as many elements as is said; from 16 on it is palloc'd.
    unsafe {
        #[cfg(any(feature = "pg13", feature = "pg14", feature = "pg15"))]
        let (settings, count) = (pg_sys::get_guc_variables(), pg_sys::GetNumConfigOptions());
        #[cfg(not(any(feature = "pg13", feature = "pg14", feature = "pg15")))]
        let (settings, count) = {
            let mut count = 0;
            (pg_sys::get_guc_variables(&mut count), count)
        };
        std::slice::from_raw_parts(settings, count.max(0) as usize)
    }
}

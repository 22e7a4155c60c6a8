//! Who asks: names and memberships of database roles.

use super::version;
use pgrx::pg_sys;
use std::ffi::{CStr, CString};

/// The role that statements run as now.
pub fn current() -> String {
    // SAFETY: reads a variable.
    name(unsafe { pg_sys::GetUserId() })
}

/// The role that logged in (or became the session's by SET SESSION AUTHORIZATION).
pub fn session() -> String {
    // SAFETY: reads a variable.
    name(unsafe { pg_sys::GetSessionUserId() })
}

fn name(role: pg_sys::Oid) -> String {
    // SAFETY: a catalog look-up inside a transaction; the palloc'd name is copied at once.
    unsafe {
        let name = pg_sys::GetUserNameFromId(role, true);
        match name.is_null() {
            true => String::new(),
            false => CStr::from_ptr(name).to_string_lossy().into_owned(),
        }
    }
}

/// Whether the session may become a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Becoming {
    /// It may.
    Allowed,
    /// It is not a member of it.
    NotGranted,
    /// There is no such role.
    Missing,
}

/// Whether SET ROLE to this role would be allowed.
pub fn may_become(role: &str) -> Becoming {
    let Ok(role) = CString::new(role) else {
        return Becoming::Missing;
    };
    // SAFETY: catalog look-ups inside a transaction.
    unsafe {
        let oid = pg_sys::get_role_oid(role.as_ptr(), true);
        if oid == pg_sys::InvalidOid {
            return Becoming::Missing;
        }
        let session = pg_sys::GetSessionUserId();
        match version::may_set_role(session, oid) {
            true => Becoming::Allowed,
            false => Becoming::NotGranted,
        }
    }
}

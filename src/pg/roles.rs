//! Who asks: names and memberships of database roles.

use super::answers::Moment;
use super::errors::Undecided;
use super::process::Process;
use super::{registry, request, settings, version};
use pgrx::pg_sys;
use std::cell::Cell;
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

/// Whether this role is one of `anonymous_roles`.
pub fn is_anonymous(role: &str) -> bool {
    !settings::is_tampered() && settings::anonymous_roles().iter().any(|own| own == role)
}

/// What [`may_be_nobody`] answered for a role, and when.
static NOBODY: Process<Cell<Option<(pg_sys::Oid, Moment, bool)>>> = Process::new(Cell::new(None));

/// Whether a request may run as the present role without a token: it is one of `anonymous_roles`, or none
/// that the tokens of any provider give. A policy asks it per row.
///
/// # Errors
/// The providers cannot be read.
pub fn may_be_nobody() -> Result<bool, Undecided> {
    // SAFETY: reads a variable.
    let user = unsafe { pg_sys::GetUserId() };
    if let Some((own, moment, answer)) = NOBODY.get().get()
        && own == user
        && moment == Moment::present()
    {
        return Ok(answer);
    }
    let moment = Moment::present();
    let role = current();
    let answer = is_anonymous(&role)
        || !settings::is_tampered() && !registry::current()?.registry.gives(&role);
    if request::is_told_of_changes() {
        NOBODY.get().set(Some((user, moment, answer)));
    }
    Ok(answer)
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

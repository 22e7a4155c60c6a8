//! What a client said about our settings before the library was loaded, where it is not preloaded.
//!
//! PostgreSQL keeps such a value, because it does not know the setting yet. It goes before what the
//! administrator says in postgresql.conf, ALTER DATABASE and ALTER ROLE. When the setting is defined the value is
//! rejected, and the administrator's does not come back: the default would hold.

use super::super::errors;
use super::super::process::Process;
use super::super::version;
use crate::provider::{Advice, AdviceLevel};
use pgrx::pg_sys;
use std::cell::Cell;
use std::ffi::{CStr, c_int};

/// Ours that everyone may set.
const FOR_EVERYONE: &CStr = c"third_party_auth.key_wait";

const PREFIX: &[u8] = b"third_party_auth.";

static IS_TAMPERED: Process<Cell<bool>> = Process::new(Cell::new(false));

/// Whether the client of this session has set what it may not: then no token counts in it, and it is not
/// anonymous either, because what the administrator said is lost.
pub fn is_tampered() -> bool {
    IS_TAMPERED.get().get()
}

/// Looks whether the client has set what decides trust. Before the settings are defined.
pub(super) fn look_for_those_of_clients() {
    // SAFETY: none of them is defined or removed meanwhile.
    let found = unsafe { version::settings() }
        .iter()
        // SAFETY: PostgreSQL's own array of settings.
        .find_map(|variable| unsafe { forbidden(*variable) });
    let Some(name) = found else {
        return;
    };
    IS_TAMPERED.get().set(true);
    errors::advise(&Advice {
        level: AdviceLevel::Warning,
        message: format!(
            "no token counts in this session, because its client has set {}",
            name.to_string_lossy()
        ),
        hint: "Connect without it: look at PGOPTIONS and at the options of the connection string."
            .to_owned(),
    });
}

/// The name of a setting of ours that a client has set and must not.
///
/// # Safety
/// It points to a setting.
unsafe fn forbidden<'a>(variable: *mut pg_sys::config_generic) -> Option<&'a CStr> {
    // SAFETY: the caller vouches for it; names are texts that live as long as the process.
    let (name, flags, source) = unsafe {
        (
            CStr::from_ptr((*variable).name),
            (*variable).flags,
            (*variable).source,
        )
    };
    let is_placeholder = flags & pg_sys::GUC_CUSTOM_PLACEHOLDER as c_int != 0;
    let is_ours = name.to_bytes().to_ascii_lowercase().starts_with(PREFIX)
        && !name
            .to_bytes()
            .eq_ignore_ascii_case(FOR_EVERYONE.to_bytes());
    (is_placeholder && is_ours && source == pg_sys::GucSource::PGC_S_CLIENT).then_some(name)
}

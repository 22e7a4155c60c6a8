//! How a C function of ours is entered and left.

use super::errors::{Report, SqlError, report};
use pgrx::pg_sys::{Datum, FunctionCallInfo};
use pgrx::{FromDatum, IntoDatum, pg_sys};
use std::slice;

/// The arguments of a call. What is asked for as `&str` is not copied: a text can be a gigabyte long.
#[derive(Clone, Copy)]
pub struct Call(FunctionCallInfo);

impl Call {
    /// The argument at this position; `None` if it is NULL.
    pub fn argument<T: FromDatum>(&self, position: usize) -> Option<T> {
        // SAFETY: fcinfo is valid during the call; the SQL declaration of each function gives the
        // argument at this position the type that is asked for here.
        unsafe { T::from_datum(given(self.0, position)?, false) }
    }
}

impl Call {
    /// What a trigger is told; `None` if the function was not called by one.
    pub fn trigger(&self) -> Option<*mut pg_sys::TriggerData> {
        // SAFETY: fcinfo is valid during the call; a node begins with its tag.
        unsafe {
            let context = (*self.0).context;
            let is_trigger =
                !context.is_null() && (*context).type_ == pg_sys::NodeTag::T_TriggerData;
            is_trigger.then_some(context.cast())
        }
    }
}

/// The argument at this position; `None` if it is NULL, or there is none.
///
/// # Safety
/// `fcinfo` must be valid.
#[inline(always)]
unsafe fn given(fcinfo: FunctionCallInfo, position: usize) -> Option<Datum> {
    // SAFETY: the caller's promise; as many arguments are there as it says.
    let arguments = unsafe { (*fcinfo).args.as_slice((*fcinfo).nargs as usize) };
    let argument = arguments.get(position)?;
    (!argument.isnull).then_some(argument.value)
}

/// Raw declarations: no guard, because where they are called nothing has to be dropped.
mod raw {
    use pgrx::pg_sys::varlena;
    unsafe extern "C-unwind" {
        pub fn pg_detoast_datum_packed(datum: *mut varlena) -> *mut varlena;
    }
}

/// The text argument at this position, byte for byte; `None` if it is NULL. For what is called per row, outside
/// [`enter`].
///
/// # Safety
/// `fcinfo` must be that of a call with a text there, and no frame between here and PostgreSQL may have anything to
/// drop. The text lives as long as the call.
#[inline(always)]
pub unsafe fn plain_text<'a>(fcinfo: FunctionCallInfo, position: usize) -> Option<&'a [u8]> {
    // SAFETY: the caller's promise; what was compressed or is stored elsewhere is brought here first.
    unsafe {
        let text = raw::pg_detoast_datum_packed(given(fcinfo, position)?.cast_mut_ptr());
        Some(pgrx::varlena_to_byte_slice(text))
    }
}

/// The interval at this position, byte for byte; `None` if it is NULL. As [`plain_text`].
///
/// # Safety
/// `fcinfo` must be that of a call with an interval there. It lives as long as the call.
#[inline(always)]
pub unsafe fn plain_interval<'a>(fcinfo: FunctionCallInfo, position: usize) -> Option<&'a [u8]> {
    // SAFETY: the caller's promise; an interval is passed by reference, has a fixed length and no padding.
    unsafe {
        let interval = given(fcinfo, position)?.cast_mut_ptr::<u8>().cast_const();
        Some(slice::from_raw_parts(
            interval,
            size_of::<pg_sys::Interval>(),
        ))
    }
}

/// What a function returns.
pub type Returned = Result<Option<Datum>, SqlError>;

/// Runs the body of a function. Errors of PostgreSQL and panics leave as pgrx reports them, our own as
/// `errors` reports them; either way everything in the body has been dropped before.
///
/// # Safety
/// Only as the last thing in an `extern "C-unwind" fn` that PostgreSQL called with this `fcinfo`, and
/// that has nothing to drop.
pub unsafe fn enter(fcinfo: FunctionCallInfo, body: fn(Call) -> Returned) -> Datum {
    /// Plain data: nothing of it has to be dropped.
    #[derive(Clone, Copy)]
    enum Left {
        With(Datum),
        Null,
        Raising(Report),
    }
    // SAFETY: the frames above are this one and its caller, which hold plain data.
    let left = unsafe {
        pg_sys::panic::pgrx_extern_c_guard(|| match body(Call(fcinfo)) {
            Ok(Some(datum)) => Left::With(datum),
            Ok(None) => Left::Null,
            Err(error) => Left::Raising(error.into_report()),
        })
    };
    match left {
        // SAFETY: fcinfo is valid during the call. Another body may have answered NULL in this call.
        Left::With(datum) => unsafe {
            (*fcinfo).isnull = false;
            datum
        },
        // SAFETY: as above.
        Left::Null => unsafe {
            (*fcinfo).isnull = true;
            Datum::null()
        },
        Left::Raising(error) => {
            // SAFETY: as above: nothing to drop.
            unsafe { report(error) };
            Datum::null()
        }
    }
}

/// A text as a result.
pub fn text(value: Option<&str>) -> Returned {
    Ok(value.and_then(|value| value.into_datum()))
}

/// A boolean as a result.
pub fn boolean(value: bool) -> Returned {
    Ok(value.into_datum())
}

/// Declares the record that tells PostgreSQL how a C function is called.
#[macro_export]
macro_rules! finfo {
    ($record:ident) => {
        #[doc(hidden)]
        #[unsafe(no_mangle)]
        pub extern "C" fn $record() -> *const pgrx::pg_sys::Pg_finfo_record {
            static RECORD: pgrx::pg_sys::Pg_finfo_record =
                pgrx::pg_sys::Pg_finfo_record { api_version: 1 };
            &raw const RECORD
        }
    };
}

/// Declares a function that PostgreSQL calls by its C name, with what it does with its call frame, and its record.
#[macro_export]
macro_rules! c_entry {
    ($(#[$doc:meta])* $name:ident, $record:ident, |$fcinfo:ident| $body:expr) => {
        $crate::finfo!($record);

        $(#[$doc])*
        ///
        /// # Safety
        /// Only PostgreSQL calls it, with a valid call frame.
        #[unsafe(no_mangle)]
        pub unsafe extern "C-unwind" fn $name(
            $fcinfo: pgrx::pg_sys::FunctionCallInfo,
        ) -> pgrx::pg_sys::Datum {
            $body
        }
    };
}

/// Declares a function that PostgreSQL calls by its C name, and its record.
#[macro_export]
macro_rules! c_function {
    ($(#[$doc:meta])* $name:ident, $record:ident, $body:expr) => {
        $crate::c_entry!($(#[$doc])* $name, $record, |fcinfo| {
            let body: fn($crate::pg::call::Call) -> $crate::pg::call::Returned = $body;
            // SAFETY: the last thing in a function that PostgreSQL calls, with nothing to drop.
            unsafe { $crate::pg::call::enter(fcinfo, body) }
        });
    };
}

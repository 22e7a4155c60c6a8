//! The token of a request, and the next statement.

use crate::pg::parameters::set_local;
use crate::pg::{answers, session};

/// The session carries this token from now on.
pub fn set_token(token: &str) {
    set_local(c"request.jwt", token);
}

/// The session carries these headers from now on, and no raw token.
pub fn set_headers(headers: &str) {
    set_token("");
    set_local(c"request.headers", headers);
}

/// Another statement begins: the executor starts, and the time has moved. PostgreSQL does the same with the
/// clock; here it moves by a microsecond, because a bench may be quicker than that.
pub fn next_statement() {
    mod raw {
        unsafe extern "C-unwind" {
            pub fn GetCurrentTransactionStartTimestamp() -> i64;
            pub fn GetCurrentStatementStartTimestamp() -> i64;
            pub fn SetParallelStartTimestamps(transaction: i64, statement: i64);
        }
    }
    // SAFETY: they read and write two variables of xact.c. A server with assertions wants the last one in
    // parallel workers only; nothing is measured there.
    unsafe {
        let transaction = raw::GetCurrentTransactionStartTimestamp();
        let statement = raw::GetCurrentStatementStartTimestamp();
        raw::SetParallelStartTimestamps(transaction, statement + 1);
    }
    answers::advance();
}

/// Decides about the token of the request, as the first call of a policy in a statement does. It must be valid.
pub fn decide() {
    match session::decide() {
        Ok(decision) if decision.verified.is_some() => {}
        Ok(_) => panic!("the token is refused"),
        Err(error) => {
            drop(error);
            panic!("it cannot be decided")
        }
    }
}

//! What a command of DDL has done, for the event triggers of guards: SQL shows only its tag.

use super::call::Call;
use crate::c_function;
use pgrx::pg_sys::{self, AlterTableType, CollectedCommandType};
use pgrx::{IntoDatum, PgList};

c_function!(
    /// `ddl_may_place_table(command pg_ddl_command) → boolean`: whether it may have made a table, moved or
    /// renamed one, or put one below another. Most of what ALTER TABLE does has not.
    third_party_auth_ddl_may_place_table, pg_finfo_third_party_auth_ddl_may_place_table, |call| {
        let places = match subcommands(&call) {
            None => true,
            Some(kinds) => kinds.iter().any(|kind| {
                matches!(*kind, AlterTableType::AT_AddInherit | AlterTableType::AT_AttachPartition)
            }),
        };
        Ok(places.into_datum())
    }
);

c_function!(
    /// `ddl_enables_row_security(command pg_ddl_command) → boolean`: whether it is ALTER TABLE … ENABLE ROW
    /// LEVEL SECURITY, among other things.
    third_party_auth_ddl_enables_row_security, pg_finfo_third_party_auth_ddl_enables_row_security, |call| {
        let kinds = subcommands(&call).unwrap_or_default();
        let enables = kinds.contains(&AlterTableType::AT_EnableRowSecurity);
        Ok(enables.into_datum())
    }
);

/// The parts of an ALTER TABLE; `None` for every other command.
fn subcommands(call: &Call) -> Option<Vec<AlterTableType::Type>> {
    let command = call.argument::<pg_sys::Datum>(0)?;
    // SAFETY: the only values of the type pg_ddl_command are those that pg_event_trigger_ddl_commands()
    // gives, and they point to commands that live as long as the event trigger runs.
    unsafe {
        let command = command.cast_mut_ptr::<pg_sys::CollectedCommand>();
        if (*command).type_ != CollectedCommandType::SCT_AlterTable {
            return None;
        }
        let parts = PgList::<pg_sys::CollectedATSubcmd>::from_pg((*command).d.alterTable.subcmds);
        let kind = |part: *mut pg_sys::CollectedATSubcmd| {
            let node = (*part).parsetree.cast::<pg_sys::AlterTableCmd>();
            let is_one = !node.is_null() && (*node).type_ == pg_sys::NodeTag::T_AlterTableCmd;
            is_one.then(|| (*node).subtype)
        };
        Some(parts.iter_ptr().filter_map(kind).collect())
    }
}

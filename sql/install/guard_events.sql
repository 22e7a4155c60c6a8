-- Guards of tables that come later, and names that change.

CREATE FUNCTION third_party_auth.ddl_may_place_table(command pg_ddl_command) RETURNS boolean
    LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'third_party_auth_ddl_may_place_table';
COMMENT ON FUNCTION third_party_auth.ddl_may_place_table(pg_ddl_command) IS
    'Whether a command may have made, moved, renamed or attached a table';
CREATE FUNCTION third_party_auth.ddl_enables_row_security(command pg_ddl_command) RETURNS boolean
    LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'third_party_auth_ddl_enables_row_security';
COMMENT ON FUNCTION third_party_auth.ddl_enables_row_security(pg_ddl_command) IS
    'Whether a command is ALTER TABLE … ENABLE ROW LEVEL SECURITY';

-- pg_upgrade keeps the OIDs of tables, but not those of schemas, and new ones may have the old OIDs of others:
-- before a schema is renamed, the rows of schemas are looked up again, and at no other time their OIDs count.
CREATE FUNCTION third_party_auth.guard_before_rename() RETURNS event_trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    UPDATE third_party_auth.guard g SET schema_name = g.schema_name
    WHERE g.table_name = ''
      AND g.object IS DISTINCT FROM third_party_auth.guard_object(g.schema_name, g.table_name);
END
$$;
COMMENT ON FUNCTION third_party_auth.guard_before_rename() IS
    'Event trigger: makes sure which schemas the list of guards is about';

-- A schema that was renamed keeps its guard.
CREATE FUNCTION third_party_auth.guard_after_schema_names() RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    renamed record;
BEGIN
    FOR renamed IN
        SELECT g.schema_name, n.nspname FROM third_party_auth.guard g JOIN pg_namespace n ON n.oid = g.object
        WHERE g.table_name = '' AND n.nspname <> g.schema_name
    LOOP
        -- A row of this name can only be left over from a schema that is gone.
        DELETE FROM third_party_auth.guard g WHERE g.schema_name = renamed.nspname AND g.table_name = '';
        UPDATE third_party_auth.guard g SET schema_name = renamed.nspname
        WHERE g.schema_name = renamed.schema_name AND g.table_name = '';
    END LOOP;
END
$$;
COMMENT ON FUNCTION third_party_auth.guard_after_schema_names() IS
    'Follows renamed schemas';

-- The names are those that the tables have now.
CREATE FUNCTION third_party_auth.guard_after_names() RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    moved record;
BEGIN
    FOR moved IN
        SELECT g.schema_name, g.table_name, g.origin, n.nspname, c.relname, n.nspname <> g.schema_name
                   -- A schema that was renamed takes its tables along.
                   AND EXISTS (SELECT FROM pg_namespace o WHERE o.nspname = g.schema_name) AS elsewhere
        FROM third_party_auth.guard g JOIN pg_class c ON c.oid = g.object
        JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE g.table_name <> '' AND (n.nspname <> g.schema_name OR c.relname <> g.table_name)
    LOOP
        -- A row of this name can only be left over from a table that is gone.
        DELETE FROM third_party_auth.guard g WHERE g.schema_name = moved.nspname AND g.table_name = moved.relname;
        IF moved.elsewhere AND moved.origin = 'none' THEN
            -- That somebody wanted it unguarded there says nothing about here.
            DELETE FROM third_party_auth.guard g
            WHERE g.schema_name = moved.schema_name AND g.table_name = moved.table_name;
        ELSE
            -- A table that leaves a guarded schema keeps its guard, as its own.
            UPDATE third_party_auth.guard g
            SET schema_name = moved.nspname, table_name = moved.relname,
                origin = CASE WHEN moved.elsewhere AND g.origin = 'schema' THEN 'table' ELSE g.origin END
            WHERE g.schema_name = moved.schema_name AND g.table_name = moved.table_name;
        END IF;
    END LOOP;
END
$$;
COMMENT ON FUNCTION third_party_auth.guard_after_names() IS
    'Follows renamed and moved tables';

-- Guards what a command has made, moved or attached, as its guarded ancestor or schema asks. Runs as the
-- owner of the extension, because whoever makes a table need not be able to guard it. Tables that have a
-- row are left alone: they are guarded, or meant not to be, or a restore has still to make their policies.
CREATE FUNCTION third_party_auth.guard_new_tables() RETURNS event_trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    touched oid[];
    relation record;
    rule third_party_auth.guard;
BEGIN
    touched := ARRAY(
        SELECT d.objid
        FROM pg_event_trigger_ddl_commands() d JOIN pg_class c ON c.oid = d.objid
        WHERE d.classid = 'pg_class'::regclass AND c.relkind IN ('r', 'p') AND c.relpersistence <> 't'
          AND third_party_auth.ddl_may_place_table(d.command));
    IF touched = '{}' AND TG_TAG NOT IN ('ALTER SCHEMA', 'ALTER EXTENSION') THEN
        RETURN;
    END IF;
    -- guard_schema() waits for this transaction, or this command for guard_schema().
    LOCK TABLE third_party_auth.guard IN ROW EXCLUSIVE MODE;
    IF current_setting('transaction_isolation') NOT IN ('read committed', 'read uncommitted') THEN
        -- Its snapshot may be older than a guard: then this fails (40001).
        PERFORM FROM third_party_auth.guard_change FOR SHARE;
    END IF;
    IF TG_TAG = 'ALTER SCHEMA' THEN
        PERFORM third_party_auth.guard_after_schema_names();
    END IF;
    PERFORM third_party_auth.guard_after_names();
    IF TG_TAG = 'ALTER EXTENSION' THEN
        -- SET SCHEMA takes its tables along and does not name them.
        touched := ARRAY(
            SELECT c.oid FROM third_party_auth.guard g
            JOIN pg_namespace n ON n.nspname = g.schema_name JOIN pg_class c ON c.relnamespace = n.oid
            WHERE g.table_name = '' AND c.relkind IN ('r', 'p') AND c.relpersistence <> 't');
    END IF;

    FOR relation IN
        SELECT c.oid, n.nspname, c.relname
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't'
          AND c.oid IN (SELECT d.relation FROM unnest(touched) AS u (root),
                            LATERAL third_party_auth.guard_descendants(u.root) d)
        ORDER BY c.oid
    LOOP
        CONTINUE WHEN EXISTS (SELECT FROM third_party_auth.guard g
                              WHERE g.object = relation.oid AND g.table_name <> '');
        SELECT r.* INTO rule FROM third_party_auth.guard_rule(relation.oid) r;
        CONTINUE WHEN NOT FOUND;
        -- A row of this name can only be left over from a table that is gone.
        DELETE FROM third_party_auth.guard g
        WHERE g.schema_name = relation.nspname AND g.table_name = relation.relname;
        -- Nobody is there to be asked: where guard_table() would refuse, the table is closed.
        PERFORM third_party_auth.guard_apply(
            relation.oid, CASE rule.table_name WHEN '' THEN 'schema' ELSE 'parent' END,
            rule.providers, rule.allow_anonymous, rule.rls_off, rule.force, rule.exempt_roles, true);
    END LOOP;
END
$$;
COMMENT ON FUNCTION third_party_auth.guard_new_tables() IS
    'Event trigger: guards new tables of guarded schemas and new descendants of guarded tables';

-- The permissive policy that a new table of an open schema was given yields to what its makers say about it:
-- a permissive policy of theirs, or ALTER TABLE … ENABLE ROW LEVEL SECURITY, which the guard has forestalled.
CREATE FUNCTION third_party_auth.guard_yields() RETURNS event_trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET quote_all_identifiers = off
    AS $$
DECLARE
    open_name constant name := third_party_auth.guard_open_name();
    relation regclass;
BEGIN
    FOR relation IN
        SELECT DISTINCT g.object
        FROM pg_event_trigger_ddl_commands() d
        LEFT JOIN pg_policy p ON d.classid = 'pg_policy'::regclass AND p.oid = d.objid
        JOIN third_party_auth.guard g ON g.opened AND NOT g.enabled_rls AND g.table_name <> ''
            AND (p.polrelid = g.object AND p.polpermissive AND p.polname <> open_name
                 OR d.classid = 'pg_class'::regclass AND d.objid = g.object AND g.rls_on
                    AND third_party_auth.ddl_enables_row_security(d.command))
        JOIN pg_policy o ON o.polrelid = g.object AND o.polname = open_name
    LOOP
        UPDATE third_party_auth.guard g SET opened = false WHERE g.object = relation AND g.table_name <> '';
        EXECUTE format('DROP POLICY %I ON %s', open_name, relation);
        RAISE NOTICE 'table % is as open as its own policies say from now on, and not to every token any more', relation;
    END LOOP;
END
$$;
COMMENT ON FUNCTION third_party_auth.guard_yields() IS
    'Event trigger: new tables of schemas guarded with rls_off => ''open'' stay open until they have policies of their own';

-- What is gone needs no guard, and what gets its name later is something else.
CREATE FUNCTION third_party_auth.guard_after_drop() RETURNS event_trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_event_trigger_dropped_objects() d
                   WHERE d.object_type IN ('table', 'schema') AND NOT d.is_temporary) THEN
        RETURN;
    END IF;
    DELETE FROM third_party_auth.guard g
    USING pg_event_trigger_dropped_objects() d
    WHERE NOT d.is_temporary
      AND (d.object_type = 'table' AND g.schema_name = d.schema_name AND g.table_name = d.object_name
           OR d.object_type = 'schema' AND g.schema_name = d.object_name);
END
$$;
COMMENT ON FUNCTION third_party_auth.guard_after_drop() IS
    'Event trigger: forgets tables and schemas that are dropped';

-- CREATE OR REPLACE TRIGGER needs only the privilege TRIGGER: whoever has it could put a trigger that asks for
-- nothing in the place of the guard's. Not SECURITY DEFINER, because who asks is what matters.
CREATE FUNCTION third_party_auth.guard_trigger_is_kept() RETURNS event_trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    relation regclass;
BEGIN
    SELECT c.oid INTO relation
    FROM pg_event_trigger_ddl_commands() d
    JOIN pg_trigger t ON t.oid = d.objid AND d.classid = 'pg_trigger'::regclass
    JOIN pg_class c ON c.oid = t.tgrelid
    -- What guard_name() says, which not everyone may call.
    WHERE t.tgname = 'third_party_auth: verified token required' AND NOT pg_has_role(c.relowner, 'USAGE')
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING
            ERRCODE = 'insufficient_privilege',
            MESSAGE = format('%I does not own %s, so the trigger of its guard stays', current_user, relation),
            HINT = 'Give the trigger another name.';
    END IF;
END
$$;
COMMENT ON FUNCTION third_party_auth.guard_trigger_is_kept() IS
    'Event trigger: only the owner of a table makes triggers with the name of the guard''s';

-- ALTER INDEX … RENAME renames tables too; CREATE SCHEMA may contain CREATE TABLE … PARTITION OF.
CREATE EVENT TRIGGER third_party_auth_guard_rename ON ddl_command_start
    WHEN TAG IN ('ALTER SCHEMA')
    EXECUTE FUNCTION third_party_auth.guard_before_rename();
CREATE EVENT TRIGGER third_party_auth_guard ON ddl_command_end
    WHEN TAG IN ('CREATE TABLE', 'CREATE TABLE AS', 'SELECT INTO', 'CREATE SCHEMA',
                 'ALTER TABLE', 'ALTER INDEX', 'ALTER SCHEMA', 'ALTER EXTENSION')
    EXECUTE FUNCTION third_party_auth.guard_new_tables();
CREATE EVENT TRIGGER third_party_auth_guard_yield ON ddl_command_end
    WHEN TAG IN ('ALTER TABLE', 'CREATE POLICY')
    EXECUTE FUNCTION third_party_auth.guard_yields();
CREATE EVENT TRIGGER third_party_auth_guard_drop ON sql_drop
    EXECUTE FUNCTION third_party_auth.guard_after_drop();
CREATE EVENT TRIGGER third_party_auth_guard_trigger ON ddl_command_end
    WHEN TAG IN ('CREATE TRIGGER', 'CREATE SCHEMA')
    EXECUTE FUNCTION third_party_auth.guard_trigger_is_kept();
-- Also for sessions with session_replication_role = replica.
ALTER EVENT TRIGGER third_party_auth_guard_rename ENABLE ALWAYS;
ALTER EVENT TRIGGER third_party_auth_guard ENABLE ALWAYS;
ALTER EVENT TRIGGER third_party_auth_guard_yield ENABLE ALWAYS;
ALTER EVENT TRIGGER third_party_auth_guard_drop ENABLE ALWAYS;
ALTER EVENT TRIGGER third_party_auth_guard_trigger ENABLE ALWAYS;

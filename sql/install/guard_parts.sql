-- What guards are made of: the list of them, their names and expressions, and the tree of a table.

-- The object that names mean. Not what IMMUTABLE promises, but what a generated column needs: it is asked when
-- a row is written, and nothing else is decided by it.
CREATE FUNCTION third_party_auth.guard_object(schema_name name, table_name name) RETURNS oid
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
    AS $$
    SELECT CASE WHEN guard_object.table_name = '' THEN n.oid ELSE c.oid END
    FROM pg_namespace n
    LEFT JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = guard_object.table_name
    WHERE n.nspname = guard_object.schema_name
    $$;
COMMENT ON FUNCTION third_party_auth.guard_object(name, name) IS
    'The OID of a schema (without a table''s name) or of a table';

-- Whether row level security of a table is on, in the same way.
CREATE FUNCTION third_party_auth.guard_rls(schema_name name, table_name name) RETURNS boolean
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
    AS $$
    SELECT c.relrowsecurity FROM pg_namespace n JOIN pg_class c ON c.relnamespace = n.oid
    WHERE n.nspname = guard_rls.schema_name AND c.relname = guard_rls.table_name
    $$;
COMMENT ON FUNCTION third_party_auth.guard_rls(name, name) IS
    'Whether row level security of a table is on';

-- Who is guarded how: one row for each guarded table, and one with an empty table_name for each guarded
-- schema. One table for both, so that a restore loads it at once: from then on tables without a row are
-- new ones, and those of the dump, whose own CREATE POLICY is still to come, have their rows.
-- Names say what a row is about, and mean the same in a restored database. object tells which row is whose after
-- a name has changed; it is generated so that pg_dump leaves it out, and each database has its own.
CREATE TABLE third_party_auth.guard (
    schema_name     name NOT NULL,
    table_name      name NOT NULL DEFAULT '',
    object          oid GENERATED ALWAYS AS (third_party_auth.guard_object(schema_name, table_name)) STORED,
    -- Why: 'table', by guard_table(); 'parent', because a parent is; 'schema', by guard_schema(); 'none',
    -- not at all, by unguard_table() in a guarded schema.
    origin          text NOT NULL,
    providers       text[],
    allow_anonymous boolean NOT NULL,
    rls_off         text NOT NULL,
    force           boolean NOT NULL,
    exempt_roles    name[] NOT NULL,
    -- What guard_table() and guard_schema() have changed, for unguard_table() to undo: row level security
    -- enabled, and forced. Not what was done to a table when it was made: before, there was nothing.
    enabled_rls     boolean NOT NULL DEFAULT false,
    forced_rls      boolean NOT NULL DEFAULT false,
    -- The permissive policy of rls_off => 'open' was added, and has a purpose still.
    opened          boolean NOT NULL DEFAULT false,
    -- Whether row level security was on when the guard was made. In a restored database it was not yet: what
    -- switches it on there is the restore.
    rls_on          boolean GENERATED ALWAYS AS (third_party_auth.guard_rls(schema_name, table_name)) STORED,
    PRIMARY KEY (schema_name, table_name)
);
COMMENT ON TABLE third_party_auth.guard IS
    'The guarded schemas and tables; changed by guard_table() and its like only';
CREATE INDEX ON third_party_auth.guard (object);
SELECT pg_catalog.pg_extension_config_dump('third_party_auth.guard', '');

-- One row, written whenever a guard is set or taken away, so that a transaction that still sees the
-- guards of before (REPEATABLE READ) notices when it creates a table.
CREATE TABLE third_party_auth.guard_change (number bigint NOT NULL);
INSERT INTO third_party_auth.guard_change VALUES (0);
CREATE TRIGGER refuse_unless_granted BEFORE INSERT OR UPDATE OR DELETE ON third_party_auth.guard
    EXECUTE FUNCTION third_party_auth.refuse_unless_granted();
CREATE TRIGGER refuse_unless_granted BEFORE INSERT OR UPDATE OR DELETE ON third_party_auth.guard_change
    EXECUTE FUNCTION third_party_auth.refuse_unless_granted();

-- The names of what guards are made of, where guard_table() and guard_status look for them.
CREATE FUNCTION third_party_auth.guard_name() RETURNS name
    LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $$SELECT 'third_party_auth: verified token required'::name$$;
COMMENT ON FUNCTION third_party_auth.guard_name() IS
    'The name of the restrictive policy and of the TRUNCATE trigger of a guarded table';

CREATE FUNCTION third_party_auth.guard_open_name() RETURNS name
    LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $$SELECT 'third_party_auth: as open as before'::name$$;
COMMENT ON FUNCTION third_party_auth.guard_open_name() IS
    'The name of the permissive policy that rls_off => ''open'' adds';

-- The expression of a guard's policy, written as PostgreSQL shows it when nothing but pg_catalog is in the
-- search path: guard_status compares texts. Functions are named by the schema that they are in now.
CREATE FUNCTION third_party_auth.guard_condition(
    providers text[], allow_anonymous boolean, exempt_roles name[]
) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET quote_all_identifiers = off SET standard_conforming_strings = on
    AS $$
    SELECT CASE WHEN cardinality(terms) > 1 THEN '(' || array_to_string(terms, ' OR ') || ')' ELSE terms[1] END
    FROM (
        SELECT ARRAY(SELECT format('%I.is_third_party_jwt(%s)', n.nspname,
                                   '''' || replace(p, '''', '''''') || '''::text')
                     FROM unnest(providers) WITH ORDINALITY AS u (p, position) ORDER BY position)
            || CASE WHEN providers IS NULL
                    THEN ARRAY[format('%I.is_third_party_jwt()', n.nspname)] END
            || CASE WHEN allow_anonymous THEN ARRAY['third_party_auth.is_anonymous_request()'] END
            -- By name, which is what a dump can keep.
            || ARRAY(SELECT format('pg_has_role(CURRENT_USER, %s, ''MEMBER''::text)',
                                   '''' || replace(r, '''', '''''') || '''::name')
                     FROM unnest(exempt_roles) WITH ORDINALITY AS u (r, position) ORDER BY position)
        FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
        WHERE e.extname = 'pg_third_party_auth'
    ) AS condition (terms)
    $$;
COMMENT ON FUNCTION third_party_auth.guard_condition(text[], boolean, name[]) IS
    'The expression of the policy of a guard with these arguments';

-- The definition of a guard's trigger, again as PostgreSQL shows it. Whom row level security does not
-- bind may truncate; for them the token is not even looked at.
CREATE FUNCTION third_party_auth.guard_trigger(target oid, condition text) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET quote_all_identifiers = off SET standard_conforming_strings = on
    AS $$
    SELECT format(
        'CREATE TRIGGER %I BEFORE TRUNCATE ON %s FOR EACH STATEMENT '
        'WHEN ((row_security_active((''%s''::regclass)::oid) AND (NOT %s))) '
        'EXECUTE FUNCTION third_party_auth.refuse_truncate()',
        third_party_auth.guard_name(), target::regclass,
        replace(target::regclass::text, '''', ''''''), condition)
    $$;
COMMENT ON FUNCTION third_party_auth.guard_trigger(oid, text) IS
    'The definition of the TRUNCATE trigger of a guarded table';

-- A table, all its partitions and all that inherit from it, nearest first.
CREATE FUNCTION third_party_auth.guard_descendants(target oid)
    RETURNS TABLE (relation oid, depth int)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    AS $$
    WITH RECURSIVE tree (relation, depth) AS (
        SELECT target, 0
        UNION
        SELECT i.inhrelid, t.depth + 1 FROM pg_inherits i JOIN tree t ON t.relation = i.inhparent
    )
    SELECT t.relation, min(t.depth)
    FROM tree t JOIN pg_class c ON c.oid = t.relation
    WHERE c.relkind IN ('r', 'p', 'f')
    GROUP BY t.relation ORDER BY min(t.depth), t.relation
    $$;
COMMENT ON FUNCTION third_party_auth.guard_descendants(oid) IS
    'A table and everything below it in its inheritance tree';

-- The row that says how a table without a guard of its own is to be guarded: that of the nearest guarded
-- ancestor, else that of its schema; no row when neither is guarded.
CREATE FUNCTION third_party_auth.guard_rule(target oid) RETURNS SETOF third_party_auth.guard
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    AS $$
    WITH RECURSIVE above (relation, depth) AS (
        SELECT target, 0
        UNION
        SELECT i.inhparent, a.depth + 1 FROM pg_inherits i JOIN above a ON a.relation = i.inhrelid
    )
    SELECT g.*
    FROM above a
    JOIN pg_class c ON c.oid = a.relation
    JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN third_party_auth.guard g ON g.schema_name = n.nspname
        AND (g.table_name = c.relname AND g.origin <> 'none' AND a.depth > 0
             OR g.table_name = '' AND a.depth = 0)
    -- A schema comes last, though it is at depth 0.
    ORDER BY g.table_name = '', a.depth, a.relation
    LIMIT 1
    $$;
COMMENT ON FUNCTION third_party_auth.guard_rule(oid) IS
    'What a guarded ancestor, or else a guarded schema, asks of a table';

-- A table, and what is guarded together with it: everything below it but tables that have a guard of their
-- own, and what is below those.
CREATE FUNCTION third_party_auth.guard_followers(target oid)
    RETURNS TABLE (relation oid, depth int)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    AS $$
    WITH RECURSIVE tree (relation, depth) AS (
        SELECT target, 0
        UNION
        SELECT c.oid, t.depth + 1
        FROM tree t
        JOIN pg_inherits i ON i.inhparent = t.relation
        JOIN pg_class c ON c.oid = i.inhrelid
        JOIN pg_namespace n ON n.oid = c.relnamespace
        -- Foreign tables cannot have a guard; guard_status names them.
        WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't'
          AND NOT EXISTS (SELECT FROM third_party_auth.guard g
                          WHERE g.schema_name = n.nspname AND g.table_name = c.relname AND g.origin = 'table')
    )
    SELECT t.relation, min(t.depth) FROM tree t GROUP BY t.relation ORDER BY min(t.depth), t.relation
    $$;
COMMENT ON FUNCTION third_party_auth.guard_followers(oid) IS
    'A table and the descendants that follow its guard';

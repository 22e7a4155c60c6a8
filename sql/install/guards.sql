-- Guards: nobody reads or writes a guarded table without a verified token, whatever its other policies say.

-- Guards one table, or changes its guard: policy, trigger and row. What is as it should be is not touched.
-- A new table is one that the present command has made or moved.
CREATE FUNCTION third_party_auth.guard_apply(
    target oid, origin text, providers text[], allow_anonymous boolean, rls_off text, force boolean,
    exempt_roles name[], is_new boolean
) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET quote_all_identifiers = off SET standard_conforming_strings = on
    AS $$
DECLARE
    guard_name constant name := third_party_auth.guard_name();
    open_name constant name := third_party_auth.guard_open_name();
    condition constant text := third_party_auth.guard_condition(providers, allow_anonymous, exempt_roles);
    definition constant text := third_party_auth.guard_trigger(target, condition);
    is_open constant boolean :=
        EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = target AND p.polname = open_name);
    shall_be_open boolean;
    relation record;
    former third_party_auth.guard;
    disable_later boolean;
    unforce_later boolean;
    changes text[] := '{}';
BEGIN
    SELECT c.relname, n.nspname, c.relrowsecurity, c.relforcerowsecurity INTO STRICT relation
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = target;
    SELECT g.* INTO former FROM third_party_auth.guard g
    WHERE g.schema_name = relation.nspname AND g.table_name = relation.relname AND g.origin <> 'none';

    disable_later := coalesce(former.enabled_rls, NOT relation.relrowsecurity AND NOT is_new);
    unforce_later := force AND (coalesce(former.forced_rls, false) OR NOT relation.relforcerowsecurity AND NOT is_new);
    shall_be_open := CASE
        WHEN rls_off = 'closed' THEN false
        WHEN NOT relation.relrowsecurity THEN rls_off = 'open'
        -- Whoever has dropped the policy meant it.
        WHEN former.opened THEN is_open
        -- Closed by an earlier guard, and still without a policy that says who sees what.
        ELSE rls_off = 'open' AND (is_open OR coalesce(former.rls_off, 'open') <> 'open' AND disable_later
             AND NOT EXISTS (SELECT FROM pg_policy p
                             WHERE p.polrelid = target AND p.polname NOT IN (guard_name, open_name)))
        END;

    -- The row comes first: the commands below fire event triggers too, which leave tables with a row alone.
    DELETE FROM third_party_auth.guard g WHERE g.schema_name = relation.nspname AND g.table_name = relation.relname;
    INSERT INTO third_party_auth.guard
        (schema_name, table_name, origin, providers, allow_anonymous, rls_off, force, exempt_roles,
         enabled_rls, forced_rls)
    VALUES (relation.nspname, relation.relname, guard_apply.origin, guard_apply.providers,
            guard_apply.allow_anonymous, guard_apply.rls_off, guard_apply.force, guard_apply.exempt_roles,
            disable_later, unforce_later);

    IF NOT EXISTS (
        SELECT FROM pg_policy p
        WHERE p.polrelid = target AND p.polname = guard_name AND NOT p.polpermissive AND p.polcmd = '*'
          AND p.polroles = '{0}' AND pg_get_expr(p.polqual, p.polrelid) = condition
          AND pg_get_expr(p.polwithcheck, p.polrelid) = condition
    ) THEN
        IF EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = target AND p.polname = guard_name) THEN
            EXECUTE format('DROP POLICY %I ON %s', guard_name, target::regclass);
        END IF;
        EXECUTE format('CREATE POLICY %I ON %s AS RESTRICTIVE FOR ALL TO PUBLIC USING (%s) WITH CHECK (%s)',
                       guard_name, target::regclass, condition, condition);
    END IF;

    IF shall_be_open AND NOT is_open THEN
        EXECUTE format('CREATE POLICY %I ON %s USING (true)', open_name, target::regclass);
    ELSIF is_open AND rls_off = 'closed' THEN
        EXECUTE format('DROP POLICY %I ON %s', open_name, target::regclass);
    END IF;

    IF NOT EXISTS (
        SELECT FROM pg_trigger t
        WHERE t.tgrelid = target AND t.tgname = guard_name AND t.tgenabled = 'A'
          AND pg_get_triggerdef(t.oid) = definition
    ) THEN
        IF EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = target AND t.tgname = guard_name) THEN
            EXECUTE format('DROP TRIGGER %I ON %s', guard_name, target::regclass);
        END IF;
        EXECUTE definition;
        -- TRUNCATE of a replica (session_replication_role) is not let through either.
        changes := changes || format('ENABLE ALWAYS TRIGGER %I', guard_name);
    END IF;

    IF NOT relation.relrowsecurity THEN
        changes := changes || 'ENABLE ROW LEVEL SECURITY'::text;
    END IF;
    IF force AND NOT relation.relforcerowsecurity THEN
        changes := changes || 'FORCE ROW LEVEL SECURITY'::text;
    ELSIF former.forced_rls AND NOT force AND relation.relforcerowsecurity THEN
        changes := changes || 'NO FORCE ROW LEVEL SECURITY'::text;
    END IF;
    IF changes <> '{}' THEN
        EXECUTE format('ALTER TABLE ONLY %s %s', target::regclass, array_to_string(changes, ', '));
    END IF;
    -- The name is written for what is generated from it. Last, because guard_yields() goes by it.
    UPDATE third_party_auth.guard g SET opened = shall_be_open, schema_name = g.schema_name
    WHERE g.schema_name = relation.nspname AND g.table_name = relation.relname;
END
$$;
COMMENT ON FUNCTION third_party_auth.guard_apply(oid, text, text[], boolean, text, boolean, name[], boolean) IS
    'Makes the guard of one table what these arguments say';

-- Takes the guard of one table away, and undoes what it changed. Answers whether there was one.
CREATE FUNCTION third_party_auth.guard_remove(target oid) RETURNS boolean
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET quote_all_identifiers = off SET standard_conforming_strings = on
    AS $$
DECLARE
    guard_name constant name := third_party_auth.guard_name();
    open_name constant name := third_party_auth.guard_open_name();
    relation record;
    former third_party_auth.guard;
    policy name;
    has_policies boolean;
    removed boolean := false;
BEGIN
    SELECT c.relname, n.nspname, c.relrowsecurity, c.relforcerowsecurity INTO STRICT relation
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = target;
    SELECT g.* INTO former FROM third_party_auth.guard g
    WHERE g.schema_name = relation.nspname AND g.table_name = relation.relname AND g.origin <> 'none';
    IF FOUND THEN
        removed := true;
        -- As in guard_apply(), the row first: until the end it says that the table is left alone.
        UPDATE third_party_auth.guard g
        SET origin = 'none', enabled_rls = false, forced_rls = false, opened = false
        WHERE g.schema_name = relation.nspname AND g.table_name = relation.relname;
    END IF;
    IF EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = target AND t.tgname = guard_name) THEN
        removed := true;
        EXECUTE format('DROP TRIGGER %I ON %s', guard_name, target::regclass);
    END IF;
    FOR policy IN
        SELECT p.polname FROM pg_policy p WHERE p.polrelid = target AND p.polname IN (guard_name, open_name)
        ORDER BY p.polname
    LOOP
        removed := true;
        EXECUTE format('DROP POLICY %I ON %s', policy, target::regclass);
    END LOOP;
    IF former.forced_rls AND relation.relforcerowsecurity THEN
        EXECUTE format('ALTER TABLE ONLY %s NO FORCE ROW LEVEL SECURITY', target::regclass);
    END IF;
    -- Policies that somebody has written meanwhile keep it on, and so do tables that were never without a guard:
    -- nobody has meant them to be open.
    has_policies := EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = target);
    IF former.enabled_rls AND relation.relrowsecurity AND NOT has_policies THEN
        EXECUTE format('ALTER TABLE ONLY %s DISABLE ROW LEVEL SECURITY', target::regclass);
        RAISE NOTICE 'row level security of % is off again, as it was before it was guarded', target::regclass;
    ELSIF former.origin IS NOT NULL AND relation.relrowsecurity AND (former.enabled_rls OR NOT has_policies) THEN
        RAISE NOTICE USING
            MESSAGE = format('row level security of %s stays on: it has %s', target::regclass,
                             CASE WHEN has_policies THEN 'policies of its own' ELSE 'no policies, and nobody sees its rows' END),
            HINT = format('If its rows are for everyone who has the privileges: ALTER TABLE %s DISABLE ROW LEVEL SECURITY.', target::regclass);
    END IF;
    -- Where a guarded schema or parent would guard it again, the row stays and says that somebody decided
    -- otherwise.
    IF NOT EXISTS (SELECT FROM third_party_auth.guard_rule(target)) THEN
        DELETE FROM third_party_auth.guard g
        WHERE g.schema_name = relation.nspname AND g.table_name = relation.relname;
    ELSIF NOT EXISTS (SELECT FROM third_party_auth.guard g
                      WHERE g.schema_name = relation.nspname AND g.table_name = relation.relname) THEN
        INSERT INTO third_party_auth.guard
            (schema_name, table_name, origin, allow_anonymous, rls_off, force, exempt_roles)
        VALUES (relation.nspname, relation.relname, 'none', false, 'refuse', false, '{}');
    END IF;
    RETURN removed;
END
$$;
COMMENT ON FUNCTION third_party_auth.guard_remove(oid) IS
    'Takes the guard of one table away';

CREATE FUNCTION third_party_auth.guard_table(
    target regclass, providers text[] DEFAULT NULL, allow_anonymous boolean DEFAULT false,
    rls_off text DEFAULT 'refuse', force boolean DEFAULT false, exempt_roles name[] DEFAULT '{}'
) RETURNS SETOF third_party_auth.guard_status
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET quote_all_identifiers = off SET standard_conforming_strings = on
    AS $$
DECLARE
    tree oid[];
    relation oid;
BEGIN
    PERFORM third_party_auth.guard_check_arguments(providers, allow_anonymous, rls_off, force, exempt_roles);
    PERFORM third_party_auth.guard_check_table(target);
    PERFORM third_party_auth.guard_check_owners(ARRAY[target::oid]);
    -- Partitions come and go under this lock; readers and writers do not mind it.
    EXECUTE format('LOCK TABLE ONLY %s IN SHARE UPDATE EXCLUSIVE MODE', target);
    UPDATE third_party_auth.guard_change SET number = number + 1;

    tree := ARRAY(SELECT f.relation FROM third_party_auth.guard_followers(target) f ORDER BY f.depth, f.relation);
    PERFORM third_party_auth.guard_check_owners(tree);
    PERFORM third_party_auth.guard_check_rls(tree, rls_off);
    FOREACH relation IN ARRAY tree LOOP
        PERFORM third_party_auth.guard_apply(
            relation, CASE WHEN relation = target THEN 'table' ELSE 'parent' END,
            providers, allow_anonymous, rls_off, force, exempt_roles, false);
    END LOOP;

    RETURN QUERY
        SELECT s.* FROM third_party_auth.guard_status s
        WHERE s.schema IS NULL
           OR EXISTS (SELECT FROM third_party_auth.guard_descendants(target) d
                      JOIN pg_class c ON c.oid = d.relation JOIN pg_namespace n ON n.oid = c.relnamespace
                      WHERE n.nspname = s.schema AND c.relname = s."table");
END
$$;
COMMENT ON FUNCTION third_party_auth.guard_table(regclass, text[], boolean, text, boolean, name[]) IS
    'Lets nobody at a table, its partitions and children without a verified token';

CREATE FUNCTION third_party_auth.guard_schema(
    target regnamespace, providers text[] DEFAULT NULL, allow_anonymous boolean DEFAULT false,
    rls_off text DEFAULT 'refuse', force boolean DEFAULT false, exempt_roles name[] DEFAULT '{}'
) RETURNS SETOF third_party_auth.guard_status
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET quote_all_identifiers = off SET standard_conforming_strings = on
    AS $$
DECLARE
    own_schema name;
    members oid[];
    below oid[];
    relation oid;
BEGIN
    PERFORM third_party_auth.guard_check_arguments(providers, allow_anonymous, rls_off, force, exempt_roles);
    own_schema := third_party_auth.guard_check_schema(target);
    -- Whoever makes a table now has it guarded when the commit of this transaction lets him go on; tables
    -- that others have not committed yet are waited for.
    LOCK TABLE third_party_auth.guard IN SHARE ROW EXCLUSIVE MODE;
    UPDATE third_party_auth.guard_change SET number = number + 1;

    DELETE FROM third_party_auth.guard g WHERE g.schema_name = own_schema AND g.table_name = '';
    INSERT INTO third_party_auth.guard
        (schema_name, origin, providers, allow_anonymous, rls_off, force, exempt_roles)
    VALUES (own_schema, 'schema', guard_schema.providers, guard_schema.allow_anonymous,
            guard_schema.rls_off, guard_schema.force, guard_schema.exempt_roles);

    -- Tables with a guard of their own, or of their parents, keep it.
    members := ARRAY(
        SELECT c.oid FROM pg_class c
        LEFT JOIN third_party_auth.guard g ON g.schema_name = own_schema AND g.table_name = c.relname
        WHERE c.relnamespace = target AND c.relkind IN ('r', 'p') AND c.relpersistence <> 't'
          AND coalesce(g.origin, '') <> 'table'
          AND coalesce((SELECT r.table_name = '' FROM third_party_auth.guard_rule(c.oid) r
                        WHERE g.origin = 'parent'), true)
        ORDER BY c.relname COLLATE "C");
    below := ARRAY(
        SELECT DISTINCT f.relation
        FROM unnest(members) AS m (relation), LATERAL third_party_auth.guard_followers(m.relation) f
        WHERE f.relation <> ALL (members)
        ORDER BY f.relation);
    PERFORM third_party_auth.guard_check_owners(members || below);
    PERFORM third_party_auth.guard_check_rls(members || below, rls_off);
    FOREACH relation IN ARRAY members || below LOOP
        PERFORM third_party_auth.guard_apply(
            relation, CASE WHEN relation = ANY (members) THEN 'schema' ELSE 'parent' END,
            providers, allow_anonymous, rls_off, force, exempt_roles, false);
    END LOOP;

    RETURN QUERY SELECT s.* FROM third_party_auth.guard_status s WHERE s.schema = own_schema OR s.schema IS NULL;
END
$$;
COMMENT ON FUNCTION third_party_auth.guard_schema(regnamespace, text[], boolean, text, boolean, name[]) IS
    'Guards every table of a schema, and those that will be made in it';

CREATE FUNCTION third_party_auth.unguard_table(target regclass) RETURNS boolean
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET quote_all_identifiers = off SET standard_conforming_strings = on
    AS $$
DECLARE
    tree oid[];
    relation oid;
    removed boolean := false;
BEGIN
    PERFORM third_party_auth.guard_check_table(target);
    PERFORM third_party_auth.guard_check_owners(ARRAY[target::oid]);
    EXECUTE format('LOCK TABLE ONLY %s IN SHARE UPDATE EXCLUSIVE MODE', target);
    UPDATE third_party_auth.guard_change SET number = number + 1;
    tree := ARRAY(
        SELECT f.relation
        FROM third_party_auth.guard_followers(target) f
        JOIN pg_class c ON c.oid = f.relation JOIN pg_namespace n ON n.oid = c.relnamespace
        LEFT JOIN third_party_auth.guard g ON g.schema_name = n.nspname AND g.table_name = c.relname
        WHERE f.depth = 0 OR g.origin IN ('parent', 'schema')
        ORDER BY f.depth, f.relation);
    PERFORM third_party_auth.guard_check_owners(tree);
    FOREACH relation IN ARRAY tree LOOP
        removed := third_party_auth.guard_remove(relation) OR removed;
    END LOOP;
    RETURN removed;
END
$$;
COMMENT ON FUNCTION third_party_auth.unguard_table(regclass) IS
    'Takes away the guard of a table, its partitions and children, except those that have one of their own';

CREATE FUNCTION third_party_auth.unguard_schema(target regnamespace) RETURNS boolean
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET quote_all_identifiers = off SET standard_conforming_strings = on
    AS $$
DECLARE
    own_schema name;
    tree oid[];
    relation oid;
    rule third_party_auth.guard;
    removed boolean;
    moved boolean := true;
BEGIN
    own_schema := third_party_auth.guard_check_schema(target);
    LOCK TABLE third_party_auth.guard IN SHARE ROW EXCLUSIVE MODE;
    UPDATE third_party_auth.guard_change SET number = number + 1;
    -- What the schema has guarded, and what has followed that.
    tree := ARRAY(
        WITH follower AS MATERIALIZED (
            SELECT DISTINCT f.relation
            FROM third_party_auth.guard k
            JOIN pg_class c ON c.relname = k.table_name AND c.relnamespace = target,
            LATERAL third_party_auth.guard_followers(c.oid) f
            WHERE k.schema_name = own_schema AND k.origin = 'schema'
        )
        SELECT f.relation
        FROM follower f JOIN pg_class c ON c.oid = f.relation JOIN pg_namespace n ON n.oid = c.relnamespace
        JOIN third_party_auth.guard g ON g.schema_name = n.nspname AND g.table_name = c.relname
        WHERE g.origin = 'parent' OR g.origin = 'schema' AND g.schema_name = own_schema
        ORDER BY f.relation);
    PERFORM third_party_auth.guard_check_owners(tree);
    DELETE FROM third_party_auth.guard g WHERE g.schema_name = own_schema AND g.table_name = '';
    removed := FOUND;
    -- From the top down: what nothing else guards is free.
    WHILE moved LOOP
        moved := false;
        FOREACH relation IN ARRAY tree LOOP
            CONTINUE WHEN EXISTS (SELECT FROM third_party_auth.guard_rule(relation));
            removed := third_party_auth.guard_remove(relation) OR removed;
            tree := array_remove(tree, relation);
            moved := true;
        END LOOP;
    END LOOP;
    -- What is left has another guarded parent, or another guarded schema, and follows it from now on.
    FOREACH relation IN ARRAY tree LOOP
        SELECT r.* INTO STRICT rule FROM third_party_auth.guard_rule(relation) r;
        PERFORM third_party_auth.guard_apply(
            relation, CASE rule.table_name WHEN '' THEN 'schema' ELSE 'parent' END,
            rule.providers, rule.allow_anonymous, rule.rls_off, rule.force, rule.exempt_roles, false);
    END LOOP;
    DELETE FROM third_party_auth.guard g
    WHERE g.schema_name = own_schema AND g.origin = 'none'
      AND NOT EXISTS (SELECT FROM pg_class c, LATERAL third_party_auth.guard_rule(c.oid)
                      WHERE c.relnamespace = target AND c.relname = g.table_name);
    RETURN removed;
END
$$;
COMMENT ON FUNCTION third_party_auth.unguard_schema(regnamespace) IS
    'Takes away what guard_schema() did; tables that guard_table() has guarded stay guarded';

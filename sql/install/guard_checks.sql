-- What guards refuse: TRUNCATE without a token, arguments that make no guard, and what cannot be guarded.

-- What the TRUNCATE trigger of a guard calls when its condition is not met. It needs no privilege and looks
-- at nothing. Everyone may execute it, so that whoever restores a dump of his own tables gets their guards.
CREATE FUNCTION third_party_auth.refuse_truncate() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    RAISE EXCEPTION USING
        ERRCODE = 'insufficient_privilege',
        MESSAGE = format('truncating table %s needs a verified token', TG_RELID::regclass),
        HINT = 'third_party_auth.explain() says what is wrong with the token of this request. Maintenance runs as a role that row level security does not bind, or that the guard exempts.';
END
$$;
COMMENT ON FUNCTION third_party_auth.refuse_truncate() IS
    'Trigger function of guarded tables';

-- Refuses arguments that make no guard.
CREATE FUNCTION third_party_auth.guard_check_arguments(
    providers text[], allow_anonymous boolean, rls_off text, force boolean, exempt_roles name[]
) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET quote_all_identifiers = off SET standard_conforming_strings = on
    AS $$
DECLARE
    unknown text;
BEGIN
    -- Guards are found by a look at what others have committed.
    IF current_setting('transaction_isolation') NOT IN ('read committed', 'read uncommitted') THEN
        RAISE EXCEPTION USING
            ERRCODE = 'feature_not_supported',
            MESSAGE = 'guards are not set in a transaction that is ' || current_setting('transaction_isolation'),
            HINT = 'It does not see the tables that others make meanwhile. Use READ COMMITTED.';
    END IF;
    IF array_ndims(providers) > 1 OR cardinality(providers) = 0 OR array_position(providers, NULL) IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = 'providers is no list of names',
            DETAIL = 'argument=providers',
            HINT = 'Name one provider or more, or leave it out (NULL) to accept the tokens of every provider.';
    END IF;
    SELECT string_agg(quote_literal(p), ', ' ORDER BY position) INTO unknown
    FROM unnest(providers) WITH ORDINALITY AS u (p, position)
    WHERE NOT EXISTS (SELECT FROM third_party_auth.provider r WHERE r.name = p);
    IF unknown IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'undefined_object',
            MESSAGE = 'no provider is registered as ' || unknown,
            DETAIL = 'argument=providers',
            HINT = 'The names are those in third_party_auth.status; register it first.';
    END IF;
    IF allow_anonymous IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'allow_anonymous is NULL',
            DETAIL = 'argument=allow_anonymous', HINT = 'Say true or false.';
    END IF;
    IF force IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'force is NULL',
            DETAIL = 'argument=force', HINT = 'Say true or false.';
    END IF;
    IF rls_off IS NULL OR rls_off NOT IN ('refuse', 'open', 'closed') THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = 'rls_off is ' || coalesce(quote_literal(rls_off), 'NULL'),
            DETAIL = 'argument=rls_off',
            HINT = 'It says what becomes of a table whose row level security is off: refuse, open (whoever has a token sees every row) or closed (nobody sees anything until a permissive policy says so).';
    END IF;
    IF exempt_roles IS NULL OR array_ndims(exempt_roles) > 1 OR array_position(exempt_roles, NULL) IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = 'exempt_roles is no list of names',
            DETAIL = 'argument=exempt_roles',
            HINT = 'Name roles, or leave it out to exempt nobody.';
    END IF;
    SELECT string_agg(quote_literal(r), ', ' ORDER BY position) INTO unknown
    FROM unnest(exempt_roles) WITH ORDINALITY AS u (r, position)
    WHERE NOT EXISTS (SELECT FROM pg_roles o WHERE o.rolname = r);
    IF unknown IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'undefined_object',
            MESSAGE = 'no role is called ' || unknown,
            DETAIL = 'argument=exempt_roles',
            HINT = 'Names are written without double quotes, and as they are in pg_roles.';
    END IF;
END
$$;
COMMENT ON FUNCTION third_party_auth.guard_check_arguments(text[], boolean, text, boolean, name[]) IS
    'Raises 22023 or 42704 for arguments that make no guard';

-- Refuses what cannot be guarded.
CREATE FUNCTION third_party_auth.guard_check_table(target regclass) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET quote_all_identifiers = off SET standard_conforming_strings = on
    AS $$
DECLARE
    relation record;
    what text;
    hint text;
BEGIN
    SELECT c.relkind, c.relpersistence, n.nspname INTO relation
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = target;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING
            ERRCODE = CASE WHEN target IS NULL THEN 'invalid_parameter_value' ELSE 'undefined_table' END,
            MESSAGE = CASE WHEN target IS NULL THEN 'target is NULL' ELSE format('no table has the OID %s', target::oid) END,
            DETAIL = 'argument=target',
            HINT = 'Name a table.';
    END IF;
    CASE
        WHEN relation.relkind = 'v' THEN
            what := 'a view';
            hint := 'Guard the tables that it reads, and make it WITH (security_invoker = true).';
        WHEN relation.relkind = 'm' THEN
            what := 'a materialized view';
            hint := 'It holds copies, which no policy guards: grant it to nobody who may not read all of it.';
        WHEN relation.relkind = 'f' THEN
            what := 'a foreign table';
            hint := 'Row level security does not reach it. Guard the table that it reads, where it is.';
        WHEN relation.relkind NOT IN ('r', 'p') THEN
            what := 'not a table';
            hint := 'Name a table.';
        WHEN relation.relpersistence = 't' THEN
            what := 'a temporary table';
            hint := 'Nobody but its own session sees it.';
        WHEN relation.nspname = 'third_party_auth' THEN
            what := 'a table of pg_third_party_auth itself';
            hint := 'Nobody but its owner, and whom the owner grants, can read it.';
        WHEN relation.nspname LIKE 'pg\_%' OR relation.nspname = 'information_schema' THEN
            what := 'a system table';
            hint := 'Privileges guard it, not policies.';
        ELSE
            RETURN;
    END CASE;
    RAISE EXCEPTION USING
        ERRCODE = 'wrong_object_type',
        MESSAGE = format('%s cannot be guarded: it is %s', target, what),
        DETAIL = 'argument=target',
        HINT = hint;
END
$$;
COMMENT ON FUNCTION third_party_auth.guard_check_table(regclass) IS
    'Raises 42809 for what cannot be guarded';

-- Refuses to touch tables of others, and names who must do it.
CREATE FUNCTION third_party_auth.guard_check_owners(relations oid[]) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET quote_all_identifiers = off SET standard_conforming_strings = on
    AS $$
DECLARE
    foreign_tables text;
    owners text;
BEGIN
    SELECT string_agg(c.oid::regclass::text, ', ' ORDER BY n.nspname, c.relname),
           string_agg(DISTINCT quote_ident(r.rolname), ', ')
    INTO foreign_tables, owners
    FROM unnest(relations) AS u (relation)
    JOIN pg_class c ON c.oid = u.relation JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_roles r ON r.oid = c.relowner
    WHERE NOT pg_has_role(c.relowner, 'USAGE');
    IF foreign_tables IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'insufficient_privilege',
            MESSAGE = format('%I does not own %s', current_user, foreign_tables),
            DETAIL = 'owner=' || owners,
            HINT = format('Run it as a superuser, or as the owner (SET ROLE %s), who then needs the privileges that the documentation of guards lists.', owners);
    END IF;
END
$$;
COMMENT ON FUNCTION third_party_auth.guard_check_owners(oid[]) IS
    'Raises 42501 with the name of the role that may change these tables';

-- Refuses tables whose row level security is off: they would be closed to everyone, or open as before,
-- and only the caller knows which is right.
CREATE FUNCTION third_party_auth.guard_check_rls(relations oid[], rls_off text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET quote_all_identifiers = off SET standard_conforming_strings = on
    AS $$
DECLARE
    off text;
BEGIN
    SELECT string_agg(c.oid::regclass::text, ', ' ORDER BY n.nspname, c.relname) INTO off
    FROM unnest(relations) AS u (relation)
    JOIN pg_class c ON c.oid = u.relation JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE NOT c.relrowsecurity;
    IF off IS NULL THEN
        RETURN;
    END IF;
    IF rls_off = 'refuse' THEN
        RAISE EXCEPTION USING
            ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = 'row level security is off: ' || off,
            HINT = 'ALTER TABLE … ENABLE ROW LEVEL SECURITY and write their policies first; or say what becomes of them: rls_off => ''open'' (whoever has a token sees every row) or rls_off => ''closed'' (nobody sees anything until a permissive policy says so).';
    ELSIF rls_off = 'open' THEN
        RAISE NOTICE USING
            MESSAGE = 'whoever has a token sees every row: ' || off,
            HINT = format('Permissive policies are ORed: those that you add later narrow nothing until you DROP POLICY %I.', third_party_auth.guard_open_name());
    END IF;
END
$$;
COMMENT ON FUNCTION third_party_auth.guard_check_rls(oid[], text) IS
    'Raises 55000 for tables whose row level security is off, unless rls_off says what becomes of them';

-- Refuses schemas that cannot be guarded; else its name.
CREATE FUNCTION third_party_auth.guard_check_schema(target regnamespace) RETURNS name
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET quote_all_identifiers = off SET standard_conforming_strings = on
    AS $$
DECLARE
    schema record;
BEGIN
    SELECT n.nspname, n.nspowner, r.rolname INTO schema
    FROM pg_namespace n JOIN pg_roles r ON r.oid = n.nspowner WHERE n.oid = target;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING
            ERRCODE = CASE WHEN target IS NULL THEN 'invalid_parameter_value' ELSE 'undefined_schema' END,
            MESSAGE = CASE WHEN target IS NULL THEN 'target is NULL' ELSE format('no schema has the OID %s', target::oid) END,
            DETAIL = 'argument=target',
            HINT = 'Name a schema.';
    END IF;
    IF schema.nspname LIKE 'pg\_%' OR schema.nspname IN ('information_schema', 'third_party_auth') THEN
        RAISE EXCEPTION USING
            ERRCODE = 'wrong_object_type',
            MESSAGE = format('schema %I cannot be guarded', schema.nspname),
            DETAIL = 'argument=target',
            HINT = 'Privileges guard what PostgreSQL and this extension keep there.';
    END IF;
    -- Its tables of later are guarded too, whoever makes them.
    IF NOT pg_has_role(schema.nspowner, 'USAGE') THEN
        RAISE EXCEPTION USING
            ERRCODE = 'insufficient_privilege',
            MESSAGE = format('%I does not own schema %I', current_user, schema.nspname),
            DETAIL = 'owner=' || quote_ident(schema.rolname),
            HINT = format('Run it as a superuser, or as the owner (SET ROLE %I), who then needs the privileges that the documentation of guards lists.', schema.rolname);
    END IF;
    RETURN schema.nspname;
END
$$;
COMMENT ON FUNCTION third_party_auth.guard_check_schema(regnamespace) IS
    'Raises 42809 or 42501 for schemas that the caller cannot guard';

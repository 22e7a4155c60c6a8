-- What is guarded, and what is open in spite of it.

-- The statement that makes a guard again.
CREATE FUNCTION third_party_auth.guard_call(g third_party_auth.guard) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET quote_all_identifiers = off SET standard_conforming_strings = on
    AS $$
    SELECT format(
        'SELECT * FROM third_party_auth.guard_%s(%L%s%s%s%s%s)',
        CASE WHEN g.table_name = '' THEN 'schema' ELSE 'table' END,
        CASE WHEN g.table_name = '' THEN quote_ident(g.schema_name)
             ELSE format('%I.%I', g.schema_name, g.table_name) END,
        ', providers => ' || quote_literal(g.providers::text),
        CASE WHEN g.allow_anonymous THEN ', allow_anonymous => true' END,
        CASE WHEN g.rls_off <> 'refuse' THEN ', rls_off => ' || quote_literal(g.rls_off) END,
        CASE WHEN g.force THEN ', force => true' END,
        CASE WHEN g.exempt_roles <> '{}' THEN ', exempt_roles => ' || quote_literal(g.exempt_roles::text) END)
    $$;
COMMENT ON FUNCTION third_party_auth.guard_call(third_party_auth.guard) IS
    'The call of guard_table() or guard_schema() that makes this guard';

-- The statement that guards a table again: what is guarded because of something else is guarded there.
CREATE FUNCTION third_party_auth.guard_again(target oid, kept third_party_auth.guard) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET quote_all_identifiers = off SET standard_conforming_strings = on
    AS $$
    SELECT CASE
        WHEN kept IS NULL THEN format('SELECT * FROM third_party_auth.guard_table(%L)', target::regclass)
        WHEN kept.origin = 'table' THEN third_party_auth.guard_call(kept)
        ELSE coalesce((SELECT third_party_auth.guard_call(r) FROM third_party_auth.guard_rule(target) r),
                      third_party_auth.guard_call(kept))
    END
    $$;
COMMENT ON FUNCTION third_party_auth.guard_again(oid, third_party_auth.guard) IS
    'The call that makes the guard of this table what it was';

-- The tables that are guarded, by their rows or by their policies, and the condition that belongs there.
CREATE FUNCTION third_party_auth.guard_tables() RETURNS TABLE (
    relation oid, schema_name name, table_name name, owner oid, rls_on boolean, forced boolean,
    kept third_party_auth.guard, condition text
)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    AS $$
    SELECT c.oid, n.nspname, c.relname, c.relowner, c.relrowsecurity, c.relforcerowsecurity, g,
           CASE WHEN g.origin IS NOT NULL
                THEN third_party_auth.guard_condition(g.providers, g.allow_anonymous, g.exempt_roles) END
    FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN third_party_auth.guard g
        ON g.schema_name = n.nspname AND g.table_name = c.relname AND g.origin <> 'none'
    WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't'
      AND (g.origin IS NOT NULL
           OR c.oid IN (SELECT p.polrelid FROM pg_policy p WHERE p.polname = third_party_auth.guard_name()))
    $$;
COMMENT ON FUNCTION third_party_auth.guard_tables() IS
    'Every guarded table and how it is guarded';

-- Changes of a guard itself.
CREATE FUNCTION third_party_auth.guard_alterations()
    RETURNS TABLE (relation oid, state text, problem text, advice text)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET quote_all_identifiers = off SET standard_conforming_strings = on
    AS $$
    SELECT t.relation, found.state, found.problem, coalesce(found.advice, third_party_auth.guard_again(t.relation, t.kept))
    FROM third_party_auth.guard_tables() t
    LEFT JOIN pg_policy p ON p.polrelid = t.relation AND p.polname = third_party_auth.guard_name()
    LEFT JOIN pg_policy o ON o.polrelid = t.relation AND o.polname = third_party_auth.guard_open_name()
    LEFT JOIN pg_trigger g ON g.tgrelid = t.relation AND g.tgname = third_party_auth.guard_name(),
    LATERAL (VALUES
        (NOT t.rls_on, 'open', 'row level security is off',
         format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', t.relation::regclass)),
        (t.kept IS NULL, 'altered', 'the policy is there, but nothing is known about it: a dump without data has lost '
            'the list of guards, and with it the guarded schemas', third_party_auth.guard_again(t.relation, NULL) || ' (or guard_schema())'),
        (p.oid IS NULL, 'altered', 'the policy is missing', NULL),
        (p.polpermissive, 'altered', 'the policy is permissive: it opens instead of closing', NULL),
        (p.polcmd <> '*', 'altered', 'the policy is not for all commands', NULL),
        (p.polroles <> '{0}', 'altered', 'the policy is not for all roles', NULL),
        (p.oid IS NOT NULL AND t.condition <> coalesce(pg_get_expr(p.polqual, p.polrelid), ''),
         'altered', 'the policy asks something else (USING)', NULL),
        (p.oid IS NOT NULL AND t.condition <> coalesce(pg_get_expr(p.polwithcheck, p.polrelid), ''),
         'altered', 'the policy asks something else (WITH CHECK)', NULL),
        (g.oid IS NULL, 'altered', 'the TRUNCATE trigger is missing', NULL),
        (g.tgenabled <> 'A', 'altered', 'the TRUNCATE trigger does not always fire', NULL),
        (t.condition IS NOT NULL AND pg_get_triggerdef(g.oid) <> third_party_auth.guard_trigger(t.relation, t.condition),
         'altered', 'the TRUNCATE trigger asks something else', NULL),
        ((t.kept).force AND NOT t.forced, 'altered', 'row level security is not forced any more', NULL),
        (o.oid IS NOT NULL AND NOT coalesce((t.kept).opened, false), 'altered',
         'a permissive policy of rls_off => ''open'' is there, and no guard asks for it: whoever has a token sees every row',
         'DROP POLICY ' || quote_ident(o.polname) || ' ON ' || t.relation::regclass)
    ) AS found (holds, state, problem, advice)
    WHERE found.holds
    $$;
COMMENT ON FUNCTION third_party_auth.guard_alterations() IS
    'What was changed about guards after they were made';

-- Ways around guards that are as they were made.
CREATE FUNCTION third_party_auth.guard_detours()
    RETURNS TABLE (relation oid, state text, problem text, advice text)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET quote_all_identifiers = off SET standard_conforming_strings = on
    AS $$
    WITH RECURSIVE guarded AS (
        SELECT * FROM third_party_auth.guard_tables()
    ), rewritten AS (
        -- What views and rules read and write, and whether they do so as whoever asks them.
        SELECT DISTINCT w.ev_class AS reader, d.refobjid AS relation,
               EXISTS (SELECT FROM pg_options_to_table(v.reloptions)
                       WHERE option_name = 'security_invoker' AND option_value::boolean) AS is_invoker
        FROM pg_depend d JOIN pg_rewrite w ON w.oid = d.objid JOIN pg_class v ON v.oid = w.ev_class
        WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass
          AND (w.rulename <> '_RETURN' OR w.ev_class <> d.refobjid)
    ), reader (relation, reader, is_invoker, as_asker) AS (
        -- Also through views; as_asker: the table is read as whoever reads the reader, or as its owner.
        SELECT r.relation, r.reader, r.is_invoker, true
        FROM rewritten r WHERE r.relation IN (SELECT g.relation FROM guarded g)
        UNION
        SELECT b.relation, r.reader, r.is_invoker, b.as_asker AND b.is_invoker
        FROM reader b JOIN rewritten r ON r.relation = b.reader AND r.reader <> b.reader
    )
    -- Whoever has the owner's rights. Superusers are not named: nothing binds them.
    SELECT t.relation, 'open',
           'row level security does not bind the owner, and these roles can log in as it: ' || logins.names,
           CASE WHEN o.rolbypassrls THEN 'Let nobody log in as it whom you do not trust: it has BYPASSRLS'
                ELSE 'Guard it with force => true, or let nobody log in as it whom you do not trust' END
    FROM guarded t JOIN pg_roles o ON o.oid = t.owner,
    LATERAL (SELECT string_agg(quote_ident(r.rolname), ', ' ORDER BY r.rolname COLLATE "C") FROM pg_roles r
             WHERE r.rolcanlogin AND NOT r.rolsuper AND pg_has_role(r.oid, t.owner, 'MEMBER')) AS logins (names)
    WHERE NOT t.forced AND logins.names IS NOT NULL
    UNION ALL
    SELECT t.relation, 'open',
           'BYPASSRLS: row level security does not bind ' || logins.names,
           'ALTER ROLE … NOBYPASSRLS, or let nobody log in as such a role. Where a gateway switches to it '
           'because a token says so, check_request() stops tokens that may not have it.'
    FROM guarded t,
    LATERAL (SELECT string_agg(quote_ident(r.rolname) || CASE WHEN b.oid <> r.oid THEN ' (as ' || quote_ident(b.rolname) || ')' ELSE '' END,
                               ', ' ORDER BY r.rolname COLLATE "C", b.rolname COLLATE "C")
             FROM pg_roles b JOIN pg_roles r ON pg_has_role(r.oid, b.oid, 'MEMBER')
             WHERE b.rolbypassrls AND NOT b.rolsuper AND r.rolcanlogin AND NOT r.rolsuper
               AND has_table_privilege(b.oid, t.relation, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE')) AS logins (names)
    WHERE logins.names IS NOT NULL
    UNION ALL
    -- What policies do not decide.
    SELECT t.relation, 'open',
           g.privilege_type || ' is granted to ' || string_agg(g.who, ', ' ORDER BY g.who COLLATE "C") || CASE g.privilege_type
               WHEN 'TRUNCATE' THEN ': policies do not bind it, only the trigger does'
               WHEN 'TRIGGER' THEN ': their triggers run in the sessions of those who have a token'
               ELSE ': a foreign key finds out which values are there' END,
           format('REVOKE %s ON %s FROM %s', g.privilege_type, t.relation::regclass, string_agg(g.who, ', ' ORDER BY g.who COLLATE "C"))
    FROM guarded t,
    LATERAL (
        SELECT DISTINCT a.privilege_type, CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END AS who
        FROM (SELECT c.relacl FROM pg_class c WHERE c.oid = t.relation
              UNION ALL
              SELECT a.attacl FROM pg_attribute a WHERE a.attrelid = t.relation AND a.attnum > 0 AND NOT a.attisdropped) AS acls (acl),
             aclexplode(acls.acl) AS a
        LEFT JOIN pg_roles r ON r.oid = a.grantee
        -- Whom row level security does not bind is named above.
        WHERE a.privilege_type IN ('TRUNCATE', 'TRIGGER', 'REFERENCES') AND a.grantee <> t.owner
          AND NOT coalesce(r.rolsuper OR r.rolbypassrls OR pg_has_role(r.oid, t.owner, 'USAGE'), false)
    ) AS g
    GROUP BY t.relation, g.privilege_type
    UNION ALL
    -- Views and rules read as their owners, whom row level security may not bind.
    SELECT DISTINCT t.relation, 'open',
           CASE v.relkind
               WHEN 'm' THEN format('materialized view %s holds copies of its rows, which no policy guards', v.oid::regclass)
               WHEN 'v' THEN format('view %s reads it as %I, whom row level security does not bind', v.oid::regclass, o.rolname)
               ELSE format('a rule on %s uses it as %I, whom row level security does not bind', v.oid::regclass, o.rolname) END,
           CASE v.relkind
               WHEN 'm' THEN format('REVOKE ALL ON %s FROM whoever may not read all of it', v.oid::regclass)
               WHEN 'v' THEN format('ALTER VIEW %s SET (security_invoker = true)', v.oid::regclass)
               ELSE format('Drop the rule, or let %s belong to a role that row level security binds', v.oid::regclass) END
    FROM guarded t
    JOIN reader ON reader.relation = t.relation
    JOIN pg_class v ON v.oid = reader.reader
    JOIN pg_roles o ON o.oid = v.relowner
    WHERE v.relkind = 'm'
       OR reader.as_asker AND NOT reader.is_invoker
          AND (o.rolsuper OR o.rolbypassrls OR pg_has_role(o.oid, t.owner, 'USAGE') AND NOT t.forced)
    UNION ALL
    -- Sequences have no policies.
    SELECT t.relation, 'open',
           format('sequence %s: %s granted to %s tell how many rows there are, or make inserts fail', s.oid::regclass,
                  string_agg(DISTINCT a.privilege_type, ' and ' ORDER BY a.privilege_type),
                  string_agg(DISTINCT a.who, ', ' ORDER BY a.who)),
           format('REVOKE SELECT, UPDATE ON SEQUENCE %s FROM %s', s.oid::regclass, string_agg(DISTINCT a.who, ', ' ORDER BY a.who))
    FROM guarded t
    JOIN pg_depend d ON d.refobjid = t.relation AND d.refclassid = 'pg_class'::regclass
        AND d.classid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
    JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S',
    LATERAL (SELECT a.privilege_type, CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END
             FROM aclexplode(s.relacl) AS a LEFT JOIN pg_roles r ON r.oid = a.grantee
             WHERE a.privilege_type IN ('SELECT', 'UPDATE') AND a.grantee <> s.relowner
               AND NOT coalesce(r.rolsuper OR r.rolbypassrls OR pg_has_role(r.oid, t.owner, 'USAGE'), false)
            ) AS a (privilege_type, who)
    GROUP BY t.relation, s.oid
    UNION ALL
    -- A parent shows the rows of its children by its own policies.
    SELECT t.relation, 'open',
           format('%s, which it belongs to, shows its rows and is not guarded', i.inhparent::regclass),
           format('SELECT * FROM third_party_auth.guard_table(%L)', i.inhparent::regclass)
    FROM guarded t JOIN pg_inherits i ON i.inhrelid = t.relation
    WHERE i.inhparent NOT IN (SELECT g.relation FROM guarded g)
    UNION ALL
    SELECT t.relation, 'open',
           format('subscription %I writes to it, whatever tokens there are', s.subname),
           'Let nobody but those whom you trust change the publisher''s rows'
    FROM guarded t JOIN pg_subscription_rel r ON r.srrelid = t.relation JOIN pg_subscription s ON s.oid = r.srsubid
    UNION ALL
    -- Guards that keep out those who should get in.
    SELECT t.relation, 'closed', format('provider %s, which it asks for, is not registered', quote_literal(p)),
           'Register it under this name (third_party_auth.add_…), or guard the table with other providers'
    FROM guarded t, unnest((t.kept).providers) AS p
    WHERE NOT EXISTS (SELECT FROM third_party_auth.provider r WHERE r.name = p)
    UNION ALL
    SELECT t.relation, 'closed', format('role %I, which it exempts, does not exist: requests without a token fail', r),
           'Guard the table with other exempt_roles'
    FROM guarded t, unnest((t.kept).exempt_roles) AS r
    WHERE NOT EXISTS (SELECT FROM pg_roles o WHERE o.rolname = r)
    UNION ALL
    SELECT t.relation, 'closed',
           'Realtime gives SQL no token, and third_party_auth.gateway_roles is empty: nobody gets in',
           'ALTER SYSTEM SET third_party_auth.gateway_roles = the role that Realtime logs in as, and pg_reload_conf()'
    FROM guarded t
    WHERE t.schema_name = 'realtime'
      AND coalesce(current_setting('third_party_auth.gateway_roles', true), '') = ''
    $$;
COMMENT ON FUNCTION third_party_auth.guard_detours() IS
    'Ways around guards, and guards that let nobody in';

-- What lies beside the guards: tables of guarded schemas and descendants of guarded tables.
CREATE FUNCTION third_party_auth.guard_gaps()
    RETURNS TABLE (relation oid, state text, problem text, advice text)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET quote_all_identifiers = off SET standard_conforming_strings = on
    AS $$
    WITH guarded AS MATERIALIZED (SELECT t.relation FROM third_party_auth.guard_tables() t)
    SELECT c.oid, 'open',
           CASE WHEN c.relkind = 'f' THEN 'a foreign table cannot be guarded' ELSE 'not guarded' END
           || CASE r.table_name WHEN '' THEN ', and its schema is'
              ELSE format(', and %I.%I, which it belongs to, is', r.schema_name, r.table_name) END,
           CASE WHEN c.relkind = 'f' THEN format('Guard the table that it reads, or REVOKE ALL ON %s FROM whoever may not read all of it', c.oid::regclass)
                ELSE format('SELECT * FROM third_party_auth.guard_table(%L)', format('%I.%I', n.nspname, c.relname)) END
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace,
    LATERAL (SELECT * FROM third_party_auth.guard_rule(c.oid)) AS r
    WHERE c.relkind IN ('r', 'p', 'f') AND c.relpersistence <> 't'
      AND c.oid NOT IN (SELECT g.relation FROM guarded g)
      -- Only those that some guard could be about: the trees of all tables are not climbed.
      AND (n.nspname IN (SELECT g.schema_name FROM third_party_auth.guard g WHERE g.table_name = '')
           OR EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = c.oid))
    $$;
COMMENT ON FUNCTION third_party_auth.guard_gaps() IS
    'Tables without a guard where one belongs';

CREATE FUNCTION third_party_auth.guard_report()
    RETURNS TABLE (schema text, "table" text, state text, problem text, advice text)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET quote_all_identifiers = off SET standard_conforming_strings = on
    AS $$
    WITH found AS (
        SELECT * FROM third_party_auth.guard_alterations()
        UNION ALL SELECT * FROM third_party_auth.guard_detours()
        UNION ALL SELECT * FROM third_party_auth.guard_gaps()
    ), named AS (
        SELECT n.nspname::text AS schema, c.relname::text AS "table", f.state, f.problem, f.advice
        FROM found f JOIN pg_class c ON c.oid = f.relation JOIN pg_namespace n ON n.oid = c.relnamespace
        UNION ALL
        SELECT t.schema_name, t.table_name, 'guarded', NULL, NULL
        FROM third_party_auth.guard_tables() t
        WHERE NOT EXISTS (SELECT FROM found f WHERE f.relation = t.relation)
        UNION ALL
        -- What concerns the database has no schema.
        SELECT NULL, NULL, 'open', 'event trigger ' || quote_ident(w.name) || ' is switched off: ' || w.purpose,
               'ALTER EVENT TRIGGER ' || quote_ident(w.name) || ' ENABLE ALWAYS'
        FROM (VALUES
            ('third_party_auth_guard', 'new tables are not guarded'),
            ('third_party_auth_guard_yield', 'new tables stay open although they have policies of their own'),
            ('third_party_auth_guard_rename', 'schemas that are renamed are lost sight of'),
            ('third_party_auth_guard_drop', 'tables that are gone stay on the list'),
            ('third_party_auth_guard_trigger', 'the privilege TRIGGER is enough to put the guard''s aside')) AS w (name, purpose)
        WHERE EXISTS (SELECT FROM third_party_auth.guard)
          AND NOT EXISTS (SELECT FROM pg_event_trigger e WHERE e.evtname = w.name AND e.evtenabled = 'A')
        UNION ALL
        SELECT NULL, NULL, 'altered',
               format('schema %I is on the list of guards and does not exist: the next one of that name will be guarded', g.schema_name),
               format('If it shall not: DELETE FROM third_party_auth.guard WHERE schema_name = %L', g.schema_name)
        FROM third_party_auth.guard g
        WHERE g.table_name = '' AND NOT EXISTS (SELECT FROM pg_namespace n WHERE n.nspname = g.schema_name)
    )
    SELECT * FROM named s
    ORDER BY s.schema COLLATE "C" NULLS FIRST, s."table" COLLATE "C", s.problem COLLATE "C"
    $$;
COMMENT ON FUNCTION third_party_auth.guard_report() IS
    'The rows of guard_status, for those who may not read what they are made of';

CREATE VIEW third_party_auth.guard_status AS SELECT * FROM third_party_auth.guard_report();
COMMENT ON VIEW third_party_auth.guard_status IS
    'Every guarded table; one row for each problem, or one without a problem, whose state is guarded';

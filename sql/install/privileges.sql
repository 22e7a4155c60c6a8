-- Nobody but the owner, and whom the owner grants, can add or change what is trusted. Default privileges
-- of the installing role are stripped too, wherever they would widen this.

-- The script runs as a superuser while the target schema is in the search path: nothing that somebody
-- put there may be taken for one of PostgreSQL's own functions or operators.
DO $do$
DECLARE
    granted record;
    path constant text := pg_catalog.current_setting('search_path');
BEGIN
    PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    FOR granted IN
        SELECT format('FUNCTION %s', p.oid::regprocedure) AS object, a.grantee
        FROM pg_catalog.pg_depend d
        JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid AND e.extname = 'pg_third_party_auth'
        JOIN pg_catalog.pg_proc p ON p.oid = d.objid AND d.classid = 'pg_catalog.pg_proc'::regclass,
        pg_catalog.aclexplode(p.proacl) a
        WHERE d.deptype = 'e' AND a.grantee NOT IN (0, p.proowner)
        UNION
        SELECT format('TABLE %s', c.oid::regclass), a.grantee
        FROM pg_catalog.pg_class c
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace AND n.nspname = 'third_party_auth',
        pg_catalog.aclexplode(c.relacl) a
        WHERE c.relkind IN ('r', 'v') AND a.grantee NOT IN (0, c.relowner)
        UNION
        SELECT format('SCHEMA %I', n.nspname), a.grantee
        FROM pg_catalog.pg_namespace n, pg_catalog.aclexplode(n.nspacl) a
        WHERE n.nspname = 'third_party_auth' AND a.grantee NOT IN (0, n.nspowner)
    LOOP
        EXECUTE format('REVOKE ALL ON %s FROM %s', granted.object, granted.grantee::regrole);
    END LOOP;
    PERFORM pg_catalog.set_config('search_path', path, true);
END
$do$;

REVOKE ALL ON SCHEMA third_party_auth FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA third_party_auth FROM PUBLIC;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA third_party_auth FROM PUBLIC;

-- Everyone may ask why the own request is refused, and has to be able to pass what stops requests.
GRANT USAGE ON SCHEMA third_party_auth TO PUBLIC;
GRANT EXECUTE ON FUNCTION third_party_auth.explain(), third_party_auth.check_request(),
    third_party_auth.authenticate(text), third_party_auth.is_anonymous_request(),
    third_party_auth.refuse_truncate() TO PUBLIC;

-- pg_monitor reads the views, and so runs what they are made of.
GRANT SELECT ON third_party_auth.status, third_party_auth.signing_key, third_party_auth.worker,
    third_party_auth.stats, third_party_auth.guard_status TO pg_monitor;
GRANT EXECUTE ON FUNCTION third_party_auth.provider_status(), third_party_auth.known_keys(),
    third_party_auth.worker_status(), third_party_auth.decision_stats(), third_party_auth.guard_report() TO pg_monitor;

-- Policies run as whoever asks. (@extschema@ may be any schema.)
GRANT EXECUTE ON FUNCTION
    third_party_jwt(), is_third_party_jwt(), is_third_party_jwt(text),
    is_supabase_or_firebase_project_jwt(), jwt_provider(), jwt_issuer(), jwt_subject(),
    jwt_subject(text), jwt_role(), jwt_session_id(), jwt_has_audience(text), jwt_org_id(),
    jwt_org_id(text), jwt_org_role(), jwt_has_org_role(text), jwt_has_org_role(text, text),
    jwt_has_scope(text), jwt_has_org_permission(text), jwt_has_org_permission(text, text),
    jwt_authenticated_within(interval), jwt_email_verified(),
    jwt_second_factor_verified(), jwt_second_factor_verified(interval), jwt_reverified(text),
    verify_third_party_jwt(text, text, text)
TO PUBLIC;

DO $do$
BEGIN
    IF NOT EXISTS (SELECT FROM third_party_auth.worker) THEN
        RAISE WARNING USING
            MESSAGE = 'pg_third_party_auth is not preloaded: keys are not fetched, and policies cost more per row',
            HINT = 'Add pg_third_party_auth to shared_preload_libraries in postgresql.conf and restart. Until then use pinned keys (jwks =>).';
    END IF;
END
$do$;

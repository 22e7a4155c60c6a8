-- From 0.1.0 to 0.2.0: what was decided is counted, the worker says more and restarts on request, and the planner
-- knows what policies let through.

-- The columns of the view have changed, and a function that answers others has another name.
DROP VIEW third_party_auth.worker;
DROP FUNCTION third_party_auth.worker_status();
CREATE FUNCTION third_party_auth.fetcher_status() RETURNS TABLE (
    pid int, started_at timestamptz, heartbeat_age double precision, restarts int, safe_mode boolean,
    providers int, keys int, waiters int, missing_slot boolean
)
    STRICT VOLATILE PARALLEL RESTRICTED LANGUAGE c AS 'MODULE_PATHNAME', 'fetcher_status_wrapper';
CREATE VIEW third_party_auth.worker AS SELECT * FROM third_party_auth.fetcher_status();
COMMENT ON VIEW third_party_auth.worker IS
    'The fetcher; no row when the library is not preloaded';
CREATE FUNCTION third_party_auth.restart_worker() RETURNS boolean
    LANGUAGE c AS 'MODULE_PATHNAME', 'third_party_auth_restart_worker';
COMMENT ON FUNCTION third_party_auth.restart_worker() IS
    'The fetcher ends and comes back, and a safe mode ends; false when it does not run just now';

CREATE FUNCTION third_party_auth.decision_stats()
    RETURNS TABLE (provider text, outcome text, reason text, count bigint)
    STRICT VOLATILE PARALLEL RESTRICTED LANGUAGE c AS 'MODULE_PATHNAME', 'decision_stats_wrapper';
CREATE VIEW third_party_auth.stats AS SELECT * FROM third_party_auth.decision_stats();
COMMENT ON VIEW third_party_auth.stats IS
    'What was decided about tokens in this database since the start or reset_stats(); when the library is not preloaded, in this session';
CREATE FUNCTION third_party_auth.reset_stats() RETURNS void
    LANGUAGE c AS 'MODULE_PATHNAME', 'third_party_auth_reset_stats';

CREATE FUNCTION third_party_auth.condition_support(internal) RETURNS internal
    STRICT IMMUTABLE PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'third_party_auth_condition_support';
COMMENT ON FUNCTION third_party_auth.condition_support(internal) IS
    'Called by the planner alone';
ALTER FUNCTION @extschema@.is_third_party_jwt()
    SUPPORT third_party_auth.condition_support;
ALTER FUNCTION @extschema@.is_third_party_jwt(text)
    SUPPORT third_party_auth.condition_support;
ALTER FUNCTION @extschema@.is_supabase_or_firebase_project_jwt()
    SUPPORT third_party_auth.condition_support;
ALTER FUNCTION @extschema@.jwt_has_audience(text)
    SUPPORT third_party_auth.condition_support;
ALTER FUNCTION @extschema@.jwt_has_org_role(text)
    SUPPORT third_party_auth.condition_support;
ALTER FUNCTION @extschema@.jwt_second_factor_verified()
    SUPPORT third_party_auth.condition_support;
ALTER FUNCTION @extschema@.jwt_second_factor_verified(interval)
    SUPPORT third_party_auth.condition_support;
ALTER FUNCTION @extschema@.jwt_reverified(text)
    SUPPORT third_party_auth.condition_support;
ALTER FUNCTION @extschema@.jwt_has_scope(text)
    SUPPORT third_party_auth.condition_support;
ALTER FUNCTION @extschema@.jwt_has_org_permission(text)
    SUPPORT third_party_auth.condition_support;
ALTER FUNCTION @extschema@.jwt_authenticated_within(interval)
    SUPPORT third_party_auth.condition_support;
ALTER FUNCTION @extschema@.jwt_email_verified()
    SUPPORT third_party_auth.condition_support;

-- Default privileges of whoever upgrades must not widen what is for the owner.
DO $do$
DECLARE
    granted record;
    path constant text := pg_catalog.current_setting('search_path');
BEGIN
    PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    FOR granted IN
        SELECT DISTINCT format('FUNCTION %s', p.oid::regprocedure) AS object, a.grantee
        FROM pg_catalog.pg_proc p, pg_catalog.aclexplode(p.proacl) a
        WHERE p.pronamespace = 'third_party_auth'::regnamespace AND a.grantee NOT IN (0, p.proowner)
          AND p.proname IN ('condition_support', 'fetcher_status', 'restart_worker', 'decision_stats',
                            'reset_stats')
        UNION
        SELECT DISTINCT format('TABLE %s', c.oid::regclass), a.grantee
        FROM pg_catalog.pg_class c, pg_catalog.aclexplode(c.relacl) a
        WHERE c.relnamespace = 'third_party_auth'::regnamespace AND a.grantee NOT IN (0, c.relowner)
          AND c.relname IN ('worker', 'stats')
    LOOP
        EXECUTE format('REVOKE ALL ON %s FROM %s', granted.object, granted.grantee::regrole);
    END LOOP;
    PERFORM pg_catalog.set_config('search_path', path, true);
END
$do$;
REVOKE ALL ON FUNCTION third_party_auth.condition_support(internal), third_party_auth.fetcher_status(),
    third_party_auth.restart_worker(), third_party_auth.decision_stats(), third_party_auth.reset_stats()
    FROM PUBLIC;
REVOKE ALL ON third_party_auth.worker, third_party_auth.stats FROM PUBLIC;
GRANT SELECT ON third_party_auth.worker, third_party_auth.stats TO pg_monitor;
GRANT EXECUTE ON FUNCTION third_party_auth.fetcher_status(), third_party_auth.decision_stats() TO pg_monitor;

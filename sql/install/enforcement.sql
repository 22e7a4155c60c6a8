-- What stops a request before its statement, and keys for PostgREST.

CREATE FUNCTION third_party_auth.check_request() RETURNS void
    STABLE PARALLEL RESTRICTED LANGUAGE c AS 'MODULE_PATHNAME', 'third_party_auth_check_request';
COMMENT ON FUNCTION third_party_auth.check_request() IS
    'PostgREST''s db-pre-request: PT401, PT403 or PT503 unless the role is the one that the token may have';

CREATE FUNCTION third_party_auth.authenticate(token text) RETURNS jsonb
    VOLATILE PARALLEL UNSAFE LANGUAGE c AS 'MODULE_PATHNAME', 'third_party_auth_authenticate';
COMMENT ON FUNCTION third_party_auth.authenticate(text) IS
    'Verifies a token, and makes it, its claims and its role those of the transaction';

CREATE FUNCTION third_party_auth.is_anonymous_request() RETURNS boolean
    STABLE PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'third_party_auth_is_anonymous_request';
COMMENT ON FUNCTION third_party_auth.is_anonymous_request() IS
    'Whether the request carries no token, or an anonymous API key alone, and runs as a role that needs none';

CREATE FUNCTION third_party_auth.jwks() RETURNS jsonb
    STABLE PARALLEL RESTRICTED LANGUAGE c AS 'MODULE_PATHNAME', 'third_party_auth_jwks';
COMMENT ON FUNCTION third_party_auth.jwks() IS
    'All public keys that are trusted now, as one JWKS';

CREATE FUNCTION third_party_auth.postgrest_pre_config(asymmetric_only boolean DEFAULT false) RETURNS void
    VOLATILE PARALLEL UNSAFE LANGUAGE c AS 'MODULE_PATHNAME', 'third_party_auth_postgrest_pre_config';
COMMENT ON FUNCTION third_party_auth.postgrest_pre_config(boolean) IS
    'PostgREST''s db-pre-config: sets pgrst.jwt_secret to jwks() and the legacy secret';

-- On a plain PostgreSQL, the functions that policies written for Supabase call. They belong to the
-- database and not to the extension, so that they are dumped with the policies.
CREATE FUNCTION third_party_auth.create_auth_schema() RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $create$
DECLARE
    taken text;
BEGIN
    SELECT format('%s', p.oid::regprocedure) INTO taken
    FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE n.nspname = 'auth' AND p.proname IN ('jwt', 'uid', 'role', 'email') AND p.pronargs = 0
    ORDER BY 1 LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING
            ERRCODE = 'duplicate_object',
            MESSAGE = format('function %s exists already', taken),
            HINT = 'On Supabase it belongs to Supabase: call third_party_jwt(), jwt_subject() and jwt_role() in your policies instead. Functions that an earlier call made are right as they are.';
    END IF;
    IF to_regnamespace('auth') IS NULL THEN
        CREATE SCHEMA auth;
        GRANT USAGE ON SCHEMA auth TO PUBLIC;
    -- Its owner can drop and replace what is in it, and with it what policies ask. A superuser has the rights of
    -- every owner, and that is not what counts here.
    ELSIF NOT EXISTS (
        SELECT FROM pg_namespace n JOIN pg_roles o ON o.oid = n.nspowner JOIN pg_database d ON d.datname = current_database()
        WHERE n.nspname = 'auth' AND (o.rolname = current_user OR o.rolsuper OR n.nspowner = d.datdba)
    ) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'insufficient_privilege',
            MESSAGE = 'schema auth belongs to somebody else',
            HINT = 'Its owner could replace what your policies ask. If it is yours: ALTER SCHEMA auth OWNER TO CURRENT_USER. On Supabase it belongs to Supabase: call third_party_jwt(), jwt_subject() and jwt_role() in your policies instead.';
    END IF;
    CREATE FUNCTION auth.jwt() RETURNS jsonb STABLE PARALLEL SAFE LANGUAGE sql
        AS 'SELECT @extschema@.third_party_jwt()';
    COMMENT ON FUNCTION auth.jwt() IS 'The verified claims of the request, else NULL';
    -- Subjects of most providers are no UUIDs; those that are, are unique only within their provider.
    CREATE FUNCTION auth.uid() RETURNS uuid STABLE PARALLEL SAFE LANGUAGE sql
        AS $$SELECT CASE WHEN @extschema@.jwt_subject() OPERATOR(pg_catalog.~*)
                '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$'
            THEN @extschema@.jwt_subject()::pg_catalog.uuid END$$;
    COMMENT ON FUNCTION auth.uid() IS 'The verified subject of the request if it is a UUID, else NULL';
    CREATE FUNCTION auth.role() RETURNS text STABLE PARALLEL SAFE LANGUAGE sql
        AS 'SELECT @extschema@.jwt_role()';
    COMMENT ON FUNCTION auth.role() IS 'The role that the verified token of the request may have, else NULL';
    CREATE FUNCTION auth.email() RETURNS text STABLE PARALLEL SAFE LANGUAGE sql
        AS $$SELECT @extschema@.third_party_jwt() OPERATOR(pg_catalog.->>) 'email'$$;
    COMMENT ON FUNCTION auth.email() IS 'The e-mail address in the verified token of the request, else NULL';
    GRANT EXECUTE ON FUNCTION auth.jwt(), auth.uid(), auth.role(), auth.email() TO PUBLIC;
END
$create$;
COMMENT ON FUNCTION third_party_auth.create_auth_schema() IS
    'Makes auth.jwt(), auth.uid(), auth.role() and auth.email() over verified claims';

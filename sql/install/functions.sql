-- What policies call, in the extension's own schema. Overloads instead of NULL defaults: an argument
-- that is NULL answers false (or NULL), it never means "any". Not STRICT, which would answer NULL.
-- The functions only take the token from settings and look up what is cached, so they are safe in
-- parallel workers, which restore the settings of their leader.

-- Tells the planner that conditions which are the same for every row let every row through.
CREATE FUNCTION third_party_auth.condition_support(internal) RETURNS internal
    STRICT IMMUTABLE PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'third_party_auth_condition_support';
COMMENT ON FUNCTION third_party_auth.condition_support(internal) IS
    'Called by the planner alone';

CREATE FUNCTION third_party_jwt() RETURNS jsonb
    STABLE PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'third_party_jwt';
COMMENT ON FUNCTION third_party_jwt() IS
    'The verified claims of the current request, or NULL';

CREATE FUNCTION is_third_party_jwt() RETURNS boolean
    STABLE PARALLEL SAFE SUPPORT third_party_auth.condition_support LANGUAGE c AS 'MODULE_PATHNAME', 'is_third_party_jwt';
COMMENT ON FUNCTION is_third_party_jwt() IS
    'Whether the current request carries a valid token';

CREATE FUNCTION is_third_party_jwt(provider text) RETURNS boolean
    STABLE PARALLEL SAFE SUPPORT third_party_auth.condition_support LANGUAGE c AS 'MODULE_PATHNAME', 'is_third_party_jwt_of';
COMMENT ON FUNCTION is_third_party_jwt(text) IS
    'Whether the current request carries a valid token of this provider';

CREATE FUNCTION is_supabase_or_firebase_project_jwt() RETURNS boolean
    STABLE PARALLEL SAFE SUPPORT third_party_auth.condition_support LANGUAGE c AS 'MODULE_PATHNAME', 'is_supabase_or_firebase_project_jwt';
COMMENT ON FUNCTION is_supabase_or_firebase_project_jwt() IS
    'Whether the current request carries a valid token of a registered Supabase or Firebase project';

CREATE FUNCTION jwt_provider() RETURNS text
    STABLE PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'jwt_provider';
COMMENT ON FUNCTION jwt_provider() IS
    'The registered name of the provider of the verified token';

CREATE FUNCTION jwt_issuer() RETURNS text
    STABLE PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'jwt_issuer';
COMMENT ON FUNCTION jwt_issuer() IS
    'The iss of the verified token';

CREATE FUNCTION jwt_subject() RETURNS text
    STABLE PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'jwt_subject';
COMMENT ON FUNCTION jwt_subject() IS
    'The sub of the verified token, unique only within its provider';

CREATE FUNCTION jwt_subject(provider text) RETURNS text
    STABLE PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'jwt_subject_of';
COMMENT ON FUNCTION jwt_subject(text) IS
    'The sub of the verified token if it is of this provider, else NULL';

CREATE FUNCTION jwt_role() RETURNS text
    STABLE PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'jwt_role';
COMMENT ON FUNCTION jwt_role() IS
    'The effective role of the verified token';

CREATE FUNCTION jwt_session_id() RETURNS text
    STABLE PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'jwt_session_id';
COMMENT ON FUNCTION jwt_session_id() IS
    'The session of the verified token, where its provider has one';

CREATE FUNCTION jwt_has_audience(audience text) RETURNS boolean
    STABLE PARALLEL SAFE SUPPORT third_party_auth.condition_support LANGUAGE c AS 'MODULE_PATHNAME', 'jwt_has_audience';
COMMENT ON FUNCTION jwt_has_audience(text) IS
    'Whether the aud of the verified token is or contains this audience';

CREATE FUNCTION jwt_org_id() RETURNS text
    STABLE PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'jwt_org_id';
COMMENT ON FUNCTION jwt_org_id() IS
    'The active organisation of the verified token, unique only within its provider';

CREATE FUNCTION jwt_org_id(provider text) RETURNS text
    STABLE PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'jwt_org_id_of';
COMMENT ON FUNCTION jwt_org_id(text) IS
    'The active organisation of the verified token if it is of this provider, else NULL';

CREATE FUNCTION jwt_org_role() RETURNS text
    STABLE PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'jwt_org_role';
COMMENT ON FUNCTION jwt_org_role() IS
    'The role in the active organisation, without org:';

CREATE FUNCTION jwt_has_org_role(role text) RETURNS boolean
    STABLE PARALLEL SAFE SUPPORT third_party_auth.condition_support LANGUAGE c AS 'MODULE_PATHNAME', 'jwt_has_org_role';
COMMENT ON FUNCTION jwt_has_org_role(text) IS
    'Whether the verified token has this role (with or without org:) in its active organisation';

CREATE FUNCTION jwt_has_org_role(role text, org_id text) RETURNS boolean
    STABLE PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'jwt_has_org_role_in';
COMMENT ON FUNCTION jwt_has_org_role(text, text) IS
    'Whether the verified token has this role in this organisation';

CREATE FUNCTION jwt_second_factor_verified() RETURNS boolean
    STABLE PARALLEL SAFE SUPPORT third_party_auth.condition_support LANGUAGE c AS 'MODULE_PATHNAME', 'jwt_second_factor_verified';
COMMENT ON FUNCTION jwt_second_factor_verified() IS
    'Whether a second factor was really used in the session of the verified token';

CREATE FUNCTION jwt_second_factor_verified(max_age interval) RETURNS boolean
    STABLE PARALLEL SAFE SUPPORT third_party_auth.condition_support LANGUAGE c AS 'MODULE_PATHNAME', 'jwt_second_factor_verified_within';
COMMENT ON FUNCTION jwt_second_factor_verified(interval) IS
    'Whether a second factor was really used at most so long ago';

CREATE FUNCTION jwt_reverified(level text) RETURNS boolean
    STABLE PARALLEL SAFE SUPPORT third_party_auth.condition_support LANGUAGE c AS 'MODULE_PATHNAME', 'jwt_reverified';
COMMENT ON FUNCTION jwt_reverified(text) IS
    'Whether a Clerk session was reverified: strict_mfa, strict, moderate or lax, with Clerk''s downgrade rule';

CREATE FUNCTION jwt_has_scope(scope text) RETURNS boolean
    STABLE PARALLEL SAFE SUPPORT third_party_auth.condition_support LANGUAGE c AS 'MODULE_PATHNAME', 'jwt_has_scope';
COMMENT ON FUNCTION jwt_has_scope(text) IS
    'Whether the verified token has this scope (scope or scp)';

CREATE FUNCTION jwt_has_org_permission(permission text) RETURNS boolean
    STABLE PARALLEL SAFE SUPPORT third_party_auth.condition_support LANGUAGE c AS 'MODULE_PATHNAME', 'jwt_has_org_permission';
COMMENT ON FUNCTION jwt_has_org_permission(text) IS
    'Whether the verified token has this permission in its active organisation';

CREATE FUNCTION jwt_has_org_permission(permission text, org_id text) RETURNS boolean
    STABLE PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'jwt_has_org_permission_in';
COMMENT ON FUNCTION jwt_has_org_permission(text, text) IS
    'Whether the verified token has this permission in this organisation';

CREATE FUNCTION jwt_authenticated_within(max_age interval) RETURNS boolean
    STABLE PARALLEL SAFE SUPPORT third_party_auth.condition_support LANGUAGE c AS 'MODULE_PATHNAME', 'jwt_authenticated_within';
COMMENT ON FUNCTION jwt_authenticated_within(interval) IS
    'Whether the user of the verified token authenticated at most so long ago';

CREATE FUNCTION jwt_email_verified() RETURNS boolean
    STABLE PARALLEL SAFE SUPPORT third_party_auth.condition_support LANGUAGE c AS 'MODULE_PATHNAME', 'jwt_email_verified';
COMMENT ON FUNCTION jwt_email_verified() IS
    'Whether the provider has verified the e-mail address of the verified token';

CREATE FUNCTION verify_third_party_jwt(token text, provider text DEFAULT NULL, nonce text DEFAULT NULL)
    RETURNS jsonb
    STABLE PARALLEL SAFE COST 1000 LANGUAGE c AS 'MODULE_PATHNAME', 'verify_third_party_jwt';
COMMENT ON FUNCTION verify_third_party_jwt(text, text, text) IS
    'The claims of a token; 28000 when it is refused, 58000 when it cannot be decided, NULL for NULL';

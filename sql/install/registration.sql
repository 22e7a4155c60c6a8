-- add_<kind>() for every kind: its own arguments first, then those that all kinds have.

CREATE FUNCTION third_party_auth.register_provider(
    kind text, options jsonb, name text, issuers text[], audiences text[], any_audience boolean,
    authorized_parties text[], role_claim text, allowed_roles text[], default_role text,
    clock_skew interval, algorithms text[], jwks json, jwks_uri text, for_requests boolean
) RETURNS text LANGUAGE c AS 'MODULE_PATHNAME', 'third_party_auth_register_provider';

CREATE FUNCTION third_party_auth.remove_provider(name text) RETURNS boolean
    LANGUAGE c AS 'MODULE_PATHNAME', 'third_party_auth_remove_provider';

DO $do$
DECLARE
    -- The arguments that all kinds have, with their defaults; %L is the kind, the default name.
    common constant text := $$name text DEFAULT %L, issuers text[] DEFAULT '{}',
        audiences text[] DEFAULT '{}', any_audience boolean DEFAULT false,
        authorized_parties text[] DEFAULT '{}', role_claim text DEFAULT 'role',
        allowed_roles text[] DEFAULT NULL, default_role text DEFAULT NULL,
        clock_skew interval DEFAULT '30 s', algorithms text[] DEFAULT NULL, jwks json DEFAULT NULL,
        jwks_uri text DEFAULT NULL, for_requests boolean DEFAULT true$$;
    own record;
    path constant text := pg_catalog.current_setting('search_path');
BEGIN
    -- Nothing that somebody put into the target schema may be taken for a function of PostgreSQL.
    PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    FOR own IN
        SELECT * FROM (VALUES
            ('clerk', 'domain'),
            ('firebase', 'project_id'),
            ('oidc', 'issuer'),
            ('supabase', 'jwt_issuer')
        ) AS k (kind, argument)
    LOOP
        EXECUTE format(
            $$CREATE FUNCTION third_party_auth.%I(%I text, $$ || common || $$)
              RETURNS third_party_auth.status LANGUAGE sql SET search_path = pg_catalog, pg_temp
              AS %L$$,
            'add_' || own.kind, own.argument, own.kind,
            format(
                $$SELECT third_party_auth.register_provider(%L, jsonb_build_object(%L, $1), $2, $3, $4,
                      $5, $6, $7, $8, $9, $10, $11, $12, $13, $14);
                  SELECT s FROM third_party_auth.status s WHERE s.provider = $2$$,
                own.kind, own.argument));
        EXECUTE format(
            'COMMENT ON FUNCTION third_party_auth.%I IS %L',
            'add_' || own.kind, 'Registers a provider of kind ' || own.kind);
    END LOOP;
    PERFORM pg_catalog.set_config('search_path', path, true);
END
$do$;

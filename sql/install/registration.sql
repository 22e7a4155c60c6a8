-- add_<kind>() for every kind: its own arguments first, then those that all kinds have.

CREATE FUNCTION third_party_auth.register_provider(
    kind text, options jsonb, name text, issuers text[], audiences text[], any_audience boolean,
    authorized_parties text[], role_claim text, allowed_roles text[], default_role text,
    clock_skew interval, algorithms text[], jwks json, jwks_uri text, for_requests boolean,
    jwt_secret text
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
        jwks_uri text DEFAULT NULL, for_requests boolean DEFAULT NULL$$;
    -- How many those are.
    common_count constant int := 13;
    own record;
    options text;
    numbers text;
    path constant text := pg_catalog.current_setting('search_path');
BEGIN
    -- Nothing that somebody put into the target schema may be taken for a function of PostgreSQL.
    PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    -- Each kind's own arguments; those that are kept in options, in the same order; whether the one
    -- after them is a secret, which is kept elsewhere.
    FOR own IN
        SELECT * FROM (VALUES
            ('apple', 'client_ids text[]', '{client_ids}'::text[], false),
            ('auth0', 'tenant text, tenant_region text DEFAULT NULL, custom_domain text DEFAULT NULL',
             '{tenant,tenant_region,custom_domain}', false),
            ('aws_cognito', $$user_pool_id text, user_pool_region text,
                client_ids text[] DEFAULT NULL, token_use text DEFAULT 'any'$$,
             '{user_pool_id,user_pool_region,client_ids,token_use}', false),
            ('azure', 'tenant text, client_ids text[], tenants text[] DEFAULT NULL',
             '{tenant,client_ids,tenants}', false),
            ('clerk', 'domain text', '{domain}', false),
            ('firebase', 'project_id text', '{project_id}', false),
            ('oidc', 'issuer text', '{issuer}', false),
            ('supabase', $$jwt_issuer text,
                api_key_issuers text[] DEFAULT '{supabase,supabase-demo}',
                jwt_secret text DEFAULT NULL$$,
             '{jwt_issuer,api_key_issuers}', true),
            ('workos', 'issuer_url text, client_id text DEFAULT NULL', '{issuer_url,client_id}', false)
        ) AS k (kind, arguments, in_options, has_secret)
    LOOP
        SELECT string_agg(format('%L, $%s', argument, number), ', ' ORDER BY number) INTO options
        FROM unnest(own.in_options) WITH ORDINALITY AS o (argument, number);
        SELECT string_agg('$' || number, ', ' ORDER BY number) INTO numbers
        FROM generate_series(1, common_count) AS c (position),
             LATERAL (SELECT cardinality(own.in_options) + own.has_secret::int + position) AS n (number);
        EXECUTE format(
            $$CREATE FUNCTION third_party_auth.%I(%s, $$ || common || $$)
              RETURNS third_party_auth.status LANGUAGE sql SET search_path = pg_catalog, pg_temp
              AS %L$$,
            'add_' || own.kind, own.arguments, own.kind,
            format(
                $$SELECT third_party_auth.register_provider(%L, jsonb_build_object(%s), %s, %s);
                  SELECT s FROM third_party_auth.status s WHERE s.provider = $%s$$,
                own.kind, options, numbers,
                CASE WHEN own.has_secret THEN '$' || cardinality(own.in_options) + 1 ELSE 'NULL' END,
                cardinality(own.in_options) + own.has_secret::int + 1));
        EXECUTE format(
            'COMMENT ON FUNCTION third_party_auth.%I IS %L',
            'add_' || own.kind, 'Registers a provider of kind ' || own.kind);
    END LOOP;
    PERFORM pg_catalog.set_config('search_path', path, true);
END
$do$;

CREATE FUNCTION third_party_auth.import_entries(config text) RETURNS jsonb
    LANGUAGE c AS 'MODULE_PATHNAME', 'third_party_auth_import_entries';

CREATE FUNCTION third_party_auth.import_supabase_config(config text)
    RETURNS TABLE (entry text, action text, detail text)
    LANGUAGE sql SET search_path = pg_catalog, pg_temp
    AS 'SELECT * FROM jsonb_to_recordset(third_party_auth.import_entries($1))
            AS e (entry text, action text, detail text)';
COMMENT ON FUNCTION third_party_auth.import_supabase_config(text) IS
    'Registers what a config.toml of the Supabase CLI names, and reports entry by entry';

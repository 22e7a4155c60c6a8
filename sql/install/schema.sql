-- The schema for administrators and its tables. What policies call goes to the extension's own schema.

DO $$
BEGIN
    IF pg_catalog.getdatabaseencoding() OPERATOR(pg_catalog.<>) 'UTF8' THEN
        RAISE EXCEPTION USING
            ERRCODE = '0A000',
            MESSAGE = 'pg_third_party_auth needs a database in UTF8',
            HINT = 'Claims are JSON, which is UTF-8. CREATE DATABASE … ENCODING ''UTF8'' TEMPLATE template0.';
    END IF;
END
$$;

-- Not IF NOT EXISTS: a schema that somebody else made would stay theirs.
CREATE SCHEMA third_party_auth;

-- Who may sign for us. Configuration: dumped by pg_dump, editable with plain SQL; the triggers below
-- judge every row. NULL in allowed_roles, algorithms and for_requests is filled in as the kind
-- says.
CREATE TABLE third_party_auth.provider (
    name               text PRIMARY KEY,
    kind               text NOT NULL,
    enabled            boolean NOT NULL DEFAULT true,
    issuers            text[] NOT NULL DEFAULT '{}',
    audiences          text[] NOT NULL DEFAULT '{}',
    any_audience       boolean NOT NULL DEFAULT false,
    authorized_parties text[] NOT NULL DEFAULT '{}',
    role_claim         text NOT NULL DEFAULT 'role',
    allowed_roles      text[] NOT NULL,
    default_role       text,
    clock_skew         interval NOT NULL DEFAULT '30 s',
    algorithms         text[] NOT NULL,
    jwks               json,
    jwks_uri           text,
    for_requests       boolean NOT NULL,
    options            jsonb NOT NULL DEFAULT '{}'
);

-- The last good keys, 1:1 with provider, written by the sync worker. WAL-logged, so that they survive
-- a crash and reach standbys; not dumped, because a restored database fetches its own.
CREATE TABLE third_party_auth.provider_state (
    provider   text PRIMARY KEY
               REFERENCES third_party_auth.provider ON UPDATE CASCADE ON DELETE CASCADE,
    address    text,
    keys       json,
    fetched_at timestamptz,
    jwks_uri   text,
    first_seen jsonb NOT NULL DEFAULT '{}'
) WITH (fillfactor = 50);

-- Keys that are refused whatever their provider publishes. Survives remove_provider().
CREATE TABLE third_party_auth.revoked (
    issuer     text NOT NULL,
    kid        text NOT NULL,
    thumbprint text,
    revoked_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
    PRIMARY KEY (issuer, kid)
);

-- Symmetric secrets (HS256) of Supabase providers: whoever reads one can sign. Not dumped, and with row
-- level security and no policy, so that pg_read_all_data does not read it either. A secret is for the issuer
-- that its provider had when it was written, which a trigger notes: it must not follow the provider to
-- another one.
CREATE TABLE third_party_auth.provider_secret (
    provider text PRIMARY KEY
             REFERENCES third_party_auth.provider ON UPDATE CASCADE ON DELETE CASCADE,
    secret   text NOT NULL,
    issuer   text NOT NULL
);
ALTER TABLE third_party_auth.provider_secret ENABLE ROW LEVEL SECURITY;
-- ANALYZE must not copy secrets into pg_statistic, which has other readers.
ALTER TABLE third_party_auth.provider_secret ALTER COLUMN secret SET STATISTICS 0;

SELECT pg_catalog.pg_extension_config_dump('third_party_auth.provider', '');
SELECT pg_catalog.pg_extension_config_dump('third_party_auth.revoked', '');

CREATE FUNCTION third_party_auth.provider_check() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'third_party_auth_provider_check';
CREATE FUNCTION third_party_auth.provider_changed() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'third_party_auth_provider_changed';
-- Whoever may insert a provider need not be able to write keys.
CREATE FUNCTION third_party_auth.provider_created() RETURNS trigger
    SECURITY DEFINER SET search_path = pg_catalog, pg_temp LANGUAGE c AS 'MODULE_PATHNAME', 'third_party_auth_provider_created';
CREATE FUNCTION third_party_auth.secret_check() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'third_party_auth_secret_check';
CREATE FUNCTION third_party_auth.registry_changed() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'third_party_auth_registry_changed';

CREATE TRIGGER check_row BEFORE INSERT OR UPDATE ON third_party_auth.provider
    FOR EACH ROW EXECUTE FUNCTION third_party_auth.provider_check();
CREATE TRIGGER check_secret BEFORE INSERT OR UPDATE ON third_party_auth.provider_secret
    FOR EACH ROW EXECUTE FUNCTION third_party_auth.secret_check();
-- An ORIGIN trigger: where rows arrive by replication, their state rows do too.
CREATE TRIGGER create_state AFTER INSERT ON third_party_auth.provider
    FOR EACH ROW EXECUTE FUNCTION third_party_auth.provider_created();

-- Row triggers, because the apply worker of logical replication fires no statement triggers; plus one
-- for TRUNCATE, which fires no row triggers. ALWAYS, so that replicated changes count too.
CREATE TRIGGER void_cache AFTER INSERT OR UPDATE OR DELETE ON third_party_auth.provider
    FOR EACH ROW EXECUTE FUNCTION third_party_auth.provider_changed();
CREATE TRIGGER void_cache AFTER INSERT OR UPDATE OR DELETE ON third_party_auth.provider_state
    FOR EACH ROW EXECUTE FUNCTION third_party_auth.registry_changed();
CREATE TRIGGER void_cache AFTER INSERT OR UPDATE OR DELETE ON third_party_auth.revoked
    FOR EACH ROW EXECUTE FUNCTION third_party_auth.registry_changed();
CREATE TRIGGER void_cache AFTER INSERT OR UPDATE OR DELETE ON third_party_auth.provider_secret
    FOR EACH ROW EXECUTE FUNCTION third_party_auth.registry_changed();
CREATE TRIGGER void_cache_truncate AFTER TRUNCATE ON third_party_auth.provider
    FOR EACH STATEMENT EXECUTE FUNCTION third_party_auth.registry_changed();
CREATE TRIGGER void_cache_truncate AFTER TRUNCATE ON third_party_auth.provider_state
    FOR EACH STATEMENT EXECUTE FUNCTION third_party_auth.registry_changed();
CREATE TRIGGER void_cache_truncate AFTER TRUNCATE ON third_party_auth.revoked
    FOR EACH STATEMENT EXECUTE FUNCTION third_party_auth.registry_changed();
CREATE TRIGGER void_cache_truncate AFTER TRUNCATE ON third_party_auth.provider_secret
    FOR EACH STATEMENT EXECUTE FUNCTION third_party_auth.registry_changed();
ALTER TABLE third_party_auth.provider
    ENABLE ALWAYS TRIGGER void_cache, ENABLE ALWAYS TRIGGER void_cache_truncate;
ALTER TABLE third_party_auth.provider_state
    ENABLE ALWAYS TRIGGER void_cache, ENABLE ALWAYS TRIGGER void_cache_truncate;
ALTER TABLE third_party_auth.revoked
    ENABLE ALWAYS TRIGGER void_cache, ENABLE ALWAYS TRIGGER void_cache_truncate;
ALTER TABLE third_party_auth.provider_secret
    ENABLE ALWAYS TRIGGER void_cache, ENABLE ALWAYS TRIGGER void_cache_truncate;

-- Members of pg_write_all_data may write every table; but what is trusted is changed by the owner alone, and
-- by those whom one of these tables was granted to. Not row level security: dumps by pg_read_all_data would
-- miss the rows.
CREATE FUNCTION third_party_auth.refuse_unless_granted() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF pg_has_role('pg_write_all_data', 'USAGE') AND NOT (
        SELECT pg_has_role(c.relowner, 'USAGE') OR EXISTS (
            SELECT FROM aclexplode(c.relacl) a
            WHERE a.privilege_type = TG_OP AND (a.grantee = 0 OR pg_has_role(a.grantee, 'USAGE')))
        FROM pg_class c WHERE c.oid = TG_RELID
    ) THEN
        RAISE EXCEPTION USING
            ERRCODE = '42501',
            MESSAGE = format('permission denied for table %I', TG_TABLE_NAME),
            DETAIL = 'pg_write_all_data is not enough to change what is trusted.',
            HINT = format('If %I shall: GRANT %s ON %I.%I TO %I.', current_user, TG_OP, TG_TABLE_SCHEMA, TG_TABLE_NAME, current_user);
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER refuse_unless_granted BEFORE INSERT OR UPDATE OR DELETE ON third_party_auth.provider
    EXECUTE FUNCTION third_party_auth.refuse_unless_granted();
CREATE TRIGGER refuse_unless_granted BEFORE INSERT OR UPDATE OR DELETE ON third_party_auth.provider_state
    EXECUTE FUNCTION third_party_auth.refuse_unless_granted();
CREATE TRIGGER refuse_unless_granted BEFORE INSERT OR UPDATE OR DELETE ON third_party_auth.revoked
    EXECUTE FUNCTION third_party_auth.refuse_unless_granted();
CREATE TRIGGER refuse_unless_granted BEFORE INSERT OR UPDATE OR DELETE ON third_party_auth.provider_secret
    EXECUTE FUNCTION third_party_auth.refuse_unless_granted();

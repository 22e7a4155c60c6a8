-- What administrators look at.

CREATE VIEW third_party_auth.status AS SELECT * FROM third_party_auth.provider_status();
COMMENT ON VIEW third_party_auth.status IS
    'One row per provider; problem is NULL when all is well';

CREATE VIEW third_party_auth.signing_key AS
    SELECT k.provider, k.kid, k.algorithm, k.key_type, k.thumbprint,
           -- Kept in seconds with a fraction, which may round up.
           LEAST(
               pg_catalog.to_timestamp((s.first_seen OPERATOR(pg_catalog.->>) k.thumbprint)::double precision),
               CASE WHEN s.first_seen OPERATOR(pg_catalog.->>) k.thumbprint IS NOT NULL THEN s.fetched_at END
           ) AS first_seen_at,
           CASE WHEN s.first_seen OPERATOR(pg_catalog.->>) k.thumbprint IS NOT NULL THEN s.fetched_at END
               AS last_seen_at,
           k.revoked
    FROM third_party_auth.known_keys() k
    LEFT JOIN third_party_auth.provider_state s ON s.provider OPERATOR(pg_catalog.=) k.provider;
COMMENT ON VIEW third_party_auth.signing_key IS
    'The keys that are trusted now; a pinned key has no first and last sight';

CREATE VIEW third_party_auth.worker AS SELECT * FROM third_party_auth.worker_status();
COMMENT ON VIEW third_party_auth.worker IS
    'The fetcher; no row when the library is not preloaded';

CREATE FUNCTION third_party_auth.restart_worker() RETURNS boolean
    LANGUAGE c AS 'MODULE_PATHNAME', 'third_party_auth_restart_worker';
COMMENT ON FUNCTION third_party_auth.restart_worker() IS
    'The fetcher ends and comes back, and a safe mode ends; false when it does not run just now';

CREATE VIEW third_party_auth.stats AS SELECT * FROM third_party_auth.decision_stats();
COMMENT ON VIEW third_party_auth.stats IS
    'What was decided about tokens in this database since the start or reset_stats(); when the library is not preloaded, in this session';

CREATE FUNCTION third_party_auth.reset_stats() RETURNS void
    LANGUAGE c AS 'MODULE_PATHNAME', 'third_party_auth_reset_stats';

CREATE FUNCTION third_party_auth.revoke_key(provider text, kid text) RETURNS boolean
    LANGUAGE c AS 'MODULE_PATHNAME', 'third_party_auth_revoke_key';
CREATE FUNCTION third_party_auth.unrevoke_key(provider text, kid text) RETURNS boolean
    LANGUAGE c AS 'MODULE_PATHNAME', 'third_party_auth_unrevoke_key';

CREATE FUNCTION third_party_auth.fetch_now(provider text) RETURNS boolean
    LANGUAGE c AS 'MODULE_PATHNAME', 'third_party_auth_fetch_now';

CREATE FUNCTION third_party_auth.refresh() RETURNS SETOF third_party_auth.status
    LANGUAGE sql SET search_path = pg_catalog, pg_temp
    AS 'SELECT third_party_auth.fetch_now(NULL); SELECT * FROM third_party_auth.status';
CREATE FUNCTION third_party_auth.refresh(provider text) RETURNS SETOF third_party_auth.status
    LANGUAGE sql SET search_path = pg_catalog, pg_temp
    AS 'SELECT third_party_auth.fetch_now($1); SELECT * FROM third_party_auth.status s WHERE s.provider = $1';

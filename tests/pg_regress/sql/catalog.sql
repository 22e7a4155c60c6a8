-- What the extension consists of, as psql shows it.
\getenv abs_srcdir PG_ABS_SRCDIR
\set tokens :abs_srcdir '/common/tokens.sql'
\i :tokens

\d third_party_auth.provider
\d third_party_auth.provider_state
\d third_party_auth.revoked
\d third_party_auth.status
\d third_party_auth.signing_key
\d third_party_auth.worker
\d third_party_auth.stats

-- What pg_dump keeps: what is configured. Keys are fetched again.
select extname, extconfig::regclass[], extrelocatable from pg_extension where extname = 'pg_third_party_auth';

-- It needs UTF-8, because claims do.
create database pg_third_party_auth_ascii template template0 encoding 'SQL_ASCII' locale 'C';
\c pg_third_party_auth_ascii
-- What PostgreSQL adds to an error in an extension's script depends on its version.
\set SHOW_CONTEXT never
create extension pg_third_party_auth;
\echo :SQLSTATE
\set SHOW_CONTEXT errors
\c pg_third_party_auth_regress
drop database pg_third_party_auth_ascii;

-- Without a schema it goes to the current one; dropped, it leaves nothing behind.
create database pg_third_party_auth_catalog template template0 encoding 'UTF8';
\c pg_third_party_auth_catalog
create extension pg_third_party_auth;
select public.is_third_party_jwt();
select name, kind from third_party_auth.provider;
select provider from third_party_auth.add_firebase('my-project', jwks => :'google_jwks');
-- What is registered in another database is not registered here.
select public.verify_third_party_jwt(:'firebase_user')->>'sub' as firebase;
select public.verify_third_party_jwt(:'clerk_admin')->>'sub' as clerk;
drop extension pg_third_party_auth;
select count(*) from pg_namespace where nspname = 'third_party_auth';
select count(*) from pg_proc where probin like '%pg_third_party_auth%';
-- Installed again it trusts nobody.
create extension pg_third_party_auth;
select public.verify_third_party_jwt(:'firebase_user')->>'sub' as firebase;
\c pg_third_party_auth_regress
drop database pg_third_party_auth_catalog;

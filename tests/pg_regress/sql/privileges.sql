-- Who may do what: everyone may call what policies call and explain(); nobody else changes what is
-- trusted, and default privileges of the one who installs do not change that.
\getenv abs_srcdir PG_ABS_SRCDIR
\set tokens :abs_srcdir '/common/tokens.sql'
\i :tokens

\set objects :abs_srcdir '/common/extension_objects.sql'
\i :objects
select * from extension_objects;

-- As anon.
set role anon;
select extensions.is_third_party_jwt(), extensions.is_third_party_jwt('clerk'), extensions.jwt_org_id() is null as no_organization;
select extensions.verify_third_party_jwt(:'oidc_user')->>'sub' as sub;
select rule from third_party_auth.explain();
select * from third_party_auth.explain('token');
\echo :SQLSTATE
select * from third_party_auth.status;
\echo :SQLSTATE
select * from third_party_auth.signing_key;
\echo :SQLSTATE
select * from third_party_auth.worker;
\echo :SQLSTATE
select * from third_party_auth.stats;
\echo :SQLSTATE
select third_party_auth.restart_worker();
\echo :SQLSTATE
select * from third_party_auth.provider;
\echo :SQLSTATE
select * from third_party_auth.provider_state;
\echo :SQLSTATE
select * from third_party_auth.revoked;
\echo :SQLSTATE
select * from third_party_auth.provider_status();
\echo :SQLSTATE
select third_party_auth.add_firebase('evil-project', name => 'evil');
\echo :SQLSTATE
select third_party_auth.register_provider('firebase', '{"project_id": "evil-project"}', 'evil', '{}', '{}', false, '{}', 'role', null, null, '30 s', null, null, null, true);
\echo :SQLSTATE
insert into third_party_auth.provider (name, kind) values ('evil', 'firebase');
\echo :SQLSTATE
update third_party_auth.provider set enabled = false;
\echo :SQLSTATE
delete from third_party_auth.revoked;
\echo :SQLSTATE
truncate third_party_auth.provider_state;
\echo :SQLSTATE
select third_party_auth.remove_provider('firebase');
\echo :SQLSTATE
select third_party_auth.revoke_key('firebase', 'google_1');
\echo :SQLSTATE
select third_party_auth.refresh();
\echo :SQLSTATE
create table third_party_auth.mine ();
\echo :SQLSTATE
-- A trigger function on a table of one's own does nothing for its owner.
create temporary table trap (name text);
create trigger t after insert on trap for each row execute function third_party_auth.provider_created();
\echo :SQLSTATE
set third_party_auth.token_sources = 'request.headers:x-token';
\echo :SQLSTATE
set third_party_auth.token_lifetime = 'transaction';
\echo :SQLSTATE
set third_party_auth.gateway_roles = 'anon';
\echo :SQLSTATE
set third_party_auth.allowed_networks = '0.0.0.0/0';
\echo :SQLSTATE
set third_party_auth.not_a_setting = 'x';
\echo :SQLSTATE
-- How long to wait is one's own affair.
set third_party_auth.key_wait = '1 s';
reset third_party_auth.key_wait;
reset role;

-- A monitor reads the views, and the views only.
create role monitor_of_the_test;
grant pg_monitor to monitor_of_the_test;
set role monitor_of_the_test;
select provider, kind, enabled, source, key_count, problem from third_party_auth.status order by provider;
select provider, kid, algorithm, key_type, revoked from third_party_auth.signing_key order by provider;
select count(*) from third_party_auth.worker;
select * from third_party_auth.provider;
\echo :SQLSTATE
select third_party_auth.remove_provider('firebase');
\echo :SQLSTATE
reset role;

-- Who may write all data may not write what is trusted, unless it was granted to them.
create role writer_of_the_test bypassrls;
grant pg_write_all_data, pg_read_all_data to writer_of_the_test;
set role writer_of_the_test;
\set VERBOSITY default
update third_party_auth.provider set enabled = false;
\set VERBOSITY terse
insert into third_party_auth.provider select * from third_party_auth.provider limit 0;
delete from third_party_auth.provider;
insert into third_party_auth.revoked (issuer, kid) values ('https://issuer.example', 'k');
delete from third_party_auth.revoked;
update third_party_auth.provider_state set fetched_at = now();
insert into third_party_auth.provider_secret values ('supabase', 'a secret of thirty-two bytes or more', 'x');
delete from third_party_auth.guard;
update third_party_auth.guard_change set number = 0;
reset role;
grant insert, delete on third_party_auth.revoked to writer_of_the_test;
set role writer_of_the_test;
insert into third_party_auth.revoked (issuer, kid) values ('https://issuer.example', 'k');
delete from third_party_auth.revoked where issuer = 'https://issuer.example';
update third_party_auth.revoked set kid = 'k';
\echo :SQLSTATE
reset role;
\set VERBOSITY default
drop owned by writer_of_the_test;
drop role writer_of_the_test;

-- The one who installs grants everything to everyone by default.
create database pg_third_party_auth_privileges template template0 encoding 'UTF8';
\c pg_third_party_auth_privileges
alter default privileges grant all on tables to public;
alter default privileges grant all on tables to anon with grant option;
alter default privileges grant all on functions to anon;
alter default privileges grant all on schemas to public;
alter default privileges grant all on schemas to anon;
alter default privileges grant all on sequences to anon;
alter default privileges grant all on types to anon;
create schema extensions;
create extension pg_third_party_auth schema extensions;
\i :objects
select * from extension_objects where exists (select from unnest(privileges) p where p like 'anon:%');
select * from extension_objects where exists (select from unnest(privileges) p where p like 'PUBLIC:%') and what <> 'function';
select what, count(*), count(*) filter (where exists (select from unnest(privileges) p where p = 'PUBLIC: EXECUTE')) as public
from extension_objects group by what order by what;
-- Or nothing to anyone: policies still run as whoever asks.
drop extension pg_third_party_auth;
alter default privileges revoke all on functions from public;
create extension pg_third_party_auth schema extensions;
select count(*) from extension_objects where what = 'function' and 'PUBLIC: EXECUTE' = any (privileges);
-- What somebody put there before is neither taken over nor kept.
-- What PostgreSQL adds to an error in an extension's script depends on its version.
\set SHOW_CONTEXT never
drop extension pg_third_party_auth;
create schema third_party_auth;
create extension pg_third_party_auth schema extensions;
\echo :SQLSTATE
drop schema third_party_auth;
create function extensions.is_third_party_jwt() returns boolean language sql as 'select true';
create extension pg_third_party_auth schema extensions;
\echo :SQLSTATE
\c pg_third_party_auth_regress
drop database pg_third_party_auth_privileges;
drop role monitor_of_the_test;

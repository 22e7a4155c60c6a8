-- What the owner of the tables can do to them must neither crash a session nor make a rule vanish.
\getenv abs_srcdir PG_ABS_SRCDIR
\set tokens :abs_srcdir '/common/tokens.sql'
\i :tokens
set search_path = extensions;

-- The trigger functions serve the extension's own tables only, and each only as it was made.
create table stranger (a int);
create trigger t before insert on stranger for each statement
    execute function third_party_auth.provider_check();
insert into stranger values (1);
\echo :SQLSTATE
drop trigger t on stranger;
create trigger t after insert on stranger for each row
    execute function third_party_auth.provider_created();
insert into stranger values (1);
drop trigger t on stranger;
create trigger t before insert on third_party_auth.provider for each statement
    execute function third_party_auth.provider_check();
insert into third_party_auth.provider (name, kind) values ('x', 'oidc');
drop trigger t on third_party_auth.provider;
drop table stranger;
-- Without a trigger.
select third_party_auth.provider_check();

-- A column of another type, or none: nothing is believed until the table is whole again.
begin;
insert into third_party_auth.revoked values ('https://issuer.test', 'rsa');
alter table third_party_auth.revoked alter column kid type int using 1;
select verify_third_party_jwt(:'oidc_user');
rollback;
begin;
insert into third_party_auth.revoked values ('https://issuer.test', 'rsa');
alter table third_party_auth.revoked rename column issuer to publisher;
select verify_third_party_jwt(:'oidc_user');
rollback;
begin;
alter table third_party_auth.revoked rename to forgotten;
select verify_third_party_jwt(:'oidc_user');
rollback;
begin;
alter table third_party_auth.provider alter column options drop default, alter column options type json;
select verify_third_party_jwt(:'oidc_user');
\echo :SQLSTATE
rollback;
begin;
alter table third_party_auth.provider drop column authorized_parties;
select count(*) from third_party_auth.status;
rollback;
-- A column that is added changes nothing.
begin;
alter table third_party_auth.provider add column note text default 'x';
select verify_third_party_jwt(:'oidc_user') is not null as verified;
rollback;

-- A private key that is pinned by mistake is not kept, and the same registration again is no other one.
begin;
set local client_min_messages = error;
select provider, key_count from third_party_auth.add_oidc(
    'https://new.example.com', name => 'new', audiences => '{api}', jwks => :'mixed_jwks');
select provider, key_count from third_party_auth.add_oidc(
    'https://new.example.com', name => 'new', audiences => '{api}', jwks => :'mixed_jwks');
select k ? 'd' as private, k ? 'k' as symmetric
from third_party_auth.provider, jsonb_array_elements(jwks::jsonb -> 'keys') k
where name = 'new';
rollback;

-- A row that no check has seen, and that cannot even be read: it alone verifies nothing.
begin;
set local session_replication_role = replica;
insert into third_party_auth.provider (name, kind, allowed_roles, algorithms, for_requests, options)
values ('odd', 'oidc', '{authenticated}', '{RS256}', true, '{"issuer": 1e400}');
reset session_replication_role;
select verify_third_party_jwt(:'oidc_user')->>'sub' as sub;
select provider, problem from third_party_auth.status where provider = 'odd';
rollback;

-- Arguments of any length: an error repeats a line of them at most.
select third_party_auth.revoke_key('oidc', repeat('x', 1025));
select third_party_auth.add_oidc('https://new.example.com', name => 'new', default_role => repeat('x', 10000), audiences => '{a}');
select verify_third_party_jwt('x', repeat('x', 10000));
select third_party_auth.add_oidc('https://n.example.com', name => 'n', jwks_uri => 'https://127.0.0.1:99999/', audiences => '{a}');

-- Functions and operators in the target schema are not taken for PostgreSQL's own by the script, which runs as a
-- superuser.
begin;
set local client_min_messages = warning;
drop extension pg_third_party_auth cascade;
create schema trap;
create function trap.format(text, regprocedure) returns text language plpgsql as
    $$begin raise exception 'trapped'; end$$;
create function trap.format(text, text, text, text, text) returns text language plpgsql as
    $$begin raise exception 'trapped'; end$$;
create function trap.eq(oid, regclass) returns boolean language plpgsql as
    $$begin raise exception 'trapped'; end$$;
create operator trap.= (leftarg = oid, rightarg = regclass, procedure = trap.eq);
create extension pg_third_party_auth schema trap;
rollback;

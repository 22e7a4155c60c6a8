-- guard_status: everything that is open in spite of a guard, and what to do about it.
\getenv abs_srcdir PG_ABS_SRCDIR
\set tokens :abs_srcdir '/common/tokens.sql'
\i :tokens
\set SHOW_CONTEXT never
create role guard_owner;
create schema guarded authorization guard_owner;
create schema other;
create table guarded.note (id int primary key);
alter table guarded.note owner to guard_owner, enable row level security;
select * from third_party_auth.guard_table('guarded.note');
-- One statement undoes each of these, and guard_status says which: what it advises is run.
create view test.found as select "table", state, problem, advice from third_party_auth.guard_status;
create procedure test.follow_advice() language plpgsql as $$
declare
    one text;
begin
    for one in select distinct advice from third_party_auth.guard_status where problem is not null loop
        execute one;
    end loop;
end
$$;

-- The guard itself was changed.
alter table guarded.note disable row level security;
select * from test.found;
call test.follow_advice();
drop policy "third_party_auth: verified token required" on guarded.note;
select * from test.found;
call test.follow_advice();
drop policy "third_party_auth: verified token required" on guarded.note;
create policy "third_party_auth: verified token required" on guarded.note for select to anon using (true);
select * from test.found;
call test.follow_advice();
alter policy "third_party_auth: verified token required" on guarded.note using (extensions.is_third_party_jwt() or true);
select * from test.found;
call test.follow_advice();
alter policy "third_party_auth: verified token required" on guarded.note with check (true);
select * from test.found;
call test.follow_advice();
create function other.is_third_party_jwt() returns boolean language sql as 'select true';
alter policy "third_party_auth: verified token required" on guarded.note using (other.is_third_party_jwt()) with check (other.is_third_party_jwt());
select * from test.found;
call test.follow_advice();
drop function other.is_third_party_jwt();
alter table guarded.note disable trigger user;
select * from test.found;
call test.follow_advice();
drop trigger "third_party_auth: verified token required" on guarded.note;
select * from test.found;
call test.follow_advice();
create or replace trigger "third_party_auth: verified token required" before truncate on guarded.note
    for each statement when (false) execute function third_party_auth.refuse_truncate();
select * from test.found;
call test.follow_advice();
select * from third_party_auth.guard_table('guarded.note', force => true);
alter table guarded.note no force row level security;
select * from test.found;
call test.follow_advice();
select * from test.found;
select * from third_party_auth.guard_table('guarded.note');
-- Nobody remembers it, as after a dump without data.
begin;
delete from third_party_auth.guard;
select * from test.found;
select * from third_party_auth.guard_table('guarded.note');
rollback;
begin;
delete from third_party_auth.guard;
select third_party_auth.unguard_table('guarded.note');
select * from test.found;
select count(*) from pg_policy where polrelid = 'guarded.note'::regclass;
rollback;

-- Whom row level security does not bind.
alter role guard_owner login;
create role guard_member login in role guard_owner;
select * from test.found;
select * from third_party_auth.guard_table('guarded.note', force => true);
select * from third_party_auth.guard_table('guarded.note');
alter role guard_owner nologin;
drop role guard_member;
grant usage on schema guarded to service_role;
create role guard_gateway login noinherit in role service_role;
select * from test.found;
grant select on guarded.note to service_role;
select * from test.found;
alter role service_role login;
select * from test.found;
alter role service_role nologin;
drop role guard_gateway;
revoke select on guarded.note from service_role;
revoke usage on schema guarded from service_role;
select * from test.found;

-- What policies do not decide.
grant select, insert, update, delete on guarded.note to anon, authenticated;
select * from test.found;
grant truncate, trigger, references on guarded.note to anon, authenticated;
grant references (id) on guarded.note to public;
select * from test.found;
call test.follow_advice();
select * from test.found;

-- Views, rules and copies.
create view guarded.as_superuser as select * from guarded.note;
create view guarded.as_invoker with (security_invoker = on) as select * from guarded.note;
create view guarded.not_as_invoker with (security_invoker = 0) as select * from guarded.note;
create view guarded.as_bound as select * from guarded.note;
create view guarded.as_owner as select * from guarded.note;
create role guard_bound;
alter view guarded.as_bound owner to guard_bound;
alter view guarded.as_owner owner to guard_owner;
create table other.inbox (id int);
create rule copy as on insert to other.inbox do also insert into guarded.note values (new.id);
select * from test.found;
select problem from third_party_auth.guard_table('guarded.note', force => true);
drop rule copy on other.inbox;
call test.follow_advice();
select * from test.found;
create materialized view guarded.copy as select * from guarded.note;
select * from test.found;
drop materialized view guarded.copy;

-- In a guarded schema: foreign tables, tables that were left out, the event triggers.
create foreign data wrapper test_wrapper;
create server test_server foreign data wrapper test_wrapper;
create foreign table guarded.far (id int) server test_server;
create table guarded.left_out (id int);
select "table", state, problem, advice from third_party_auth.guard_schema('guarded', rls_off => 'closed');
select third_party_auth.unguard_table('guarded.left_out');
create table guarded.parted (id int) partition by list (id);
create foreign table other.part partition of guarded.parted for values in (1) server test_server;
select schema, "table", state, problem, advice from third_party_auth.guard_status;
alter event trigger third_party_auth_guard disable;
alter event trigger third_party_auth_guard_trigger enable replica;
create table guarded.missed (id int);
select * from test.found;
alter event trigger third_party_auth_guard enable always;
alter event trigger third_party_auth_guard_trigger enable always;
-- What was missed stays on the list until somebody guards it.
alter table guarded.missed add column more int;
select * from test.found where "table" = 'missed' or "table" is null;
set client_min_messages = warning;
drop server test_server cascade;
drop foreign data wrapper test_wrapper;
drop table guarded.parted, guarded.missed, guarded.left_out;
select third_party_auth.unguard_schema('guarded');
reset client_min_messages;

-- Subscriptions.
create table guarded.replicated (id int primary key);
alter table guarded.replicated enable row level security;
select * from third_party_auth.guard_table('guarded.replicated');
set client_min_messages = error;
create subscription guard_subscription connection 'host=127.0.0.1 port=9' publication none with (connect = false);
insert into pg_subscription_rel select oid, 'guarded.replicated'::regclass, 'r', null from pg_subscription where subname = 'guard_subscription';
reset client_min_messages;
select * from test.found where "table" = 'replicated';
delete from pg_subscription_rel where srrelid = 'guarded.replicated'::regclass;
alter subscription guard_subscription set (slot_name = none);
drop subscription guard_subscription;
drop table guarded.replicated;

-- Guards that let nobody in: a provider or a role that is gone; Realtime, which has no token.
select provider from third_party_auth.add_oidc('https://short.example.com', name => 'short', audiences => '{api}', jwks => :'oidc_jwks');
create role guard_job;
select state from third_party_auth.guard_table('guarded.note', '{oidc,short}', exempt_roles => '{guard_job}');
select third_party_auth.remove_provider('short');
drop role guard_job;
select * from test.found;
create schema realtime;
create table realtime.messages (id int) partition by list (id);
select * from third_party_auth.guard_table('realtime.messages', rls_off => 'closed');
create table realtime.messages_1 partition of realtime.messages for values in (1);
select * from third_party_auth.guard_status where schema = 'realtime';
set client_min_messages = warning;
drop schema realtime cascade;
reset client_min_messages;

-- A monitor reads it, and nothing raises; nobody else does.
create role guard_monitor in role pg_monitor;
set role guard_monitor;
select * from third_party_auth.guard_status;
select * from third_party_auth.guard;
\echo :SQLSTATE
set role anon;
select * from third_party_auth.guard_status;
\echo :SQLSTATE
select * from third_party_auth.guard_report();
\echo :SQLSTATE
reset role;

drop procedure test.follow_advice();
drop view test.found;
set client_min_messages = warning;
drop schema guarded, other cascade;
reset client_min_messages;
drop role guard_monitor, guard_bound, guard_owner;
select count(*) from third_party_auth.guard;

-- guard_table() and unguard_table(): what they make, refuse, change and restore.
\getenv abs_srcdir PG_ABS_SRCDIR
\set tokens :abs_srcdir '/common/tokens.sql'
\i :tokens
\set SHOW_CONTEXT never
create schema guarded;
grant usage on schema guarded to anon, authenticated;
-- What a table has of its guard.
create view test.guard as
select c.oid::regclass as "table", c.relrowsecurity as rls, c.relforcerowsecurity as forced,
       array(select p.polname::text from pg_policy p where p.polrelid = c.oid order by 1) as policies,
       (select count(*) from pg_trigger t where t.tgrelid = c.oid and t.tgname = third_party_auth.guard_name() and t.tgenabled = 'A') as triggers
from pg_class c where c.relnamespace = 'guarded'::regnamespace and c.relkind in ('r', 'p');

create table guarded.note (id int);
insert into guarded.note values (1), (2);
grant select, insert on guarded.note to anon, authenticated;

-- Row level security is off: refused, unless somebody says what becomes of the table.
select * from third_party_auth.guard_table('guarded.note');
\echo :SQLSTATE
select * from test.guard;
-- open: with a token as before, and what is changed is undone.
select * from third_party_auth.guard_table('guarded.note', rls_off => 'open');
select * from test.guard;
select test.attempt(null, 'select from guarded.note', 'anon') as nobody,
       test.attempt(:'oidc_user', 'select from guarded.note') as a_token;
-- The same again, and with the default, changes nothing.
create temporary table before as select xmin as version, oid, polname from pg_policy where polrelid = 'guarded.note'::regclass;
select * from third_party_auth.guard_table('guarded.note', rls_off => 'open');
select * from third_party_auth.guard_table('guarded.note');
select count(*) from (select xmin, oid, polname from pg_policy where polrelid = 'guarded.note'::regclass except select * from before) as changed;
-- closed: nobody sees anything until a permissive policy says so.
select * from third_party_auth.guard_table('guarded.note', rls_off => 'closed');
select * from test.guard;
select test.attempt(:'oidc_user', 'select from guarded.note') as a_token;
create policy "Everyone may" on guarded.note using (true);
select test.attempt(:'oidc_user', 'select from guarded.note') as a_token,
       test.attempt(null, 'select from guarded.note', 'anon') as nobody;
drop policy "Everyone may" on guarded.note;
select third_party_auth.unguard_table('guarded.note');
select * from test.guard;
select test.attempt(null, 'select from guarded.note', 'anon') as nobody;
select third_party_auth.unguard_table('guarded.note');

-- A table with row level security on: nothing is added but the guard, and nothing else is taken away.
alter table guarded.note enable row level security;
create policy "Everyone may" on guarded.note using (true);
select * from third_party_auth.guard_table('guarded.note', '{oidc,clerk}', allow_anonymous => true, exempt_roles => '{service_role}', force => true);
\d guarded.note
-- Other arguments change the guard.
select * from third_party_auth.guard_table('guarded.note');
\d guarded.note
select third_party_auth.unguard_table('guarded.note');
select * from test.guard;
-- What was forced before stays forced.
alter table guarded.note force row level security;
select * from third_party_auth.guard_table('guarded.note', force => true);
select third_party_auth.unguard_table('guarded.note');
select * from test.guard;
drop table guarded.note;

-- Names that need quoting; a guard follows its table.
create role "Guard 'Role' ""x""";
select provider from third_party_auth.add_oidc('https://quotes.example.com', name => 'it''s "one" \ two', audiences => '{api}', jwks => :'oidc_jwks');
create schema "Guarded ""Schema""";
create table "Guarded ""Schema"""."a.b 'c'" (id int);
alter table "Guarded ""Schema"""."a.b 'c'" enable row level security;
select * from third_party_auth.guard_table('"Guarded ""Schema"""."a.b ''c''"', array['it''s "one" \ two'], exempt_roles => array['Guard ''Role'' "x"']::name[]);
alter table "Guarded ""Schema"""."a.b 'c'" rename to plain;
alter schema "Guarded ""Schema""" rename to renamed;
select * from third_party_auth.guard_status;
alter index renamed.plain rename to "Again";
select schema, "table", state from third_party_auth.guard_status;
alter table renamed."Again" set schema guarded;
select * from third_party_auth.guard_status;
set quote_all_identifiers = on;
select * from third_party_auth.guard_status;
select * from third_party_auth.guard_table('guarded."Again"');
reset quote_all_identifiers;
set standard_conforming_strings = off;
set escape_string_warning = off;
select * from third_party_auth.guard_table('guarded."Again"', array['it''s "one" \\ two']);
reset standard_conforming_strings;
reset escape_string_warning;
select pg_get_expr(polqual, polrelid) from pg_policy where polrelid = 'guarded."Again"'::regclass;
select * from third_party_auth.guard_status;
drop table guarded."Again";
select * from third_party_auth.guard_status;
select count(*) from third_party_auth.guard;
drop schema renamed;
select third_party_auth.remove_provider('it''s "one" \ two');
drop role "Guard 'Role' ""x""";

-- A table of the same name is another table.
create table guarded.note (id int);
select * from third_party_auth.guard_table('guarded.note', rls_off => 'closed');
drop table guarded.note;
create table guarded.note (id int);
select * from test.guard;
select * from third_party_auth.guard_status;
drop table guarded.note;

-- Partitions and children are guarded with it, also those that come later, wherever they are.
create schema elsewhere;
create table guarded.parent (id int) partition by list (id);
create table guarded.middle partition of guarded.parent for values in (1, 2) partition by list (id);
create table guarded.leaf_1 partition of guarded.middle for values in (1);
create table elsewhere.leaf_2 partition of guarded.middle for values in (2);
create table elsewhere.leaf_3 (id int);
select * from third_party_auth.guard_table('guarded.parent', '{oidc}', rls_off => 'open');
alter table guarded.parent attach partition elsewhere.leaf_3 for values in (3);
create table guarded.leaf_4 partition of guarded.parent for values in (4);
create schema third create table leaf_5 partition of guarded.parent for values in (5);
select state, problem from third_party_auth.guard_status where "table" = 'leaf_5';
create table elsewhere.subtree (id int) partition by list (id);
create table elsewhere.leaf_6 partition of elsewhere.subtree for values in (6);
alter table guarded.parent attach partition elsewhere.subtree for values in (6);
select schema, "table", state, problem, advice from third_party_auth.guard_status;
select schema_name, table_name, origin, rls_off, opened from third_party_auth.guard order by 1, 2;
-- A guard of its own stays when the parent's changes.
select * from third_party_auth.guard_table('guarded.middle', allow_anonymous => true);
select count(*) from third_party_auth.guard_table('guarded.parent', '{clerk}');
select schema_name, table_name, origin, providers, allow_anonymous from third_party_auth.guard order by 1, 2;
-- A partition that leaves keeps its guard.
alter table guarded.parent detach partition elsewhere.leaf_3;
select third_party_auth.unguard_table('guarded.parent');
select * from third_party_auth.guard_status;
select third_party_auth.unguard_table('elsewhere.leaf_3'), third_party_auth.unguard_table('guarded.middle');
select count(*) from third_party_auth.guard;
set client_min_messages = warning;
drop schema third, elsewhere cascade;
reset client_min_messages;
drop table guarded.parent;
-- Inheritance; a child may have two parents.
create table guarded.one (id int);
create table guarded.two (id int);
create table guarded.child () inherits (guarded.one, guarded.two);
select * from third_party_auth.guard_table('guarded.one', rls_off => 'closed');
create table guarded.late () inherits (guarded.one);
create table guarded.later (id int);
alter table guarded.later inherit guarded.one;
select * from test.guard order by 1;
set client_min_messages = warning;
drop table guarded.one cascade;
reset client_min_messages;
drop table guarded.two;

-- One that was meant to be unguarded stays so, and is on the list.
create table guarded.parent (id int) partition by list (id);
create table guarded.part partition of guarded.parent for values in (1);
select * from third_party_auth.guard_table('guarded.parent', rls_off => 'open');
select third_party_auth.unguard_table('guarded.part');
alter table guarded.parent add column more int;
select * from third_party_auth.guard_status;
select count(*) from third_party_auth.guard_table('guarded.parent', rls_off => 'open');
select * from third_party_auth.guard_status;
drop table guarded.parent;
select count(*) from third_party_auth.guard;

-- What makes no guard.
create table guarded.note (id int);
alter table guarded.note enable row level security;
select third_party_auth.guard_table('guarded.note', '{oidc,nobody,"some one"}');
\echo :SQLSTATE
select third_party_auth.guard_table('guarded.note', '{}');
\echo :SQLSTATE
select third_party_auth.guard_table('guarded.note', '{oidc,NULL}');
\echo :SQLSTATE
select third_party_auth.guard_table('guarded.note', '{{oidc},{clerk}}');
\echo :SQLSTATE
select third_party_auth.guard_table('guarded.note', exempt_roles => '{service_role,nobody}');
\echo :SQLSTATE
select third_party_auth.guard_table('guarded.note', exempt_roles => null);
\echo :SQLSTATE
select third_party_auth.guard_table('guarded.note', allow_anonymous => null);
\echo :SQLSTATE
select third_party_auth.guard_table('guarded.note', force => null);
\echo :SQLSTATE
select third_party_auth.guard_table('guarded.note', rls_off => 'maybe');
\echo :SQLSTATE
select third_party_auth.guard_table('guarded.note', rls_off => null);
\echo :SQLSTATE
begin isolation level repeatable read;
select third_party_auth.guard_table('guarded.note');
\echo :SQLSTATE
rollback;
select * from test.guard;

-- What cannot be guarded.
create view guarded.view as select 1;
create materialized view guarded.copy as select 1;
create sequence guarded.sequence;
create foreign data wrapper test_wrapper;
create server test_server foreign data wrapper test_wrapper;
create foreign table guarded.far (id int) server test_server;
create temporary table brief (id int);
select third_party_auth.guard_table('guarded.view');
\echo :SQLSTATE
select third_party_auth.guard_table('guarded.copy');
\echo :SQLSTATE
select third_party_auth.guard_table('guarded.sequence');
\echo :SQLSTATE
select third_party_auth.guard_table('guarded.far');
\echo :SQLSTATE
select third_party_auth.guard_table('brief');
\echo :SQLSTATE
select third_party_auth.guard_table('pg_class');
\echo :SQLSTATE
select third_party_auth.guard_table('information_schema.sql_features');
\echo :SQLSTATE
select third_party_auth.guard_table('third_party_auth.provider');
\echo :SQLSTATE
select third_party_auth.guard_table(null);
\echo :SQLSTATE
select third_party_auth.guard_table(1::regclass);
\echo :SQLSTATE
select third_party_auth.unguard_table('guarded.view');
\echo :SQLSTATE
select third_party_auth.guard_schema('pg_catalog');
\echo :SQLSTATE
select third_party_auth.guard_schema('information_schema');
\echo :SQLSTATE
select third_party_auth.guard_schema('third_party_auth');
\echo :SQLSTATE
select third_party_auth.guard_schema(null);
\echo :SQLSTATE
select third_party_auth.unguard_schema('pg_toast');
\echo :SQLSTATE

-- A guard is gone with what it was made in.
begin;
select * from third_party_auth.guard_table('guarded.note');
rollback;
select count(*) from third_party_auth.guard;
select * from test.guard;

set client_min_messages = warning;
drop server test_server cascade;
drop foreign data wrapper test_wrapper;
drop table brief, before;
drop view test.guard;
drop schema guarded cascade;
reset client_min_messages;

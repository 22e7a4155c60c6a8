-- guard_schema() and unguard_schema(): all tables or none, and those that come later, by whatever command.
\getenv abs_srcdir PG_ABS_SRCDIR
\set tokens :abs_srcdir '/common/tokens.sql'
\i :tokens
\set SHOW_CONTEXT never
create role guard_maker;
create schema guarded;
create schema elsewhere;
grant all on schema guarded, elsewhere to guard_maker;
grant usage on schema guarded to authenticated;
create view test.guard as
select c.oid::regclass as "table", c.relrowsecurity as rls,
       array(select p.polname::text || ': ' || pg_get_expr(polqual, polrelid) from pg_policy p where p.polrelid = c.oid order by 1) as policies,
       (select count(*) from pg_trigger t where t.tgrelid = c.oid and t.tgname = third_party_auth.guard_name() and t.tgenabled = 'A') as triggers
from pg_class c where c.relnamespace in ('guarded'::regnamespace, 'elsewhere'::regnamespace) and c.relkind in ('r', 'p')
order by c.oid::regclass::text collate "C";

-- All or none.
create table guarded.first (id int);
create table guarded.second (id int);
create table guarded.third (id int);
alter table guarded.second enable row level security;
create view guarded.no_table as select 1;
select * from third_party_auth.guard_schema('guarded');
\echo :SQLSTATE
select * from test.guard;
select count(*) from third_party_auth.guard;
select * from third_party_auth.guard_schema('guarded', rls_off => 'open');
select * from test.guard;
-- The same again; then with other arguments.
select * from third_party_auth.guard_schema('guarded', rls_off => 'open');
select count(*) from third_party_auth.guard_schema('guarded', '{oidc}');
select * from test.guard;
drop table guarded.first, guarded.second, guarded.third;
select schema_name, table_name, origin from third_party_auth.guard;

-- New tables, whoever makes them and however.
set role guard_maker;
create table guarded.plain (id serial primary key);
create table if not exists guarded.plain (id int);
create table guarded.from_query as select 1 as id;
create table if not exists guarded.from_query as select 1 as id;
select 1 as id into guarded.selected;
create table guarded.alike (like guarded.plain including all);
create unlogged table guarded.unlogged (id int);
create type guarded.shape as (id int);
create table guarded.typed of guarded.shape;
create table guarded.parted (id int) partition by range (id);
create table guarded.parted_1 partition of guarded.parted for values from (0) to (10);
create table guarded.parent (id int);
create table guarded.child () inherits (guarded.parent);
do $$ begin create table guarded.in_block (id int); end $$;
create function guarded.make() returns void language plpgsql as $$ begin execute 'create table guarded.in_function (id int)'; end $$;
select guarded.make();
prepare making as select 1 as id;
create table guarded.executed as execute making;
deallocate making;
set search_path = guarded;
create table by_search_path (id int);
create temporary table brief (id int);
create table pg_temp.brief_too (id int);
reset search_path;
select * into temporary guarded_brief from guarded.parent;
reset role;
set session_replication_role = replica;
set role guard_maker;
create table guarded.as_replica (id int);
reset role;
reset session_replication_role;
select * from test.guard;
select relname, relrowsecurity, relhastriggers from pg_class where relname in ('brief', 'brief_too', 'guarded_brief') order by 1;
drop table brief, brief_too, guarded_brief;
-- In the same transaction that creates them.
begin;
set local role guard_maker;
create table guarded.at_once (id int);
insert into guarded.at_once values (1);
grant select on guarded.at_once to authenticated;
set local role authenticated;
select count(*) from guarded.at_once;
rollback;
select count(*) from third_party_auth.guard where table_name = 'at_once';
-- What the maker of a table may not do otherwise: he sees the list of guards as little as before.
set role guard_maker;
select count(*) from third_party_auth.guard;
\echo :SQLSTATE
reset role;
-- Hostile surroundings: nothing of the one who makes the table is run or believed.
set role guard_maker;
create function pg_temp.guard_rule(oid) returns setof third_party_auth.guard language plpgsql as $$ begin raise 'run'; end $$;
create function elsewhere.format(text, name) returns text language sql as $$ select 'run' $$;
create function elsewhere.is_third_party_jwt() returns boolean language sql as $$ select true $$;
create function elsewhere.equal(oid, oid) returns boolean language plpgsql as $$ begin raise 'run'; end $$;
create operator elsewhere.= (leftarg = oid, rightarg = oid, function = elsewhere.equal);
set search_path = elsewhere, pg_temp, pg_catalog;
set quote_all_identifiers = on;
set standard_conforming_strings = off;
set transform_null_equals = on;
set row_security = off;
set array_nulls = off;
create table guarded."odd ""; drop table guarded.plain; -- '\" (id int, third_party_auth int, is_third_party_jwt int, current_user_ int);
reset all;
reset role;
reset search_path;
select * from test.guard where "table"::text like '%odd%';
select schema, "table", state, problem from third_party_auth.guard_status where "table" like 'odd%';
drop table guarded."odd ""; drop table guarded.plain; -- '\";
drop operator elsewhere.= (oid, oid);
drop function pg_temp.guard_rule(oid), elsewhere.equal(oid, oid), elsewhere.format(text, name), elsewhere.is_third_party_jwt();
drop table guarded.from_query, guarded.selected, guarded.alike, guarded.unlogged, guarded.typed, guarded.in_block,
    guarded.in_function, guarded.executed, guarded.by_search_path, guarded.as_replica, guarded.child, guarded.parent;

-- In and out.
set role guard_maker;
create table elsewhere.outside (id int);
reset role;
select * from test.guard where "table"::text like 'elsewhere%';
set role guard_maker;
alter table elsewhere.outside set schema guarded;
alter table guarded.plain set schema elsewhere;
create table elsewhere.parted_2 (id int);
alter table guarded.parted attach partition elsewhere.parted_2 for values from (10) to (20);
reset role;
select * from test.guard;
select schema_name, table_name, origin from third_party_auth.guard order by 1, 2;
-- What is in the schema is guarded once; what left it is let go by itself.
drop policy "third_party_auth: verified token required" on guarded.outside;
alter table guarded.outside add column more int;
select "table", state, problem, advice from third_party_auth.guard_status where state <> 'guarded';
select "table", state, problem from third_party_auth.guard_schema('guarded', '{oidc}');
-- Both names change, and the schema is still guarded.
alter schema guarded rename to "Was Guarded";
create table "Was Guarded".another (id int);
create schema guarded;
create table guarded.not_any_more (id int);
select schema, "table", state, problem from third_party_auth.guard_status;
set client_min_messages = warning;
drop schema guarded cascade;
reset client_min_messages;
alter schema "Was Guarded" rename to guarded;

-- guard_table() and unguard_table() in a guarded schema are decisions that stay, until guard_schema() is
-- called again for those that are unguarded.
create table guarded.own (id int);
create table guarded.free (id int);
select count(*) from third_party_auth.guard_table('guarded.own', allow_anonymous => true);
select third_party_auth.unguard_table('guarded.free');
alter table guarded.free add column more int;
select schema, "table", state, problem, advice from third_party_auth.guard_status where "table" in ('own', 'free');
select count(*) from third_party_auth.guard_schema('guarded', '{oidc}', rls_off => 'closed');
select table_name, origin, providers, allow_anonymous from third_party_auth.guard where table_name in ('own', 'free') order by 1;
-- Moved to another guarded schema, an unguarded table is guarded.
select third_party_auth.unguard_table('guarded.free');
create schema also_guarded;
select count(*) from third_party_auth.guard_schema('also_guarded', '{clerk}');
alter table guarded.free set schema also_guarded;
select schema_name, table_name, origin, providers from third_party_auth.guard where table_name = 'free';

-- As it was; what has a guard of its own keeps it.
set client_min_messages = warning;
select third_party_auth.unguard_schema('guarded'), third_party_auth.unguard_schema('also_guarded');
reset client_min_messages;
select schema_name, table_name, origin from third_party_auth.guard order by 1, 2;
select * from test.guard;
create table guarded.after_that (id int);
select * from test.guard where "table"::text like '%after_that';
select third_party_auth.unguard_schema('guarded');
set client_min_messages = warning;
select third_party_auth.unguard_table('guarded.own'), third_party_auth.unguard_table('elsewhere.plain');
reset client_min_messages;
select count(*) from third_party_auth.guard;

-- Dropped schemas are forgotten.
create schema brief;
select * from third_party_auth.guard_schema('brief');
create table brief.note (id int);
set client_min_messages = warning;
drop schema brief cascade;
reset client_min_messages;
select count(*) from third_party_auth.guard;
create schema brief;
create table brief.note (id int);
select count(*) from third_party_auth.guard_status;
-- open: new tables too, without a word about each.
select * from third_party_auth.guard_schema('brief', rls_off => 'open', exempt_roles => '{service_role}', force => true, allow_anonymous => true);
create table brief.other (id int);
select polname, polpermissive, pg_get_expr(polqual, polrelid) from pg_policy where polrelid = 'brief.other'::regclass order by 1;
select relrowsecurity, relforcerowsecurity from pg_class where oid = 'brief.other'::regclass;
-- A name that another table has had.
alter table brief.note rename to kept;
alter table brief.other rename to note;
select table_name from third_party_auth.guard where schema_name = 'brief' order by 1;
begin;
drop table brief.note;
create table brief.note (id int);
select state, problem from third_party_auth.guard_status where "table" = 'note';
rollback;
select state, problem from third_party_auth.guard_status where "table" = 'note';
-- Also where nobody noticed that it was dropped.
alter event trigger third_party_auth_guard_drop disable;
drop table brief.note;
alter event trigger third_party_auth_guard_drop enable always;
select table_name from third_party_auth.guard where table_name = 'note';
create table brief.note (id int);
select state, problem from third_party_auth.guard_status where "table" = 'note';
alter event trigger third_party_auth_guard_drop disable;
drop table brief.note;
alter event trigger third_party_auth_guard_drop enable always;
alter table elsewhere.parted_2 rename to note;
alter table elsewhere.note enable row level security;
alter table elsewhere.note set schema brief;
select state, problem from third_party_auth.guard_status where "table" = 'note';
select enabled_rls from third_party_auth.guard where table_name = 'note';
alter event trigger third_party_auth_guard_drop disable;
drop table brief.note;
alter event trigger third_party_auth_guard_drop enable always;
alter table brief.kept rename to note;
select state, problem from third_party_auth.guard_status where "table" = 'note';

set client_min_messages = warning;
drop view test.guard;
drop schema guarded, also_guarded, elsewhere, brief cascade;
reset client_min_messages;
drop role guard_maker;
select count(*) from third_party_auth.guard;

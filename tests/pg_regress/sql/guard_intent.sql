-- A guard never opens what the makers of a table have closed, and names stay what they are.
\getenv abs_srcdir PG_ABS_SRCDIR
\set tokens :abs_srcdir '/common/tokens.sql'
\i :tokens
\set SHOW_CONTEXT never

create schema guarded;
grant usage on schema guarded to anon, authenticated;
alter default privileges in schema guarded grant select on tables to anon, authenticated;
-- psql puts no variables between dollar quotes.
select set_config('test.token', :'oidc_user', false) is null;
create function test.readers(relation regclass) returns text language sql as $$
    select concat_ws(', ',
        'nobody: ' || test.attempt(null, 'select from ' || relation, 'anon'),
        'a token: ' || test.attempt(current_setting('test.token'), 'select from ' || relation))
$$;

-- In an open schema: without a word of its makers a new table is open to tokens …
select count(*) from third_party_auth.guard_schema('guarded', rls_off => 'open');
create table guarded.plain as select 1 as id;
select test.readers('guarded.plain');
-- … until they write a permissive policy …
create table guarded.with_policy as select 1 as id;
create policy narrower on guarded.with_policy as restrictive using (true);
select test.readers('guarded.with_policy');
create policy own on guarded.with_policy using (false);
select test.readers('guarded.with_policy');
-- … or switch on what the guard has switched on already.
create table guarded.without_policy as select 1 as id;
alter table guarded.without_policy add column more int, enable row level security;
select test.readers('guarded.without_policy');
-- Partitions too.
create table guarded.parted (id int) partition by list (id);
create table guarded.parted_1 partition of guarded.parted for values in (1);
insert into guarded.parted values (1);
create policy own on guarded.parted using (false);
alter table guarded.parted_1 enable row level security;
select test.readers('guarded.parted'), test.readers('guarded.parted_1');
-- The same call changes nothing.
select count(*) from third_party_auth.guard_schema('guarded', rls_off => 'open');
select test.readers(c.oid), c.relname from pg_class c
where c.relnamespace = 'guarded'::regnamespace and relkind in ('r', 'p') order by relname;
select "table", state, problem from third_party_auth.guard_status where schema = 'guarded' and problem not like '%granted%';
-- Nor does a policy that was dropped as the notice says come back.
drop policy "third_party_auth: as open as before" on guarded.plain;
select count(*) from third_party_auth.guard_schema('guarded', '{oidc,clerk}', rls_off => 'open');
select test.readers('guarded.plain');
select problem from third_party_auth.guard_status where "table" = 'plain' and problem not like '%granted%';
-- Unguarded, what was made under a guard is not open.
select third_party_auth.unguard_schema('guarded');
select test.readers(c.oid), c.relname from pg_class c
where c.relnamespace = 'guarded'::regnamespace and relkind in ('r', 'p') order by relname;
drop table guarded.plain, guarded.with_policy, guarded.without_policy, guarded.parted;

-- A table whose row level security was off, with policies that were written under the guard.
create table guarded.later as select 1 as id;
select count(*) from third_party_auth.guard_table('guarded.later', rls_off => 'closed');
create policy own on guarded.later using (id = 2);
select third_party_auth.unguard_table('guarded.later');
select test.readers('guarded.later');
drop policy own on guarded.later;
alter table guarded.later disable row level security;
select count(*) from third_party_auth.guard_table('guarded.later', rls_off => 'closed');
select third_party_auth.unguard_table('guarded.later');
select test.readers('guarded.later');
-- From closed to open: where nobody has said who sees what.
select count(*) from third_party_auth.guard_table('guarded.later', rls_off => 'closed');
select count(*) from third_party_auth.guard_table('guarded.later', rls_off => 'open');
select test.readers('guarded.later');
select count(*) from third_party_auth.guard_table('guarded.later', rls_off => 'closed');
create policy own on guarded.later using (id = 2);
select count(*) from third_party_auth.guard_table('guarded.later', rls_off => 'open');
select test.readers('guarded.later');
-- A policy that is left when the list of guards is lost has a row, and goes when the table is to be closed.
create policy "third_party_auth: as open as before" on guarded.later using (true);
delete from third_party_auth.guard;
select count(*) from third_party_auth.guard_table('guarded.later');
select state, problem, advice from third_party_auth.guard_status where "table" = 'later' and problem not like '%granted%';
select count(*) from third_party_auth.guard_table('guarded.later', rls_off => 'closed');
select test.readers('guarded.later');
select third_party_auth.unguard_table('guarded.later');

-- A table whose row level security is on is none of rls_off's business.
select count(*) from third_party_auth.guard_table('guarded.later', rls_off => 'open');
select test.readers('guarded.later');
select third_party_auth.unguard_table('guarded.later');

-- A parent shows the rows of its children by its own policies.
create table guarded.parent (id int);
create table guarded.child () inherits (guarded.parent);
insert into guarded.child values (1);
select "table", state, problem, advice from third_party_auth.guard_table('guarded.child', rls_off => 'closed')
where problem not like '%granted%';
select test.readers('guarded.parent');
drop table guarded.parent, guarded.child, guarded.later;

-- pg_upgrade gives schemas new OIDs, and a new one may be the old one of another schema.
create schema swapped;
select count(*) from third_party_auth.guard_schema('guarded');
set client_min_messages = error;
alter event trigger third_party_auth_guard disable;
alter event trigger third_party_auth_guard_rename disable;
alter schema guarded rename to between;
alter schema swapped rename to guarded;
alter schema between rename to swapped;
alter event trigger third_party_auth_guard enable always;
alter event trigger third_party_auth_guard_rename enable always;
reset client_min_messages;
create table guarded.new (id int);
create table swapped.new (id int);
select schema_name, table_name from third_party_auth.guard order by 1, 2;
-- A row that is left of a schema does not stop another one from being called so.
drop table guarded.new, swapped.new;
insert into third_party_auth.guard (schema_name, origin, allow_anonymous, rls_off, force, exempt_roles)
values ('gone', 'schema', false, 'refuse', false, '{}');
select state, problem, advice from third_party_auth.guard_status where schema is null;
alter schema guarded rename to gone;
create table gone.new (id int);
create table swapped.new (id int);
select schema_name, table_name from third_party_auth.guard order by 1, 2;
set client_min_messages = warning;
select third_party_auth.unguard_schema('gone');
drop schema gone, swapped cascade;
reset client_min_messages;
drop function test.readers(regclass);
select count(*) from third_party_auth.guard;

-- Without a token, only the anonymous roles are nobody. A token that was made unreadable is not none.
create schema guarded;
grant usage on schema guarded to anon, authenticated;
create table guarded.note (id serial primary key);
insert into guarded.note default values;
grant all on guarded.note to anon, authenticated;
select count(*) from third_party_auth.guard_table('guarded.note', allow_anonymous => true, rls_off => 'open');
select test.attempt(null, 'select from guarded.note', 'anon') as anon,
       test.attempt(null, 'select from guarded.note', 'authenticated') as authenticated,
       test.attempt(null, 'truncate guarded.note', 'authenticated') as truncating;
create function test.nobody() returns boolean language plpgsql security definer as
    $$ begin return third_party_auth.is_anonymous_request(); end $$;
alter function test.nobody() owner to authenticated;
select set_config('role', 'anon', false) is null;
select third_party_auth.is_anonymous_request() as anon, test.nobody() as definer, third_party_auth.is_anonymous_request() as anon_again;
select set_config('request.headers', '{"authorization": "Bearer\ta.b.c"}', false) is null;
select third_party_auth.is_anonymous_request();
select rule, ok from third_party_auth.explain() where not ok;
select set_config('request.headers', '{"x": "' || repeat('x', 2000000) || '"}', false) is null;
select third_party_auth.is_anonymous_request();
select * from third_party_auth.explain();
select set_config('request.headers', '', false) is null, set_config('request.jwt', repeat('x', 20000), false) is null;
select third_party_auth.is_anonymous_request(), rule, ok, detail from third_party_auth.explain();
reset role;
select set_config('request.jwt', '', false) is null;

-- Ways around that are not the table itself.
create view guarded.invoker with (security_invoker) as select * from guarded.note;
create materialized view guarded.copy_of_view as select * from guarded.invoker;
create view guarded.definer_over_invoker as select * from guarded.invoker;
create rule telling as on update to guarded.note do also select * from guarded.note;
grant select, update on sequence guarded.note_id_seq to anon;
select problem, advice from third_party_auth.guard_status where "table" = 'note' and problem not like '%granted to anon, auth%';
select third_party_auth.unguard_table('guarded.note');
set client_min_messages = warning;
drop schema guarded cascade;
reset client_min_messages;
drop function test.nobody();

-- Who owns the schema auth owns what policies ask.
create role auth_squatter;
create schema auth authorization auth_squatter;
select third_party_auth.create_auth_schema();
drop schema auth;
drop role auth_squatter;

-- Nobody gets past a guard without a verified token, however the statement is made.
\getenv abs_srcdir PG_ABS_SRCDIR
\set tokens :abs_srcdir '/common/tokens.sql'
\i :tokens
\set SHOW_CONTEXT never

create role guard_owner;
create schema guarded authorization guard_owner;
grant usage on schema guarded to anon, authenticated;
set role guard_owner;
create table guarded.note (id int primary key, body text);
insert into guarded.note values (1, 'one'), (2, 'two');
grant all on guarded.note to anon, authenticated;
create table guarded.log (id int primary key, at date) partition by range (id);
create table guarded.log_1 partition of guarded.log for values from (0) to (10);
insert into guarded.log values (1, '2024-01-01');
grant all on guarded.log, guarded.log_1 to anon, authenticated;
create table guarded.base (id int);
create table guarded.derived () inherits (guarded.base);
insert into guarded.derived values (1);
grant all on guarded.base, guarded.derived to anon, authenticated;
-- Ways of reading and writing as somebody else.
create view guarded.as_owner as select * from guarded.note;
create view guarded.as_invoker with (security_invoker = true) as select * from guarded.note;
create function guarded.counted() returns bigint language sql security definer as 'select count(*) from guarded.note';
create function guarded.counted_by_invoker() returns bigint language sql as 'select count(*) from guarded.note';
grant all on guarded.as_owner, guarded.as_invoker to anon, authenticated;
reset role;
do $$
declare
    name text;
begin
    foreach name in array '{note,log,log_1,base,derived}'::text[] loop
        execute format('alter table guarded.%I enable row level security', name);
        execute format('create policy "Everyone may" on guarded.%I using (true)', name);
    end loop;
end
$$;

\set forged '{"iss": "https://issuer.example.com/", "aud": "api", "sub": "user_1", "role": "authenticated"}'
create table test.statement (number serial, statement text);
insert into test.statement (statement) values
    ('select from guarded.note'),
    ('select from guarded.note for update'),
    ('insert into guarded.note values (3, ''three'')'),
    ('insert into guarded.note values (3, ''three'') returning *'),
    ('insert into guarded.note values (1, ''mine'') on conflict (id) do update set body = excluded.body'),
    ('update guarded.note set body = ''mine'''),
    ('update guarded.note set body = ''mine'' where id = 1 returning *'),
    ('delete from guarded.note'),
    ('delete from guarded.note where id = 1 returning *'),
    ('merge into guarded.note n using (values (1)) as v (id) on n.id = v.id when matched then delete'),
    ('with gone as (delete from guarded.note returning *) select from gone'),
    ('truncate guarded.note'),
    ('select from guarded.as_invoker'),
    ('delete from guarded.as_invoker'),
    ('select from generate_series(1, guarded.counted_by_invoker())'),
    ('do $do$ begin perform * from guarded.note; if found then raise ''found''; end if; end $do$'),
    ('select from guarded.log'),
    ('select from guarded.log_1'),
    ('insert into guarded.log_1 values (2, ''2024-01-01'')'),
    ('delete from guarded.log_1'),
    ('truncate guarded.log'),
    ('truncate guarded.log_1'),
    ('select from guarded.base'),
    ('select from guarded.derived'),
    ('truncate only guarded.base'),
    ('truncate guarded.base'),
    ('truncate guarded.derived');
grant select on test.statement to anon, authenticated;

-- Before.
select statement, test.attempt(null, statement, 'anon') as nobody
from test.statement order by number;

select "table", state, problem from third_party_auth.guard_table('guarded.note') where problem is null or problem not like '%is granted to%';
select "table", state, problem from third_party_auth.guard_table('guarded.log') where problem is null or problem not like '%is granted to%';
select "table", state, problem from third_party_auth.guard_table('guarded.base') where problem is null or problem not like '%is granted to%';

-- After: without a token, with forged claims, with tokens that are refused; and with a good one.
select statement,
       test.attempt(null, statement, 'anon') as nobody,
       test.attempt(null, statement, claims => :'forged') as forged,
       test.attempt(:'bad_signature', statement, claims => :'forged') as bad_signature,
       test.attempt(:'unknown_issuer', statement, claims => :'forged') as unknown_issuer
from test.statement order by number;
select statement,
       test.attempt(:'oidc_user', statement) as a_token,
       -- Row level security does not bind these; what goes through the owner's rights is the owner's doing.
       test.attempt(null, statement, 'guard_owner') as the_owner
from test.statement order by number;
-- What guard_status warns about, or cannot see: a view and a function of the owner.
select test.attempt(null, 'select from guarded.as_owner', 'anon') as view_of_owner,
       test.attempt(null, 'select from generate_series(1, guarded.counted())', 'anon') as function_of_owner;
-- Unless the guard is forced.
select "table", state from third_party_auth.guard_table('guarded.note', force => true)
where problem is null or problem not like '%is granted to%';
select test.attempt(null, 'select from guarded.as_owner', 'anon') as view_of_owner,
       test.attempt(null, 'select from generate_series(1, guarded.counted())', 'anon') as function_of_owner,
       test.attempt(null, 'select from guarded.note', 'guard_owner') as the_owner,
       test.attempt(null, 'truncate guarded.note', 'guard_owner') as truncating_owner,
       test.attempt(:'oidc_user', 'truncate guarded.note', 'guard_owner') as owner_with_token;
-- BYPASSRLS is what it says.
grant usage on schema guarded to service_role;
grant all on guarded.note to service_role;
select test.attempt(null, 'select from guarded.note', 'service_role') as reading,
       test.attempt(null, 'truncate guarded.note', 'service_role') as truncating;
revoke all on guarded.note from service_role;
revoke usage on schema guarded from service_role;

-- COPY.
set role anon;
copy guarded.note to stdout;
copy (select * from guarded.note) to stdout;
copy guarded.note from stdin;
3	three
\.
reset role;

-- A prepared statement and a cursor that began with a token do not go on without one.
begin;
set local role authenticated;
select set_config('request.headers', json_build_object('authorization', 'Bearer ' || :'oidc_user')::text, true) is null as hidden;
prepare reading as select id from guarded.note order by id;
execute reading;
declare walking cursor for select id from guarded.note order by id;
fetch 1 from walking;
set local request.headers = '';
execute reading;
fetch 1 from walking;
rollback;
deallocate reading;

-- Settings that a client may change, and names that come first in the search path.
set role anon;
set row_security = off;
select * from guarded.note;
\echo :SQLSTATE
truncate guarded.note;
\echo :SQLSTATE
reset row_security;
create temporary table note (id int);
create function pg_temp.is_third_party_jwt() returns boolean language sql as 'select true';
create function pg_temp.row_security_active(oid) returns boolean language sql as 'select false';
set search_path = pg_temp, pg_catalog, guarded;
select count(*) from guarded.note;
truncate guarded.note;
\echo :SQLSTATE
reset search_path;
drop table pg_temp.note;
drop function pg_temp.is_third_party_jwt(), pg_temp.row_security_active(oid);
-- What the guard is made of.
alter policy "third_party_auth: verified token required" on guarded.note using (true);
\echo :SQLSTATE
drop trigger "third_party_auth: verified token required" on guarded.note;
\echo :SQLSTATE
create or replace trigger "third_party_auth: verified token required" before truncate on guarded.note
    for each statement when (false) execute function suppress_redundant_updates_trigger();
\echo :SQLSTATE
alter table guarded.note disable trigger all;
\echo :SQLSTATE
select third_party_auth.unguard_table('guarded.note');
\echo :SQLSTATE
select third_party_auth.guard_remove('guarded.note'::regclass);
\echo :SQLSTATE
delete from third_party_auth.guard;
\echo :SQLSTATE
-- Its trigger function does nothing else for anyone.
select third_party_auth.refuse_truncate();
\echo :SQLSTATE
reset role;

-- In a parallel query every worker asks the same.
set parallel_setup_cost = 0;
set parallel_tuple_cost = 0;
set min_parallel_table_scan_size = 0;
-- Its name depends on the version of PostgreSQL.
select name as force_parallel from pg_settings where name in ('force_parallel_mode', 'debug_parallel_query') \gset
set :force_parallel = on;
select test.attempt(null, 'select from guarded.note', 'anon') as nobody,
       test.attempt(:'oidc_user', 'select from guarded.note') as a_token;
reset parallel_setup_cost;
reset parallel_tuple_cost;
reset min_parallel_table_scan_size;
reset :force_parallel;

-- One provider, and the anonymous.
select "table", state from third_party_auth.guard_table('guarded.note', '{clerk,oidc}')
where problem is null or problem not like '%is granted to%';
select test.attempt(:'oidc_user', 'select from guarded.note') as oidc,
       test.attempt(:'clerk_admin', 'select from guarded.note') as clerk,
       test.attempt(:'firebase_user', 'select from guarded.note') as firebase,
       test.attempt(null, 'select from guarded.note', 'anon') as nobody;
select "table", state from third_party_auth.guard_table('guarded.note', '{oidc}', allow_anonymous => true)
where problem is null or problem not like '%is granted to%';
select test.attempt(:'oidc_user', 'select from guarded.note') as oidc,
       test.attempt(:'clerk_admin', 'select from guarded.note') as clerk,
       test.attempt(:'bad_signature', 'select from guarded.note') as bad_signature,
       test.attempt(:'bad_signature', 'truncate guarded.note') as truncated,
       test.attempt(null, 'select from guarded.note', 'anon') as nobody,
       test.attempt(null, 'truncate guarded.note', 'anon') as nobody_truncates;
-- Exempt roles: the role itself and its members, nobody else.
create role guard_job;
create role guard_member in role guard_job;
grant usage on schema guarded to guard_job, guard_member;
grant all on guarded.note to guard_job, guard_member;
select "table", state from third_party_auth.guard_table('guarded.note', '{oidc}', exempt_roles => '{guard_job}')
where problem is null or problem not like '%is granted to%';
select test.attempt(null, 'select from guarded.note', 'guard_job') as job,
       test.attempt(null, 'truncate guarded.note', 'guard_member') as member,
       test.attempt(null, 'select from guarded.note', 'anon') as anon,
       test.attempt(null, 'truncate guarded.note', 'anon') as anon_truncates,
       test.attempt(:'oidc_user', 'select from guarded.note') as oidc;
-- What a policy costs per row is the function, and nothing else.
select pg_get_expr(polqual, polrelid) from pg_policy
where polname = third_party_auth.guard_name() and polrelid = 'guarded.log'::regclass;

-- As it was.
select third_party_auth.unguard_table('guarded.note'), third_party_auth.unguard_table('guarded.log'),
       third_party_auth.unguard_table('guarded.base');
select count(*) from third_party_auth.guard_status;
select test.attempt(null, 'select from guarded.note', 'anon') as nobody;
drop table test.statement;
set client_min_messages = warning;
drop schema guarded cascade;
reset client_min_messages;
drop role guard_member, guard_job, guard_owner;

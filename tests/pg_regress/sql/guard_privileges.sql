-- Who may set guards: the extension's owner; and owners of tables, if somebody lets them.
\getenv abs_srcdir PG_ABS_SRCDIR
\set tokens :abs_srcdir '/common/tokens.sql'
\i :tokens
\set SHOW_CONTEXT never
-- Storage's tables, as Supabase has them: not owned by the one who administers the database.
create role guard_storage_admin;
create role guard_admin;
create schema storage authorization guard_storage_admin;
grant usage on schema storage to anon, authenticated, guard_admin;
set role guard_storage_admin;
create table storage.buckets (id text primary key, name text);
create table storage.objects (id int primary key, bucket_id text references storage.buckets, name text);
create table storage.s3_multipart_uploads (id text primary key);
alter table storage.buckets enable row level security;
alter table storage.objects enable row level security;
alter table storage.s3_multipart_uploads enable row level security;
create policy "Everyone may" on storage.objects using (true);
insert into storage.buckets values ('b', 'bucket');
insert into storage.objects values (1, 'b', 'picture');
grant select, insert, update, delete on all tables in schema storage to anon, authenticated;
reset role;
create schema app authorization guard_admin;

-- Nobody, by default.
set role guard_admin;
create table app.own (id int);
alter table app.own enable row level security;
select third_party_auth.guard_table('app.own');
\echo :SQLSTATE
select third_party_auth.guard_schema('app');
\echo :SQLSTATE
select third_party_auth.unguard_table('app.own');
\echo :SQLSTATE
select third_party_auth.unguard_schema('app');
\echo :SQLSTATE
reset role;
select p.oid::regprocedure
from pg_proc p
where p.pronamespace = 'third_party_auth'::regnamespace and p.proname ~ 'guard' and has_function_privilege('anon', p.oid, 'execute');

-- As the documentation says.
do $$
declare
    one regprocedure;
begin
    for one in
        select p.oid from pg_proc p
        where p.pronamespace = 'third_party_auth'::regnamespace and p.proname ~ '^(un)?guard_'
          and p.prorettype <> 'event_trigger'::regtype
    loop
        execute format('grant execute on function %s to guard_admin, guard_storage_admin', one);
    end loop;
end
$$;
grant select, insert, update, delete on third_party_auth.guard, third_party_auth.guard_change to guard_admin, guard_storage_admin;
grant select on third_party_auth.guard_status to guard_admin, guard_storage_admin;
grant select (name) on third_party_auth.provider to guard_admin, guard_storage_admin;
grant usage on schema extensions to guard_admin, guard_storage_admin;

set role guard_admin;
select * from third_party_auth.guard_table('app.own', '{oidc}');
select third_party_auth.unguard_table('app.own');
select * from third_party_auth.guard_schema('app');
create table app.later (id int);
select * from third_party_auth.guard_status;
-- What others own they must guard themselves; the refusal says who.
select third_party_auth.guard_table('storage.objects');
\echo :SQLSTATE
select third_party_auth.unguard_table('storage.objects');
\echo :SQLSTATE
select third_party_auth.guard_schema('storage');
\echo :SQLSTATE
reset role;
create table app.by_superuser (id int);
set role guard_admin;
select third_party_auth.guard_schema('app', rls_off => 'closed');
\echo :SQLSTATE
-- A guarded table of another owner among the partitions: nothing is half done.
create table app.parent (id int) partition by list (id);
reset role;
create table app.part (id int);
alter table app.parent attach partition app.part for values in (1);
set role guard_admin;
select third_party_auth.guard_table('app.parent', '{oidc}', rls_off => 'closed');
\echo :SQLSTATE
reset role;
select table_name, origin, providers from third_party_auth.guard where schema_name = 'app' order by 1;
select count(*) from third_party_auth.guard_schema('app');
-- Their owner, or a superuser.
set role guard_storage_admin;
select * from third_party_auth.guard_table('storage.objects');
select third_party_auth.unguard_table('storage.objects');
reset role;
select * from third_party_auth.guard_table('storage.objects');
select * from third_party_auth.guard_table('storage.buckets', allow_anonymous => true);
select * from third_party_auth.guard_table('storage.s3_multipart_uploads');

-- What Storage sends: role, claims and raw token, all for the transaction.
begin;
select set_config('role', 'authenticated', true) is null, set_config('request.jwt.claim.role', 'authenticated', true) is null,
       set_config('request.jwt', :'oidc_user', true) is null, set_config('request.jwt.claims', '{"role": "authenticated"}', true) is null;
select id, name from storage.objects;
rollback;
begin;
select set_config('role', 'authenticated', true) is null, set_config('request.jwt.claim.role', 'authenticated', true) is null,
       set_config('request.jwt', :'bad_signature', true) is null, set_config('request.jwt.claims', '{"role": "authenticated"}', true) is null;
select id, name from storage.objects;
insert into storage.objects values (2, 'b', 'mine');
\echo :SQLSTATE
rollback;

select count(*) from third_party_auth.guard_status where state <> 'guarded';
set client_min_messages = warning;
select third_party_auth.unguard_schema('app');
drop schema app, storage cascade;
select count(*) from third_party_auth.guard;
drop owned by guard_admin, guard_storage_admin;
drop role guard_admin, guard_storage_admin;
reset client_min_messages;

-- Only admins of an organisation insert into its rows; its members read them.
\getenv abs_srcdir PG_ABS_SRCDIR
\set tokens :abs_srcdir '/common/tokens.sql'
\i :tokens

create schema organization_role;
grant usage on schema organization_role to anon, authenticated;
set search_path = organization_role, extensions;
create table project (name text, organization_id text);
insert into project values ('ours', 'org_a'), ('theirs', 'org_b'), ('nobody''s', null);
alter table project enable row level security;
grant select, insert, update, delete on project to anon, authenticated;

create policy "Members read what belongs to their organization" on project
    for select to authenticated
    using (organization_id = jwt_org_id('clerk'));
create policy "Only organization admins insert" on project
    for insert to authenticated
    with check (jwt_has_org_role('admin', organization_id));

-- As through PostgREST: the role, then the token.
begin;
set local role authenticated;
select set_config('request.headers', json_build_object('authorization', 'Bearer ' || :'clerk_admin')::text, true)
    is not null as has_token;
insert into project values ('new', 'org_a');
select * from project order by name;
insert into project values ('new', 'org_b');
rollback;

-- A claim that the gateway passes on, or that a session writes, counts for nothing.
begin;
set local role authenticated;
select set_config('request.jwt.claims',
    '{"iss": "https://clerk.example.com", "role": "authenticated", "v": 2, "o": {"id": "org_b", "rol": "admin"}, "org_id": "org_b", "org_role": "org:admin"}',
    true) is not null as has_claims;
select * from project;
insert into project values ('forged', 'org_b');
rollback;

\set into_a 'insert into project values (''new'', ''org_a'')'
\set into_b 'insert into project values (''new'', ''org_b'')'
\set into_null 'insert into project values (''new'', null)'
select name, test.attempt(token, 'select from project') as sees,
       test.attempt(token, :'into_a') as into_a,
       test.attempt(token, :'into_b') as into_b,
       test.attempt(token, :'into_null') as into_null
from (values
    (1, 'admin of org_a', :'clerk_admin'),
    (2, 'member of org_a', :'clerk_member'),
    (3, 'admin of org_b', :'clerk_other_admin'),
    (4, 'in no organization', :'clerk_no_organization'),
    (5, 'organization without an id', :'clerk_empty_organization'),
    (6, 'v1: admin of org_a', :'clerk_v1_admin'),
    (7, 'v1: member of org_a', :'clerk_v1_member'),
    (8, 'v2: admin of org_a, custom org_id org_b', :'clerk_mixed_id'),
    (9, 'v2: member of org_a, custom org_role', :'clerk_mixed_role'),
    (10, 'both layouts, no version', :'clerk_mixed_unversioned'),
    (11, 'session pending', :'clerk_pending'),
    (12, 'made for another origin', :'clerk_other_party'),
    (13, 'not a session token', :'clerk_template'),
    (14, 'another provider', :'firebase_user'),
    (15, 'role service_role', :'clerk_service_role'),
    (16, 'no role claim', :'clerk_no_role'),
    (17, 'no token', '')
) as t (n, name, token)
order by n;

-- Neither policy applies to UPDATE and DELETE, so nobody may.
select test.attempt(:'clerk_admin', 'update project set name = ''x''') as update,
       test.attempt(:'clerk_admin', 'delete from project') as delete;

-- Rows that belong to nobody are not everybody's: neither for a token without an organization, nor with
-- the arguments the other way round.
create policy "The same, told differently" on project for select to authenticated
    using (jwt_has_org_role('member', organization_id) or jwt_has_org_role(null, organization_id)
        or jwt_has_org_role('member', null));
select test.attempt(:'clerk_no_organization', 'select from project') as without_organization,
       test.attempt(:'clerk_member', 'select from project') as member;

-- With and without org:, case matters.
select role, test.answer(:'clerk_admin', format('jwt_has_org_role(%L)', role)) as v2,
       test.answer(:'clerk_v1_admin', format('jwt_has_org_role(%L)', role)) as v1
from unnest(array['admin', 'org:admin', 'Admin', 'org:', '', 'org:org:admin', 'member']) with ordinality as r (role, n)
order by n;

reset search_path;
drop schema organization_role cascade;

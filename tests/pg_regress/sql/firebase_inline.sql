-- All Firebase projects share their signing keys: only tokens of our own project and of our Supabase
-- Auth reach the table. The policy is written out where it is used.
\getenv abs_srcdir PG_ABS_SRCDIR
\set tokens :abs_srcdir '/common/tokens.sql'
\i :tokens

create schema firebase_inline;
grant usage on schema firebase_inline to anon, authenticated, service_role;
set search_path = firebase_inline, extensions;
create table document (id int);
insert into document values (1), (2);
alter table document enable row level security;
grant select, insert, update, delete on document to anon, authenticated, service_role;
create policy "Everyone may" on document using (true) with check (true);
create policy "Only Supabase Auth and our Firebase project" on document as restrictive
    using (is_third_party_jwt('supabase') or is_third_party_jwt('firebase'));

-- The foreign project's token is signed by a key that is pinned here, and is well-formed.
select name, test.attempt(token, 'select from document') as select,
       test.attempt(token, 'insert into document values (3)') as insert,
       test.attempt(token, 'update document set id = 0') as update,
       test.attempt(token, 'delete from document') as delete
from (values
    (1, 'our Firebase project', :'firebase_user'),
    (2, 'our Supabase Auth', :'supabase_user'),
    (3, 'a foreign Firebase project', :'firebase_foreign'),
    (4, 'foreign, aud names us too', :'firebase_foreign_audience'),
    (5, 'aud as an array', :'firebase_audience_array'),
    (6, 'for a function of our project', :'firebase_function_audience'),
    (7, 'a session cookie', :'firebase_cookie'),
    (8, 'without a role', :'firebase_no_role'),
    (9, 'role service_role', :'firebase_service_role'),
    (10, 'another provider', :'clerk_admin'),
    (11, 'ID token of Supabase', :'supabase_id_token'),
    (12, 'Supabase, for another audience', :'supabase_other_audience'),
    (13, 'no token', '')
) as t (n, name, token)
order by n;

-- The policy is for every role, so that it does not help to ask for another one. What bypasses Row Level
-- Security bypasses every policy: the gateway must not be let switch to service_role.
select role, test.attempt(:'firebase_foreign_service_role', 'select from document', role) as foreign_project,
       test.attempt(:'firebase_no_role', 'select from document', role) as own_token_without_role
from unnest(array['anon', 'authenticated', 'service_role']) as role;
-- That is refused before it gets there.
select extensions.verify_third_party_jwt(:'firebase_service_role');
\echo :SQLSTATE

-- Claims that are not those of a verified token count for nothing, beside a refused token either.
\set forged '{"iss": "https://securetoken.google.com/my-project", "aud": "my-project", "role": "authenticated"}'
select test.attempt('', 'select from document', claims => :'forged') as forged,
       test.attempt(:'firebase_foreign', 'select from document', claims => :'forged') as beside_a_foreign_token;

-- A name that is not registered lets nobody in, and raises nothing.
create policy "Unknown" on document as restrictive using (is_third_party_jwt('no-such-provider'));
select test.attempt(:'firebase_user', 'select from document') as own_project;

reset search_path;
drop schema firebase_inline cascade;

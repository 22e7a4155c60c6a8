-- The same for many tables: one function in each policy, and it is never NULL.
\getenv abs_srcdir PG_ABS_SRCDIR
\set tokens :abs_srcdir '/common/tokens.sql'
\i :tokens

create schema firebase_function;
grant usage on schema firebase_function to anon, authenticated;
set search_path = firebase_function, extensions;
create table document (id int);
create table invoice (id int);
insert into document values (1), (2);
insert into invoice values (1), (2), (3);
alter table document enable row level security;
alter table invoice enable row level security;
grant select, insert, update, delete on document, invoice to anon, authenticated;
create policy "Everyone may" on document using (true) with check (true);
create policy "Everyone may" on invoice using (true) with check (true);
create policy "Only Supabase Auth and our Firebase project" on document as restrictive
    using (is_supabase_or_firebase_project_jwt());
-- Wrapped in a sub-select, and compared with true, as many write it.
create policy "Only Supabase Auth and our Firebase project" on invoice as restrictive
    using ((select is_supabase_or_firebase_project_jwt()) is true);

select name, test.attempt(token, 'select from document') as document,
       test.attempt(token, 'select from invoice') as invoice,
       test.attempt(token, 'delete from invoice') as delete,
       test.answer(token, 'not is_supabase_or_firebase_project_jwt()') as negated
from (values
    (1, 'our Firebase project', :'firebase_user'),
    (2, 'our Supabase Auth', :'supabase_user'),
    (3, 'a foreign Firebase project', :'firebase_foreign'),
    (4, 'foreign, aud names us too', :'firebase_foreign_audience'),
    (5, 'aud as an array', :'firebase_audience_array'),
    (6, 'without a role', :'firebase_no_role'),
    (7, 'role service_role', :'firebase_service_role'),
    (8, 'Clerk', :'clerk_admin'),
    (9, 'OIDC', :'oidc_user'),
    (10, 'not a token', 'null'),
    (11, 'no token', '')
) as t (n, name, token)
order by n;

-- It is about the kind, whatever the provider is called, and follows what is registered.
begin;
update third_party_auth.provider set name = 'mobile' where name = 'firebase';
select test.answer(:'firebase_user', 'is_supabase_or_firebase_project_jwt()') as renamed,
       test.answer(:'firebase_user', 'is_third_party_jwt(''firebase'')') as by_the_old_name,
       test.answer(:'firebase_user', 'is_third_party_jwt(''mobile'')') as by_the_new_name;
select third_party_auth.remove_provider('mobile');
select test.answer(:'firebase_user', 'is_supabase_or_firebase_project_jwt()') as removed;
rollback;
select test.answer(:'firebase_user', 'is_supabase_or_firebase_project_jwt()') as after_rollback;

reset search_path;
drop schema firebase_function cascade;

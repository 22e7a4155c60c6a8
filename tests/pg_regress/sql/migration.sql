-- A database that already has the guide's function, with policies on it.
\getenv abs_srcdir PG_ABS_SRCDIR
\set tokens :abs_srcdir '/common/tokens.sql'
\i :tokens

-- auth.jwt() as Supabase has it.
create schema auth;
grant usage on schema auth to anon, authenticated;
create function auth.jwt() returns jsonb language sql stable as $$
    select coalesce(
        nullif(current_setting('request.jwt.claim', true), ''),
        nullif(current_setting('request.jwt.claims', true), '')
    )::jsonb
$$;
create function public.is_supabase_or_firebase_project_jwt()
    returns bool
    language sql
    stable
    returns null on null input
    return (
        (auth.jwt()->>'iss' = 'https://project.supabase.co/auth/v1')
        or
        (
            auth.jwt()->>'iss' = concat('https://securetoken.google.com/my-project')
            and
            auth.jwt()->>'aud' = 'my-project'
        )
    );
create table public.document (id int);
insert into document values (1), (2);
alter table document enable row level security;
grant select on document to anon, authenticated;
create policy "Everyone may" on document using (true);
create policy "Restrict access to correct Supabase and Firebase projects" on document as restrictive
    to authenticated
    using ((select public.is_supabase_or_firebase_project_jwt()) is true);

\set forged '{"iss": "https://securetoken.google.com/my-project", "aud": "my-project"}'
\set read 'select from public.document'
-- Before: whoever can write a setting is let in.
select test.attempt('', :'read') as nobody, test.attempt('', :'read', claims => :'forged') as forged,
       test.attempt(:'firebase_user', :'read') as own_token_only,
       test.attempt(:'firebase_foreign', :'read', claims => :'forged') as foreign_with_forged_claims;

-- The function keeps its signature; what it asks is ours. (The policies name the function, so they stay.)
create or replace function public.is_supabase_or_firebase_project_jwt()
    returns bool
    language sql
    stable
    returns null on null input
    as $$ select extensions.is_supabase_or_firebase_project_jwt() $$;

-- After: only a verified token counts.
select test.attempt('', :'read') as nobody, test.attempt('', :'read', claims => :'forged') as forged,
       test.attempt(:'firebase_user', :'read') as own_token_only,
       test.attempt(:'firebase_foreign', :'read', claims => :'forged') as foreign_with_forged_claims;
set search_path = pg_catalog;
select polname, polpermissive, pg_get_expr(polqual, polrelid) as using
from pg_policy where polrelid = 'public.document'::regclass order by 1;
reset search_path;

-- Still open, as the guide's policy left it: it is for the role authenticated only.
select test.attempt('', :'read', role => 'anon') as anon_before;
alter policy "Restrict access to correct Supabase and Firebase projects" on document to public;
select test.attempt('', :'read', role => 'anon') as anon_after;

drop table public.document;
drop function public.is_supabase_or_firebase_project_jwt();
drop schema auth cascade;

-- The extension, roles and providers that the other files use. It can be run again.
\getenv abs_srcdir PG_ABS_SRCDIR
\set tokens :abs_srcdir '/common/tokens.sql'
\i :tokens

set client_min_messages = warning;
drop extension if exists pg_third_party_auth cascade;
drop schema if exists extensions, test cascade;
do $$
declare
    name text;
begin
    foreach name in array array['anon', 'authenticated', 'service_role'] loop
        if not exists (select from pg_roles where rolname = name) then
            execute format('create role %I nologin', name);
        end if;
    end loop;
end
$$;
alter role service_role bypassrls;
reset client_min_messages;

create schema extensions;
create extension pg_third_party_auth schema extensions;
grant usage on schema extensions to anon, authenticated, service_role;

-- Keys are pinned: nothing is fetched.
select provider, kind, issuer, enabled, source, key_count, problem from third_party_auth.add_clerk(
    'clerk.example.com', authorized_parties => '{https://app.example.com}', jwks => :'clerk_jwks');
select provider, kind, issuer, enabled, source, key_count, problem from third_party_auth.add_firebase(
    'my-project', jwks => :'google_jwks');
select provider, kind, issuer, enabled, source, key_count, problem from third_party_auth.add_supabase(
    'https://project.supabase.co/auth/v1', jwks => :'supabase_jwks');
select provider, kind, issuer, enabled, source, key_count, problem from third_party_auth.add_oidc(
    'https://issuer.example.com/', audiences => '{api}', jwks => :'oidc_jwks');

-- What a gateway does with a request: the role that the token asks for, the token as a header, and the
-- claims. The statement is undone. Answers how many rows it touched, whether a policy refused it, or why
-- else it failed.
create schema test;
grant usage on schema test to public;
create function test.attempt(token text, statement text, role text default 'authenticated',
                             claims text default '') returns text
    language plpgsql as $$
declare
    touched bigint;
begin
    perform set_config('request.headers', json_build_object('authorization', 'Bearer ' || token)::text, true),
            set_config('request.jwt.claims', claims, true),
            set_config('role', role, true);
    execute statement;
    get diagnostics touched = row_count;
    raise sqlstate 'UNDO0';
exception
    when sqlstate 'UNDO0' then
        return touched || ' rows';
    when insufficient_privilege then
        return case when sqlerrm like '%violates row-level security policy%' then 'refused' else sqlerrm end;
    when others then
        return sqlstate || ' ' || sqlerrm;
end
$$;

-- What a policy on a table that anyone may read answers for a token, as text.
create function test.answer(token text, expression text) returns text
    language plpgsql as $$
declare
    answer text;
begin
    perform set_config('request.headers', json_build_object('authorization', 'Bearer ' || token)::text, true);
    execute format('select (%s)::text', expression) into answer;
    perform set_config('request.headers', '', true);
    return coalesce(answer, 'NULL');
end
$$;

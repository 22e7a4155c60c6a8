-- Only those who passed a second factor reach the table.
\getenv abs_srcdir PG_ABS_SRCDIR
\set tokens :abs_srcdir '/common/tokens.sql'
\i :tokens

create schema second_factor;
grant usage on schema second_factor to anon, authenticated;
set search_path = second_factor, extensions;
create table secret (id int);
insert into secret values (1), (2), (3);
alter table secret enable row level security;
grant select, insert, update, delete on secret to anon, authenticated;
create policy "Who is signed in may" on secret to anon, authenticated using (true) with check (true);

-- For all commands and all roles: a policy for select alone holds neither INSERT, nor UPDATE and DELETE
-- that read no column, and one for a single role holds no token that asks for another one.
create policy "Only with a second factor" on secret as restrictive
    using (jwt_second_factor_verified());

select name, test.attempt(token, 'select from secret') as select,
       test.attempt(token, 'insert into secret values (4)') as insert,
       test.attempt(token, 'update secret set id = 0') as update,
       test.attempt(token, 'delete from secret') as delete
from (values
    (1, 'second factor', :'fva_verified'),
    (2, 'never: -1', :'fva_never'),
    (3, 'never: -1.0', :'fva_fraction'),
    (4, 'true', :'fva_true'),
    (5, '[]', :'fva_array'),
    (6, 'empty text', :'fva_empty_text'),
    (7, 'a text', :'fva_text'),
    (8, '-2', :'fva_below'),
    (9, 'three elements', :'fva_three'),
    (10, 'one element', :'fva_one'),
    (11, 'no elements', :'fva_empty'),
    (12, 'an object', :'fva_object'),
    (13, 'both factors never', :'fva_both_never'),
    (14, 'no fva', :'fva_missing'),
    (15, 'Firebase, second factor', :'firebase_second_factor'),
    (16, 'Firebase, password only', :'firebase_user'),
    (17, 'Supabase, aal2', :'supabase_aal2'),
    (18, 'Supabase, aal1', :'supabase_user'),
    (19, 'OIDC, amr with mfa', :'oidc_second_factor'),
    (20, 'OIDC, no amr', :'oidc_user'),
    (21, 'no token', '')
) as t (n, name, token)
order by n;

-- Another role is held too, and claims that are not those of a verified token count for nothing.
select test.attempt('', 'select from secret', role => 'anon') as anon,
       test.attempt('', 'select from secret', claims => '{"fva": [0, 0], "aal": "aal2"}') as forged,
       test.attempt(:'fva_never', 'delete from secret', claims => '{"fva": [0, 0]}') as forged_beside_a_token;

-- How long ago: the tokens are of 2024. Where a token does not say when, it is too long ago.
select name, test.answer(token, 'jwt_second_factor_verified(interval ''200 years'')') as within_200_years,
       test.answer(token, 'jwt_second_factor_verified(interval ''1 hour'')') as within_an_hour,
       test.answer(token, 'jwt_second_factor_verified(interval ''-1 second'')') as within_minus_a_second,
       test.answer(token, 'jwt_second_factor_verified(null)') as within_null
from (values
    (1, 'Clerk', :'fva_verified'),
    (2, 'Clerk, never', :'fva_never'),
    (3, 'Firebase', :'firebase_second_factor'),
    (4, 'Supabase', :'supabase_aal2'),
    (5, 'Supabase, undated', :'supabase_aal2_undated'),
    (6, 'OIDC', :'oidc_second_factor'),
    (7, 'no token', '')
) as t (n, name, token)
order by n;

reset search_path;
drop schema second_factor cascade;

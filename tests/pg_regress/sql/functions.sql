-- What every function for policies answers, for tokens of every kind.
\getenv abs_srcdir PG_ABS_SRCDIR
\set tokens :abs_srcdir '/common/tokens.sql'
\i :tokens
set search_path = extensions;

create temporary table token as
select * from (values
    ('clerk v2', :'clerk_admin'),
    ('clerk v1', :'clerk_v1_admin'),
    ('firebase', :'firebase_user'),
    ('supabase', :'supabase_aal2'),
    ('oidc', :'oidc_user'),
    ('refused', :'expired'),
    ('none', '')
) as t (name, token);
create temporary table question as
select * from unnest(array[
    'is_third_party_jwt()',
    'is_third_party_jwt(''clerk'')',
    'is_third_party_jwt(''firebase'')',
    'is_third_party_jwt(''no-such-provider'')',
    'is_third_party_jwt('''')',
    'is_third_party_jwt(null)',
    'is_supabase_or_firebase_project_jwt()',
    'jwt_provider()',
    'jwt_issuer()',
    'jwt_subject()',
    'jwt_subject(''clerk'')',
    'jwt_subject(''no-such-provider'')',
    'jwt_subject(null)',
    'jwt_role()',
    'jwt_session_id()',
    'jwt_has_audience(''api'')',
    'jwt_has_audience(''authenticated'')',
    'jwt_has_audience(''my-project'')',
    'jwt_has_audience('''')',
    'jwt_has_audience(null)',
    'jwt_org_id()',
    'jwt_org_id(''clerk'')',
    'jwt_org_id(''firebase'')',
    'jwt_org_id(null)',
    'jwt_org_role()',
    'jwt_has_org_role(''admin'')',
    'jwt_has_org_role(''org:admin'')',
    'jwt_has_org_role(''member'')',
    'jwt_has_org_role(null)',
    'jwt_has_org_role(''admin'', ''org_a'')',
    'jwt_has_org_role(''admin'', ''org_b'')',
    'jwt_has_org_role(''admin'', null)',
    'jwt_has_org_role(null, ''org_a'')',
    'jwt_second_factor_verified()',
    'jwt_second_factor_verified(interval ''200 years'')',
    'jwt_second_factor_verified(interval ''1 minute'')',
    'jwt_second_factor_verified(null)',
    'jwt_reverified(''strict'')',
    'jwt_reverified(''no-such-level'')',
    'jwt_reverified(null)',
    'third_party_jwt() is null',
    'third_party_jwt()->>''sub''',
    'third_party_jwt()->''aud'''
]) with ordinality as q (expression, n);

select expression,
       max(answer) filter (where name = 'clerk v2') as "clerk v2",
       max(answer) filter (where name = 'clerk v1') as "clerk v1",
       max(answer) filter (where name = 'firebase') as firebase,
       max(answer) filter (where name = 'supabase') as supabase,
       max(answer) filter (where name = 'oidc') as oidc,
       max(answer) filter (where name = 'refused') as refused,
       max(answer) filter (where name = 'none') as none
from question, token, test.answer(token, expression) as answer
group by n, expression
order by n;

-- A type that is not the declared one is a mistake of the policy, not of the token.
select jwt_second_factor_verified('soon');
\echo :SQLSTATE

-- The claims are those of the token, complete.
select test.answer(:'firebase_user', 'third_party_jwt()') as claims;
select test.answer(:'firebase_user', 'third_party_jwt()')::jsonb = verify_third_party_jwt(:'firebase_user') as same;

-- A token that is set for the session counts in every transaction until it is taken away.
set request.jwt = '';
select jwt_subject() is null as nobody;
select set_config('request.jwt', :'clerk_admin', false) is not null as has_token;
select jwt_subject(), jwt_org_id(), jwt_org_role();
reset request.jwt;
select jwt_subject() is null as nobody;
select set_config('request.jwt', :'clerk_admin', false) is not null as has_token;
discard all;
select extensions.jwt_subject() is null as nobody;

-- Every further kind of provider: one meaning of every function, from different claims.
\getenv abs_srcdir PG_ABS_SRCDIR
\set tokens :abs_srcdir '/common/tokens.sql'
\i :tokens
set search_path = third_party_auth, extensions;
begin;

select provider, kind, issuer, source from add_auth0('my-tenant', 'us', audiences => '{https://api.example.com}', jwks => :'shared_jwks');
select provider, kind, issuer, source from add_aws_cognito('us-east-1_AbCdEfGhI', 'us-east-1', '{6i0o6sexample}', jwks => :'shared_jwks');
select provider, kind, issuer, source from add_workos('https://api.workos.com/user_management/client_01ABC', jwks => :'shared_jwks');
select provider, kind, issuer, source from add_apple('{com.example.app}', jwks => :'shared_jwks');
select provider, kind, issuer, source from add_azure('organizations', '{6e74172b-be56-4843-9ff4-e66a39bb12e3}',
    '{72F988BF-86F1-41AF-91AB-2D7CD011DB47}', jwks => :'shared_jwks');

create view answers as
select jwt_provider() as provider, jwt_role() as role, jwt_session_id() as session, jwt_org_id() as org,
       jwt_org_role() as org_role, jwt_has_org_role('admin') as admin, jwt_has_org_role('admins') as admins,
       jwt_has_org_permission('read:items') as items, jwt_has_org_permission('posts:read', 'org_a') as posts,
       jwt_has_scope('read:items') as scope, jwt_has_scope('items.read') as scp, jwt_has_scope('read:items profile') as scopes,
       jwt_second_factor_verified() as factor, jwt_authenticated_within('100 years') as recent,
       jwt_authenticated_within('1 day') as today, jwt_email_verified() as email;
\x on
select set_config('request.jwt', :'auth0_user', false) is null as hidden;
select * from answers;
select set_config('request.jwt', :'cognito_access', false) is null as hidden;
select * from answers;
select set_config('request.jwt', :'cognito_id', false) is null as hidden;
select * from answers;
select set_config('request.jwt', :'workos_user', false) is null as hidden;
select * from answers;
select set_config('request.jwt', :'azure_user', false) is null as hidden;
select * from answers;
\x off

-- A proof of one sign-in is no token of a request.
select set_config('request.jwt', :'apple_proof', false) is null as hidden;
select is_third_party_jwt(), jwt_email_verified();
select rule, ok, detail from explain() where not ok;
select verify_third_party_jwt(:'apple_proof', 'apple', 'n-0S6_WzA2Mj')->>'email_verified' as verified;

-- A NULL argument never widens access, nor does a provider that is not the token's.
select set_config('request.jwt', :'auth0_user', false) is null as hidden;
select jwt_has_scope(null), jwt_has_org_permission(null), jwt_has_org_permission('read:items', null),
       jwt_has_org_permission(null, 'org_a'), jwt_authenticated_within(null), jwt_org_id('workos');

-- Other tokens of the same keys.
savepoint refused;
select verify_third_party_jwt(:'workos_agent');
\echo :SQLSTATE
rollback to refused;
select verify_third_party_jwt(:'azure_other_tenant');
\echo :SQLSTATE
rollback to refused;
select verify_third_party_jwt(:'apple_proof', 'apple', 'another nonce');
\echo :SQLSTATE
rollback to refused;
-- token_use => 'id' leaves access tokens out.
update provider set options = options || '{"token_use": "id"}' where name = 'aws_cognito';
select verify_third_party_jwt(:'cognito_access');
\echo :SQLSTATE
rollback to refused;

-- An exact issuer goes before a template.
select provider, issuer from add_azure('72f988bf-86f1-41af-91ab-2d7cd011db47', '{6e74172b-be56-4843-9ff4-e66a39bb12e3}',
    name => 'one tenant', jwks => :'shared_jwks');
select set_config('request.jwt', :'azure_user', false) is null as hidden;
select jwt_provider();
-- Two templates for the same tenants are one too many.
select add_azure('common', '{6e74172b-be56-4843-9ff4-e66a39bb12e3}', '{consumers}', name => 'all', jwks => :'shared_jwks');
\echo :SQLSTATE
rollback;

-- Own arguments that are missing or wrong. Nothing is registered, so nothing is fetched.
select add_auth0('my-tenant', audiences => '{}');
\echo :SQLSTATE
select add_auth0('my-tenant.us.auth0.com', audiences => '{api}');
\echo :SQLSTATE
select add_aws_cognito('us-east-1_AbCdEfGhI', 'eu-west-1', '{c}');
\echo :SQLSTATE
select add_aws_cognito('us-east-1_AbCdEfGhI', 'us-east-1', '{c}', token_use => 'refresh');
\echo :SQLSTATE
select add_aws_cognito('us-east-1_AbCdEfGhI', 'us-east-1');
\echo :SQLSTATE
select add_workos('https://api.workos.com');
\echo :SQLSTATE
select add_workos('https://api.workos.com/user_management/client_01ABC', 'client_01DEF');
\echo :SQLSTATE
select add_apple('{}');
\echo :SQLSTATE
select add_apple('{com.example.app}', any_audience => true);
\echo :SQLSTATE
select add_azure('common', '{c}');
\echo :SQLSTATE
select add_azure('contoso.onmicrosoft.com', '{c}');
\echo :SQLSTATE
select add_azure('common', '{c}', '{contoso}');
\echo :SQLSTATE
select add_azure('72f988bf-86f1-41af-91ab-2d7cd011db47', '{c}', '{72f988bf-86f1-41af-91ab-2d7cd011db47}');
\echo :SQLSTATE
select add_supabase('https://x.supabase.co/auth/v1', '{https://x.supabase.co/auth/v1}', name => 'x');
\echo :SQLSTATE

-- Each kind's function has the arguments that its options may have, and then those that all have.
select proname, proargnames[1:cardinality(proargnames) - 13] as own
from pg_proc where pronamespace = 'third_party_auth'::regnamespace and proname ~ '^add_' order by proname;

-- Supabase's legacy secret (HS256): what it verifies, and that nobody sees it.
\getenv abs_srcdir PG_ABS_SRCDIR
\set tokens :abs_srcdir '/common/tokens.sql'
\i :tokens
set search_path = third_party_auth, extensions;

-- Too short, and one that everybody knows, unless it is for this machine.
select add_supabase('https://legacy.supabase.co/auth/v1', name => 'legacy', jwt_secret => 'short', jwks => :'supabase_jwks');
\echo :SQLSTATE
select add_supabase('https://legacy.supabase.co/auth/v1', name => 'legacy', jwks => :'supabase_jwks',
    jwt_secret => 'super-secret-jwt-token-with-at-least-32-characters-long');
\echo :SQLSTATE
begin;
select provider, problem from add_supabase('http://127.0.0.1:54321/auth/v1', name => 'local', jwks => :'supabase_jwks',
    jwt_secret => 'super-secret-jwt-token-with-at-least-32-characters-long');
-- It does not follow the provider to another address.
update provider set options = '{"jwt_issuer": "https://legacy.supabase.co/auth/v1"}' where name = 'local';
select provider, problem from status where provider = 'local';
rollback;

begin;
select provider, problem from add_supabase('https://legacy.supabase.co/auth/v1', name => 'legacy', jwks => :'supabase_jwks',
    jwt_secret => :'supabase_secret');
-- An identical repeat, and others.
select provider, problem from add_supabase('https://legacy.supabase.co/auth/v1', name => 'legacy', jwks => :'supabase_jwks',
    jwt_secret => :'supabase_secret');
savepoint other;
select add_supabase('https://legacy.supabase.co/auth/v1', name => 'legacy', jwks => :'supabase_jwks',
    jwt_secret => 'another secret, and also long enough for it');
\echo :SQLSTATE
rollback to other;
select add_supabase('https://legacy.supabase.co/auth/v1', name => 'legacy', jwks => :'supabase_jwks');
\echo :SQLSTATE
rollback to other;

-- It verifies tokens of this provider, and only those.
select verify_third_party_jwt(:'legacy_user')->>'sub' as sub;
select verify_third_party_jwt(:'legacy_forged');
\echo :SQLSTATE
rollback to other;
select verify_third_party_jwt(:'confused');
\echo :SQLSTATE
rollback to other;

-- API keys are no users' tokens; explain() says what they are.
select set_config('request.jwt', :'anon_key', true) is null as hidden;
select is_third_party_jwt(), jwt_role();
select rule, ok, detail from explain() where not ok;
select rule, ok, detail from explain(:'service_key') where not ok;
select verify_third_party_jwt(:'anon_key');
\echo :SQLSTATE
rollback to other;

-- Nobody sees it: not in the row, the views, explain(), or as a reader of all data.
select count(*) filter (where p::text like '%golden tests%') as in_providers from provider p;
select count(*) filter (where s::text like '%golden tests%') as in_status from status s;
select count(*) filter (where e::text like '%golden tests%') as in_explain from explain(:'legacy_user') e;
select provider from add_supabase('https://second.supabase.co/auth/v1', name => 'second', jwks => :'supabase_jwks',
    jwt_secret => 'another secret of the golden tests, and long enough');
analyze provider_secret;
select count(*) as in_statistics from pg_statistic
where starelid = 'provider_secret'::regclass and staattnum = 2;
create role reader;
grant pg_read_all_data, pg_monitor to reader;
set local role reader;
select count(*) from provider_secret;
reset role;
create role ordinary;
set local role ordinary;
select count(*) from provider_secret;
\echo :SQLSTATE
rollback to other;

-- What a restored database lacks: the provider is there, its secret is not.
delete from provider_secret;
select verify_third_party_jwt(:'legacy_user');
\echo :SQLSTATE
rollback to other;
delete from provider_secret;
select provider, problem from add_supabase('https://legacy.supabase.co/auth/v1', name => 'legacy', jwks => :'supabase_jwks',
    jwt_secret => :'supabase_secret');
select verify_third_party_jwt(:'legacy_user')->>'sub' as sub;

-- It does not follow its provider to another issuer, nor back from another kind.
savepoint moved;
update provider set options = '{"jwt_issuer": "https://other.supabase.co/auth/v1"}' where name = 'legacy';
select provider, problem from status where provider = 'legacy';
select verify_third_party_jwt(:'legacy_moved');
\echo :SQLSTATE
rollback to moved;
update provider set kind = 'oidc', options = '{"issuer": "https://legacy.supabase.co/auth/v1"}', any_audience = true,
    allowed_roles = '{authenticated}' where name = 'legacy';
select provider, problem from status where provider = 'legacy';
select verify_third_party_jwt(:'legacy_user');
\echo :SQLSTATE
rollback to moved;

-- Plain SQL is judged too, and only kind supabase can have one.
insert into provider_secret values ('oidc', :'supabase_secret');
\echo :SQLSTATE
rollback to other;
insert into provider_secret values (null, :'supabase_secret');
\echo :SQLSTATE
rollback to other;
insert into provider_secret values ('nobody', :'supabase_secret');
\echo :SQLSTATE
rollback to other;
select add_supabase('https://x.supabase.co/auth/v1', name => 'x', jwt_secret => '', jwks => :'supabase_jwks');
\echo :SQLSTATE
rollback to other;
update provider_secret set secret = 'short';
\echo :SQLSTATE
rollback to other;
insert into provider (name, kind, options) values ('x', 'supabase', '{"jwt_issuer": "https://x.supabase.co/auth/v1", "jwt_secret": "s"}');
\echo :SQLSTATE
rollback to other;

-- A setting that everyone reads is no place for it.
delete from provider_secret;
set local app.settings.jwt_secret = :'supabase_secret';
select provider from add_supabase('https://legacy.supabase.co/auth/v1', name => 'legacy', jwks => :'supabase_jwks',
    jwt_secret => :'supabase_secret');

-- Nor is it safe from those whom Row Level Security does not bind, and in a publication of everything.
delete from provider_secret;
reset app.settings.jwt_secret;
create role everything bypassrls;
grant pg_read_all_data to everything;
set local client_min_messages = error;
create publication everything for all tables;
set local client_min_messages = notice;
select provider from add_supabase('https://legacy.supabase.co/auth/v1', name => 'legacy', jwks => :'supabase_jwks',
    jwt_secret => :'supabase_secret');

-- It goes with its provider.
select remove_provider('legacy');
select count(*) from provider_secret;
rollback;
-- It is not dumped.
select extconfig::regclass[] from pg_extension where extname = 'pg_third_party_auth';

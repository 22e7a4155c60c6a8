-- Who may sign: add_<kind>(), plain SQL on the table, and what both refuse.
\getenv abs_srcdir PG_ABS_SRCDIR
\set tokens :abs_srcdir '/common/tokens.sql'
\i :tokens
set search_path = third_party_auth, extensions;

-- Each kind registers under its own name, and an identical repeat answers the row.
begin;
delete from provider;
select provider, kind, issuer, source, key_count from add_clerk('https://clerk.example.com/', jwks => :'clerk_jwks');
select provider, kind, issuer, source, key_count from add_clerk('https://clerk.example.com/', jwks => :'clerk_jwks');
select provider, kind, issuer, source, key_count from add_firebase('my-project', jwks => :'google_jwks');
select provider, kind, issuer, source, key_count from add_firebase('my-project', jwks => :'google_jwks');
select provider, kind, issuer, source, key_count from add_supabase('https://project.supabase.co/auth/v1', jwks => :'supabase_jwks');
select provider, kind, issuer, source, key_count from add_supabase('https://project.supabase.co/auth/v1', jwks => :'supabase_jwks');
select provider, kind, issuer, source, key_count from add_oidc('https://issuer.example.com/', any_audience => true, jwks => :'oidc_jwks');
select provider, kind, issuer, source, key_count from add_oidc('https://issuer.example.com/', any_audience => true, jwks => :'oidc_jwks');
-- What was left open is filled in, so that the table shows what holds.
select name, enabled, audiences, any_audience, role_claim, allowed_roles, default_role, clock_skew, algorithms,
       for_requests, options
from provider order by name;
rollback;

-- Another one of the same name, or with an issuer that is taken.
select add_firebase('other-project', jwks => :'google_jwks');
\echo :SQLSTATE
select add_firebase('my-project', name => 'mobile', jwks => :'google_jwks');
\echo :SQLSTATE
select add_oidc('https://new.example.com', name => 'new', audiences => '{api}', jwks => :'oidc_jwks',
                issuers => '{https://clerk.example.com}');
\echo :SQLSTATE
insert into provider (name, kind, options, jwks) values ('mobile', 'firebase', '{"project_id": "my-project"}', :'google_jwks');
\echo :SQLSTATE
update provider set issuers = '{https://issuer.example.com/}' where name = 'supabase';
\echo :SQLSTATE

-- Arguments that are missing, contradict each other or are not allowed.
select add_oidc('https://new.example.com', name => 'new', jwks => :'oidc_jwks');
\echo :SQLSTATE
select add_oidc('https://new.example.com', name => 'new', audiences => '{api}', any_audience => true, jwks => :'oidc_jwks');
\echo :SQLSTATE
select add_oidc('', name => 'new', audiences => '{api}', jwks => :'oidc_jwks');
\echo :SQLSTATE
select add_oidc(null, name => 'new', audiences => '{api}', jwks => :'oidc_jwks');
\echo :SQLSTATE
select add_oidc('issuer', name => 'new', audiences => '{api}');
\echo :SQLSTATE
select add_oidc('https://new.example.com', name => '', audiences => '{api}', jwks => :'oidc_jwks');
\echo :SQLSTATE
select add_oidc('https://new.example.com', name => null, audiences => '{api}', jwks => :'oidc_jwks');
\echo :SQLSTATE
select add_oidc('https://new.example.com', name => 'new', audiences => '{api,null}', jwks => :'oidc_jwks');
\echo :SQLSTATE
select add_oidc('https://new.example.com', name => 'new', audiences => '{api,""}', jwks => :'oidc_jwks');
\echo :SQLSTATE
select add_oidc('https://new.example.com', name => 'new', audiences => '{api}', algorithms => '{HS256}', jwks => :'oidc_jwks');
\echo :SQLSTATE
select add_oidc('https://new.example.com', name => 'new', audiences => '{api}', algorithms => '{none}', jwks => :'oidc_jwks');
\echo :SQLSTATE
select add_oidc('https://new.example.com', name => 'new', audiences => '{api}', algorithms => '{}', jwks => :'oidc_jwks');
\echo :SQLSTATE
select add_oidc('https://new.example.com', name => 'new', audiences => '{api}', clock_skew => '6 min', jwks => :'oidc_jwks');
\echo :SQLSTATE
select add_oidc('https://new.example.com', name => 'new', audiences => '{api}', clock_skew => '-1 s', jwks => :'oidc_jwks');
\echo :SQLSTATE
select add_oidc('https://new.example.com', name => 'new', audiences => '{api}', role_claim => 'a..b', jwks => :'oidc_jwks');
\echo :SQLSTATE
select add_oidc('https://new.example.com', name => 'new', audiences => '{api}', default_role => 'postgres', jwks => :'oidc_jwks');
\echo :SQLSTATE
select add_clerk('new.example.com', name => 'new', allowed_roles => '{authenticated,service_role}', jwks => :'clerk_jwks');
\echo :SQLSTATE
select add_clerk('https://new.example.com/path', name => 'new', jwks => :'clerk_jwks');
\echo :SQLSTATE
select add_clerk('Clerk.Example.com', name => 'new', jwks => :'clerk_jwks');
\echo :SQLSTATE
select add_firebase('my project', name => 'new', jwks => :'google_jwks');
\echo :SQLSTATE
select add_firebase('new-project', name => 'new', any_audience => true, jwks => :'google_jwks');
\echo :SQLSTATE
select add_supabase('project', name => 'new', jwks => :'supabase_jwks');
\echo :SQLSTATE

-- Keys.
select add_oidc('https://new.example.com', name => 'new', audiences => '{api}', jwks => :'oidc_jwks', jwks_uri => 'https://new.example.com/jwks');
\echo :SQLSTATE
select add_oidc('https://new.example.com', name => 'new', audiences => '{api}', jwks_uri => 'ftp://new.example.com/jwks');
\echo :SQLSTATE
select add_oidc('https://new.example.com', name => 'new', audiences => '{api}', jwks_uri => 'https://user:pass@new.example.com/jwks');
\echo :SQLSTATE
select add_oidc('https://new.example.com', name => 'new', audiences => '{api}', jwks => :'symmetric_jwks');
\echo :SQLSTATE
select add_oidc('https://new.example.com', name => 'new', audiences => '{api}', jwks => :'weak_jwks');
\echo :SQLSTATE
select add_oidc('https://new.example.com', name => 'new', audiences => '{api}', jwks => :'private_jwks');
\echo :SQLSTATE
select add_oidc('https://new.example.com', name => 'new', audiences => '{api}', jwks => '{"keys": []}');
\echo :SQLSTATE
select add_oidc('https://new.example.com', name => 'new', audiences => '{api}', jwks => '[]');
\echo :SQLSTATE
select add_oidc('https://new.example.com', name => 'new', audiences => '{api}', jwks => '{"keys": [], "keys": []}');
\echo :SQLSTATE
select add_oidc('https://new.example.com', name => 'new', audiences => '{api}', jwks => '{"keys":');
\echo :SQLSTATE
select add_clerk('new.example.com', name => 'new', jwks => :'oidc_jwks');
\echo :SQLSTATE

-- What is allowed and should be known.
begin;
select provider, key_count from add_oidc('https://new.example.com', name => 'new', audiences => '{api}', jwks => :'mixed_jwks');
-- What is not used is not kept either: one of them was a private key.
select jsonb_path_query_array(jwks::jsonb, '$.keys[*].kid') as kids, position('"d"' in jwks::text) as private
from provider where name = 'new';
select provider, problem from add_clerk('new.clerk.accounts.dev', name => 'skewed', clock_skew => '61 s', jwks => :'clerk_jwks');
select provider, problem from add_clerk('localhost:4430', name => 'port', authorized_parties => '{https://app.example.com}', jwks => :'clerk_jwks');
rollback;

-- Plain SQL is judged too.
insert into provider (name, kind) values ('new', 'okta');
\echo :SQLSTATE
insert into provider (name, kind, options) values ('new', 'oidc', '{"issuer": "https://new.example.com"}');
\echo :SQLSTATE
insert into provider (name, kind, options, audiences, jwks)
values ('new', 'oidc', '{"issuer": "https://new.example.com", "tenant": "x"}', '{api}', :'oidc_jwks');
\echo :SQLSTATE
update provider set allowed_roles = '{service_role}' where name = 'clerk';
\echo :SQLSTATE
update provider set clock_skew = '1 month' where name = 'clerk';
\echo :SQLSTATE
update provider set audiences = array[null] where name = 'oidc';
\echo :SQLSTATE
update provider set algorithms = array['RS256', null] where name = 'clerk';
\echo :SQLSTATE

-- And is effective at once, also before it is committed.
begin;
insert into provider (name, kind, options, audiences, jwks)
values ('one-time', 'oidc', '{"issuer": "https://one-time.example.com"}', '{api}', :'oidc_jwks');
select name, allowed_roles, cardinality(algorithms) from provider where name = 'one-time';
select verify_third_party_jwt(:'oidc_one_time')->>'iss' as inserted;
update provider set audiences = '{another}' where name = 'one-time';
savepoint s;
select verify_third_party_jwt(:'oidc_one_time')->>'iss' as updated;
\echo :SQLSTATE
rollback to s;
update provider set audiences = '{api}', name = 'renamed' where name = 'one-time';
select verify_third_party_jwt(:'oidc_one_time', 'renamed')->>'iss' as renamed;
select provider, source, key_count from status where provider = 'renamed';
select count(*) from provider_state where provider = 'renamed';
savepoint s;
select verify_third_party_jwt(:'oidc_one_time', 'one-time')->>'iss' as by_the_old_name;
\echo :SQLSTATE
rollback to s;
update provider set enabled = false where name = 'renamed';
select test.answer(:'oidc_one_time', 'is_third_party_jwt()') as disabled,
       test.answer(:'oidc_one_time', 'is_third_party_jwt(''renamed'')') as disabled_by_name;
select provider, enabled, problem from status where provider = 'renamed';
savepoint s;
select verify_third_party_jwt(:'oidc_one_time')->>'iss' as disabled;
\echo :SQLSTATE
rollback to s;
select verify_third_party_jwt(:'oidc_one_time', 'renamed')->>'iss' as disabled_by_name;
\echo :SQLSTATE
rollback to s;
update provider set enabled = true where name = 'renamed';
select verify_third_party_jwt(:'oidc_one_time')->>'iss' as enabled;
delete from provider where name = 'renamed';
select verify_third_party_jwt(:'oidc_one_time')->>'iss' as deleted;
\echo :SQLSTATE
rollback;

-- Several rows of one statement are judged together.
begin;
insert into provider (name, kind, options, audiences, jwks) values
    ('one', 'oidc', '{"issuer": "https://one.example.com"}', '{api}', :'oidc_jwks'),
    ('two', 'oidc', '{"issuer": "https://two.example.com"}', '{api}', :'oidc_jwks');
update provider set options = case name
    when 'one' then '{"issuer": "https://two.example.com"}' else '{"issuer": "https://one.example.com"}' end::jsonb
where name in ('one', 'two');
select provider, issuer from status where provider in ('one', 'two') order by 1;
insert into provider (name, kind, options, audiences, jwks) values
    ('three', 'oidc', '{"issuer": "https://three.example.com"}', '{api}', :'oidc_jwks'),
    ('four', 'oidc', '{"issuer": "https://three.example.com"}', '{api}', :'oidc_jwks');
\echo :SQLSTATE
rollback;

-- What is disabled keeps its issuer.
begin;
update provider set enabled = false where name = 'firebase';
select add_firebase('my-project', name => 'mobile', jwks => :'google_jwks');
\echo :SQLSTATE
rollback;

select remove_provider('no-such-provider'), remove_provider(null);
begin;
select remove_provider('oidc');
select remove_provider('oidc');
select test.answer(:'oidc_user', 'is_third_party_jwt()') as removed;
rollback;
select test.answer(:'oidc_user', 'is_third_party_jwt()') as after_rollback;

select provider from status order by 1;

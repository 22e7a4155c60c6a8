-- import_supabase_config(): what a config.toml of the Supabase CLI names. Everything is rolled back, so
-- that nothing is fetched.
set search_path = third_party_auth, extensions;
begin;
delete from provider;
\pset format unaligned
select * from import_supabase_config($$
project_id = "demo"
[api]
port = 54321
[auth]
jwt_issuer = "https://project.supabase.co/auth/v1"
jwt_secret = "super-secret-jwt-token-with-at-least-32-characters-long"
[auth.external.apple]
enabled = true
client_id = "com.example.app,com.example.web"
secret = "env(APPLE_SECRET)"
[auth.external.google]
enabled = true
client_id = "x"
[auth.external.azure]
enabled = true
client_id = "6e74172b-be56-4843-9ff4-e66a39bb12e3"
url = "https://login.microsoftonline.com/72f988bf-86f1-41af-91ab-2d7cd011db47"
[auth.third_party.firebase]
enabled = false
project_id = "my-project"
[auth.third_party.auth0]
enabled = true
tenant = "my-tenant"
tenant_region = "us"
[auth.third_party.clerk]
enabled = true
domain = "clerk.example.com"
[auth.third_party.workos]
enabled = true
issuer_url = "env(WORKOS_ISSUER)"
$$);
select name, kind, options, for_requests from provider order by name;
-- The same again, and then with another domain; what the file does not name stays.
update provider set authorized_parties = '{https://app.example.com}' where name = 'clerk';
select entry, action from import_supabase_config($$
[auth]
jwt_issuer = "https://project.supabase.co/auth/v1"
[auth.third_party.clerk]
enabled = true
domain = "clerk.example.com"
$$);
select * from import_supabase_config($$
[auth.third_party.clerk]
enabled = true
domain = "clerk.example.org"
$$);
select options, authorized_parties from provider where name = 'clerk';
savepoint broken;
-- What is not TOML is refused as a whole, with its place.
select * from import_supabase_config(E'[auth.third_party.firebase]\nenabled = true\nproject_id = "ü" oops\n');
\echo :SQLSTATE
rollback to broken;
-- An issuer of a provider of another name stays there.
select count(*) from add_oidc('https://securetoken.google.com/my-project', name => 'mine', audiences => '{my-project}');
select * from import_supabase_config($$
[auth.third_party.aws_cognito]
enabled = true
user_pool_id = "us-east-1_AbC"
user_pool_region = "us-east-1"
[auth.third_party.firebase]
enabled = true
project_id = "my-project"
$$);
\echo :SQLSTATE
rollback to broken;
select * from import_supabase_config('');
select * from import_supabase_config(null);
rollback;

-- What was decided is counted by provider, outcome and reason: once for a token and a statement, not per row.
\getenv abs_srcdir PG_ABS_SRCDIR
\set tokens :abs_srcdir '/common/tokens.sql'
\i :tokens
set search_path = extensions;

create table stats_row as select n from generate_series(1, 100) n;
alter table stats_row enable row level security;
create policy stats_policy on stats_row using (is_third_party_jwt());
grant select on stats_row to authenticated;
select third_party_auth.reset_stats();
select * from third_party_auth.stats;

-- Without a token nothing is decided.
set role authenticated;
select count(*) from stats_row;
set request.jwt = :'oidc_user';
select count(*) from stats_row;
select count(*) from stats_row;
set request.jwt = :'unknown_issuer';
select count(*) from stats_row;
set request.jwt = 'not-a-token';
select count(*) from stats_row;
set request.headers = '{"authorization": "Bearer other"}';
select count(*) from stats_row;
reset request.headers;
reset request.jwt;
select * from third_party_auth.stats;
select third_party_auth.reset_stats();
reset role;
-- A token that is verified explicitly counts, whether it is accepted or not; explain() does not count.
select verify_third_party_jwt(:'clerk_admin')->>'sub' as clerk;
select verify_third_party_jwt(:'clerk_other_party');
select count(*) > 0 as explained from third_party_auth.explain(:'clerk_pending');
-- Whether a signature was found good before (cached) depends on what other sessions have asked.
select provider, case when reason is null then 'accepted' else outcome end as outcome, reason, sum(count) as count
from third_party_auth.stats group by 1, 2, 3 order by 1, 2, 3;

-- An API key is the token of no user. Where something asks what it is, it counts as accepted.
select third_party_auth.reset_stats();
select provider from third_party_auth.add_supabase('https://keys.supabase.co/auth/v1', name => 'keys',
    jwks => :'supabase_jwks', jwt_secret => :'supabase_secret');
set request.jwt = :'anon_key';
select jwt_role() is null as of_no_user;
select provider, outcome, reason, count from third_party_auth.stats;
select third_party_auth.is_anonymous_request();
reset request.jwt;
select provider, outcome, reason, count from third_party_auth.stats order by provider, reason;
select third_party_auth.remove_provider('keys');

-- Whoever watches the server may look, and not touch.
create role stats_watcher in role pg_monitor;
set role stats_watcher;
select sum(count) > 0 as counted from third_party_auth.stats;
select third_party_auth.reset_stats();
\echo :SQLSTATE
select third_party_auth.restart_worker();
\echo :SQLSTATE
select missing_slot from third_party_auth.worker;
reset role;
drop role stats_watcher;
select third_party_auth.reset_stats();
select * from third_party_auth.stats;
drop table stats_row;

-- What a person reads when a policy says no: every rule, in the order of checking.
\getenv abs_srcdir PG_ABS_SRCDIR
\set tokens :abs_srcdir '/common/tokens.sql'
\i :tokens
set search_path = third_party_auth, extensions;

-- A token that is good.
select * from explain(:'clerk_admin');
-- Refused at the audience: what comes after was not reached.
select * from explain(:'other_audience');
-- Refused before it could be read as a whole.
select step, rule, ok, detail from explain('not-a-token') where ok is not null;
select step, rule, ok, detail from explain(:'duplicate_exp') where ok is not null;
-- The failing rule of some others; how long ago something was depends on the clock.
select name, rule, regexp_replace(detail, '\d+ s (ago|ahead)', '… s \1') as detail
from (values
    (1, 'expired', :'expired'),
    (2, 'not yet valid', :'not_yet_valid'),
    (3, 'foreign Firebase project', :'firebase_foreign'),
    (4, 'aud as an array', :'firebase_audience_array'),
    (5, 'made for another origin', :'clerk_other_party'),
    (6, 'algorithm', :'algorithm_hs256'),
    (7, 'unknown key', :'unknown_key'),
    (8, 'signature', :'bad_signature'),
    (9, 'not a session token', :'clerk_machine'),
    (10, 'pending', :'clerk_pending'),
    (11, 'role', :'clerk_service_role')
) as t (n, name, token), explain(token)
where not ok
order by n;
select * from explain(null);

-- The token of the request.
select * from explain();
begin;
select set_config('request.headers', json_build_object('authorization', 'Bearer ' || :'other_role')::text, true) is not null as has_token;
select step, rule, ok, detail from explain() where not ok;
-- As an ordinary role: nothing of what is configured, only of the own token.
set local role authenticated;
select step, rule, ok, detail from third_party_auth.explain() where not ok;
select set_config('request.headers', json_build_object('authorization', 'Bearer ' || :'other_audience')::text, true) is not null as has_token;
select step, rule, ok, detail from third_party_auth.explain() where not ok;
select set_config('request.headers', json_build_object('authorization', 'Bearer ' || :'unknown_issuer')::text, true) is not null as has_token;
select step, rule, ok, detail from third_party_auth.explain() where not ok;
select set_config('request.headers', json_build_object('authorization', 'Basic YTpi')::text, true) is not null as has_token;
select * from third_party_auth.explain();
select * from third_party_auth.explain('not-a-token');
\echo :SQLSTATE
rollback;

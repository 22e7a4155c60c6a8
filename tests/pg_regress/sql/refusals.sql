-- Why a token is refused: one for each reason. No message repeats anything of a token.
\getenv abs_srcdir PG_ABS_SRCDIR
\set tokens :abs_srcdir '/common/tokens.sql'
\i :tokens
set search_path = extensions;

-- It cannot be read.
select verify_third_party_jwt('not-a-token');
\echo :SQLSTATE
select verify_third_party_jwt('');
select verify_third_party_jwt('Bearer ' || :'oidc_user');
select verify_third_party_jwt(:'oidc_user' || E'\n');
select verify_third_party_jwt(:'oidc_user' || '.');
select verify_third_party_jwt(rtrim(:'oidc_user', '-_0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ'));
select verify_third_party_jwt(:'not_an_object');
select verify_third_party_jwt(:'nul_character');
select verify_third_party_jwt(:'lone_surrogate');
select verify_third_party_jwt(:'too_small_number');
select verify_third_party_jwt(:'too_large_number');
select verify_third_party_jwt(:'deep');
select verify_third_party_jwt(repeat('a', 16384));
select verify_third_party_jwt(repeat('a', 16385));
\echo :SQLSTATE
select verify_third_party_jwt(:'duplicate_exp');
select verify_third_party_jwt(:'duplicate_escaped');

-- Its header.
select verify_third_party_jwt(:'critical_header');
select verify_third_party_jwt(:'algorithm_hs256');
select verify_third_party_jwt(:'algorithm_none');
select verify_third_party_jwt(:'other_type');
select verify_third_party_jwt(:'clerk_access_token');

-- Issuer, audience, authorized party.
select verify_third_party_jwt(:'unknown_issuer');
select verify_third_party_jwt(:'issuer_without_slash');
select verify_third_party_jwt(:'firebase_foreign');
select verify_third_party_jwt(:'firebase_cookie');
select verify_third_party_jwt(:'other_audience');
select verify_third_party_jwt(:'no_audience');
select verify_third_party_jwt(:'firebase_function_audience');
select verify_third_party_jwt(:'firebase_audience_array');
select verify_third_party_jwt(:'supabase_other_audience');
select verify_third_party_jwt(:'clerk_other_party');

-- Time, subject.
select verify_third_party_jwt(:'expired');
select verify_third_party_jwt(:'not_yet_valid');
select verify_third_party_jwt(:'issued_in_future');
select verify_third_party_jwt(:'no_exp');
select verify_third_party_jwt(:'exp_text');
select verify_third_party_jwt(:'no_subject');

-- Key and signature.
select verify_third_party_jwt(:'unknown_key');
select verify_third_party_jwt(:'key_of_another_provider');
select verify_third_party_jwt(:'bad_signature');
begin;
select third_party_auth.revoke_key('oidc', 'oidc_1');
select third_party_auth.revoke_key('oidc', 'oidc_1') as again;
savepoint s;
select verify_third_party_jwt(:'oidc_user');
rollback to s;
select test.answer(:'oidc_user', 'is_third_party_jwt()') as revoked;
select third_party_auth.unrevoke_key('oidc', 'oidc_1');
select third_party_auth.unrevoke_key('oidc', 'oidc_1') as again;
select test.answer(:'oidc_user', 'is_third_party_jwt()') as unrevoked;
rollback;
-- A revocation is about a key of a provider; the same id of another one stays good.
begin;
select third_party_auth.revoke_key('clerk', 'oidc_1');
select test.answer(:'oidc_user', 'is_third_party_jwt()') as not_revoked;
rollback;
select third_party_auth.revoke_key('no-such-provider', 'oidc_1');
\echo :SQLSTATE
select third_party_auth.revoke_key('oidc', null);
\echo :SQLSTATE

-- Its kind, session, role.
select verify_third_party_jwt(:'clerk_template');
select verify_third_party_jwt(:'clerk_machine');
select verify_third_party_jwt(:'supabase_id_token');
select verify_third_party_jwt(:'clerk_pending');
select verify_third_party_jwt(:'other_role');
select verify_third_party_jwt(:'role_array');
select verify_third_party_jwt(:'clerk_service_role');
select verify_third_party_jwt(:'firebase_service_role');

-- A nonce, raw or as its SHA-256 digest.
select verify_third_party_jwt(:'oidc_nonce', nonce => 'n-0S6_WzA2Mj')->>'sub' as raw;
select verify_third_party_jwt(:'oidc_nonce_digest', nonce => 'n-0S6_WzA2Mj')->>'sub' as digest;
select verify_third_party_jwt(:'oidc_nonce')->>'sub' as not_asked_for;
select verify_third_party_jwt(:'oidc_nonce', nonce => 'another');
select verify_third_party_jwt(:'oidc_nonce', nonce => '');
select verify_third_party_jwt(:'oidc_user', nonce => 'n-0S6_WzA2Mj');
-- The digest is not the nonce.
select verify_third_party_jwt(:'oidc_nonce', nonce => encode(sha256('n-0S6_WzA2Mj'), 'hex'));

-- The provider only narrows: it does not let a token of another one in.
select verify_third_party_jwt(:'oidc_user', 'oidc')->>'sub' as its_own;
select verify_third_party_jwt(:'oidc_user', null)->>'sub' as any;
select verify_third_party_jwt(:'oidc_user', 'clerk');
select verify_third_party_jwt(:'oidc_user', 'no-such-provider');
\echo :SQLSTATE
select verify_third_party_jwt('not-a-token', 'no-such-provider');
\echo :SQLSTATE

-- No token is no error.
select verify_third_party_jwt(null) is null as is_null, verify_third_party_jwt(null, 'no-such-provider') is null as is_null;

-- Tokens that count when they are verified explicitly only.
begin;
select provider from third_party_auth.add_oidc('https://one-time.example.com', name => 'one-time',
    audiences => '{api}', jwks => :'oidc_jwks', for_requests => false);
select verify_third_party_jwt(:'oidc_one_time')->>'iss' as explicitly;
select test.answer(:'oidc_one_time', 'is_third_party_jwt()') as for_a_request;
select set_config('request.jwt', :'oidc_one_time', true) is not null as is_set;
select rule, ok, detail from third_party_auth.explain() where not ok;
rollback;

-- Two different tokens, and twice the same.
begin;
select set_config('request.jwt', :'oidc_user', true) is not null as is_set,
       set_config('request.headers', json_build_object('authorization', 'Bearer ' || :'oidc_user')::text, true) is not null as is_set;
select is_third_party_jwt() as twice_the_same;
select set_config('request.headers', json_build_object('authorization', 'Bearer ' || :'clerk_admin')::text, true) is not null as is_set;
select is_third_party_jwt() as two, third_party_jwt() is null as no_claims, is_third_party_jwt('oidc') as oidc, is_third_party_jwt('clerk') as clerk;
select rule, ok, detail from third_party_auth.explain();
rollback;

-- Numbers are exact, whatever their size.
select jsonb_pretty(verify_third_party_jwt(:'numbers'));

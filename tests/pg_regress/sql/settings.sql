-- The settings, who may change them and when: nothing that decides trust can be set by an ordinary role.
select name, context, vartype, unit, boot_val, min_val, max_val, enumvals
from pg_settings where name like 'third_party_auth.%' order by name collate "C";
-- Where keys come from is not for everyone to see.
set role anon;
select name from pg_settings where name like 'third_party_auth.%' and name in
    ('third_party_auth.proxy', 'third_party_auth.ca_file', 'third_party_auth.allowed_networks') order by 1;
reset role;

-- Odd values are refused, with what would be right.
alter system set third_party_auth.allowed_networks = '10.0.0.0/8, nonsense';
alter system set third_party_auth.allowed_networks = '10.0.0.0/33';
alter system set third_party_auth.allowed_networks = '10.0.0.1/8';
alter system set third_party_auth.allow_http = 'on';
set third_party_auth.token_sources = 'request.jwt.claims';
set third_party_auth.token_lifetime = 'statement';
set third_party_auth.max_token_bytes = '32 kB';
set third_party_auth.max_providers = 1;
set third_party_auth.no_such_setting = 'x';
-- Out of the ranges above; how PostgreSQL says so depends on its version.
\set VERBOSITY sqlstate
alter system set third_party_auth.refresh_interval = '8 d';
alter system set third_party_auth.refresh_interval = 0;
alter system set third_party_auth.max_stale = -1;
set third_party_auth.key_wait = '11 s';
\set VERBOSITY default

-- And these are taken; an address alone is a network of one.
alter system set third_party_auth.allowed_networks = '10.0.0.1';
alter system set third_party_auth.allowed_networks = '10.0.0.0/8, fd00::/8';
alter system reset third_party_auth.allowed_networks;
set third_party_auth.token_sources = 'request.jwt, request.headers:x-token';
show third_party_auth.token_sources;
reset third_party_auth.token_sources;

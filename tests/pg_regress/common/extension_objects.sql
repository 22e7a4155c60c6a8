-- Every function, table, view and schema of the extension, and who may do what with it. From PostgreSQL 17
-- on, a table's owner may also MAINTAIN it; that alone is left out, so that all versions say the same.
create temporary view extension_objects as
select what, object,
       array(
           select case a.grantee when 0 then 'PUBLIC' else a.grantee::regrole::text end
                  || ': ' || string_agg(a.privilege_type, ', ' order by a.privilege_type)
           from aclexplode(acl) a
           where not (a.privilege_type = 'MAINTAIN' and a.grantee = a.grantor)
           group by a.grantee order by 1
       ) as privileges
from (
    select 'function' as what, p.oid::regprocedure::text as object,
           coalesce(p.proacl, acldefault('f', p.proowner)) as acl
    from pg_proc p
    join pg_depend d on d.objid = p.oid and d.classid = 'pg_proc'::regclass and d.deptype = 'e'
    join pg_extension e on e.oid = d.refobjid and e.extname = 'pg_third_party_auth'
    union all
    select case c.relkind when 'v' then 'view' else 'table' end, c.oid::regclass::text,
           coalesce(c.relacl, acldefault('r', c.relowner))
    from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = 'third_party_auth' and c.relkind not in ('i', 'c')
    union all
    select 'schema', n.nspname, coalesce(n.nspacl, acldefault('n', n.nspowner))
    from pg_namespace n where n.nspname = 'third_party_auth'
) as o
order by what, object collate "C";

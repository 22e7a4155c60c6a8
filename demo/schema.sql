-- The roles of Supabase and PostgREST, two tables, and the policies of Supabase's guide to
-- third-party authentication in their native form.

CREATE SCHEMA extensions;
CREATE EXTENSION pg_third_party_auth SCHEMA extensions;

CREATE ROLE anon NOLOGIN;
CREATE ROLE authenticated NOLOGIN;
CREATE ROLE service_role NOLOGIN BYPASSRLS;
CREATE ROLE authenticator LOGIN NOINHERIT;
GRANT anon, authenticated, service_role TO authenticator;
GRANT USAGE ON SCHEMA extensions TO anon, authenticated, service_role;

-- What users of Supabase Auth and Firebase share.
CREATE TABLE posts (
    author text NOT NULL,
    body   text NOT NULL
);
ALTER TABLE posts ENABLE ROW LEVEL SECURITY;
GRANT SELECT, INSERT ON posts TO anon, authenticated, service_role;
INSERT INTO posts VALUES ('linus', 'First'), ('margaret', 'Second');

CREATE POLICY "Restrict access to correct Supabase and Firebase projects" ON posts
    AS RESTRICTIVE TO PUBLIC
    USING (extensions.is_supabase_or_firebase_project_jwt());
CREATE POLICY "Everyone reads" ON posts
    FOR SELECT TO anon, authenticated
    USING (true);
CREATE POLICY "Authors write" ON posts
    FOR INSERT TO authenticated
    WITH CHECK (author = extensions.jwt_subject());

-- What organisations of Clerk have.
CREATE TABLE documents (
    organization_id text NOT NULL,
    title           text NOT NULL
);
ALTER TABLE documents ENABLE ROW LEVEL SECURITY;
GRANT SELECT, INSERT ON documents TO authenticated, service_role;

CREATE POLICY "Only organization admins can insert in table" ON documents
    FOR INSERT TO authenticated
    WITH CHECK (extensions.jwt_has_org_role('admin', organization_id));
CREATE POLICY "Members read" ON documents
    FOR SELECT TO authenticated
    USING (organization_id = extensions.jwt_org_id());
CREATE POLICY "Only users that have passed second factor verification can read from table" ON documents
    AS RESTRICTIVE FOR SELECT TO authenticated
    USING (extensions.jwt_second_factor_verified());

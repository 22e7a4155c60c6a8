//! Guards outlive dumps and restores, and no table slips past them.

use crate::cluster::Cluster;
use crate::cluster::programs::{run, server_command};
use crate::setting::{Signer, create_extension, failure, server_version, set, text, trusting};
use postgres::Client;
use std::path::Path;
use std::thread;

/// Tables of every sort, guarded in every way.
const GUARDED: &str = r#"
    CREATE ROLE service NOLOGIN;
    CREATE SCHEMA app;
    GRANT USAGE ON SCHEMA app TO app;
    CREATE TABLE app.own (id int PRIMARY KEY, body text);
    ALTER TABLE app.own ENABLE ROW LEVEL SECURITY;
    CREATE POLICY everyone ON app.own USING (true);
    INSERT INTO app.own VALUES (1, 'one');
    SELECT FROM third_party_auth.guard_table('app.own', '{pinned}', allow_anonymous => true);
    CREATE TABLE app.note (id serial PRIMARY KEY, own int REFERENCES app.own, body text);
    CREATE INDEX ON app.note (own);
    INSERT INTO app.note (own, body) SELECT 1, 'note' FROM generate_series(1, 3);
    CREATE TABLE app.parted (id int, at date) PARTITION BY RANGE (id);
    CREATE TABLE app.parted_1 PARTITION OF app.parted FOR VALUES FROM (0) TO (10);
    CREATE TABLE app.free (id int PRIMARY KEY);
    SELECT FROM third_party_auth.guard_schema('app', rls_off => 'open', exempt_roles => '{service}');
    SELECT third_party_auth.unguard_table('app.free');
    CREATE TABLE app.later (id int PRIMARY KEY, body text);
    ALTER TABLE app.later ALTER body SET STATISTICS 5, REPLICA IDENTITY FULL, CLUSTER ON later_pkey;
    CREATE TABLE app.child () INHERITS (app.later);
    CREATE TABLE app."Odd ""Name' \" (id int UNIQUE);
    CREATE VIEW app.view AS SELECT * FROM app.later;
    CREATE MATERIALIZED VIEW app.copy AS SELECT * FROM app.later;
    CREATE SCHEMA single;
    CREATE TABLE single.note (id int);
    SELECT FROM third_party_auth.guard_table('single.note', rls_off => 'closed', force => true);
    CREATE TABLE single.never (id int);
    GRANT SELECT ON ALL TABLES IN SCHEMA app TO app;
"#;

/// Everything that makes a guard, and what is said about it.
const GUARDS: &str = "
    SELECT string_agg(line, E'\\n' ORDER BY line COLLATE \"C\") FROM (
        SELECT concat_ws(' ', polrelid::regclass, polname, polpermissive, polroles, polcmd,
                         pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid))
        FROM pg_policy
        UNION ALL
        SELECT pg_get_triggerdef(oid) || tgenabled::text FROM pg_trigger
        WHERE tgname = third_party_auth.guard_name()
        UNION ALL
        SELECT concat_ws(' ', oid::regclass, relrowsecurity, relforcerowsecurity) FROM pg_class
        WHERE relkind IN ('r', 'p') AND relnamespace::regnamespace::text IN ('app', 'single')
        UNION ALL
        SELECT concat_ws(' ', s.schema, s.table, s.state, s.problem, s.advice)
        FROM third_party_auth.guard_status s
        UNION ALL
        SELECT concat_ws(' ', schema_name, table_name, object::regclass, origin, providers, allow_anonymous,
                         rls_off, force, exempt_roles, enabled_rls, forced_rls, opened)
        FROM third_party_auth.guard WHERE table_name <> ''
    ) AS found (line)";

/// A program of PostgreSQL at this server, as a superuser.
fn client_program(cluster: &Cluster, program: &str, arguments: &[&str], file: &Path) {
    let mut command = server_command(program);
    command
        .args(["-U", "postgres", "-h"])
        .arg(cluster.directory());
    run(command.args(arguments).arg(file));
}

/// A server with [`GUARDED`], its key, and what its guards look like.
fn guarded(name: &str, conf: &[&str]) -> (Cluster, Signer, String) {
    let (cluster, signer) = trusting(name, conf, "");
    let mut client = cluster.superuser();
    client.batch_execute(GUARDED).unwrap();
    let guards = text(&mut client, GUARDS).unwrap();
    (cluster, signer, guards)
}

/// How many rows the role app reads of a table of the schema app, with this token.
fn rows(client: &mut Client, table: &str, token: &str) -> i64 {
    set(client, "request.jwt", token);
    let query = format!("SELECT count(*) FROM app.{table}");
    client.query_one(&query, &[]).unwrap().get(0)
}

/// What a new table of a guarded schema is called by guard_status.
fn state_of_new_table(client: &mut Client) -> Option<String> {
    client
        .batch_execute("CREATE TABLE app.future (id int)")
        .unwrap();
    let query = "SELECT s.state FROM third_party_auth.guard_status s WHERE s.table = 'future'";
    let state = client
        .query_opt(query, &[])
        .unwrap()
        .map(|row| row.get("state"));
    client.batch_execute("DROP TABLE app.future").unwrap();
    state
}

#[test]
fn a_restored_database_is_guarded_and_so_are_its_new_tables() {
    let (cluster, signer, guards) = guarded("guards_dump", &[]);
    let file = |name: &str| cluster.directory().join(name);
    let (plain, archive, parts) = (file("plain.sql"), file("archive"), file("parts"));
    for (format, path) in [("-Fp", &plain), ("-Fc", &archive), ("-Fd", &parts)] {
        client_program(&cluster, "pg_dump", &["-d", "postgres", format, "-f"], path);
    }
    let psql = |database, arguments: &[&str]| {
        let mut all = vec!["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", database];
        all.extend(arguments);
        all.push("-f");
        client_program(&cluster, "psql", &all, &plain);
    };
    let restore = |database, arguments: &[&str], path: &Path| {
        let mut all = vec!["-e", "-d", database];
        all.extend(arguments);
        client_program(&cluster, "pg_restore", &all, path);
    };
    let mut client = cluster.superuser();
    let check = |database: &str, how: &str| {
        let mut restored = cluster.connect("postgres", database);
        assert_eq!(text(&mut restored, GUARDS).unwrap(), guards, "{how}");
        assert_eq!(
            state_of_new_table(&mut restored).as_deref(),
            Some("guarded"),
            "{how}"
        );
        // Names are followed although the OIDs are others.
        restored
            .batch_execute("ALTER TABLE app.note RENAME TO other; ALTER SCHEMA app RENAME TO moved")
            .unwrap();
        let followed = "SELECT string_agg(problem, '') FROM third_party_auth.guard_status s \
                        WHERE s.schema = 'moved' AND s.table = 'other'";
        assert_eq!(text(&mut restored, followed), None, "{how}");
        restored
            .batch_execute("ALTER SCHEMA moved RENAME TO app; ALTER TABLE app.other RENAME TO note")
            .unwrap();
        drop(restored);
        let mut app = cluster.connect("app", database);
        assert_eq!(rows(&mut app, "note", ""), 0, "{how}");
        assert_eq!(rows(&mut app, "note", &signer.pinned("ada")), 3, "{how}");
        assert_eq!(rows(&mut app, "own", ""), 1, "{how}");
    };
    for number in 1..=5 {
        client
            .batch_execute(&format!("CREATE DATABASE restored_{number}"))
            .unwrap();
    }
    psql("restored_1", &[]);
    check("restored_1", "plain");
    psql("restored_2", &["-1"]);
    check("restored_2", "plain, one transaction");
    restore("restored_3", &[], &archive);
    check("restored_3", "archive");
    restore("restored_3", &["--clean", "--if-exists"], &archive);
    check("restored_3", "archive over what is there");
    restore("restored_4", &["-1"], &archive);
    check("restored_4", "archive, one transaction");
    // Which statements meet in parallel differs from run to run.
    for _ in 0..4 {
        restore("restored_5", &["-j4", "--clean", "--if-exists"], &parts);
        check("restored_5", "in parallel");
    }
}

#[test]
fn a_dump_without_data_loses_the_list_of_guards_and_guard_status_says_so() {
    let (cluster, _, guards) = guarded("guards_schema_only", &[]);
    let archive = cluster.directory().join("archive");
    client_program(
        &cluster,
        "pg_dump",
        &["-d", "postgres", "-Fc", "-f"],
        &archive,
    );
    let mut client = cluster.superuser();
    client.batch_execute("CREATE DATABASE restored").unwrap();
    let restore = |arguments: &[&str]| {
        let mut all = vec!["-e", "-d", "restored"];
        all.extend(arguments);
        client_program(&cluster, "pg_restore", &all, &archive);
    };
    restore(&["--schema-only"]);
    let mut restored = cluster.connect("postgres", "restored");
    let forgotten = "SELECT count(*)::text FROM third_party_auth.guard_status \
                     WHERE state = 'altered' AND problem LIKE '%lost the list of guards%'";
    assert_eq!(text(&mut restored, forgotten).as_deref(), Some("8"));
    assert_eq!(state_of_new_table(&mut restored), None);
    // The tables of the extension bring it back.
    restore(&["--data-only", "-n", "third_party_auth"]);
    assert_eq!(text(&mut restored, GUARDS).unwrap(), guards);
    assert_eq!(
        state_of_new_table(&mut restored).as_deref(),
        Some("guarded")
    );
}

/// Runs a statement in a session of its own until it waits for a lock, then ends the transaction of the
/// first; how the statement ended.
fn meanwhile(
    cluster: &Cluster,
    first: &mut Client,
    statement: &'static str,
) -> Result<(), postgres::Error> {
    meanwhile_and_then(cluster, first, statement, "COMMIT")
}

/// The same, where the first does something else before it ends its transaction.
fn meanwhile_and_then(
    cluster: &Cluster,
    first: &mut Client,
    statement: &'static str,
    ending: &str,
) -> Result<(), postgres::Error> {
    let mut second = cluster.connect("postgres", "postgres");
    let pid: i32 = second
        .query_one("SELECT pg_backend_pid()", &[])
        .unwrap()
        .get(0);
    let waiting = thread::spawn(move || second.batch_execute(statement));
    let mut watcher = cluster.superuser();
    cluster.eventually("the second session waits", || {
        let query = "SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = $1";
        watcher
            .query_one(query, &[&pid])
            .unwrap()
            .get::<_, Option<bool>>(0)
            == Some(true)
    });
    first.batch_execute(ending).unwrap();
    waiting.join().expect("the second session")
}

/// Tables that are not guarded, of all there are in the schema app.
fn unguarded(client: &mut Client) -> Option<String> {
    text(
        client,
        "SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class c
         WHERE relkind IN ('r', 'p') AND relnamespace = 'app'::regnamespace
           AND NOT (relrowsecurity AND EXISTS (SELECT FROM pg_policy WHERE polrelid = c.oid))",
    )
}

#[test]
fn no_table_slips_past_a_guard_that_is_being_set() {
    const GUARD: &str = "SELECT FROM third_party_auth.guard_schema('app', rls_off => 'closed')";
    const GUARD_PARENT: &str =
        "SELECT FROM third_party_auth.guard_table('app.parent', rls_off => 'closed')";
    let cluster = Cluster::start("guards_race", &["lock_timeout = 20s"]);
    let mut client = cluster.superuser();
    create_extension(&mut client);
    client
        .batch_execute("CREATE SCHEMA app; CREATE TABLE app.parent (id int) PARTITION BY LIST (id)")
        .unwrap();
    let guard_gone = "SET client_min_messages = error; SELECT third_party_auth.unguard_schema('app'); \
                      SELECT third_party_auth.unguard_table('app.parent')";
    // One makes a table, the other guards its schema.
    client
        .batch_execute("BEGIN; CREATE TABLE app.one (id int)")
        .unwrap();
    meanwhile(&cluster, &mut client, GUARD).unwrap();
    assert_eq!(unguarded(&mut client), None);
    client.batch_execute(guard_gone).unwrap();
    client.batch_execute(&format!("BEGIN; {GUARD}")).unwrap();
    meanwhile(&cluster, &mut client, "CREATE TABLE app.two (id int)").unwrap();
    assert_eq!(unguarded(&mut client), None);
    client.batch_execute(guard_gone).unwrap();
    // The same with a partition and its parent.
    client
        .batch_execute("BEGIN; CREATE TABLE app.p1 PARTITION OF app.parent FOR VALUES IN (1)")
        .unwrap();
    meanwhile(&cluster, &mut client, GUARD_PARENT).unwrap();
    assert_eq!(unguarded(&mut client).as_deref(), Some("one two"));
    client.batch_execute(guard_gone).unwrap();
    client
        .batch_execute(&format!("BEGIN; {GUARD_PARENT}"))
        .unwrap();
    let partition = "CREATE TABLE app.p2 PARTITION OF app.parent FOR VALUES IN (2)";
    meanwhile(&cluster, &mut client, partition).unwrap();
    assert_eq!(unguarded(&mut client).as_deref(), Some("one two"));
    client.batch_execute(guard_gone).unwrap();

    // A transaction that does not see the guard makes no table without it.
    for (guard, table, left) in [
        (GUARD, "CREATE TABLE app.three (id int)", None),
        (
            GUARD_PARENT,
            "CREATE TABLE app.p3 PARTITION OF app.parent FOR VALUES IN (3)",
            Some("one three two"),
        ),
    ] {
        let mut older = cluster.superuser();
        older
            .batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1")
            .unwrap();
        client.batch_execute(guard).unwrap();
        assert_eq!(failure(older.batch_execute(table)).0, "40001");
        older.batch_execute("ROLLBACK").unwrap();
        // A newer one sees it.
        older
            .batch_execute(&format!("BEGIN ISOLATION LEVEL SERIALIZABLE; {table}"))
            .unwrap();
        older.batch_execute("COMMIT").unwrap();
        assert_eq!(unguarded(&mut client).as_deref(), left, "{guard}");
        client.batch_execute(guard_gone).unwrap();
    }
}

#[test]
fn migrations_of_existing_tables_go_on_while_their_schema_is_being_guarded() {
    const GUARD: &str = "SELECT FROM third_party_auth.guard_schema('app', rls_off => 'closed')";
    let cluster = Cluster::start("guards_migration", &["deadlock_timeout = 200ms"]);
    let mut client = cluster.superuser();
    create_extension(&mut client);
    let statements =
        "CREATE SCHEMA app; CREATE TABLE app.one (id int); CREATE TABLE app.two (id int)";
    client.batch_execute(statements).unwrap();
    let begin = "BEGIN; ALTER TABLE app.one ADD COLUMN a int";
    client.batch_execute(begin).unwrap();
    let ending = "ALTER TABLE app.one ADD COLUMN b int, ALTER COLUMN id TYPE bigint; COMMIT";
    meanwhile_and_then(&cluster, &mut client, GUARD, ending).unwrap();
    assert_eq!(unguarded(&mut client), None);
    // Other tables' do not even wait for it.
    client.batch_execute(&format!("BEGIN; {GUARD}")).unwrap();
    let mut other = cluster.superuser();
    let elsewhere = "SET lock_timeout = '10s'; CREATE TEMP TABLE scratch (id int); \
                     ALTER TABLE third_party_auth.revoked SET (fillfactor = 90)";
    other.batch_execute(elsewhere).unwrap();
    client.batch_execute("COMMIT").unwrap();
}

#[test]
fn logical_replication_writes_where_its_owner_may_and_guard_status_names_it() {
    let cluster = Cluster::start("guards_replication", &["wal_level = logical"]);
    let mut publisher = cluster.superuser();
    publisher
        .batch_execute("CREATE DATABASE subscriber")
        .unwrap();
    publisher
        .batch_execute(
            "CREATE TABLE note (id int PRIMARY KEY); \
             CREATE PUBLICATION notes FOR TABLE note",
        )
        .unwrap();
    publisher
        .batch_execute("SELECT pg_create_logical_replication_slot('notes', 'pgoutput')")
        .unwrap();
    let mut subscriber = cluster.connect("postgres", "subscriber");
    create_extension(&mut subscriber);
    let connection = cluster.directory().display().to_string();
    subscriber
        .batch_execute(&format!(
            "CREATE TABLE note (id int PRIMARY KEY); \
             SELECT FROM third_party_auth.guard_table('note', rls_off => 'closed', force => true); \
             CREATE ROLE apply SUPERUSER LOGIN; GRANT ALL ON note TO apply; SET ROLE apply; \
             CREATE SUBSCRIPTION notes CONNECTION 'host={connection} port=5432 user=postgres dbname=postgres' \
             PUBLICATION notes WITH (create_slot = false, copy_data = false); RESET ROLE"
        ))
        .unwrap();
    if server_version(&mut subscriber) >= 160_000 {
        // Else it would write as the owner of the table, and its owner would need a password.
        let options =
            "ALTER SUBSCRIPTION notes SET (run_as_owner = true, password_required = false)";
        subscriber.batch_execute(options).unwrap();
    }
    let named = "SELECT string_agg(problem, '') FROM third_party_auth.guard_status \
                 WHERE problem LIKE 'subscription notes writes%'";
    assert!(text(&mut subscriber, named).is_some());
    let mut arrived = || {
        let query = "SELECT count(*) FROM note";
        subscriber.query_one(query, &[]).unwrap().get::<_, i64>(0)
    };
    // A superuser's: no token is asked for, and TRUNCATE is let through too.
    publisher
        .batch_execute("INSERT INTO note VALUES (1)")
        .unwrap();
    cluster.eventually("the row arrives", || arrived() == 1);
    publisher.batch_execute("TRUNCATE note").unwrap();
    cluster.eventually("the rows are gone", || arrived() == 0);
    // Of a role that row level security binds: it stops.
    // Two transactions: a walsender may ship a row before others have heard what its transaction did
    // to the catalogue.
    for step in [
        "ALTER ROLE apply NOSUPERUSER",
        "INSERT INTO note VALUES (2)",
    ] {
        publisher.batch_execute(step).unwrap();
    }
    let refusal = "cannot replicate into relation with row-level security enabled";
    cluster.eventually("the apply worker is refused", || {
        cluster.log().contains(refusal)
    });
    assert_eq!(arrived(), 0);
}

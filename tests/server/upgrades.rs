//! An upgraded extension is the same as a new one, and a library serves the SQL of every release.

use crate::cluster::programs::{run, server_command};
use crate::cluster::{Cluster, EXTENSION};
use crate::setting::{Signer, add_pinned, failure, set, text};
use postgres::Client;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

/// Everything that belongs to the extension, as text: what it is, who may use it, what dumps take of it.
const CATALOG: &str = r#"
    WITH member AS (
        SELECT d.classid, d.objid FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
        WHERE d.deptype = 'e' AND d.refclassid = 'pg_extension'::regclass AND e.extname = 'pg_third_party_auth'
          -- The build of the tests has a schema of its own.
          AND pg_describe_object(d.classid, d.objid, 0) NOT SIMILAR TO '(function tests.%|schema tests)'
    ), relation AS (
        SELECT c.* FROM pg_class c JOIN member m ON m.objid = c.oid AND m.classid = 'pg_class'::regclass
    ), line AS (
        SELECT concat_ws(' ', 'member', pg_describe_object(classid, objid, 0), obj_description(objid, classid::regclass::name))
        FROM member
        UNION ALL
        SELECT concat_ws(' ', pg_get_functiondef(p.oid), p.proacl) FROM pg_proc p JOIN member m ON m.objid = p.oid
        WHERE m.classid = 'pg_proc'::regclass
        UNION ALL
        SELECT concat_ws(' ', 'relation', oid::regclass, relkind, relacl, relrowsecurity, relforcerowsecurity,
                         relpersistence, reloptions, CASE WHEN relkind = 'v' THEN pg_get_viewdef(oid) END)
        FROM relation
        UNION ALL
        SELECT concat_ws(' ', 'column', a.attrelid::regclass, a.attnum, a.attname, format_type(a.atttypid, a.atttypmod),
                         a.attnotnull, a.attstattarget, a.attgenerated, a.attidentity, a.attacl, pg_get_expr(d.adbin, d.adrelid))
        FROM relation r JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0
        LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        UNION ALL
        SELECT concat_ws(' ', 'constraint', conrelid::regclass, conname, pg_get_constraintdef(o.oid))
        FROM pg_constraint o JOIN relation r ON r.oid = o.conrelid
        UNION ALL
        SELECT pg_get_indexdef(indexrelid) FROM pg_index i JOIN relation r ON r.oid = i.indrelid
        UNION ALL
        SELECT concat_ws(' ', pg_get_triggerdef(t.oid), t.tgenabled) FROM pg_trigger t JOIN relation r ON r.oid = t.tgrelid
        WHERE NOT t.tgisinternal
        UNION ALL
        SELECT concat_ws(' ', 'policy', pg_get_expr(polqual, polrelid), polname) FROM pg_policy p JOIN relation r ON r.oid = p.polrelid
        UNION ALL
        SELECT concat_ws(' ', 'event trigger', evtname, evtevent, evtfoid::regproc, evtenabled, evttags)
        FROM pg_event_trigger v JOIN member m ON m.objid = v.oid AND m.classid = 'pg_event_trigger'::regclass
        UNION ALL
        SELECT concat_ws(' ', 'privileges at first', pg_describe_object(i.classoid, i.objoid, i.objsubid), i.initprivs)
        FROM pg_init_privs i JOIN member m ON m.objid = i.objoid AND m.classid = i.classoid
        UNION ALL
        SELECT concat_ws(' ', 'dumped', c.relation::regclass, c.condition) FROM pg_extension e,
               unnest(e.extconfig, e.extcondition) AS c (relation, condition) WHERE e.extname = 'pg_third_party_auth'
        UNION ALL
        SELECT concat_ws(' ', 'extension', extversion, extrelocatable, extnamespace::regnamespace)
        FROM pg_extension WHERE extname = 'pg_third_party_auth'
    )
    SELECT string_agg(text, E'\n' ORDER BY text COLLATE "C") FROM line AS all_lines (text)"#;

const UPDATE: &str = "ALTER EXTENSION pg_third_party_auth UPDATE";

/// The releases before today's that have a script of their own.
fn releases() -> BTreeSet<String> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("sql");
    let names = fs::read_dir(directory).expect("sql").map(|entry| {
        let name = entry.expect("an entry").file_name();
        name.to_string_lossy().into_owned()
    });
    names
        .filter_map(|name| {
            let version = name.strip_prefix(EXTENSION)?.strip_prefix("--")?;
            let version = version.strip_suffix(".sql")?;
            (!version.contains("--")).then(|| version.to_owned())
        })
        .collect()
}

/// Puts the scripts of releases where the server looks for them: who installs the extension needs today's only.
fn install_releases() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| releases().iter().for_each(|release| install(release)));
}

fn install(release: &str) {
    let output = server_command("pg_config").arg("--sharedir").output();
    let shared = String::from_utf8(output.expect("pg_config").stdout).expect("a path");
    let script = format!("{EXTENSION}--{release}.sql");
    let own = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("sql")
        .join(&script);
    let installed = Path::new(shared.trim()).join("extension").join(script);
    fs::copy(own, installed).expect("the script of a release");
}

fn create(client: &mut Client, version: &str) {
    install_releases();
    let statement = format!("CREATE EXTENSION pg_third_party_auth VERSION '{version}'");
    client.batch_execute(&statement).expect(&statement);
}

fn database(cluster: &Cluster, name: &str) -> Client {
    let statement = format!("CREATE DATABASE \"{name}\"");
    cluster.superuser().batch_execute(&statement).unwrap();
    cluster.connect("postgres", name)
}

#[test]
fn an_upgraded_extension_is_the_same_as_a_new_one() {
    let cluster = Cluster::start("upgrade_catalog", &[]);
    let mut new = database(&cluster, "new");
    create(&mut new, env!("CARGO_PKG_VERSION"));
    let expected = text(&mut new, CATALOG).unwrap();
    assert!(expected.lines().count() > 200, "{expected}");
    assert!(!releases().is_empty());
    for release in releases() {
        let mut upgraded = database(&cluster, &release);
        create(&mut upgraded, &release);
        upgraded.batch_execute(UPDATE).unwrap();
        let found = text(&mut upgraded, CATALOG).unwrap();
        let (found, expected): (BTreeSet<_>, BTreeSet<_>) =
            (found.lines().collect(), expected.lines().collect());
        let extra: Vec<_> = found.difference(&expected).collect();
        let missing: Vec<_> = expected.difference(&found).collect();
        assert!(
            extra.is_empty() && missing.is_empty(),
            "{release}: upgraded only: {extra:#?}\nnew only: {missing:#?}"
        );
    }
}

/// A provider, a guarded table, and a role that policies bind.
fn populate(client: &mut Client, signer: &Signer) {
    let statements = [
        "DO $$ BEGIN CREATE ROLE app LOGIN; EXCEPTION WHEN duplicate_object THEN END $$",
        &add_pinned(signer, ""),
        "CREATE SCHEMA guarded; GRANT USAGE ON SCHEMA guarded TO app",
        "CREATE TABLE guarded.note AS SELECT 1 AS id; GRANT SELECT ON guarded.note TO app",
        "SELECT FROM third_party_auth.guard_schema('guarded', rls_off => 'open')",
        "SELECT third_party_auth.revoke_key('pinned', 'lost')",
    ];
    for statement in statements {
        client.batch_execute(statement).expect(statement);
    }
}

/// How many rows the role app reads with this token.
fn rows(client: &mut Client, token: &str) -> String {
    set(client, "request.jwt", token);
    client.batch_execute("SET ROLE app").unwrap();
    let rows = text(client, "SELECT count(*)::text FROM guarded.note").unwrap();
    client.batch_execute("RESET ROLE").unwrap();
    rows
}

#[test]
fn todays_library_serves_the_sql_of_every_release_and_upgrades_keep_what_is_registered() {
    let cluster = Cluster::start("upgrade_data", &[]);
    for release in releases() {
        let signer = Signer::new("one");
        let mut client = database(&cluster, &release);
        create(&mut client, &release);
        populate(&mut client, &signer);
        let token = signer.pinned("ada");
        for stage in ["before", "after"] {
            assert_eq!(rows(&mut client, &token), "1", "{release} {stage}");
            assert_eq!(rows(&mut client, "no.t.oken"), "0", "{release} {stage}");
            for (query, answer) in [
                ("SELECT problem FROM third_party_auth.status", None),
                (
                    "SELECT count(*)::text FROM third_party_auth.signing_key",
                    Some("1"),
                ),
                ("SELECT kid FROM third_party_auth.revoked", Some("lost")),
                (
                    "SELECT count(*)::text FROM third_party_auth.guard_status WHERE problem IS NULL",
                    Some("1"),
                ),
                (
                    "SELECT (count(*) > 20)::text FROM third_party_auth.explain()",
                    Some("true"),
                ),
                (
                    "SELECT count(*)::text FROM third_party_auth.guard",
                    Some("2"),
                ),
            ] {
                let row = client.query_one(query, &[]).expect(query);
                let found: Option<String> = row.get(0);
                assert_eq!(found.as_deref(), answer, "{release} {stage}: {query}");
            }
            if stage == "before" {
                client.batch_execute(UPDATE).unwrap();
            }
        }
        // New tables of a guarded schema are guarded still.
        let new = "CREATE TABLE guarded.later (); \
                   SELECT s.state FROM third_party_auth.guard_status s WHERE s.table = 'later'";
        let state = client.simple_query(new).unwrap();
        assert!(format!("{state:?}").contains("guarded"), "{state:?}");
    }
}

#[test]
fn a_dump_of_every_release_is_restored_with_todays_sql() {
    let cluster = Cluster::start("upgrade_dump", &[]);
    for release in releases() {
        let signer = Signer::new("one");
        let mut client = database(&cluster, &release);
        create(&mut client, &release);
        populate(&mut client, &signer);
        let mut restored = database(&cluster, "restored");
        let file = cluster.directory().join("dump.sql");
        for (program, arguments) in [
            ("pg_dump", vec!["-d", release.as_str(), "-f"]),
            (
                "psql",
                vec!["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", "restored", "-f"],
            ),
        ] {
            let mut command = server_command(program);
            command
                .args(["-U", "postgres", "-h"])
                .arg(cluster.directory());
            run(command.args(arguments).arg(&file));
        }
        assert_eq!(rows(&mut restored, &signer.pinned("ada")), "1");
        assert_eq!(rows(&mut restored, "no.t.oken"), "0");
        let version = "SELECT extversion FROM pg_extension WHERE extname = 'pg_third_party_auth'";
        assert_eq!(
            text(&mut restored, version).unwrap(),
            env!("CARGO_PKG_VERSION")
        );
        restored.close().unwrap();
        cluster
            .superuser()
            .batch_execute("DROP DATABASE restored")
            .unwrap();
    }
}

#[test]
fn an_upgrade_under_load_gives_no_wrong_answer() {
    let cluster = Cluster::start("upgrade_load", &[]);
    let signer = Signer::new("one");
    for release in releases() {
        let mut admin = database(&cluster, &release);
        create(&mut admin, &release);
        populate(&mut admin, &signer);
        let is_over = AtomicBool::new(false);
        let answers = AtomicUsize::new(0);
        thread::scope(|scope| {
            let clients: Vec<_> = (0..4)
                .map(|number| {
                    let mut client = cluster.connect("app", &release);
                    let token = signer.pinned(&format!("user {number}"));
                    let (is_over, answers) = (&is_over, &answers);
                    scope.spawn(move || {
                        while !is_over.load(Ordering::Relaxed) {
                            for (token, expected) in [(token.as_str(), "1"), ("no.t.oken", "0")] {
                                set(&mut client, "request.jwt", token);
                                let rows =
                                    text(&mut client, "SELECT count(*)::text FROM guarded.note");
                                assert_eq!(rows.unwrap(), expected);
                                answers.fetch_add(1, Ordering::Relaxed);
                            }
                        }
                    })
                })
                .collect();
            // In a transaction that is rolled back first, and then for good.
            for statement in ["BEGIN", UPDATE, "ROLLBACK", UPDATE, "SELECT 1"] {
                let before = answers.load(Ordering::Relaxed);
                cluster.eventually("the sessions go on", || {
                    answers.load(Ordering::Relaxed) > before + 20
                });
                admin.batch_execute(statement).unwrap();
            }
            is_over.store(true, Ordering::Relaxed);
            for client in clients {
                client.join().expect("no wrong answer");
            }
        });
    }
}

#[test]
fn sql_of_another_version_than_the_library_is_told_so_and_crashes_nothing() {
    let cluster = Cluster::start("upgrade_mismatch", &[]);
    let mut client = cluster.superuser();
    client
        .batch_execute("CREATE EXTENSION pg_third_party_auth")
        .unwrap();
    // What a library answers in more columns, or in fewer, than the SQL has been told of.
    for columns in [
        "pid int",
        "pid int, a text, b text, c text, d text, e text, f text, g text, h text, i text, j text, k text",
    ] {
        let other = format!(
            "CREATE FUNCTION other() RETURNS TABLE ({columns}) LANGUAGE c \
             AS '$libdir/pg_third_party_auth', 'fetcher_status_wrapper'"
        );
        client.batch_execute(&other).unwrap();
        let (code, report) = failure(client.batch_execute("SELECT * FROM other()"));
        assert_eq!(code, "55000");
        assert!(
            report
                .hint()
                .unwrap()
                .contains("ALTER EXTENSION pg_third_party_auth UPDATE"),
            "{report:?}"
        );
        client.batch_execute("DROP FUNCTION other()").unwrap();
    }
    // What a library does not have yet.
    let newer = "CREATE FUNCTION newer() RETURNS boolean LANGUAGE c \
                 AS '$libdir/pg_third_party_auth', 'third_party_auth_of_another_release'";
    let (code, report) = failure(client.batch_execute(newer));
    assert_eq!(code, "42883");
    assert!(
        report.message().contains("pg_third_party_auth"),
        "{report:?}"
    );
}

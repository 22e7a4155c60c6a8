//! Dumps, upgrades, a server without workers.

use super::known_keys;
use crate::cluster::programs::{bin, run, server_command};
use crate::cluster::{Cluster, Stop};
use crate::invariants::Invariants;
use crate::setting::{Setting, Signer, add_pinned, failure, refusal, trust, verify};
use postgres::Client;
use std::io::Write;
use std::process::Stdio;
use std::time::{Duration, Instant};

#[test]
fn f26_a_library_and_sql_of_different_versions_work_or_say_what_is_wrong() {
    let setting = Setting::new("versions");
    let invariants = Invariants::of(&setting.cluster);
    let mut client = setting.cluster.superuser();
    let (signers, _) = known_keys(&setting, &mut client);
    let token = setting.token(&signers[0]);
    // SQL of a later version: functions that this library does not have, columns it does not know.
    for (name, arguments) in [("later", ""), ("third_party_auth_later", "text")] {
        let later = format!(
            "CREATE FUNCTION later({arguments}) RETURNS boolean LANGUAGE c \
             AS '$libdir/pg_third_party_auth', '{name}'"
        );
        let (code, error) = failure(client.batch_execute(&later));
        assert_eq!(code, "42883", "{error:?}");
        assert!(
            error.message().contains("could not find function"),
            "{error:?}"
        );
    }
    for statement in [
        "ALTER TABLE third_party_auth.provider ADD COLUMN later text DEFAULT 'x'",
        "ALTER TABLE third_party_auth.provider_state ADD COLUMN later text DEFAULT 'x'",
        "ALTER TABLE third_party_auth.revoked ADD COLUMN later text DEFAULT 'x'",
    ] {
        client.batch_execute(statement).unwrap();
        for session in [&mut client, &mut setting.cluster.superuser()] {
            assert_eq!(verify(session, &token).unwrap(), "ada", "{statement}");
        }
    }
    // SQL of an earlier one: columns that are not there yet. It must never be taken for "no rows".
    let columns = "SELECT format('%I.%I', c.relname, a.attname) \
                   FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid \
                   WHERE c.relnamespace = 'third_party_auth'::regnamespace AND c.relkind = 'r' \
                   AND a.attnum > 0 AND NOT a.attisdropped \
                   AND c.relname IN ('provider', 'provider_state', 'revoked') \
                   AND a.attname NOT IN ('later', 'name', 'provider') ORDER BY 1";
    let columns: Vec<String> = client
        .query(columns, &[])
        .unwrap()
        .iter()
        .map(|row| row.get(0))
        .collect();
    assert!(columns.len() > 10, "{columns:?}");
    for column in columns {
        let (table, column) = column.split_once('.').unwrap();
        let rename = |from: &str, to: &str| {
            format!("ALTER TABLE third_party_auth.{table} RENAME COLUMN {from} TO {to}")
        };
        client.batch_execute(&rename(column, "gone")).unwrap();
        for session in [&mut client, &mut setting.cluster.superuser()] {
            match verify(session, &token) {
                Ok(subject) => assert_eq!(subject, "ada", "{table}.{column}"),
                Err(error) => {
                    let code = error.code().map(|code| code.code().to_owned());
                    assert!(
                        code.is_some_and(|code| code != "28000"),
                        "{column}: {error:?}"
                    );
                }
            }
        }
        client.batch_execute(&rename("gone", column)).unwrap();
    }
    assert_eq!(verify(&mut client, &token).unwrap(), "ada");
    invariants.hold(&setting.cluster, 0);
}

fn dump(cluster: &Cluster, program: &str, arguments: &[&str], file: &str) {
    let file = cluster.directory().join(file);
    let mut command = server_command(program);
    command
        .args(arguments)
        .args(["-U", "postgres", "-h"])
        .arg(cluster.directory());
    run(command.arg("-f").arg(file));
}

fn restore(cluster: &Cluster, program: &str, arguments: &[&str], from: &Cluster, file: &str) {
    let mut command = server_command(program);
    command
        .args(arguments)
        .args(["-U", "postgres", "-h"])
        .arg(cluster.directory());
    if program == "psql" {
        command.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-f"]);
    }
    run(command.arg(from.directory().join(file)));
}

#[test]
fn f27_a_dump_needs_no_identity_provider_and_brings_back_what_was_decided() {
    let setting = Setting::new("dump");
    let (good, bad, pinned) = (
        Signer::new("good"),
        Signer::new("bad"),
        Signer::new("pinned"),
    );
    setting.idp.publish(vec![good.jwk(), bad.jwk()]);
    let mut client = setting.cluster.superuser();
    setting.register(&mut client);
    client.batch_execute(&add_pinned(&pinned, "")).unwrap();
    let revoke = "SELECT third_party_auth.revoke_key('idp', 'bad')";
    client.batch_execute(revoke).unwrap();
    // A policy that asks for keys must be no reason to ask for them while dumping.
    client
        .batch_execute(
            "CREATE TABLE guarded AS SELECT 'ada' AS owner; \
             ALTER TABLE guarded ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY; \
             CREATE POLICY own ON guarded USING (owner = jwt_subject())",
        )
        .unwrap();
    setting.idp.stop();
    dump(&setting.cluster, "pg_dump", &["-d", "postgres"], "plain");
    dump(
        &setting.cluster,
        "pg_dump",
        &["-Fc", "-d", "postgres"],
        "custom",
    );
    dump(&setting.cluster, "pg_dumpall", &[], "all");
    // The dumps hold no keys but the pinned ones.
    let plain = std::fs::read_to_string(setting.cluster.directory().join("plain")).unwrap();
    assert!(plain.contains(&setting.idp.issuer()));
    assert!(!plain.contains(good.jwk()["x"].as_str().unwrap()));

    for file in ["plain", "custom", "all"] {
        setting.idp.stop();
        let [ca_file, networks] = trust(&setting.authority);
        let offline = Cluster::start(file, &[&ca_file, &networks]);
        let invariants = Invariants::of(&offline);
        if file != "all" {
            offline
                .superuser()
                .batch_execute("CREATE ROLE app")
                .unwrap();
        }
        let database: &[&str] = &["-d", "postgres"];
        match file {
            "custom" => restore(&offline, "pg_restore", database, &setting.cluster, file),
            // The role postgres is there already.
            "all" => {
                let script = setting.cluster.directory().join("all");
                let text = std::fs::read_to_string(&script).unwrap();
                std::fs::write(&script, text.replace("CREATE ROLE postgres;", "")).unwrap();
                restore(&offline, "psql", database, &setting.cluster, file);
            }
            _ => restore(&offline, "psql", database, &setting.cluster, file),
        }
        let mut client = offline.superuser();
        assert_eq!(
            verify(&mut client, &pinned.pinned("ada")).unwrap(),
            "ada",
            "{file}"
        );
        assert_eq!(
            refusal(&mut client, &setting.token(&good)),
            "58000 keys_not_fetched"
        );
        setting.idp.resume();
        offline.eventually("keys are fetched", || {
            verify(&mut client, &setting.token(&good)).is_ok()
        });
        assert_eq!(
            refusal(&mut client, &setting.token(&bad)),
            "28000 key_revoked",
            "{file}"
        );
        invariants.hold(&offline, 0);
    }
}

#[test]
fn f28_pg_upgrade_passes_with_the_library_preloaded_or_not_and_keeps_the_keys() {
    let setting = Setting::new("old");
    let mut client = setting.cluster.superuser();
    let (signers, _) = known_keys(&setting, &mut client);
    drop(client);
    setting.cluster.stop(Stop::Fast);
    let [ca_file, networks] = trust(&setting.authority);
    for preload in ["", "pg_third_party_auth"] {
        let line = format!("shared_preload_libraries = '{preload}'");
        let new = Cluster::made("new", &[&line, &ca_file, &networks], &[]);
        let connections = setting.idp.connections();
        for check in [true, false] {
            let mut upgrade = server_command("pg_upgrade");
            upgrade
                .current_dir(new.directory())
                .args(["-U", "postgres"]);
            upgrade.arg("-b").arg(bin()).arg("-B").arg(bin());
            upgrade
                .arg("-d")
                .arg(setting.cluster.data())
                .arg("-D")
                .arg(new.data());
            upgrade.arg("-s").arg(new.directory());
            run(upgrade.args(check.then_some("--check")));
        }
        // Nothing of ours has run meanwhile.
        assert_eq!(setting.idp.connections(), connections, "{preload}");
        setting.idp.stop();
        new.start_again();
        let mut client = new.superuser();
        for signer in &signers {
            assert_eq!(
                verify(&mut client, &setting.token(signer)).unwrap(),
                "ada",
                "{preload}"
            );
        }
        setting.idp.resume();
        if !preload.is_empty() {
            Invariants::of(&new).hold(&new, 0);
        }
    }
}

#[test]
fn f29_in_single_user_mode_stored_keys_verify_and_nothing_is_waited_for() {
    let setting = Setting::new("single");
    let mut client = setting.cluster.superuser();
    let (signers, _) = known_keys(&setting, &mut client);
    drop(client);
    setting.cluster.stop(Stop::Fast);
    let unknown = setting.token(&Signer::new("unknown"));
    let script = format!(
        "SET third_party_auth.key_wait = '10 s'\n\
         SELECT verify_third_party_jwt('{}')->>'sub' AS known\n\
         SELECT verify_third_party_jwt('{unknown}')->>'sub' AS unknown\n\
         SELECT provider, source, problem FROM third_party_auth.status\n",
        setting.token(&signers[0])
    );
    let mut single = server_command("postgres");
    single
        .arg("--single")
        .arg("-D")
        .arg(setting.cluster.data())
        .arg("postgres");
    single
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let start = Instant::now();
    let mut running = single.spawn().expect("PostgreSQL");
    running
        .stdin
        .take()
        .unwrap()
        .write_all(script.as_bytes())
        .unwrap();
    let output = running.wait_with_output().unwrap();
    let took = start.elapsed();
    let (out, log) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{log}");
    assert!(out.contains("known = \"ada\""), "{out}\n{log}");
    assert!(out.contains("source = \"stored\""), "{out}\n{log}");
    assert!(log.contains("reason=keys_not_fetched"), "{out}\n{log}");
    assert!(took < Duration::from_secs(5), "{took:?}");
    setting.cluster.start_again();
    let mut client: Client = setting.cluster.superuser();
    assert_eq!(
        verify(&mut client, &setting.token(&signers[0])).unwrap(),
        "ada"
    );
    Invariants::of(&setting.cluster).hold(&setting.cluster, 0);
}

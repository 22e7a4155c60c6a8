//! The page about operations: its queries run as they stand and tell what they say they tell, and its log
//! lines are those that are written.

use crate::page::Reading;
use crate::setting::{Setting, Signer, add_pinned, text, verify};
use crate::support::Behaviour;
use std::fs;
use std::path::Path;

const PAGE: &str = include_str!("../../docs/operations.md");

/// The queries of the first section, by what is in them.
const WATCHED: [&str; 6] = [
    "shared_preload_libraries",
    "missing_slot",
    "problem is not null",
    "interval '1 hour'",
    "not persisted",
    "guard_status",
];

/// Which of the queries give rows.
fn alarms(setting: &Setting) -> Vec<&'static str> {
    let mut reading = Reading::new(&setting.cluster, "watcher", PAGE);
    let mut is_alarm = |part: &&str| !reading.on_to(part).is_empty();
    WATCHED.into_iter().filter(|part| is_alarm(part)).collect()
}

#[test]
fn what_the_page_watches_is_quiet_until_something_is_wrong() {
    let setting = Setting::new("page_operations");
    let cluster = &setting.cluster;
    let signer = Signer::new("one");
    setting.idp.publish(vec![signer.jwk()]);
    let mut owner = cluster.superuser();
    owner
        .batch_execute("CREATE ROLE watcher LOGIN IN ROLE pg_monitor")
        .unwrap();
    setting.register(&mut owner);
    owner.batch_execute(&add_pinned(&signer, "")).unwrap();
    verify(&mut owner, &setting.token(&signer)).unwrap();
    cluster.eventually("nothing is wrong", || alarms(&setting).is_empty());
    let mut reading = Reading::new(cluster, "watcher", PAGE);
    assert_eq!(reading.on_to("order by count desc"), "idp|verified||1");

    // A provider that fails, now and for an hour.
    setting.idp.behave(Behaviour::Status(500));
    text(
        &mut owner,
        "SELECT problem FROM third_party_auth.refresh('idp')",
    );
    assert_eq!(alarms(&setting), ["problem is not null"]);
    owner
        .batch_execute(
            "UPDATE third_party_auth.provider_state SET fetched_at = now() - interval '2 hours'",
        )
        .unwrap();
    cluster.restart(crate::cluster::Stop::Fast);
    let mut owner = cluster.superuser();
    cluster.eventually("it has failed again", || {
        alarms(&setting) == ["problem is not null", "interval '1 hour'"]
    });
    setting.idp.behave(Behaviour::Normal);
    cluster.eventually("nothing is wrong", || alarms(&setting).is_empty());

    // A guard that is undone, and keys that cannot be stored.
    owner
        .batch_execute(
            "CREATE TABLE note (); ALTER TABLE note ENABLE ROW LEVEL SECURITY; \
             SELECT third_party_auth.guard_table('note'); ALTER TABLE note DISABLE ROW LEVEL SECURITY",
        )
        .unwrap();
    assert_eq!(alarms(&setting), ["guard_status"]);
    owner.batch_execute("DROP TABLE note").unwrap();
    let mut holder = cluster.superuser();
    holder
        .batch_execute("BEGIN; LOCK TABLE third_party_auth.provider_state IN SHARE MODE")
        .unwrap();
    setting
        .idp
        .publish(vec![signer.jwk(), Signer::new("two").jwk()]);
    text(
        &mut owner,
        "SELECT problem FROM third_party_auth.refresh('idp')",
    );
    assert_eq!(alarms(&setting), ["not persisted"]);
    holder.batch_execute("ROLLBACK").unwrap();

    // The rest of the page, as the owner, when the fetcher is awake.
    let awake = "SELECT (heartbeat_age < 1)::text FROM third_party_auth.worker";
    cluster.eventually("the fetcher is awake", || {
        text(&mut owner, awake).as_deref() == Some("true")
    });
    let mut reading = Reading::new(cluster, "postgres", PAGE);
    reading.on_to("reset_stats");
    assert_eq!(reading.on_to("restart_worker"), "t");
    assert_eq!(alarms(&setting)[0], "missing_slot", "it is away");
    reading.finish();
}

/// The texts that the workers write into the log, with `*` for what is filled in.
fn written() -> Vec<String> {
    const START: &str = "\"pg_third_party_auth: ";
    let workers = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/pg/worker");
    let files = fs::read_dir(workers).unwrap();
    let sources = files.map(|file| fs::read_to_string(file.unwrap().path()).unwrap());
    let texts = |source: String| -> Vec<String> {
        let texts = source.split(START).skip(1);
        let texts = texts.map(|rest| rest.split('"').next().unwrap().to_owned());
        texts.collect()
    };
    let filled_in = |text: String| -> String {
        // A string that goes on in the next line is one string.
        let text: String = text.split("\\\n").map(str::trim_start).collect();
        let mut parts = text.split('{');
        let first = parts.next().unwrap().to_owned();
        parts.fold(first, |text, part| {
            format!("{text}*{}", part.split_once('}').unwrap().1)
        })
    };
    sources.flat_map(texts).map(filled_in).collect()
}

#[test]
fn the_log_lines_of_the_page_are_those_that_are_written() {
    let section = PAGE.split("## What the log says").nth(1).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let lines = section.lines().filter_map(|row| {
        let line = row.split("| `").nth(1)?.split("` |").next()?;
        let words = line.split_inclusive(|c: char| !c.is_alphanumeric());
        let filled_in = words.map(|word| {
            let name = word.trim_end_matches(|c: char| !c.is_alphanumeric());
            match name {
                "URL" | "N" | "WHY" | "PATH" => word.replacen(name, "*", 1),
                _ => word.to_owned(),
            }
        });
        Some(filled_in.collect::<String>())
    });
    let lines: Vec<String> = lines.collect();
    let written = written();
    assert!(written.len() > 10, "{written:?}");
    for line in &lines {
        let is_written = written.iter().any(|text| text.starts_with(line.as_str()));
        assert!(is_written, "{line:?} is not among {written:#?}");
    }
    for text in &written {
        let is_told = lines.iter().any(|line| text.starts_with(line.as_str()));
        assert!(is_told, "{text:?} is not among {lines:#?}");
    }
}

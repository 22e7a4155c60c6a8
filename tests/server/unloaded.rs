//! Servers that did not preload the library.

use crate::cluster::Cluster;
use crate::setting::{
    Signer, add_oidc, add_pinned, another_idp, bearer, claims, failure, refusal, set, subject,
    text, verify,
};
use crate::support::Authority;
use postgres::NoTls;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

#[test]
fn without_preloading_pinned_keys_work_and_nothing_is_fetched() {
    let authority = Authority::new();
    let [ca_file, networks] = crate::setting::trust(&authority);
    let preload = "shared_preload_libraries = ''";
    let cluster = Cluster::start("unloaded", &[preload, &ca_file, &networks]);

    // CREATE EXTENSION says so.
    let notices = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&notices);
    let mut config = cluster.config("postgres", "postgres");
    config.notice_callback(move |notice| noted.lock().unwrap().push(notice));
    let mut client = config.connect(NoTls).unwrap();
    client
        .batch_execute("CREATE EXTENSION pg_third_party_auth")
        .unwrap();
    let warnings: Vec<_> = notices
        .lock()
        .unwrap()
        .drain(..)
        .filter(|n| n.severity() == "WARNING")
        .collect();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(
        warnings[0]
            .hint()
            .is_some_and(|hint| hint.contains("shared_preload_libraries"))
    );

    // Pinned keys verify, and policies work.
    let signer = Signer::new("one");
    client.batch_execute(&add_pinned(&signer, "")).unwrap();
    client
        .batch_execute(
            "CREATE ROLE app LOGIN; CREATE TABLE t AS SELECT 'ada' AS owner; GRANT SELECT ON t TO app; \
             ALTER TABLE t ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON t USING (owner = jwt_subject())",
        )
        .unwrap();
    assert_eq!(verify(&mut client, &signer.pinned("ada")).unwrap(), "ada");
    let count = "SELECT count(*)::text FROM t";
    for source in ["request.jwt", "request.headers"] {
        let mut app = cluster.connect("app", "postgres");
        for (signer, name, rows) in [
            (&signer, "ada", "1"),
            (&signer, "eve", "0"),
            (&Signer::new("one"), "ada", "0"),
            (&signer, "ada", "1"),
        ] {
            let token = signer.pinned(name);
            let value = if source == "request.jwt" {
                token
            } else {
                bearer(&token)
            };
            set(&mut app, source, &value);
            assert_eq!(text(&mut app, count).unwrap(), rows, "{source} {name}");
        }
        app.batch_execute("DISCARD ALL").unwrap();
        assert_eq!(subject(&mut app), None, "{source}");
    }

    // What would have to be fetched is undecided at once, and refresh() says what to do.
    let idp = another_idp(&authority);
    idp.publish(vec![signer.jwk()]);
    client
        .batch_execute(&add_oidc("idp", &idp.issuer()))
        .unwrap();
    let start = Instant::now();
    assert_eq!(
        refusal(&mut client, &signer.token(&claims(&idp.issuer()))),
        "58000 not_preloaded"
    );
    assert!(
        start.elapsed() < Duration::from_secs(1),
        "{:?}",
        start.elapsed()
    );
    for call in [
        "refresh()",
        "refresh('idp')",
        "refresh('pinned')",
        "restart_worker()",
    ] {
        let (code, error) =
            failure(client.query(&format!("SELECT * FROM third_party_auth.{call}"), &[]));
        assert_eq!(code, "55000", "{call}");
        assert!(
            error
                .hint()
                .is_some_and(|hint| hint.contains("shared_preload_libraries")),
            "{error:?}"
        );
    }
    let problem = "SELECT problem FROM third_party_auth.status WHERE provider = 'idp'";
    assert!(
        text(&mut client, problem)
            .unwrap()
            .contains("shared_preload_libraries")
    );
    assert_eq!(
        text(
            &mut client,
            "SELECT count(*)::text FROM third_party_auth.worker"
        )
        .unwrap(),
        "0"
    );
    assert_eq!(idp.connections(), 0);

    // Each session has counted what it decided itself.
    let stats = "SELECT string_agg(concat_ws(' ', provider, outcome, reason, count), ', ' \
                 ORDER BY provider, outcome) FROM third_party_auth.stats";
    assert_eq!(
        text(&mut client, stats).unwrap(),
        "idp undecided not_preloaded 1, pinned verified 1"
    );
    assert_eq!(text(&mut cluster.superuser(), stats), None);
    client
        .batch_execute("SELECT third_party_auth.reset_stats()")
        .unwrap();
    assert_eq!(text(&mut client, stats), None);
}

#[test]
fn stored_keys_verify_when_preloading_was_taken_back() {
    let setting = crate::setting::Setting::new("taken_back");
    let signer = Signer::new("one");
    setting.idp.publish(vec![signer.jwk()]);
    setting.register(&mut setting.cluster.superuser());
    setting.idp.stop();
    setting
        .cluster
        .configure(&["shared_preload_libraries = ''"]);
    setting.cluster.restart(crate::cluster::Stop::Fast);
    let mut client = setting.cluster.superuser();
    assert_eq!(verify(&mut client, &setting.token(&signer)).unwrap(), "ada");
    let unknown = setting.token(&Signer::new("unknown"));
    assert_eq!(refusal(&mut client, &unknown), "58000 not_preloaded");
}

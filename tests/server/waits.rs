//! Whoever looks at a session that waits sees for what.

use crate::setting::{Setting, Signer, server_version, text, verify};
use crate::support::Behaviour;
use postgres::{Client, NoTls};
use std::thread;

/// Before PostgreSQL 17 the waits of extensions have no names.
fn is_named(client: &mut Client) -> bool {
    server_version(client) >= 170_000
}

/// Waits until a session that verifies this token is seen to wait, and cancels it. Its wait event.
fn seen_waiting(setting: &Setting, watcher: &mut Client, token: &str, event: &str) {
    let mut waiter = setting.cluster.superuser();
    let cancel = waiter.cancel_token();
    let pid = text(&mut waiter, "SELECT pg_backend_pid()::text").unwrap();
    let token = token.to_owned();
    let waiting = thread::spawn(move || {
        waiter
            .batch_execute("SET third_party_auth.key_wait = '10 s'")
            .unwrap();
        verify(&mut waiter, &token).expect_err("the session was cancelled")
    });
    let query = format!(
        "SELECT max(wait_event) FROM pg_stat_activity
         WHERE wait_event_type = 'Extension' AND pid = {pid}"
    );
    let event = if is_named(watcher) {
        event
    } else {
        "Extension"
    };
    setting
        .cluster
        .eventually(event, || text(watcher, &query).as_deref() == Some(event));
    cancel.cancel_query(NoTls).unwrap();
    let error = waiting.join().unwrap();
    assert_eq!(error.code().map(|code| code.code()), Some("57014"));
}

#[test]
fn pg_stat_activity_says_what_a_session_waits_for() {
    let setting = Setting::new("waits");
    let mut client = setting.cluster.superuser();
    let known = Signer::new("known");
    setting.idp.publish(vec![known.jwk()]);
    setting.register(&mut client);
    assert_eq!(verify(&mut client, &setting.token(&known)).unwrap(), "ada");

    setting.idp.behave(Behaviour::TlsStall);
    let unknown = setting.token(&Signer::new("unknown"));
    seen_waiting(&setting, &mut client, &unknown, "ThirdPartyAuthKeys");

    client
        .batch_execute("BEGIN; LOCK third_party_auth.provider")
        .unwrap();
    let mut watcher = setting.cluster.superuser();
    let known = setting.token(&known);
    seen_waiting(&setting, &mut watcher, &known, "ThirdPartyAuthRegistry");
    client.batch_execute("ROLLBACK").unwrap();

    // The fetcher has no database, and is in no view; what it waits for has a name all the same.
    if is_named(&mut client) {
        let names = "SELECT string_agg(name, ' ' ORDER BY name) FROM pg_wait_events
                     WHERE name LIKE 'ThirdPartyAuth%'";
        assert_eq!(
            text(&mut client, names).as_deref(),
            Some("ThirdPartyAuthFetcher ThirdPartyAuthKeys ThirdPartyAuthRegistry")
        );
    }
}

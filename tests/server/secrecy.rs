//! What is in a statement of somebody who registers or authenticates stays out of the log, and what
//! such a statement needs of the server.

use crate::cluster::Cluster;
use crate::setting::{Signer, add_pinned, create_extension, failure, text, trusting};
use postgres::Client;

const SECRET: &str = "a secret of the tests that nobody may find in a log";

/// Everything that a statement can say is logged, but for what the server is told to log by itself.
const LOUD: [&str; 3] = [
    "log_statement = none",
    "log_min_messages = debug1",
    "log_error_verbosity = verbose",
];

/// Runs a statement that fails, and looks for words in what it wrote into the log.
fn fails_silently(cluster: &Cluster, client: &mut Client, statement: &str, words: &[&str]) {
    let before = cluster.log().len();
    let (code, error) = failure(client.batch_execute(statement));
    assert!(!error.message().is_empty(), "{code}");
    let log = cluster.log().split_off(before);
    assert!(log.contains(&code), "{code}: {log}");
    for word in words {
        assert!(!log.contains(word), "{statement}: {log}");
        let answer = format!(
            "{} {:?} {:?}",
            error.message(),
            error.detail(),
            error.hint()
        );
        assert!(!answer.contains(word), "{statement}: {answer}");
    }
}

#[test]
fn a_secret_is_in_no_log_and_no_error_whatever_goes_wrong() {
    let (cluster, signer) = trusting("secrets", &LOUD, "");
    let mut admin = cluster.superuser();
    let jwks = format!("{{\"keys\": [{}]}}", signer.jwk());
    let add = |issuer: &str, name: &str, secret: &str| {
        format!(
            "SELECT third_party_auth.add_supabase('{issuer}', name => '{name}', jwks => '{jwks}',
                 algorithms => '{{RS256,ES256,EdDSA}}', jwt_secret => '{secret}')"
        )
    };
    let issuer = "https://one.supabase.co/auth/v1";
    admin
        .batch_execute(&add(issuer, "one", SECRET))
        .expect("registered");
    let row = "INSERT INTO third_party_auth.provider_secret VALUES";
    for statement in [
        // The issuer is taken, the name is taken, the secret is short.
        add(issuer, "two", SECRET),
        add("https://two.supabase.co/auth/v1", "one", SECRET),
        add("https://two.supabase.co/auth/v1", "two", &SECRET[..20]),
        // Deep in a function of somebody's own.
        format!(
            "DO $do$ BEGIN PERFORM third_party_auth.add_supabase('{issuer}', name => 'two',
                 jwt_secret => '{SECRET}'); END $do$"
        ),
        format!("{row} ('pinned', '{SECRET}')"),
        format!("{row} (NULL, '{SECRET}')"),
        format!("{row} ('nobody', '{SECRET}')"),
        format!(
            "SELECT third_party_auth.import_supabase_config('[auth]\njwt_secret = \"{SECRET}\"\n[[')"
        ),
    ] {
        fails_silently(&cluster, &mut admin, &statement, &[SECRET, &SECRET[..20]]);
    }
}

#[test]
fn a_token_that_authenticates_nobody_is_in_no_log() {
    let (cluster, signer) = trusting("authenticating", &LOUD, "");
    let mut admin = cluster.superuser();
    admin
        .batch_execute(
            "CREATE ROLE asker LOGIN;
             CREATE FUNCTION as_owner(token text) RETURNS jsonb LANGUAGE sql SECURITY DEFINER
                 AS 'SELECT third_party_auth.authenticate($1)';",
        )
        .expect("a role");
    let mut client = cluster.connect("asker", "postgres");
    let token = signer.pinned("ada");
    for statement in [
        // Outside a block; the role does not exist, or is not granted; in a function that may not switch.
        format!("SELECT third_party_auth.authenticate('{token}')"),
        format!("BEGIN; SELECT third_party_auth.authenticate('{token}')"),
        format!("BEGIN; SELECT as_owner('{token}')"),
    ] {
        fails_silently(&cluster, &mut client, &statement, &[&token]);
        client.batch_execute("ROLLBACK").expect("rolled back");
    }
    admin
        .batch_execute("CREATE ROLE authenticated")
        .expect("a role");
    let statement = format!("BEGIN; SELECT third_party_auth.authenticate('{token}')");
    fails_silently(&cluster, &mut client, &statement, &[&token]);
    client.batch_execute("ROLLBACK").expect("rolled back");
    admin
        .batch_execute("GRANT authenticated TO asker")
        .expect("granted");
    let statement = format!("BEGIN; SELECT as_owner('{token}')");
    fails_silently(&cluster, &mut client, &statement, &[&token]);
}

#[test]
fn authentication_takes_no_transaction_id_and_works_on_a_standby() {
    let (cluster, signer) = trusting("reading", &["wal_level = replica"], "");
    let mut admin = cluster.superuser();
    admin
        .batch_execute(
            "CREATE ROLE authenticated; CREATE ROLE asker LOGIN NOINHERIT; GRANT authenticated TO asker;
             CREATE ROLE postgrest LOGIN;
             GRANT EXECUTE ON FUNCTION third_party_auth.postgrest_pre_config(boolean) TO postgrest",
        )
        .expect("roles");
    let standby = cluster.standby("replica", &[]);
    standby.eventually("the standby has the roles", || {
        let count = "SELECT count(*)::text FROM pg_roles WHERE rolname = 'postgrest'";
        text(&mut standby.superuser(), count).as_deref() == Some("1")
    });
    let token = signer.pinned("ada");
    for server in [&cluster, &standby] {
        let mut client = server.connect("asker", "postgres");
        let mut transaction = client.transaction().expect("a transaction");
        transaction
            .execute("SELECT third_party_auth.authenticate($1)", &[&token])
            .expect("authenticated");
        let row = transaction
            .query_one(
                "SELECT current_user::text, jwt_subject(), pg_current_xact_id_if_assigned() IS NULL",
                &[],
            )
            .expect("an answer");
        assert_eq!(row.get::<_, &str>(0), "authenticated");
        assert_eq!(row.get::<_, &str>(1), "ada");
        assert!(row.get::<_, bool>(2));
        drop(transaction);

        let mut client = server.connect("postgrest", "postgres");
        let mut transaction = client.transaction().expect("a transaction");
        transaction
            .execute("SELECT third_party_auth.postgrest_pre_config(true)", &[])
            .expect("configured");
        let keys = "SELECT current_setting('pgrst.jwt_secret')::jsonb->'keys'->0->>'kid'";
        let kid: String = transaction.query_one(keys, &[]).expect("a key").get(0);
        assert_eq!(kid, "one");
    }
}

#[test]
fn a_registration_can_be_part_of_a_prepared_transaction() {
    let cluster = Cluster::start("prepared", &["max_prepared_transactions = 2"]);
    let mut admin = cluster.superuser();
    create_extension(&mut admin);
    let signer = Signer::new("pinned");
    let registration = add_pinned(&signer, "");
    for statement in [
        "BEGIN",
        &registration,
        "PREPARE TRANSACTION 'registration'",
        "COMMIT PREPARED 'registration'",
    ] {
        admin.batch_execute(statement).expect(statement);
    }
    let count = "SELECT count(*)::text FROM third_party_auth.status";
    assert_eq!(text(&mut admin, count).as_deref(), Some("1"));
}

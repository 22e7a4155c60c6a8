//! PostgREST has no address to fetch keys from: it gets them from the database, and is told when they change.

use crate::gateways::{
    AUTH_ISSUER, JWT_SECRET, SUPABASE_ROLES, api_key, postgrest, postgrest_configuration,
    sign_with_secret, user,
};
use crate::mint::encode;
use crate::setting::{Setting, Signer, failure, text};
use crate::support::Behaviour;
use postgres::fallible_iterator::FallibleIterator;
use postgres::{Client, NoTls};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const PRE_CONFIG: &str = "third_party_auth.postgrest_pre_config";

/// Longer than a notification takes on a machine under load.
const PATIENCE: Duration = Duration::from_secs(20);

/// A self-hosted Supabase whose Auth publishes keys; nothing is registered.
fn hosting(name: &str, conf: &[&str]) -> Setting {
    let setting = Setting::with(name, conf);
    let grant =
        "GRANT EXECUTE ON FUNCTION third_party_auth.postgrest_pre_config(boolean) TO authenticator";
    let mut owner = setting.cluster.superuser();
    owner.batch_execute(SUPABASE_ROLES).unwrap();
    owner.batch_execute(grant).unwrap();
    setting
}

fn add_supabase(setting: &Setting, more: &str) -> String {
    let uri = setting.idp.jwks_uri();
    format!("SELECT third_party_auth.add_supabase('{AUTH_ISSUER}', jwks_uri => '{uri}'{more})")
}

fn with_secret() -> String {
    format!(", jwt_secret => '{JWT_SECRET}'")
}

/// The keys that PostgREST loads, and the warnings that come with them. `None`: it keeps its own.
fn load(setting: &Setting, pre_config: &str) -> (Option<Vec<Value>>, Vec<String>) {
    let warnings = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&warnings);
    let mut config = setting.cluster.config("authenticator", "postgres");
    config.notice_callback(move |notice| {
        let text = format!("{} {}", notice.severity(), notice.message());
        heard.lock().expect("no panic").push(text);
    });
    let mut rest = config.connect(NoTls).expect("a connection");
    let settings = postgrest_configuration(&mut rest, pre_config).expect("the configuration");
    let keys = settings
        .into_iter()
        .find(|(name, _)| name == "jwt_secret")
        .map(|(_, value)| {
            let set: Value = serde_json::from_str(&value).expect("a JWKS");
            set["keys"].as_array().expect("keys").clone()
        });
    // What was set is gone with the transaction.
    let left = text(
        &mut rest,
        "SELECT current_setting('pgrst.jwt_secret', true)",
    );
    assert_eq!(left.unwrap_or_default(), "");
    let warnings = warnings.lock().expect("no panic").clone();
    (keys, warnings)
}

/// Whether one of the keys is this public key.
fn has(keys: &[Value], signer: &Signer) -> bool {
    let own = signer.jwk();
    let is_own = |key: &Value| {
        ["kty", "crv", "x", "y", "kid"]
            .iter()
            .all(|name| key[name] == own[name])
    };
    keys.iter().any(is_own)
}

#[test]
fn the_stock_set_up_keeps_accepting_its_anon_service_and_user_tokens() {
    let setting = hosting("stock", &[]);
    let mut owner = setting.cluster.superuser();
    let (auth, third) = (Signer::new("auth"), Signer::new("third"));
    setting.idp.publish(vec![auth.jwk()]);
    owner
        .batch_execute(&add_supabase(&setting, &with_secret()))
        .unwrap();
    setting.wait_until_stored(&mut owner, "supabase");
    owner
        .batch_execute(&crate::setting::add_pinned(&third, ""))
        .unwrap();
    let (keys, warnings) = load(&setting, PRE_CONFIG);
    let keys = keys.expect("keys");
    assert!(has(&keys, &auth) && has(&keys, &third), "{keys:?}");
    assert_eq!((keys.len(), warnings), (3, vec![]));
    // API keys and tokens of users that the secret signs are verified by the key of kind oct: it is the
    // secret itself.
    let oct: Vec<_> = keys.iter().filter(|key| key["kty"] == "oct").collect();
    assert_eq!(oct.len(), 1, "{keys:?}");
    assert_eq!(oct[0]["k"], encode(JWT_SECRET.as_bytes()));
    assert_eq!(oct[0]["alg"], "HS256");
    // Without an id it is tried for tokens without one, as API keys are.
    assert_eq!(oct[0].get("kid"), None);
    // No private half of anything.
    assert!(keys.iter().all(|key| key.get("d").is_none()), "{keys:?}");

    // What the role is given goes before it, as the page says.
    let set = "ALTER ROLE authenticator SET pgrst.jwt_secret = 'its own'";
    owner.batch_execute(set).unwrap();
    let mut rest = setting.cluster.connect("authenticator", "postgres");
    let settings = postgrest_configuration(&mut rest, PRE_CONFIG).unwrap();
    assert_eq!(settings, [("jwt_secret".to_owned(), "its own".to_owned())]);

    // jwks() has the public ones alone.
    let public: String = text(&mut owner, "SELECT third_party_auth.jwks()::text").unwrap();
    assert!(!public.contains("oct") && public.contains("auth") && public.contains("third"));
}

#[test]
fn auth_that_signs_with_its_secret_alone_has_that_alone() {
    let setting = hosting("secret_only", &[]);
    let mut owner = setting.cluster.superuser();
    setting.idp.publish(vec![]);
    owner
        .batch_execute(&add_supabase(&setting, &with_secret()))
        .unwrap();
    let (keys, warnings) = load(&setting, PRE_CONFIG);
    let keys = keys.expect("keys");
    assert_eq!(
        (keys.len(), &keys[0]["kty"], warnings),
        (1, &json!("oct"), vec![])
    );
    // What the page about Supabase says of it.
    let answer = "SELECT last_error FROM third_party_auth.status WHERE key_count = 0";
    setting.cluster.eventually("the answer is looked at", || {
        let answer = text(&mut owner, answer).unwrap_or_default();
        answer.contains("the key set is empty")
    });
    let problem = "SELECT problem FROM third_party_auth.status";
    assert_eq!(text(&mut owner, problem), None);
    // And its tokens and API keys are good all the same.
    let mut rest = setting.cluster.connect("authenticator", "postgres");
    for (role, claims) in [
        ("authenticated", user("ada")),
        ("anon", api_key("anon")),
        ("service_role", api_key("service_role")),
    ] {
        let token = sign_with_secret(&claims, JWT_SECRET);
        let asked = postgrest(&mut rest, role, Some(&token), "SELECT current_user::text");
        assert_eq!(asked.expect(role)[0].get::<_, &str>(0), role);
    }
}

#[test]
fn without_a_secret_postgrest_keeps_its_own_keys_unless_told_otherwise() {
    let setting = hosting("no_secret", &[]);
    let mut owner = setting.cluster.superuser();
    let auth = Signer::new("auth");
    setting.idp.publish(vec![auth.jwk()]);
    owner
        .batch_execute(
            "CREATE FUNCTION public.pre_config() RETURNS void LANGUAGE sql AS \
             'SELECT third_party_auth.postgrest_pre_config(asymmetric_only => true)'",
        )
        .unwrap();
    // Nothing is known yet: an empty set would refuse every token.
    let (keys, warnings) = load(&setting, "public.pre_config");
    assert_eq!(keys, None);
    assert!(
        warnings.len() == 1 && warnings[0].starts_with("WARNING"),
        "{warnings:?}"
    );

    owner.batch_execute(&add_supabase(&setting, "")).unwrap();
    setting.wait_until_stored(&mut owner, "supabase");
    let (keys, warnings) = load(&setting, PRE_CONFIG);
    assert_eq!(keys, None);
    assert!(
        warnings.len() == 1 && warnings[0].contains("jwt_secret"),
        "{warnings:?}"
    );
    let (keys, warnings) = load(&setting, "public.pre_config");
    let keys = keys.expect("keys");
    assert!(has(&keys, &auth) && keys.len() == 1, "{keys:?}");
    assert!(warnings.is_empty(), "{warnings:?}");

    // With a secret, asymmetric_only leaves it out.
    owner
        .batch_execute("SELECT third_party_auth.remove_provider('supabase')")
        .unwrap();
    owner
        .batch_execute(&add_supabase(&setting, &with_secret()))
        .unwrap();
    setting.wait_until_stored(&mut owner, "supabase");
    let (keys, _) = load(&setting, "public.pre_config");
    assert!(keys.expect("keys").iter().all(|key| key["kty"] != "oct"));
}

#[test]
fn what_is_not_trusted_is_not_handed_on() {
    let setting = hosting("not_trusted", &[]);
    let mut owner = setting.cluster.superuser();
    let (kept, revoked) = (Signer::new("kept"), Signer::new("revoked"));
    setting.idp.publish(vec![kept.jwk(), revoked.jwk()]);
    owner
        .batch_execute(&add_supabase(&setting, &with_secret()))
        .unwrap();
    setting.wait_until_stored(&mut owner, "supabase");
    let keys = |setting: &Setting| load(setting, PRE_CONFIG).0.unwrap_or_default();
    assert_eq!(keys(&setting).len(), 3);
    owner
        .batch_execute("SELECT third_party_auth.revoke_key('supabase', 'revoked')")
        .unwrap();
    let left = keys(&setting);
    assert!(
        has(&left, &kept) && !has(&left, &revoked) && left.len() == 2,
        "{left:?}"
    );
    owner
        .batch_execute("UPDATE third_party_auth.provider SET enabled = false")
        .unwrap();
    assert_eq!(load(&setting, PRE_CONFIG).0, None);
    assert_eq!(
        text(&mut owner, "SELECT third_party_auth.jwks()::text").unwrap(),
        "{\"keys\": []}"
    );

    // Whoever may not read the secret may not ask for it either.
    for role in ["anon", "authenticated", "service_role"] {
        let mut rest = setting.cluster.connect("authenticator", "postgres");
        rest.batch_execute(&format!("SET ROLE {role}")).unwrap();
        for call in ["postgrest_pre_config()", "jwks()"] {
            let query = format!("SELECT third_party_auth.{call}");
            assert_eq!(failure(rest.query(&query, &[])).0, "42501", "{role} {call}");
        }
    }
}

/// A connection as PostgREST keeps one open.
struct Listener(Client);

impl Listener {
    fn new(setting: &Setting) -> Listener {
        let mut client = setting.cluster.connect("authenticator", "postgres");
        client.batch_execute("LISTEN \"pgrst\"").unwrap();
        Listener(client)
    }

    /// Waits until PostgREST is told to load its configuration again.
    fn hears(&mut self, after: &str) {
        let heard = self.0.notifications().timeout_iter(PATIENCE).next();
        let heard = heard.expect("a connection");
        let heard = heard.unwrap_or_else(|| panic!("nothing was heard: {after}"));
        assert_eq!(
            (heard.channel(), heard.payload()),
            ("pgrst", "reload config"),
            "{after}"
        );
        self.heard();
    }

    /// Takes what has come until now; how much.
    fn heard(&mut self) -> usize {
        self.0.batch_execute("SELECT 1").unwrap();
        self.0.notifications().iter().count().expect("a connection")
    }
}

#[test]
fn postgrest_is_told_when_what_is_trusted_changes() {
    let setting = hosting("told", &[]);
    let mut owner = setting.cluster.superuser();
    let mut rest = Listener::new(&setting);
    let (first, second) = (Signer::new("first"), Signer::new("second"));
    setting.idp.publish(vec![first.jwk()]);

    setting.register(&mut owner);
    rest.hears("a registration");
    // Its keys came after that.
    setting
        .cluster
        .eventually("PostgREST hears of the first keys", || {
            rest.heard();
            is_handed_on(&setting, &first)
        });
    for statement in [
        "SELECT third_party_auth.revoke_key('idp', 'first')".to_owned(),
        "SELECT third_party_auth.unrevoke_key('idp', 'first')".to_owned(),
        "UPDATE third_party_auth.provider SET enabled = false WHERE name = 'idp'".to_owned(),
        "UPDATE third_party_auth.provider SET enabled = true WHERE name = 'idp'".to_owned(),
        add_supabase(&setting, &with_secret()),
        "DELETE FROM third_party_auth.provider_secret".to_owned(),
    ] {
        rest.heard();
        owner.batch_execute(&statement).unwrap();
        rest.hears(&statement);
    }
    // A rotation, found by the first token that uses the new key.
    setting.idp.publish(vec![first.jwk(), second.jwk()]);
    let token = setting.token(&second);
    assert_eq!(crate::setting::verify(&mut owner, &token).unwrap(), "ada");
    rest.hears("a rotation");
    let keys = "SELECT third_party_auth.jwks()::text";
    let keys = text(&mut owner, keys).unwrap();
    assert!(keys.contains("first") && keys.contains("second"), "{keys}");
}

/// Whether the keys that are handed on have this one.
fn is_handed_on(setting: &Setting, signer: &Signer) -> bool {
    let keys = "SELECT third_party_auth.jwks()::text";
    let keys = text(&mut setting.cluster.superuser(), keys).unwrap();
    let keys: Value = serde_json::from_str(&keys).expect("JSON");
    has(keys["keys"].as_array().expect("keys"), signer)
}

#[test]
fn postgrest_is_not_told_when_nothing_changed() {
    let conf = [
        "third_party_auth.refresh_interval = 1",
        "third_party_auth.max_stale = '4 s'",
    ];
    let setting = hosting("not_told", &conf);
    let mut owner = setting.cluster.superuser();
    let signer = Signer::new("one");
    setting.idp.publish(vec![signer.jwk()]);
    setting.register(&mut owner);
    let written = "SELECT fetched_at::text FROM third_party_auth.provider_state";
    let mut rest = Listener::new(&setting);
    // Not before the commit, and not without one.
    let mut transaction = owner.transaction().unwrap();
    let revoke = "SELECT third_party_auth.revoke_key('idp', 'other')";
    transaction.batch_execute(revoke).unwrap();
    assert_eq!(rest.heard(), 0);
    transaction.rollback().unwrap();
    assert_eq!(rest.heard(), 0);

    // The heartbeat, which keeps standbys informed: the same keys, fetched once more, and written.
    for _ in 0..2 {
        let before = text(&mut owner, written);
        setting
            .cluster
            .eventually("the keys are written again", || {
                text(&mut owner, written) != before
            });
    }
    let before = setting.idp.fetches();
    setting.idp.behave(Behaviour::WrongEtag304);
    setting
        .cluster
        .eventually("a 304 came", || setting.idp.fetches() > before);
    assert_eq!(rest.heard(), 0);
    // It would have heard.
    setting.idp.behave(Behaviour::Normal);
    let second = Signer::new("two");
    setting.idp.publish(vec![signer.jwk(), second.jwk()]);
    rest.hears("another key");
}

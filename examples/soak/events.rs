//! What happens to the server and its identity provider.

mod keys;
mod processes;
mod registry;

use crate::cluster::Cluster;
use crate::load::{Case, Expected, Load, Pool};
use crate::setting::{Setting, Signer, text};
use crate::support::Behaviour;
use postgres::{Client, Config};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The server's settings: as short as the events are.
const SETTINGS: [&str; 4] = [
    "third_party_auth.refresh_interval = '10s'",
    "third_party_auth.removed_key_grace = '1s'",
    "max_connections = 200",
    "log_checkpoints = off",
];

/// How long an identity provider misbehaves if nobody asks it.
const MISBEHAVIOUR: Duration = Duration::from_secs(15);

/// A published key and the answer to its token.
struct Published {
    kid: String,
    signer: Signer,
    case: Arc<Case>,
    is_revoked: bool,
}

/// Since when the identity provider misbehaves, and how often it had been asked before.
struct Misbehaviour {
    since: Instant,
    requests: usize,
}

/// The server, the identity provider, and what became of them.
pub struct World {
    pub setting: Setting,
    pub pool: Arc<Pool>,
    /// What has happened how often.
    pub counts: BTreeMap<&'static str, u64>,
    /// Processes that were killed.
    pub kills: u64,
    published: VecDeque<Published>,
    /// Withdrawn keys, and since when: refused once the server has heard of it.
    withdrawn: Vec<(Arc<Case>, f64)>,
    /// Withdrawn keys that are refused.
    refused: VecDeque<Arc<Case>>,
    misbehaviour: Option<Misbehaviour>,
    number: u64,
    random: u64,
    last_blame: Instant,
}

impl World {
    /// A server that trusts an identity provider with some keys.
    pub fn new(seed: u64) -> World {
        let setting = Setting::with("soak", &SETTINGS);
        let mut world = World {
            setting,
            pool: Pool::new(),
            counts: BTreeMap::new(),
            kills: 0,
            published: VecDeque::new(),
            withdrawn: Vec::new(),
            refused: VecDeque::new(),
            misbehaviour: None,
            number: 0,
            random: seed | 1,
            last_blame: Instant::now(),
        };
        world.new_key();
        let mut client = world.setting.cluster.superuser();
        world.setting.register(&mut client);
        for statement in [
            "CREATE DATABASE app TEMPLATE template0",
            "CREATE DATABASE scratch TEMPLATE template0",
            // Each refusal is an error: millions of lines in which the others could not be found.
            "ALTER ROLE app SET log_min_messages = 'log'",
        ] {
            client.batch_execute(statement).expect(statement);
        }
        let token = world.token_for("somebody else");
        world.pool.add(token, Expected::Refused);
        world
    }

    /// Whom the load works as: somebody who may do nothing but verify.
    pub fn user(&self) -> Config {
        self.cluster().config("app", "postgres")
    }

    /// One event; what it was. In calm times no process ends that lives as long as the server.
    pub fn something_happens(&mut self, load: &Load, is_calm: bool) -> &'static str {
        self.withdrawn_keys_are_refused();
        self.stored_keys_are_known();
        self.end_misbehaviour();
        let what = match self.next(if is_calm { 19 } else { 30 }) {
            0..4 => self.rotation(),
            4..6 => self.misbehave(),
            6..8 => self.flood(),
            8..10 => self.revocation(),
            10 => self.extension_elsewhere(),
            11 => self.provider_comes_and_goes(),
            12..14 => self.more_audiences(load),
            14 => self.switched_off(load),
            15 => self.other_settings(),
            16 => self.sessions_come_and_go(),
            17 => self.terminated_session(),
            18 => self.terminated_sync(),
            19..23 => self.killed_process(),
            23..26 => self.killed_fetcher(),
            26..28 => self.immediate_restart(),
            28 => self.terminated_fetcher(),
            _ => self.worker_restart(),
        };
        *self.counts.entry(what).or_default() += 1;
        what
    }

    /// The identity provider behaves, and the newest key is accepted.
    pub fn calm_down(&mut self) {
        self.setting.idp.behave(Behaviour::Normal);
        let newest = self.published.len() - 1;
        if self.published[newest].is_revoked {
            self.change_revocation(newest);
        }
        let mut client = self.client();
        let token = self.newest_token();
        let minute = Duration::from_secs(60);
        self.cluster()
            .eventually_within(minute, "the newest key is accepted", || {
                crate::setting::verify(&mut client, &token).is_ok()
            });
    }

    /// A session, as soon as the server takes one.
    pub fn client(&self) -> Client {
        let config = self.cluster().config("postgres", "postgres");
        let mut client = None;
        self.cluster().eventually("the server takes sessions", || {
            client = config.connect(postgres::NoTls).ok();
            client.is_some()
        });
        client.expect("a session")
    }

    /// A token of the newest key.
    pub fn newest_token(&self) -> String {
        let newest = &self.published[self.published.len() - 1];
        self.setting.token(&newest.signer)
    }

    fn cluster(&self) -> &Cluster {
        &self.setting.cluster
    }

    fn next(&mut self, below: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 8) % below
    }

    /// Lasts until somebody has met it, whatever else happens meanwhile.
    fn misbehave(&mut self) -> &'static str {
        let behaviours = [
            Behaviour::Garbage,
            Behaviour::Html,
            Behaviour::EmptySet,
            Behaviour::Reset,
            Behaviour::Truncated,
            Behaviour::Status(500),
            Behaviour::Status(404),
            Behaviour::Drip,
            Behaviour::DripHeader,
            Behaviour::TlsStall,
            Behaviour::SlowEverywhere(Duration::from_secs(2)),
            Behaviour::Huge,
            Behaviour::OddKeys,
            Behaviour::OnlyOddKeys,
            Behaviour::DiscoveryStatus(503),
            Behaviour::WrongDiscoveryIssuer,
        ];
        let number = self.next(behaviours.len() as u64) as usize;
        self.setting.idp.behave(behaviours[number].clone());
        self.misbehaviour = Some(Misbehaviour {
            since: Instant::now(),
            requests: self.setting.idp.connections(),
        });
        "a misbehaving provider"
    }

    fn end_misbehaviour(&mut self) {
        let is_over = |misbehaviour: &mut Misbehaviour| {
            self.setting.idp.connections() > misbehaviour.requests
                || misbehaviour.since.elapsed() > MISBEHAVIOUR
        };
        if self.misbehaviour.take_if(is_over).is_some() {
            self.setting.idp.behave(Behaviour::Normal);
        }
    }

    /// Key ids that do not exist, from many sessions.
    fn flood(&mut self) -> &'static str {
        let pool = Pool::new();
        let key = &self.published[0].signer;
        for number in 0..200 {
            self.number += 1;
            let kid = format!("no key {} {number}", self.number);
            let claims = crate::setting::claims(&self.setting.idp.issuer());
            pool.add(key.token_under(&kid, &claims), Expected::Refused);
        }
        let load = Load::start(self.user(), 30, &pool);
        load.answers_more(1_000);
        let wrong = load.stop().wrong;
        assert!(wrong.is_empty(), "{wrong:?}");
        "a flood of unknown key ids"
    }

    /// What is in no session's memory yet is asked for too.
    fn sessions_come_and_go(&mut self) -> &'static str {
        for _ in 0..5 {
            let load = Load::start(self.user(), 8, &self.pool);
            load.answers_more(40);
            let wrong = load.stop().wrong;
            assert!(wrong.is_empty(), "{wrong:?}");
        }
        "sessions that come and go"
    }

    /// Intervals that the answers do not depend on.
    fn other_settings(&mut self) -> &'static str {
        let choices = [
            ("refresh_interval", ["5s", "10s", "15s"]),
            ("http_timeout", ["1s", "2s", "5s"]),
            ("removed_key_grace", ["0", "500ms", "1s"]),
            ("max_stale", ["1h", "12h", "24h"]),
            ("max_token_bytes", ["8kB", "16kB", "32kB"]),
        ];
        let (name, values) = choices[self.next(choices.len() as u64) as usize];
        let value = values[self.next(values.len() as u64) as usize];
        let mut client = self.client();
        let set = format!("ALTER SYSTEM SET third_party_auth.{name} = '{value}'");
        client.batch_execute(&set).expect("another setting");
        assert_eq!(
            text(&mut client, "SELECT pg_reload_conf()::text").as_deref(),
            Some("true")
        );
        "other settings"
    }
}

//! What happens to the server and its identity provider.

use crate::cluster::Stop;
use crate::cluster::programs::signal;
use crate::load::{Case, Expected, Load, Pool};
use crate::setting::{Setting, Signer, add_pinned, claims, text};
use crate::support::Behaviour;
use postgres::Client;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// How many keys are published at a time.
const PUBLISHED: usize = 3;

/// The server's settings: as short as the events are.
const SETTINGS: [&str; 4] = [
    "third_party_auth.refresh_interval = '10s'",
    "third_party_auth.removed_key_grace = '1s'",
    "max_connections = 200",
    "log_checkpoints = off",
];

/// Not more often than this is a process killed: three crashes in a minute would stop the fetching.
const BETWEEN_KILLS: Duration = Duration::from_secs(40);

/// A published key and the answer to its token.
struct Published {
    signer: Signer,
    case: Arc<Case>,
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
    number: u64,
    random: u64,
    last_kill: Instant,
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
            number: 0,
            random: seed | 1,
            last_kill: Instant::now(),
        };
        world.new_key();
        let mut client = world.setting.cluster.superuser();
        world.setting.register(&mut client);
        let statements =
            "CREATE DATABASE app TEMPLATE template0; CREATE DATABASE scratch TEMPLATE template0";
        for statement in statements.split("; ") {
            client.batch_execute(statement).expect(statement);
        }
        // For somebody else: no key decides about it.
        let mut foreign = claims(&world.setting.idp.issuer());
        foreign["aud"] = "somebody else".into();
        let token = world.published[0].signer.token(&foreign);
        world.pool.add(token, Expected::Refused);
        world
    }

    /// One event; what it was.
    pub fn something_happens(&mut self) -> &'static str {
        self.withdrawn_keys_are_refused();
        let may_kill = self.last_kill.elapsed() > BETWEEN_KILLS;
        let what = match self.next(10) {
            0..3 => self.rotation(),
            3 => self.misbehaviour(),
            4 => self.flood(),
            5 => self.extension_elsewhere(),
            6 => self.provider_comes_and_goes(),
            7 if may_kill => self.killed_backend(),
            8 if may_kill => self.killed_fetcher(),
            9 if may_kill => self.immediate_restart(),
            _ => self.worker_restart(),
        };
        *self.counts.entry(what).or_default() += 1;
        what
    }

    /// The identity provider behaves, and the newest key is accepted.
    pub fn calm_down(&mut self) {
        self.setting.idp.behave(Behaviour::Normal);
        let mut client = self.client();
        let newest = self.published.back().expect("a key");
        let token = self.setting.token(&newest.signer);
        let minute = Duration::from_secs(60);
        self.setting
            .cluster
            .eventually_within(minute, "the newest key is accepted", || {
                crate::setting::verify(&mut client, &token).is_ok()
            });
    }

    /// A session, as soon as the server takes one.
    pub fn client(&self) -> Client {
        let config = self.setting.cluster.config("postgres", "postgres");
        let mut client = None;
        self.setting
            .cluster
            .eventually("the server takes sessions", || {
                client = config.connect(postgres::NoTls).ok();
                client.is_some()
            });
        client.expect("a session")
    }

    fn next(&mut self, below: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 8) % below
    }

    /// Publishes a new key, and asks about a token of it from the same moment on.
    fn new_key(&mut self) {
        self.number += 1;
        let kid = format!("key {}", self.number);
        let signer = match self.number % 3 {
            0 => Signer::rsa(&kid),
            1 => Signer::new(&kid),
            _ => Signer::ed25519(&kid),
        };
        let mut keys: Vec<_> = self.published.iter().map(|one| one.signer.jwk()).collect();
        keys.push(signer.jwk());
        self.setting.idp.publish(keys);
        let case = self.pool.add(self.setting.token(&signer), Expected::Valid);
        self.published.push_back(Published { signer, case });
    }

    fn rotation(&mut self) -> &'static str {
        self.new_key();
        if self.published.len() > PUBLISHED {
            let oldest = self.published.pop_front().expect("a key");
            oldest.case.expect(Expected::Either);
            let keys = self.published.iter().map(|one| one.signer.jwk()).collect();
            self.setting.idp.publish(keys);
            let now = crate::setting::now() as f64;
            self.withdrawn.push((oldest.case, now));
        }
        "a rotation"
    }

    /// What the server fetched after a key was withdrawn does not have it, and the grace is over.
    fn withdrawn_keys_are_refused(&mut self) {
        let mut client = self.client();
        let query = "SELECT extract(epoch FROM fetched_at)::text FROM third_party_auth.status WHERE provider = 'idp'";
        let fetched: f64 = text(&mut client, query)
            .and_then(|text| text.parse().ok())
            .unwrap_or_default();
        let now = crate::setting::now() as f64;
        self.withdrawn.retain(|(case, since)| {
            // Fetches that had begun before may end a little after it.
            let is_heard_of = fetched > since + 6.0 && now > fetched + 3.0;
            if is_heard_of {
                case.expect(Expected::Refused);
            }
            !is_heard_of
        });
    }

    fn misbehaviour(&mut self) -> &'static str {
        let behaviour = match self.next(7) {
            0 => Behaviour::Garbage,
            1 => Behaviour::Html,
            2 => Behaviour::EmptySet,
            3 => Behaviour::Reset,
            4 => Behaviour::Status(500),
            5 => Behaviour::Drip,
            _ => Behaviour::OddKeys,
        };
        self.setting.idp.behave(behaviour);
        thread::sleep(Duration::from_secs(3));
        self.setting.idp.behave(Behaviour::Normal);
        "a misbehaving provider"
    }

    /// Key ids that do not exist, from many sessions.
    fn flood(&mut self) -> &'static str {
        let pool = Pool::new();
        let key = &self.published[0].signer;
        for number in 0..200 {
            self.number += 1;
            let kid = format!("no key {} {number}", self.number);
            let token = key.token_under(&kid, &claims(&self.setting.idp.issuer()));
            pool.add(token, Expected::Refused);
        }
        let config = self.setting.cluster.config("postgres", "postgres");
        let load = Load::start(config, 30, &pool);
        load.answers_more(1_000);
        let wrong = load.stop().wrong;
        assert!(wrong.is_empty(), "{wrong:?}");
        "a flood of unknown key ids"
    }

    /// Another database gets the extension, is copied, and loses both.
    fn extension_elsewhere(&mut self) -> &'static str {
        let mut client = self.client();
        let mut scratch = self.setting.cluster.connect("postgres", "scratch");
        let signer = Signer::new("pinned");
        for statement in [
            "CREATE EXTENSION pg_third_party_auth",
            &add_pinned(&signer, ""),
            "BEGIN; DROP EXTENSION pg_third_party_auth; CREATE EXTENSION pg_third_party_auth; ROLLBACK",
        ] {
            scratch.batch_execute(statement).expect(statement);
        }
        let accepted = crate::setting::verify(&mut scratch, &signer.pinned("ada"));
        assert_eq!(accepted.expect("a pinned key"), "ada");
        scratch
            .batch_execute("DROP EXTENSION pg_third_party_auth CASCADE")
            .expect("dropped");
        drop(scratch);
        for statement in [
            "DROP DATABASE app",
            "CREATE DATABASE app TEMPLATE template0",
        ] {
            client.batch_execute(statement).expect(statement);
        }
        "an extension that comes and goes"
    }

    fn provider_comes_and_goes(&mut self) -> &'static str {
        let mut client = self.client();
        let signer = Signer::new("pinned");
        let token = signer.pinned("ada");
        client
            .batch_execute(&add_pinned(&signer, ""))
            .expect("registered");
        assert!(crate::setting::verify(&mut client, &token).is_ok());
        let remove = "SELECT third_party_auth.remove_provider('pinned')";
        client.batch_execute(remove).expect("removed");
        let after = crate::setting::refusal(&mut client, &token);
        assert_eq!(after, "28000 unknown_issuer");
        "a provider that comes and goes"
    }

    fn killed_backend(&mut self) -> &'static str {
        let mut victim = self.client();
        let pid = text(&mut victim, "SELECT pg_backend_pid()::text").expect("its id");
        self.kill(pid.parse().expect("a number"));
        "a killed session"
    }

    fn killed_fetcher(&mut self) -> &'static str {
        let mut client = self.client();
        let Some(pid) = text(&mut client, "SELECT pid::text FROM third_party_auth.worker") else {
            return self.worker_restart();
        };
        self.kill(pid.parse().expect("a number"));
        "a killed fetcher"
    }

    fn kill(&mut self, pid: i32) {
        let line = "all server processes terminated; reinitializing";
        let before = self.setting.cluster.log().matches(line).count();
        signal("KILL", pid);
        self.kills += 1;
        self.last_kill = Instant::now();
        self.setting
            .cluster
            .eventually("the server starts its processes again", || {
                self.setting.cluster.log().matches(line).count() > before
            });
        drop(self.client());
    }

    fn immediate_restart(&mut self) -> &'static str {
        self.setting.cluster.restart(Stop::Immediate);
        self.last_kill = Instant::now();
        "an immediate restart"
    }

    fn worker_restart(&mut self) -> &'static str {
        let restart = "SELECT third_party_auth.restart_worker()";
        self.client().batch_execute(restart).expect(restart);
        "a restart of the worker"
    }
}

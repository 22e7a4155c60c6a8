//! More questions than an identity provider shall hear of.

use crate::invariants::Invariants;
use crate::load::{Expected, Load, Pool, Tally};
use crate::setting::{Setting, Signer, add_oidc, another_idp, claims, refusal, text, verify};
use crate::support::{Behaviour, IdentityProvider};
use postgres::Client;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How many sessions ask about key ids that do not exist, and about how many each at least.
const FLOODERS: usize = 200;
const QUESTIONS: usize = 50;

/// What such a token is answered with. On a busy machine a fetch may take longer than a session waits.
const ANSWERS: [&str; 4] = [
    "28000 unknown_key",
    "58000 budget_spent",
    "58000 too_many_waiters",
    "58000 keys_not_fetched",
];

/// Fetches that an address may get in this time.
fn budget(time: Duration) -> usize {
    5 + time.as_secs() as usize / 10
}

/// Many sessions that ask about tokens that must be refused.
struct Flood {
    is_over: Arc<AtomicBool>,
    questions: Arc<AtomicUsize>,
    sessions: Vec<JoinHandle<(usize, BTreeSet<String>)>>,
}

impl Flood {
    /// Starts it over these sessions, with the tokens that `token` makes of numbers.
    fn start(clients: Vec<Client>, token: impl Fn(usize) -> String) -> Flood {
        let is_over = Arc::new(AtomicBool::new(false));
        let all = Arc::new(AtomicUsize::new(0));
        let tokens: Vec<String> = (0..FLOODERS * QUESTIONS).map(token).collect();
        let ask = |(mut client, tokens): (Client, &[String])| {
            let (is_over, tokens) = (Arc::clone(&is_over), tokens.to_vec());
            let all = Arc::clone(&all);
            thread::spawn(move || {
                let (mut questions, mut answers) = (0, BTreeSet::new());
                while questions < QUESTIONS || !is_over.load(Ordering::SeqCst) {
                    answers.insert(refusal(&mut client, &tokens[questions % QUESTIONS]));
                    questions += 1;
                    all.fetch_add(1, Ordering::SeqCst);
                }
                (questions, answers)
            })
        };
        let sessions = clients
            .into_iter()
            .zip(tokens.chunks(QUESTIONS))
            .map(ask)
            .collect();
        Flood {
            is_over,
            questions: all,
            sessions,
        }
    }

    /// Waits until there have been so many questions.
    fn rages(&self, questions: usize) {
        while self.questions.load(Ordering::SeqCst) < questions {
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Ends it: how many questions there were, and which answers.
    fn stop(self) -> (usize, BTreeSet<String>) {
        self.is_over.store(true, Ordering::SeqCst);
        let mut questions = 0;
        let mut answers = BTreeSet::new();
        for session in self.sessions {
            let (number, own) = session.join().expect("only refusals");
            questions += number;
            answers.extend(own);
        }
        (questions, answers)
    }
}

fn sessions(setting: &Setting, number: usize) -> Vec<Client> {
    (0..number).map(|_| setting.cluster.superuser()).collect()
}

#[test]
fn f17_a_flood_of_random_key_ids_causes_few_fetches_and_disturbs_nobody() {
    let setting = Setting::with("flood", &["max_connections = 300"]);
    let invariants = Invariants::of(&setting.cluster);
    let (signer, new) = (Signer::new("known"), Signer::new("new"));
    setting.idp.publish(vec![signer.jwk()]);
    let mut client = setting.cluster.superuser();
    let start = Instant::now();
    setting.register(&mut client);
    let issuer = setting.idp.issuer();
    let pool = Pool::new();
    pool.add(setting.token(&signer), Expected::Valid);
    let load = Load::start(setting.cluster.config("postgres", "postgres"), 2, &pool);
    let answers = |number: u64| -> Tally {
        load.take();
        load.answers_more(number);
        load.take()
    };

    // As many sessions that ask as often, of which nothing could ever be looked for.
    let expired = claims_expired(&issuer);
    let clients = sessions(&setting, FLOODERS);
    let flood = Flood::start(clients, |_| signer.token(&expired));
    flood.rages(10 * FLOODERS);
    let beside_expired = answers(300);
    assert_eq!(flood.stop().1, BTreeSet::from(["28000 expired".to_owned()]));

    let good = claims(&issuer);
    let clients = sessions(&setting, FLOODERS);
    let began = Instant::now();
    let flood = Flood::start(clients, |number| {
        signer.token_under(&format!("unknown {number}"), &good)
    });
    flood.rages(10 * FLOODERS);
    let beside_unknown = answers(300);
    // In its midst the keys change, and that is found although the flood takes every fetch there is.
    setting.idp.publish(vec![signer.jwk(), new.jwk()]);
    let (rotated, token) = (Instant::now(), setting.token(&new));
    setting.cluster.eventually("the new key is accepted", || {
        verify(&mut client, &token).is_ok()
    });
    let found_after = rotated.elapsed();
    let (questions, told) = flood.stop();
    let (took, fetches) = (start.elapsed(), setting.idp.fetches());
    let discoveries = setting.idp.discovery_fetches();

    println!(
        "{questions} questions about unknown keys in {:?}: {fetches} fetches; a new key was found \
         after {found_after:?}; valid tokens took {:?} beside expired ones, {:?} beside unknown keys",
        began.elapsed(),
        beside_expired.median(),
        beside_unknown.median(),
    );
    assert!(questions >= FLOODERS * QUESTIONS);
    let odd = told.iter().find(|one| !ANSWERS.contains(&one.as_str()));
    assert_eq!(odd, None);
    // The flood has emptied the budget: not every one could be looked for.
    assert!(told.contains("58000 budget_spent"), "{told:?}");
    let allowed = budget(took);
    assert!(fetches <= allowed, "{fetches} fetches, {allowed} allowed");
    assert!(discoveries <= allowed, "{discoveries}, {allowed} allowed");
    // A fetch is begun every ten seconds at the latest, and takes its time on a busy machine.
    assert!(found_after < Duration::from_secs(12), "{found_after:?}");
    for tally in [beside_expired, beside_unknown, load.stop()] {
        tally.assert_only(&[]);
    }
    invariants.hold(&setting.cluster, 0);
}

fn claims_expired(issuer: &str) -> serde_json::Value {
    let mut claims = claims(issuer);
    claims["exp"] = serde_json::json!(crate::setting::now() - 3600);
    claims
}

#[test]
fn f18_a_herd_on_a_cold_start_costs_each_provider_one_fetch() {
    let setting = Setting::with("herd", &["max_connections = 150"]);
    let other = another_idp(&setting.authority);
    let mut client = setting.cluster.superuser();
    let mut tokens = Vec::new();
    for (name, idp) in [("one", &setting.idp), ("two", &other)] {
        let signer = Signer::new("first");
        idp.publish(vec![signer.jwk()]);
        // Slow enough that all of them come while nothing is known.
        idp.behave(Behaviour::Slow(Duration::from_millis(1_500)));
        tokens.push(signer.token(&claims(&idp.issuer())));
        client
            .batch_execute(&add_oidc(name, &idp.issuer()))
            .unwrap();
    }
    let herd = |tokens: &[String]| -> BTreeSet<String> {
        let ask = |(number, mut client): (usize, Client)| {
            let token = tokens[number % tokens.len()].clone();
            thread::spawn(move || {
                let mut told = BTreeSet::new();
                // Those that may not wait are told to come again.
                while let Err(error) = verify(&mut client, &token) {
                    let error = error.as_db_error().expect("an answer");
                    let detail = error.detail().unwrap_or_default().to_owned();
                    assert_eq!(error.code().code(), "58000", "{error:?}");
                    told.insert(detail);
                    thread::sleep(Duration::from_millis(50));
                }
                told
            })
        };
        let clients = sessions(&setting, 100).into_iter().enumerate();
        let herd: Vec<_> = clients.map(ask).collect();
        herd.into_iter()
            .flat_map(|one| one.join().expect("an answer"))
            .collect()
    };
    herd(&tokens);
    let fetches = |idp: &IdentityProvider| (idp.discovery_fetches(), idp.fetches());
    assert_eq!((fetches(&setting.idp), fetches(&other)), ((1, 1), (1, 1)));

    // After a restart the keys are there before anything is fetched, so that nobody waits at all.
    for name in ["one", "two"] {
        setting.wait_until_stored(&mut client, name);
    }
    drop(client);
    setting.cluster.restart(crate::cluster::Stop::Fast);
    let invariants = Invariants::of(&setting.cluster);
    assert_eq!(herd(&tokens), BTreeSet::new());
    let mut client = setting.cluster.superuser();
    let fetched = "SELECT bool_and(source = 'fetched')::text FROM third_party_auth.status";
    setting.cluster.eventually("the keys are confirmed", || {
        text(&mut client, fetched).as_deref() == Some("true")
    });
    assert_eq!((fetches(&setting.idp), fetches(&other)), ((2, 2), (2, 2)));
    invariants.hold(&setting.cluster, 0);
}

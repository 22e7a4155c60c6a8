//! Many sessions that verify tokens all the time, and count wrong answers.

use postgres::{Client, Config, Error, NoTls, Statement};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, RwLock};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How long a session that lost its server waits before it tries again.
const RECONNECT: Duration = Duration::from_millis(20);

/// How long [`Load::answers_more`] waits.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the right answer to a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// It has to be refused.
    Refused,
    /// It is changing: both are right.
    Either,
    /// It has to be accepted.
    Valid,
    /// The same, and its key is stored: keys that cannot be had are no excuse.
    Known,
}

/// A token of which the right answer is known.
pub struct Case {
    token: String,
    expected: AtomicU8,
}

impl Case {
    /// From now on this is the right answer.
    pub fn expect(&self, expected: Expected) {
        self.expected.store(expected as u8, Ordering::SeqCst);
    }

    fn expected(&self) -> Expected {
        match self.expected.load(Ordering::SeqCst) {
            0 => Expected::Refused,
            1 => Expected::Either,
            2 => Expected::Valid,
            _ => Expected::Known,
        }
    }
}

/// The tokens that are asked about, each as likely as any other.
#[derive(Default)]
pub struct Pool {
    cases: RwLock<Vec<Arc<Case>>>,
}

impl Pool {
    /// An empty one.
    pub fn new() -> Arc<Pool> {
        Arc::default()
    }

    /// Adds a token.
    pub fn add(&self, token: String, expected: Expected) -> Arc<Case> {
        let case = Arc::new(Case {
            token,
            expected: AtomicU8::new(expected as u8),
        });
        let mut cases = self.cases.write().unwrap_or_else(|e| e.into_inner());
        cases.push(Arc::clone(&case));
        case
    }

    /// Takes a token away: it is not asked about any more.
    #[allow(dead_code)]
    pub fn remove(&self, case: &Arc<Case>) {
        let mut cases = self.cases.write().unwrap_or_else(|e| e.into_inner());
        cases.retain(|one| !Arc::ptr_eq(one, case));
    }

    fn pick(&self, number: u64) -> Option<Arc<Case>> {
        let cases = self.cases.read().unwrap_or_else(|e| e.into_inner());
        let position = number.checked_rem(cases.len() as u64)?;
        cases.get(position as usize).cloned()
    }
}

/// What was answered.
#[derive(Debug, Default, Clone)]
pub struct Tally {
    /// Right answers.
    pub right: u64,
    /// Wrong ones, in words. There must be none, whatever happened.
    pub wrong: Vec<String>,
    /// What was neither: `58000 REASON`, another SQLSTATE, or `lost` for a connection that ended.
    pub events: BTreeMap<String, u64>,
    /// How long the right answers took.
    pub latencies: Vec<Duration>,
}

impl Tally {
    /// Panics if any answer was wrong, or anything happened that is not among these events.
    pub fn assert_only(&self, allowed: &[&str]) {
        assert!(self.wrong.is_empty(), "{:?}", &self.wrong);
        let other = self
            .events
            .keys()
            .find(|one| !allowed.contains(&one.as_str()));
        assert!(other.is_none(), "{:?}", self.events);
        assert!(self.right > 0, "nothing was answered");
    }

    /// The middle one of the times that right answers took.
    pub fn median(&self) -> Duration {
        let mut sorted = self.latencies.clone();
        sorted.sort_unstable();
        sorted.get(sorted.len() / 2).copied().unwrap_or_default()
    }
}

/// Sessions at work. Dropping it ends them.
pub struct Load {
    shared: Arc<Shared>,
    sessions: Vec<JoinHandle<()>>,
}

struct Shared {
    config: Config,
    pool: Arc<Pool>,
    is_over: AtomicBool,
    answers: AtomicU64,
    tally: Mutex<Tally>,
}

impl Load {
    /// Starts so many sessions. Each asks by `verify_third_party_jwt()` and as a request in turn, with
    /// statements that are prepared once, and connects again when it loses its server.
    pub fn start(config: Config, sessions: u64, pool: &Arc<Pool>) -> Load {
        let shared = Arc::new(Shared {
            config,
            pool: Arc::clone(pool),
            is_over: AtomicBool::new(false),
            answers: AtomicU64::new(0),
            tally: Mutex::default(),
        });
        let start = |number| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.work(number))
        };
        let sessions = (1..=sessions).map(start).collect();
        Load { shared, sessions }
    }

    /// Waits until so many more answers have come, right or not.
    pub fn answers_more(&self, number: u64) {
        let enough = self.shared.answers.load(Ordering::SeqCst) + number;
        let deadline = Instant::now() + PATIENCE;
        while self.shared.answers.load(Ordering::SeqCst) < enough {
            assert!(Instant::now() < deadline, "{:?}", self.shared.tally());
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// What was answered since the last call.
    pub fn take(&self) -> Tally {
        std::mem::take(&mut self.shared.tally())
    }

    /// Ends the sessions: what was answered since the last [`Load::take`].
    pub fn stop(mut self) -> Tally {
        self.end();
        self.take()
    }

    fn end(&mut self) {
        self.shared.is_over.store(true, Ordering::SeqCst);
        for session in self.sessions.drain(..) {
            let _ = session.join();
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.end();
    }
}

/// How a token was answered.
enum Answer {
    Accepted,
    Refused(String),
    /// Neither, and what it was.
    Event(String),
}

impl Shared {
    fn work(&self, number: u64) {
        let mut random = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        while !self.is_over.load(Ordering::SeqCst) {
            let Ok(mut session) = self.config.connect(NoTls).and_then(Session::new) else {
                *self.tally().events.entry("lost".to_owned()).or_default() += 1;
                thread::sleep(RECONNECT);
                continue;
            };
            while !self.is_over.load(Ordering::SeqCst) && !session.client.is_closed() {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                match self.pool.pick(random >> 8) {
                    Some(case) => self.ask(&mut session, &case, random & 1 == 0),
                    None => thread::sleep(RECONNECT),
                }
            }
        }
    }

    fn ask(&self, session: &mut Session, case: &Case, as_request: bool) {
        let expected = case.expected();
        let start = Instant::now();
        let answer = session.ask(&case.token, as_request);
        let took = start.elapsed();
        let wrong = match (&answer, expected) {
            (Answer::Accepted, Expected::Refused) => Some("accepted".to_owned()),
            (Answer::Refused(why), Expected::Valid | Expected::Known) => {
                Some(format!("refused: {why}"))
            }
            (Answer::Event(event), Expected::Known) if is_excuse(event) => {
                Some(format!("undecided though its key is known: {event}"))
            }
            _ => None,
        };
        // What is right may have changed meanwhile.
        let wrong = wrong.filter(|_| case.expected() == expected);
        let mut tally = self.tally();
        match (wrong, answer) {
            (Some(wrong), _) => tally.wrong.push(wrong),
            (None, Answer::Event(event)) => *tally.events.entry(event).or_default() += 1,
            (None, _) => {
                tally.right += 1;
                tally.latencies.push(took);
            }
        }
        drop(tally);
        self.answers.fetch_add(1, Ordering::SeqCst);
    }

    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(|e| e.into_inner())
    }
}

/// Whether it says that keys cannot be had. Tables that somebody has locked are another matter.
fn is_excuse(event: &str) -> bool {
    event.starts_with("58000") && event != "58000 registry_locked"
}

struct Session {
    client: Client,
    verify: Statement,
    set: Statement,
    is_valid: Statement,
}

impl Session {
    fn new(mut client: Client) -> Result<Session, Error> {
        let verify = client.prepare("SELECT verify_third_party_jwt($1) IS NOT NULL")?;
        let set = client.prepare("SELECT set_config('request.jwt', $1, false)")?;
        let is_valid = client.prepare("SELECT is_third_party_jwt()")?;
        Ok(Session {
            client,
            verify,
            set,
            is_valid,
        })
    }

    fn ask(&mut self, token: &str, as_request: bool) -> Answer {
        let row = if as_request {
            let set = self.client.execute(&self.set, &[&token]);
            set.and_then(|_| self.client.query_one(&self.is_valid, &[]))
        } else {
            self.client.query_one(&self.verify, &[&token])
        };
        match row {
            Ok(row) if row.get(0) => Answer::Accepted,
            Ok(_) => Answer::Refused("no reason is given to policies".to_owned()),
            Err(error) => refusal_or_event(&error),
        }
    }
}

fn refusal_or_event(error: &Error) -> Answer {
    let Some(error) = error.as_db_error() else {
        return Answer::Event("lost".to_owned());
    };
    let detail = error.detail().unwrap_or_default();
    let reason = detail.strip_prefix("reason=").unwrap_or(detail);
    let reason = reason.split(' ').next().unwrap_or_default();
    match error.code().code() {
        "28000" => Answer::Refused(reason.to_owned()),
        "58000" => Answer::Event(format!("58000 {reason}")),
        "57P01" | "57P02" | "57P03" => Answer::Event("lost".to_owned()),
        code => Answer::Event(code.to_owned()),
    }
}

//! What a request costs: with a token that was seen before, and with one that nobody has seen.

use crate::asker::{Asker, Way};
use crate::claims::{self, LONG};
use crate::cluster::Cluster;
use crate::common::{Cost, Pairs, Scale, costs, limited, plain, ratio};
use crate::mint::{self, KeyPair};
use crate::report::whole;
use crate::table::{Budget, Table};
use serde_json::{Value, json};

/// How many requests are measured at a time.
const SLICE: usize = 50;

/// A server that trusts one key.
struct Requests {
    cluster: Cluster,
    pair: KeyPair,
    scale: Scale,
    /// How many tokens were made.
    made: u64,
}

/// The figures.
pub fn measure(scale: Scale) -> Vec<Table> {
    let mut requests = Requests::new(scale);
    vec![
        requests.same_token(),
        requests.check_request(),
        requests.first_sight(),
    ]
}

impl Requests {
    fn new(scale: Scale) -> Requests {
        let cluster = Cluster::start("bench", &["autovacuum = off"]);
        let pair = KeyPair::rsa();
        let jwks = mint::jwks(&[pair.jwk("bench", Some("RS256"))]);
        let script = format!(
            "CREATE EXTENSION pg_third_party_auth;
            CREATE ROLE authenticated;
            CREATE ROLE app LOGIN NOINHERIT;
            GRANT authenticated TO app;
            SELECT third_party_auth.add_clerk('clerk.example.com', jwks => '{jwks}')"
        );
        let mut admin = cluster.superuser();
        admin.batch_execute(&script).expect("the extension");
        Requests {
            cluster,
            pair,
            scale,
            made: 0,
        }
    }

    /// Tokens that nobody has seen.
    fn tokens(&mut self, count: usize) -> Vec<String> {
        let mut claims: Value = serde_json::from_str(&claims::clerk(LONG)).expect("an object");
        let header = json!({"alg": "RS256", "kid": "bench", "typ": "JWT"});
        let mut token = || {
            self.made += 1;
            claims["jti"] = json!(self.made);
            self.pair.sign(&header, &claims)
        };
        (0..count).map(|_| token()).collect()
    }

    fn asker(&self, way: Way) -> Asker {
        Asker::new(self.cluster.connect("app", "postgres"), way)
    }

    /// The same token in one transaction after the other, in one session.
    fn same_token(&mut self) -> Table {
        let token = self.tokens(1);
        let count = self.scale.of(500, 300);
        let same = || token.iter().cycle().take(count);
        let mut rows = Vec::new();
        for (way, source) in [(Way::Jwt, "request.jwt"), (Way::Headers, "request.headers")] {
            let mut asker = self.asker(way);
            let cost = in_turn(self.scale, |asks| asker.time(asks, same()));
            rows.push(plain(format!("{source}, then SELECT true"), cost.without));
            rows.push(plain(
                format!("{source}, then SELECT is_third_party_jwt()"),
                cost.with,
            ));
            rows.push(limited(
                format!("{source}: the difference"),
                cost.difference,
                2.0,
            ));
        }
        Table {
            id: "same_token",
            title: "The same token in a new transaction".to_owned(),
            note: format!(
                "BEGIN, the token by set_config(…, true), one statement, COMMIT; {count} times in each of {} rounds, \
                 prepared, time on a CPU.",
                self.scale.slices()
            ),
            unit: "µs",
            rows,
        }
    }

    /// Requests as PostgREST makes them, with a hook that does nothing and with ours.
    fn check_request(&mut self) -> Table {
        let token = self.tokens(1);
        let count = self.scale.of(500, 300);
        let same = || token.iter().cycle().take(count);
        let set = "SELECT set_config('role', 'authenticated', true), set_config('request.headers', $1, true)";
        let mut asker = Asker::with(
            self.cluster.connect("app", "postgres"),
            Way::Headers,
            Some(set),
            "SELECT true",
            // It answers nothing, and raises if it does not let the request through.
            "SELECT third_party_auth.check_request() IS NULL",
        );
        let cost = in_turn(self.scale, |asks| asker.time(asks, same()));
        Table {
            id: "check_request",
            title: "PostgREST's hook before a request".to_owned(),
            note: format!(
                "The role and the headers as PostgREST sets them, a token that was seen before; {count} requests in \
                 each of {} rounds, time on a CPU.",
                self.scale.slices()
            ),
            unit: "µs",
            rows: vec![
                plain("SELECT true in the place of the hook", cost.without),
                plain("check_request()", cost.with),
                limited("the difference", cost.difference, 5.0),
            ],
        }
    }

    /// Tokens that nobody has seen, and then the same ones in another session.
    fn first_sight(&mut self) -> Table {
        let count = self.scale.of(1_000, 100);
        let rounds = self.scale.of(5, 1);
        let ways = [
            (Way::Argument, "verify_third_party_jwt()"),
            (Way::Jwt, "request.jwt, then is_third_party_jwt()"),
        ];
        let mut rows = Vec::new();
        let mut pairs = [(); 2].map(|()| [(); 2].map(|()| Pairs::default()));
        for _ in 0..rounds {
            for ((way, _), [first, other]) in ways.iter().zip(&mut pairs) {
                let warm = self.tokens(1);
                let fresh = self.tokens(count);
                let [mut one, mut another] = [(); 2].map(|()| {
                    let mut asker = self.asker(*way);
                    for asks in [false, true] {
                        asker.time(asks, &warm);
                    }
                    asker
                });
                // The second session begins when the first one has seen them all.
                for (asker, pairs) in [(&mut one, first), (&mut another, other)] {
                    for slice in fresh.chunks(SLICE) {
                        pairs.add([false, true].map(|asks| asker.time(asks, slice)));
                    }
                }
            }
        }
        for ((_, name), pairs) in ways.iter().zip(pairs) {
            let [first, other] = pairs.map(Pairs::cost);
            let without = format!("{name}: the statements without it");
            rows.push(plain(without, first.without));
            let [first, other] = [first.difference, other.difference];
            rows.push(ratio(format!("{name}: first sight"), first, first, None));
            rows.push(ratio(
                format!("{name}: in another session afterwards"),
                other,
                first,
                Some(Budget::RatioAtMost(0.25)),
            ));
        }
        Table {
            id: "first_sight",
            title: "A token that the session has not seen".to_owned(),
            note: format!(
                "{} tokens of RS256 in each of {rounds} rounds, each in new sessions, {SLICE} with the question and {SLICE} \
                 without it in turn; time on a CPU for one token, less what the statements take without it. The ratio is \
                 to the first sight.",
                whole(count as f64)
            ),
            unit: "µs",
            rows,
        }
    }
}

/// Without the question and with it, in turn.
fn in_turn(scale: Scale, mut time: impl FnMut(bool) -> f64) -> Cost {
    let mut costs = costs(scale.slices(), 1, |_, asks| time(asks));
    costs.remove(0)
}

//! What a decision costs as other things grow: providers, keys, tokens, sessions.

use crate::asker::{Asker, Way};
use crate::common::{Cost, Scale, costs};
use crate::curve::Curve;
use crate::setting::{Setting, Signer, add_direct, claims, verify};
use crate::steady::Verifier;
use postgres::Client;
use serde_json::json;

/// Room for the providers and keys of all databases here together.
const SETTINGS: [&str; 5] = [
    "max_connections = 700",
    "shared_buffers = '256MB'",
    "autovacuum = off",
    "third_party_auth.max_providers = 512",
    "third_party_auth.max_keys = 4096",
];

const SAME: &str = "the same token again";
const FIRST: &str = "first sight";

/// The curves.
pub fn measure(scale: Scale) -> Vec<Curve> {
    let setting = Setting::with("bench", &SETTINGS);
    let mut growth = Growth {
        setting,
        scale,
        signer: Signer::rsa("measured"),
        made: 0,
    };
    vec![
        growth.providers(),
        growth.keys(),
        growth.tokens(),
        growth.sessions(),
    ]
}

struct Growth {
    setting: Setting,
    scale: Scale,
    /// The key whose tokens are measured.
    signer: Signer,
    made: u64,
}

/// A database, and the issuer there whose tokens are measured.
struct Place {
    database: String,
    issuer: String,
}

impl Growth {
    fn providers(&mut self) -> Curve {
        let sizes = vec![1, 8, 32, 128];
        let places: Vec<Place> = sizes
            .iter()
            .map(|&size| self.place(&self.signer, &format!("providers_{size}"), size, 1))
            .collect();
        let lines = self.lines(&places);
        Curve {
            id: "growth_providers",
            title: "Providers".to_owned(),
            note: self.note(
                "Databases with so many providers, each with an address of its own for its keys.",
            ),
            axis: "providers",
            sizes,
            lines,
        }
    }

    fn keys(&mut self) -> Curve {
        let sizes = vec![1_u32, 16, 64, 1_024];
        let places: Vec<Place> = sizes
            .iter()
            .map(|&size| {
                self.place(
                    &self.signer,
                    &format!("keys_{size}"),
                    size.div_ceil(64),
                    size.min(64),
                )
            })
            .collect();
        let lines = self.lines(&places);
        Curve {
            id: "growth_keys",
            title: "Keys".to_owned(),
            note: self.note("Databases with so many keys: up to 64 in the set of one provider, 1024 are those of 16."),
            axis: "keys",
            sizes,
            lines,
        }
    }

    /// Tokens that another session has seen, each as likely as any other.
    fn tokens(&mut self) -> Curve {
        // Signing so many with RSA would take minutes.
        let signer = Signer::new("measured");
        let place = self.place(&signer, "tokens", 1, 1);
        let client = self.setting.cluster.connect("app", &place.database);
        let mut verifier = Verifier::new(client);
        let mut sizes = vec![1, 10, 100, 1_000, 10_000, 100_000];
        sizes.truncate(self.scale.of(6, 4));
        let most = *sizes.last().expect("a size");
        let tokens: Vec<String> = (0..most)
            .map(|n| token(&signer, &place, n.into()))
            .collect();
        let count = self.scale.of(500, 100);
        let mut random = 1_u64;
        let mut asker = self.asker(&place);
        let costs = costs(self.scale.slices(), sizes.len(), |which, asks| {
            let tokens = &tokens[..sizes[which] as usize];
            // Before both that are compared, although the one without the question needs it not: so both begin alike.
            verifier.restore(tokens);
            let some = (0..count).map(|_| {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                &tokens[(random >> 8) as usize % tokens.len()]
            });
            asker.time(asks, some)
        });
        Curve {
            id: "growth_tokens",
            title: "Live tokens".to_owned(),
            note: format!(
                "Requests with one of so many tokens of ES256 at random, which another session has verified just before, as \
                 far as shared memory has room for them; {count} in each round. Time on a CPU for one request, less what it \
                 takes without the question. The ratio is to the smallest size."
            ),
            axis: "tokens",
            sizes,
            lines: vec![("a token of so many", differences(&costs))],
        }
    }

    /// Sessions that have verified a token and do nothing, beside the one that is measured.
    fn sessions(&mut self) -> Curve {
        let place = self.place(&self.signer, "sessions", 1, 1);
        let mut sizes = vec![1, 10, 100, 500];
        sizes.truncate(self.scale.of(4, 3));
        let mut others: Vec<Client> = Vec::new();
        let mut lines = vec![(SAME, Vec::new()), (FIRST, Vec::new())];
        for &size in &sizes {
            let token = self.fresh(&place);
            others.resize_with(size as usize - 1, || {
                let mut client = self.setting.cluster.connect("app", &place.database);
                verify(&mut client, &token).expect("a good token");
                client
            });
            let now = self.lines(std::slice::from_ref(&place));
            for ((_, all), (_, now)) in lines.iter_mut().zip(now) {
                all.extend(now);
            }
        }
        Curve {
            id: "growth_sessions",
            title: "Sessions".to_owned(),
            note: self
                .note("So many sessions have verified a token; all but the measured one are idle."),
            axis: "sessions",
            sizes,
            lines,
        }
    }

    /// The two costs at each place, the places in turn.
    fn lines(&mut self, places: &[Place]) -> Vec<(&'static str, Vec<f64>)> {
        let mut askers: Vec<Asker> = places.iter().map(|place| self.asker(place)).collect();
        let same: Vec<String> = places.iter().map(|place| self.fresh(place)).collect();
        let rounds = self.scale.slices();
        let count = self.scale.of(200, 50);
        let same = costs(rounds, places.len(), |place, asks| {
            let same = std::iter::repeat_n(&same[place], count);
            askers[place].time(asks, same)
        });
        let count = self.scale.of(50, 20);
        let first = costs(rounds, places.len(), |place, asks| {
            let mut token = || self.fresh(&places[place]);
            // Without the question it does not matter whose tokens they are.
            let fresh: Vec<String> = match asks {
                true => (0..count).map(|_| token()).collect(),
                false => vec![token(); count],
            };
            askers[place].time(asks, &fresh)
        });
        vec![(SAME, differences(&same)), (FIRST, differences(&first))]
    }

    fn note(&self, what: &str) -> String {
        format!(
            "{what} Requests with a token of RS256 in new transactions. Time on a CPU for one request, less what it takes \
             without the question. The ratio is to the smallest size."
        )
    }

    /// A database with so many providers and keys of each; the last key of the last one is measured.
    fn place(&self, signer: &Signer, database: &str, providers: u32, keys: u32) -> Place {
        let create = format!("CREATE DATABASE {database}");
        let mut admin = self.setting.cluster.superuser();
        admin.batch_execute(&create).expect(&create);
        let mut admin = self.setting.cluster.connect("postgres", database);
        admin
            .batch_execute("CREATE EXTENSION pg_third_party_auth")
            .expect("the extension");
        let last = providers - 1;
        let issuer = |number| format!("https://{number}.{database}.example");
        let mut script = String::new();
        for number in 0..providers {
            let mut set: Vec<_> = (1..keys)
                .map(|key| Signer::new(&format!("{number} {key}")).jwk())
                .collect();
            set.push(if number == last {
                signer.jwk()
            } else {
                Signer::new("own").jwk()
            });
            let path = format!("/{database}/{number}");
            self.setting.idp.publish_at(&path, set);
            let name = format!("provider_{number:03}");
            let uri = self.setting.idp.jwks_uri_at(&path);
            script.push_str(&add_direct(&name, &issuer(number), &uri));
            script.push(';');
        }
        admin.batch_execute(&script).expect("registered");
        let query = "SELECT count(*) FILTER (WHERE persisted AND key_count::bigint = $1) FROM third_party_auth.status";
        let minute = std::time::Duration::from_secs(60);
        self.setting
            .cluster
            .eventually_within(minute, "all keys are stored", || {
                let row = admin.query_one(query, &[&i64::from(keys)]);
                row.expect("the status").get::<_, i64>(0) == i64::from(providers)
            });
        Place {
            database: database.to_owned(),
            issuer: issuer(last),
        }
    }

    fn asker(&self, place: &Place) -> Asker {
        Asker::new(
            self.setting.cluster.connect("app", &place.database),
            Way::Jwt,
        )
    }

    /// A token that nobody has seen, of the key that is measured.
    fn fresh(&mut self, place: &Place) -> String {
        self.made += 1;
        token(&self.signer, place, self.made)
    }
}

fn token(signer: &Signer, place: &Place, number: u64) -> String {
    let mut claims = claims(&place.issuer);
    claims["jti"] = json!(number);
    signer.token(&claims)
}

fn differences(costs: &[Cost]) -> Vec<f64> {
    costs.iter().map(|cost| cost.difference).collect()
}

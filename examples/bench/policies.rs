//! What a policy costs per row, beside the same policy as Supabase's guides write it.
//!
//! One table and one session; each case is a role that its policy alone binds. So all read the same pages, which
//! the server keeps in its buffers.

use crate::cases::{self, CONSTANT, Case, Kind, TRUE};
use crate::claims::{LONG, SHORT};
use crate::cluster::Cluster;
use crate::common::{Backend, Scale, medians, ratio};
use crate::mint::{self, KeyPair};
use crate::report::whole;
use crate::setting::{server_version, set};
use crate::table::Table;
use postgres::Client;

/// All tables fit into the buffers, and a scan takes no ring of a few of them.
const SETTINGS: [&str; 3] = [
    "shared_buffers = '640MB'",
    "max_parallel_workers_per_gather = 0",
    "autovacuum = off",
];

/// A server with the cases' tables, roles and policies.
pub struct Scans {
    pub cluster: Cluster,
    pub cases: Vec<Case>,
    /// Rows of the table, and of the one for dear policies.
    pub rows: [i64; 2],
    pair: KeyPair,
}

/// The figures.
pub fn measure(scale: Scale) -> Vec<Table> {
    let scans = Scans::new(scale);
    let mut backend = scans.session();
    scans.refuses_without_token(&mut backend.client);
    let times = medians(scale.rounds(), scans.cases.len(), |number| {
        scans.bring(&mut backend.client, number);
        let mut count = 0;
        let time = backend.time(|client| count = scans.count(client, number));
        assert_eq!(count, scans.rows_of(number), "{}", scans.cases[number].name);
        // In nanoseconds.
        time * 1000.0 / count as f64
    });
    drop(backend);
    let mut tables = scans.tables(&times, scale);
    tables.push(crate::parallel::measure(&scans, scale));
    tables
}

impl Scans {
    fn new(scale: Scale) -> Scans {
        let cluster = Cluster::start("bench", &SETTINGS);
        let mut admin = cluster.superuser();
        let scans = Scans {
            cases: cases::all(server_version(&mut admin)),
            rows: scale.of([1_000_000, 20_000], [100_000, 2_000]),
            pair: KeyPair::rsa(),
            cluster,
        };
        let jwks = mint::jwks(&[scans.pair.jwk("bench", Some("RS256"))]);
        let mut script = format!(
            "CREATE SCHEMA extensions;
            GRANT USAGE ON SCHEMA extensions TO public;
            CREATE EXTENSION pg_third_party_auth SCHEMA extensions;
            SELECT third_party_auth.add_clerk('clerk.example.com', jwks => '{jwks}');
            SELECT third_party_auth.add_firebase('bench', jwks => '{jwks}');
            {};",
            cases::guide()
        );
        let [many, few] = scans.rows;
        for (table, rows) in [("many", many), ("few", few), ("guarded", many)] {
            script.push_str(&format!(
                "CREATE TABLE {table} AS SELECT g AS id, md5(g::text) AS title, 'org_a'::text AS organization_id
                    FROM generate_series(1, {rows}) g;
                ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;
                GRANT SELECT ON {table} TO public;"
            ));
        }
        for (number, case) in scans.cases.iter().enumerate() {
            let Some(policy) = &case.policy else {
                script.push_str(&format!("CREATE ROLE case_{number} BYPASSRLS;"));
                continue;
            };
            let table = case.table();
            script.push_str(&format!(
                "CREATE ROLE case_{number};
                CREATE POLICY case_{number} ON {table} TO case_{number} USING ({policy});"
            ));
        }
        script.push_str("SELECT third_party_auth.guard_table('guarded')");
        admin
            .batch_execute(&script)
            .expect("the tables and policies");
        admin.batch_execute("VACUUM ANALYZE").expect("vacuumed");
        scans
    }

    /// A session that may become each of the roles.
    pub fn session(&self) -> Backend {
        Backend::of(self.cluster.superuser())
    }

    /// Becomes the role of a case, with its token and claims.
    pub fn bring(&self, client: &mut Client, number: usize) {
        let case = &self.cases[number];
        let claims = case.provider.claims(case.bytes);
        // The short claims are too few for a token; who asks for the token gets the long ones.
        let payload = case.provider.claims(LONG);
        let header = r#"{"alg":"RS256","kid":"bench","typ":"JWT"}"#;
        let token = self.pair.sign_texts("RS256", header, &payload);
        set(client, "request.jwt", &token);
        set(client, "request.jwt.claims", &claims);
        let role = format!("SET ROLE case_{number}");
        client.batch_execute(&role).expect(&role);
    }

    /// How many rows the case's role sees.
    pub fn count(&self, client: &mut Client, number: usize) -> i64 {
        let query = format!("SELECT count(*) FROM {}", self.cases[number].table());
        client.query_one(&query, &[]).expect(&query).get(0)
    }

    /// How many it must see.
    pub fn rows_of(&self, number: usize) -> i64 {
        self.rows[usize::from(self.cases[number].is_dear)]
    }

    /// A policy that lets everything through costs nothing and is worth nothing.
    fn refuses_without_token(&self, client: &mut Client) {
        for (number, case) in self.cases.iter().enumerate() {
            self.bring(client, number);
            set(client, "request.jwt", "");
            set(client, "request.jwt.claims", "");
            let is_open = case.kind == Kind::Baseline;
            let expected = if is_open { self.rows_of(number) } else { 0 };
            assert_eq!(self.count(client, number), expected, "{}", case.name);
        }
    }

    fn tables(&self, times: &[f64], scale: Scale) -> Vec<Table> {
        let [many, few] = self.rows;
        let how = format!(
            "SELECT count(*) over {} rows in one session, {} rounds in turn; time on a CPU for one row.",
            whole(many as f64),
            scale.rounds()
        );
        let ours = "Our functions verify a token of RS256 with 610 bytes of claims.";
        let plain = format!(
            "auth.jwt() reads request.jwt.claims, of {SHORT} and of {LONG} bytes; it verifies nothing. Policies \
             without (select …) were measured over {} rows.",
            whole(few as f64)
        );
        let to_true = "The ratio is to true.";
        let to_constant = "The ratio is to organization_id = 'org_a'.";
        let table = |id, kind, title: &str, more: &str, to: usize| Table {
            id,
            title: title.to_owned(),
            note: format!("{how} {more}"),
            unit: "ns",
            rows: (self.cases.iter().zip(times))
                .filter(|(case, _)| case.kind == kind)
                .map(|(case, &time)| ratio(case.name.as_str(), time, times[to], case.budget))
                .collect(),
        };
        vec![
            table(
                "policies_baseline",
                Kind::Baseline,
                "A row without a token",
                to_true,
                TRUE,
            ),
            table(
                "policies",
                Kind::Ours,
                "A row under a policy of ours",
                &format!("{ours} {to_true}"),
                TRUE,
            ),
            table(
                "policies_plain",
                Kind::Plain,
                "A row under a policy in plain SQL",
                &format!("{plain} {to_true}"),
                TRUE,
            ),
            table(
                "organization",
                Kind::OurOrganization,
                "A row of the token's organisation",
                &format!("{ours} {to_constant}"),
                CONSTANT,
            ),
            table(
                "organization_plain",
                Kind::PlainOrganization,
                "A row of the token's organisation, in plain SQL",
                &format!("{plain} {to_constant}"),
                CONSTANT,
            ),
        ]
    }
}

impl Case {
    /// The table that it is read from.
    fn table(&self) -> &'static str {
        match (self.is_guarded, self.is_dear) {
            (true, _) => "guarded",
            (_, true) => "few",
            _ => "many",
        }
    }
}

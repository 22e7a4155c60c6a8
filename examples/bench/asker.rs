//! Requests as applications make them: a transaction that says whose token it is, and one question.

use crate::common::Backend;
use crate::setting::bearer;
use postgres::{Client, Statement};

/// How the token gets to the question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// `request.jwt`, as an application that connects directly sets it.
    Jwt,
    /// `request.headers`, as PostgREST sets them.
    Headers,
    /// As the argument of `verify_third_party_jwt()`.
    Argument,
}

/// A session whose statements are prepared.
pub struct Asker {
    backend: Backend,
    way: Way,
    set: Option<Statement>,
    /// Without the question, and with it.
    statements: [Statement; 2],
}

impl Asker {
    /// In this session. The extension's functions are in its search path.
    pub fn new(client: Client, way: Way) -> Asker {
        let (set, without, with) = match way {
            Way::Jwt => (
                Some("SELECT set_config('request.jwt', $1, true)"),
                "SELECT true",
                "SELECT is_third_party_jwt()",
            ),
            Way::Headers => (
                Some("SELECT set_config('request.headers', $1, true)"),
                "SELECT true",
                "SELECT is_third_party_jwt()",
            ),
            Way::Argument => (
                None,
                "SELECT $1::text IS NOT NULL",
                "SELECT verify_third_party_jwt($1) IS NOT NULL",
            ),
        };
        Asker::with(client, way, set, without, with)
    }

    /// With other statements: one that sets, one without the question, and one with it.
    pub fn with(
        mut client: Client,
        way: Way,
        set: Option<&str>,
        without: &str,
        with: &str,
    ) -> Asker {
        let mut prepare = |query: &str| client.prepare(query).expect(query);
        Asker {
            set: set.map(&mut prepare),
            statements: [without, with].map(&mut prepare),
            way,
            backend: Backend::of(client),
        }
    }

    /// Its session.
    pub fn backend(&mut self) -> &mut Backend {
        &mut self.backend
    }

    /// What one request takes on a CPU, in microseconds, over these tokens. Every question must be answered with yes.
    pub fn time<'a>(&mut self, asks: bool, tokens: impl IntoIterator<Item = &'a String>) -> f64 {
        let statement = &self.statements[usize::from(asks)];
        let arguments: Vec<String> = match self.way {
            Way::Headers => tokens.into_iter().map(|token| bearer(token)).collect(),
            _ => tokens.into_iter().cloned().collect(),
        };
        let time = self.backend.time(|client| {
            for argument in &arguments {
                let yes = match &self.set {
                    Some(set) => {
                        let mut transaction = client.transaction().expect("a transaction");
                        transaction.execute(set, &[argument]).expect("set");
                        let row = transaction.query_one(statement, &[]).expect("an answer");
                        transaction.commit().expect("a commit");
                        row
                    }
                    None => client.query_one(statement, &[argument]).expect("an answer"),
                };
                assert!(yes.get::<_, bool>(0), "the token is good");
            }
        });
        time / arguments.len() as f64
    }
}

//! What a decision costs: the first one about a token, and later ones.

#[pgrx::pg_schema]
mod benches {
    use crate::in_server::issuer::{Issuer, kept_tokens};
    use crate::in_server::request::{decide, next_statement, set_headers, set_token};
    use pgrx::datum::DatumWithOid;
    use pgrx::prelude::*;
    use pgrx_bench::{Bencher, black_box};
    use serde_json::json;

    /// More than a backend remembers by itself, and fewer than all backends together do.
    const KEPT: usize = 64;

    /// Makes the table `benches.token`, of tokens that are valid in every session once this has committed.
    #[pg_extern]
    fn keep_tokens() {
        Spi::run("create table benches.token (algorithm text, token text)").expect("a table");
        for algorithm in ["RS256", "ES256", "EdDSA"] {
            for token in Issuer::register("kept", algorithm).tokens(KEPT) {
                let values = [DatumWithOid::from(algorithm), DatumWithOid::from(token)];
                Spi::run_with_args("insert into benches.token values ($1, $2)", &values)
                    .expect("a row");
            }
        }
    }

    /// Verifies every token of the table, for this algorithm, in this session.
    #[pg_extern]
    fn see_tokens(algorithm: &str) -> i64 {
        let tokens = kept_tokens(algorithm);
        for token in &tokens {
            set_token(token);
            decide();
        }
        tokens.len() as i64
    }

    /// The bare check of the crypto library, of tokens that take turns.
    fn bare(bencher: &mut Bencher<'_>, algorithm: &str, is_parsed: bool) {
        let issuer = Issuer::register("bare", algorithm);
        let (key, signed) = issuer.bare(&issuer.tokens(KEPT));
        let mut number = 0;
        bencher.iter(move || {
            number = (number + 1) % signed.len();
            let signed = black_box(&signed[number]);
            assert!(match is_parsed {
                true => key.check(signed),
                false => key.check_unparsed(signed),
            });
        });
    }

    /// The first decision about a token that nobody has seen. Each token is seen once.
    fn first_sight(bencher: &mut Bencher<'_>, algorithm: &str, most: usize) {
        let issuer = Issuer::register("fresh", algorithm);
        let mut tokens = issuer.tokens(most).into_iter();
        // The registry is read and the crypto library has begun.
        set_token(&tokens.next().expect("a token"));
        decide();
        bencher.iter(move || {
            set_token(&tokens.next().expect("a token that nobody has seen"));
            decide();
        });
    }

    /// The first decision in this process about a token that another one has verified. Without the table of
    /// kept tokens, this process is the other one: it has seen too many since to remember by itself.
    fn seen_elsewhere(bencher: &mut Bencher<'_>, algorithm: &str) {
        let mut tokens = kept_tokens(algorithm);
        if tokens.is_empty() {
            tokens = Issuer::register("elsewhere", algorithm).tokens(KEPT);
            for token in &tokens {
                set_token(token);
                decide();
            }
        }
        let mut number = 0;
        bencher.iter(move || {
            number = (number + 1) % tokens.len();
            set_token(&tokens[number]);
            decide();
        });
    }

    /// One token.
    fn token(algorithm: &str) -> String {
        let tokens = Issuer::register("again", algorithm).tokens(1);
        tokens.into_iter().next().expect("a token")
    }

    #[pg_bench(
        sample_size = 20,
        measurement_time_ms = 40,
        warm_up_time_ms = 10,
        nresamples = 1000
    )]
    fn bare_rs256(bencher: &mut Bencher<'_>) {
        bare(bencher, "RS256", true);
    }

    #[pg_bench(
        sample_size = 20,
        measurement_time_ms = 40,
        warm_up_time_ms = 10,
        nresamples = 1000
    )]
    fn bare_es256(bencher: &mut Bencher<'_>) {
        bare(bencher, "ES256", true);
    }

    #[pg_bench(
        sample_size = 20,
        measurement_time_ms = 40,
        warm_up_time_ms = 10,
        nresamples = 1000
    )]
    fn bare_eddsa(bencher: &mut Bencher<'_>) {
        bare(bencher, "EdDSA", true);
    }

    #[pg_bench(
        sample_size = 20,
        measurement_time_ms = 40,
        warm_up_time_ms = 10,
        nresamples = 1000
    )]
    fn bare_unparsed_rs256(bencher: &mut Bencher<'_>) {
        bare(bencher, "RS256", false);
    }

    #[pg_bench(
        sample_size = 20,
        measurement_time_ms = 40,
        warm_up_time_ms = 10,
        nresamples = 1000
    )]
    fn bare_unparsed_es256(bencher: &mut Bencher<'_>) {
        bare(bencher, "ES256", false);
    }

    #[pg_bench(
        sample_size = 20,
        measurement_time_ms = 40,
        warm_up_time_ms = 10,
        nresamples = 1000
    )]
    fn bare_unparsed_eddsa(bencher: &mut Bencher<'_>) {
        bare(bencher, "EdDSA", false);
    }

    #[pg_bench(
        sample_size = 20,
        measurement_time_ms = 40,
        warm_up_time_ms = 10,
        nresamples = 1000
    )]
    fn first_sight_rs256(bencher: &mut Bencher<'_>) {
        first_sight(bencher, "RS256", 10_000);
    }

    #[pg_bench(
        sample_size = 20,
        measurement_time_ms = 40,
        warm_up_time_ms = 10,
        nresamples = 1000
    )]
    fn first_sight_es256(bencher: &mut Bencher<'_>) {
        first_sight(bencher, "ES256", 10_000);
    }

    #[pg_bench(
        sample_size = 20,
        measurement_time_ms = 40,
        warm_up_time_ms = 10,
        nresamples = 1000
    )]
    fn first_sight_eddsa(bencher: &mut Bencher<'_>) {
        first_sight(bencher, "EdDSA", 10_000);
    }

    #[pg_bench(
        sample_size = 20,
        measurement_time_ms = 40,
        warm_up_time_ms = 10,
        nresamples = 1000
    )]
    fn seen_elsewhere_rs256(bencher: &mut Bencher<'_>) {
        seen_elsewhere(bencher, "RS256");
    }

    #[pg_bench(
        sample_size = 20,
        measurement_time_ms = 40,
        warm_up_time_ms = 10,
        nresamples = 1000
    )]
    fn seen_elsewhere_es256(bencher: &mut Bencher<'_>) {
        seen_elsewhere(bencher, "ES256");
    }

    #[pg_bench(
        sample_size = 20,
        measurement_time_ms = 40,
        warm_up_time_ms = 10,
        nresamples = 1000
    )]
    fn seen_elsewhere_eddsa(bencher: &mut Bencher<'_>) {
        seen_elsewhere(bencher, "EdDSA");
    }

    /// What both decisions above begin with.
    #[pg_bench(
        sample_size = 20,
        measurement_time_ms = 40,
        warm_up_time_ms = 10,
        nresamples = 1000
    )]
    fn set_request_jwt(bencher: &mut Bencher<'_>) {
        let tokens = Issuer::register("set", "RS256").tokens(2);
        let mut number = 0;
        bencher.iter(move || {
            number = 1 - number;
            set_token(&tokens[number]);
        });
    }

    /// A statement that asks nothing.
    #[pg_bench(
        sample_size = 20,
        measurement_time_ms = 40,
        warm_up_time_ms = 10,
        nresamples = 1000
    )]
    fn statement_alone(bencher: &mut Bencher<'_>) {
        bencher.iter(next_statement);
    }

    #[pg_bench(
        sample_size = 20,
        measurement_time_ms = 40,
        warm_up_time_ms = 10,
        nresamples = 1000
    )]
    fn again_by_request_jwt(bencher: &mut Bencher<'_>) {
        set_token(&token("RS256"));
        bencher.iter(|| {
            next_statement();
            decide();
        });
    }

    #[pg_bench(
        sample_size = 20,
        measurement_time_ms = 40,
        warm_up_time_ms = 10,
        nresamples = 1000
    )]
    fn again_by_request_headers(bencher: &mut Bencher<'_>) {
        let headers = json!({
            "host": "api.example.com", "accept": "application/json", "user-agent": "bench/1.0",
            "accept-profile": "public", "x-client-info": "supabase-js/2.45.0",
            "authorization": format!("Bearer {}", token("RS256")), "x-forwarded-for": "192.0.2.1",
        });
        set_headers(&headers.to_string());
        bencher.iter(|| {
            next_statement();
            decide();
        });
    }
}

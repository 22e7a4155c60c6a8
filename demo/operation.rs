//! The chapters for those who run the server: rotation, outage, explanation, status.

use crate::DOCUMENTS;
use crate::story::{Story, outcome, rows};
use crate::world::{Request, World};
use serde_json::json;
use std::time::{Duration, Instant};

/// A new key of Clerk.
pub fn rotation(world: &mut World, story: &mut Story) {
    story.chapter("Rotation: a new key is picked up by the first token that uses it");
    let before = world.clerk.fetches();
    world.tokens.rotate_clerk();
    world.clerk.publish(vec![world.tokens.clerk_jwk()]);
    let token = world.tokens.clerk("user_1", json!({}));
    let request = Request::of("authenticated").token(&token);
    let start = Instant::now();
    let answer = world.ask(&request, DOCUMENTS);
    let time = start.elapsed();
    story.step("the first token of a new key", "2 rows", &outcome(&answer));
    let requests = world.clerk.fetches() - before;
    story.step("requests to Clerk for it", "1", &requests.to_string());
    story.say(&format!(
        "It took {} ms, the fetch included.",
        time.as_millis()
    ));
}

/// Clerk is down, and comes back.
pub fn outage(world: &mut World, story: &mut Story) {
    story.chapter("Outage: Clerk is down");
    let known = world.tokens.clerk("user_1", json!({}));
    world.clerk.stop();
    let request = Request::of("authenticated").token(&known);
    story.step(
        "a token of a known key",
        "2 rows",
        &outcome(&world.ask(&request, DOCUMENTS)),
    );
    world.tokens.rotate_clerk();
    let unknown = world.tokens.clerk("user_1", json!({}));
    let request = Request::of("authenticated").token(&unknown);
    let start = Instant::now();
    let answer = world.ask(&request, DOCUMENTS);
    let in_time = start.elapsed() < Duration::from_secs(4);
    story.step(
        "a token of an unknown key",
        "58000 keys_not_fetched",
        &outcome(&answer),
    );
    story.say("Not \"no rows\": it could not be decided. What the client sees:");
    story.quote(&world.last_error());
    story.step("answered in time", "true", &in_time.to_string());
    world.clerk.publish(vec![world.tokens.clerk_jwk()]);
    world.clerk.resume();
    story.step(
        "the same once Clerk is back",
        "2 rows",
        &world.eventually(&request, DOCUMENTS),
    );
}

/// Why a token is refused, rule by rule.
pub fn explanation(world: &mut World, story: &mut Story) {
    story.chapter("Why was it refused? SELECT * FROM third_party_auth.explain(token)");
    let foreign = world.tokens.foreign_firebase("ada", json!({}));
    let table = world.table(
        "SELECT step, rule, coalesce(ok::text, '-') AS ok, detail FROM third_party_auth.explain($1)",
        &[&foreign],
    );
    let refused = table.iter().find(|row| row[2] == "false");
    let rule = refused.map_or("none", |row| row[1].as_str()).to_owned();
    rows(&["step", "rule", "ok", "detail"], &table);
    story.step("the rule that refuses it", "unknown_issuer", &rule);
}

/// What an administrator looks at.
pub fn overview(world: &mut World, story: &mut Story) {
    story.chapter("SELECT … FROM third_party_auth.status");
    let table = world.table(
        "SELECT provider, kind, source, key_count::text, persisted::text, \
         consecutive_failures::text, coalesce(problem, '-') FROM third_party_auth.status ORDER BY 1",
        &[],
    );
    let columns = [
        "provider",
        "kind",
        "source",
        "keys",
        "persisted",
        "failures",
        "problem",
    ];
    rows(&columns, &table);
    let well = table.iter().filter(|row| row[6] == "-").count();
    story.step("providers without a problem", "3", &well.to_string());
}

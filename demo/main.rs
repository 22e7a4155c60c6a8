//! What the extension does, told step by step: each step says what is expected and what happened.
//!
//! A throw-away PostgreSQL and identity providers of its own, all on this machine: `make demo`.
//! The exit status is 0 only if everything happened as expected. With `KEEP=1` everything stays up
//! afterwards, until Enter or Ctrl-C.

#[path = "../tests/support/cluster.rs"]
mod cluster;
mod keep;
#[path = "../tests/common/mint.rs"]
#[allow(dead_code)]
mod mint;
mod operation;
mod story;
#[path = "../tests/support/mod.rs"]
mod support;
mod tokens;
mod world;

use serde_json::json;
use std::process::ExitCode;
use story::{Story, outcome, short};
use world::{Request, World};

const POSTS: &str = "SELECT * FROM posts";
const DOCUMENTS: &str = "SELECT * FROM documents";

fn main() -> ExitCode {
    keep::listen_for_interrupt();
    println!("Starting a PostgreSQL server and three identity providers, all on this machine …");
    let mut world = World::new();
    let mut story = Story::default();
    let chapters = [
        registration,
        requests,
        forgeries,
        organizations,
        second_factors,
        operation::rotation,
        operation::outage,
        operation::explanation,
        operation::overview,
    ];
    for chapter in chapters {
        if keep::is_interrupted() {
            println!("\nInterrupted.");
            return ExitCode::FAILURE;
        }
        chapter(&mut world, &mut story);
    }
    if keep::is_wanted() {
        keep::wait(&world);
    }
    story.end()
}

fn registration(world: &mut World, story: &mut Story) {
    story.chapter("Registration: the providers' names, in the words of Supabase's config.toml");
    for statement in world.registrations() {
        story.say(&statement);
        world
            .administrator
            .batch_execute(&statement)
            .expect("a provider is registered");
    }
    story.say("Keys are fetched when the transaction has committed, and stored in a table.");
    for provider in ["clerk", "firebase", "supabase"] {
        let got = world.wait_for_keys(provider);
        story.step(
            &format!("{provider} after the commit"),
            "1 key, stored, no problem",
            &got,
        );
    }
    story.say("A migration may run again:");
    let again = world.administrator.batch_execute(&world.registrations()[0]);
    story.step(
        "the same registration",
        "accepted",
        &short(&again.map(|()| "accepted".to_owned())),
    );
}

fn requests(world: &mut World, story: &mut Story) {
    story.chapter("Requests, as PostgREST makes them: a role, and the token in request.headers");
    story.say("posts: whoever is signed in reads and writes their own, and a restrictive policy");
    story.say("       TO PUBLIC USING (is_supabase_or_firebase_project_jwt())");
    let ada = world.tokens.firebase("ada");
    let grace = world.tokens.supabase("6f9f1c5e-grace");
    let own = "INSERT INTO posts (author, body) VALUES ('ada', 'Hello')";
    let others = "INSERT INTO posts (author, body) VALUES ('somebody else', 'Hello')";
    let anonymous = Request::of("anon");
    let by_ada = Request::of("authenticated").token(&ada);
    let by_grace = Request::of("authenticated").token(&grace);
    for (who, request, statement, expected) in [
        ("anon without a token reads", &anonymous, POSTS, "0 rows"),
        ("a Firebase user reads", &by_ada, POSTS, "2 rows"),
        ("… writes in her own name", &by_ada, own, "1 row"),
        ("… writes in another's name", &by_ada, others, "42501"),
        ("a Supabase user reads", &by_grace, POSTS, "3 rows"),
        ("… writes in another's name", &by_grace, own, "42501"),
    ] {
        story.step(who, expected, &outcome(&world.ask(request, statement)));
    }
    let clerk = world.tokens.clerk("user_1", json!({}));
    let by_clerk = Request::of("authenticated").token(&clerk);
    story.step(
        "a valid token of Clerk",
        "0 rows",
        &outcome(&world.ask(&by_clerk, POSTS)),
    );
}

fn forgeries(world: &mut World, story: &mut Story) {
    story.chapter("Forgeries: a claim counts only if its signature was verified here");
    let claims = world.tokens.firebase_claims("ada");
    let forged = Request::of("authenticated").claims(&claims);
    story.step(
        "request.jwt.claims set by hand",
        "0 rows",
        &outcome(&world.ask(&forged, POSTS)),
    );

    let token = world.tokens.firebase("ada");
    let signature = token.rfind('.').expect("three parts") + 1;
    let other = world.tokens.firebase("eve");
    let mixed = format!(
        "{}{}",
        &token[..signature],
        &other[other.rfind('.').expect("parts") + 1..]
    );
    let edited = Request::of("authenticated").token(&mixed);
    story.step(
        "the signature of another token",
        "0 rows",
        &outcome(&world.ask(&edited, POSTS)),
    );

    story
        .say("All Firebase projects sign with the same keys, so only iss and aud tell them apart:");
    let foreign = world.tokens.foreign_firebase("ada", json!({}));
    let request = Request::of("authenticated").token(&foreign);
    story.step(
        "a foreign Firebase project",
        "0 rows",
        &outcome(&world.ask(&request, POSTS)),
    );
    let why = world.verify(&foreign);
    story.step(
        "verify_third_party_jwt() says",
        "28000 unknown_issuer",
        &short(&why),
    );

    story.say("A role that only your own server may have, as a custom claim of a third party:");
    let minted = world
        .tokens
        .firebase_with("ada", json!({"role": "service_role"}));
    let request = Request::of("authenticated").token(&minted);
    story.step(
        "role service_role of Firebase",
        "0 rows",
        &outcome(&world.ask(&request, POSTS)),
    );
    let why = world.verify(&minted);
    story.step(
        "verify_third_party_jwt() says",
        "28000 role_not_allowed",
        &short(&why),
    );
}

fn organizations(world: &mut World, story: &mut Story) {
    story
        .chapter("Organisations: jwt_has_org_role('admin', organization_id), Clerk's two versions");
    let insert = "INSERT INTO documents (organization_id, title) VALUES ('org_a', 'Plan')";
    let v1 = json!({"v": null, "o": null, "org_id": "org_a", "org_role": "org:admin"});
    let mixed =
        json!({"o": {"id": "org_b", "rol": "admin"}, "org_id": "org_a", "org_role": "org:admin"});
    for (who, changes, expected) in [
        (
            "an admin of org_a (version 2)",
            json!({"o": {"id": "org_a", "rol": "admin"}}),
            "1 row",
        ),
        ("an admin of org_a (version 1)", v1, "1 row"),
        (
            "a member of org_a",
            json!({"o": {"id": "org_a", "rol": "member"}}),
            "42501",
        ),
        (
            "an admin of org_b",
            json!({"o": {"id": "org_b", "rol": "admin"}}),
            "42501",
        ),
        ("… with org_a in version 1 claims", mixed, "42501"),
    ] {
        let token = world.tokens.clerk("user_1", changes);
        let request = Request::of("authenticated").token(&token);
        story.step(who, expected, &outcome(&world.ask(&request, insert)));
    }
}

fn second_factors(world: &mut World, story: &mut Story) {
    story.chapter(
        "Second factor: jwt_second_factor_verified() in a restrictive policy on documents",
    );
    for (fva, expected) in [
        (json!([5, 1]), "2 rows"),
        (json!([5, -1]), "0 rows"),
        (json!([5, -1.0]), "0 rows"),
        (json!([5, true]), "0 rows"),
        (json!([5, []]), "0 rows"),
        (json!(null), "0 rows"),
    ] {
        let token = world.tokens.clerk("user_1", json!({"fva": fva}));
        let request = Request::of("authenticated").token(&token);
        let what = match fva.is_null() {
            true => "without fva".to_owned(),
            false => format!("fva {fva}"),
        };
        story.step(&what, expected, &outcome(&world.ask(&request, DOCUMENTS)));
    }
}

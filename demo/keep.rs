//! `KEEP=1`: everything stays up after the story, for those who want to try more.

use crate::cluster::programs;
use crate::world::World;
use serde_json::json;
use std::env;
use std::fs;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// From now on Ctrl-C ends the demo in order, so that no server is left behind.
pub fn listen_for_interrupt() {
    let handler: extern "C" fn(libc::c_int) = on_interrupt;
    // SAFETY: the handler only stores into an atomic.
    unsafe { libc::signal(libc::SIGINT, handler as libc::sighandler_t) };
}

extern "C" fn on_interrupt(_signal: libc::c_int) {
    INTERRUPTED.store(true, Ordering::Relaxed);
}

/// Whether Ctrl-C was pressed.
pub fn is_interrupted() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}

/// Whether everything shall stay up.
pub fn is_wanted() -> bool {
    env::var("KEEP").is_ok_and(|keep| !keep.is_empty() && keep != "0")
}

/// Says how to connect, and waits for Enter or Ctrl-C.
pub fn wait(world: &World) {
    if is_interrupted() {
        return;
    }
    let directory = world.cluster.directory();
    let psql = programs::bin().join("psql");
    println!("\nThe server and the identity providers stay up. Connect with");
    println!(
        "   {} -h {} -U authenticator postgres",
        psql.display(),
        directory.display()
    );
    println!("and try one of these tokens, for example with \\i:");
    for (name, token) in [
        ("firebase", world.tokens.firebase("ada")),
        (
            "foreign_firebase",
            world.tokens.foreign_firebase("ada", json!({})),
        ),
        ("supabase", world.tokens.supabase("6f9f1c5e-grace")),
        ("clerk", world.tokens.clerk("user_1", json!({}))),
    ] {
        let file = world.directory().join(format!("{name}.sql"));
        let text = format!(
            "SET ROLE authenticated;\nSET request.jwt = '{token}';\n\
             SELECT extensions.jwt_provider(), extensions.jwt_subject();\n"
        );
        match fs::write(&file, text) {
            Ok(()) => println!("   \\i {}", file.display()),
            Err(error) => println!("   {}: {error}", file.display()),
        }
    }
    println!("As -U postgres: SELECT * FROM third_party_auth.status;");
    println!("Enter or Ctrl-C stops and removes everything.");
    thread::spawn(|| {
        // At the end of the input (no terminal) only Ctrl-C is left.
        if io::stdin()
            .read_line(&mut String::new())
            .is_ok_and(|count| count > 0)
        {
            INTERRUPTED.store(true, Ordering::Relaxed);
        }
    });
    while !is_interrupted() {
        thread::sleep(Duration::from_millis(50));
    }
}

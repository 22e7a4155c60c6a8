//! The sequence lock of an entry of the table of verified signatures, under every order of steps that processors
//! and compilers may make of it.

/// What the table uses of the standard library, as loom has it.
mod sync {
    pub use loom::sync::atomic::{AtomicU64, Ordering, fence};
}

#[path = "../src/cache/verified.rs"]
#[allow(dead_code, unused_imports)]
mod verified;

type Ticks = u64;

use loom::sync::Arc;
use loom::thread;
use verified::Entry;

const A: [u64; 4] = [1, 2, 3, 4];
const B: [u64; 4] = [5, 6, 7, 8];

#[test]
fn a_reader_never_finds_parts_of_two_signatures() {
    loom::model(|| {
        let entry = Arc::new(Entry::free());
        let writers = [A, B].map(|words| {
            let entry = Arc::clone(&entry);
            thread::spawn(move || entry.write(words, 1))
        });
        let found = entry.read();
        assert!(found.is_none() || found == Some(A) || found == Some(B));
        for writer in writers {
            writer.join().unwrap();
        }
        // Whoever came too late wrote nothing, but somebody did.
        let left = entry.read();
        assert!(left == Some(A) || left == Some(B));
    });
}

#[test]
fn a_reader_never_finds_parts_of_a_signature_that_replaces_another() {
    loom::model(|| {
        let entry = Arc::new(Entry::free());
        entry.write(A, 1);
        let writer = {
            let entry = Arc::clone(&entry);
            thread::spawn(move || entry.write(B, 2))
        };
        let found = entry.read();
        assert!(found.is_none() || found == Some(A) || found == Some(B));
        writer.join().unwrap();
        assert_eq!(entry.read(), Some(B));
    });
}

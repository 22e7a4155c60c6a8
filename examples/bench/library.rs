//! The library that is installed: as it is shipped, or with the benches that run inside a server.

use std::path::Path;
use std::process::Command;
use std::sync::Once;

/// Installs the library with the benches in the place of the one that is shipped. What is measured from now on
/// runs with it.
pub fn install_benches() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tools/bench_in_server.sh");
        let status = Command::new(&script).status();
        assert!(
            status.is_ok_and(|status| status.success()),
            "{} has installed the benches",
            script.display()
        );
    });
}

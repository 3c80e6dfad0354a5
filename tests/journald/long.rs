//! How fast it is, beside journalctl on the same journal.

use crate::Reader;
use crate::daemon::{Daemon, available};
use std::time::Instant;

const ENTRIES: usize = 200_000;
/// What the source promises, entries a second.
const PROMISED: f64 = 20_000.0;

#[test]
fn twenty_thousand_entries_a_second_at_least() {
    if !available() {
        return;
    }
    let daemon = Daemon::start("SystemMaxFileSize=128M");
    let port = |n: usize| n % 60_000;
    let message =
        |n: usize| format!("Accepted publickey for user{} from 10.0.0.{} port {} ssh2", n % 50, n % 250, port(n));
    daemon.say((0..ENTRIES).map(message));
    daemon.sync();
    let begun = Instant::now();
    let mut reader = Reader::new(daemon.config());
    reader.once();
    let ours = ENTRIES as f64 / begun.elapsed().as_secs_f64();
    assert!(reader.lines.len() >= ENTRIES);
    println!("sealtail: {ours:.0} entries a second");
    for format in ["export", "json"] {
        let begun = Instant::now();
        daemon.journalctl(&["-o", format, "--all"]);
        println!("journalctl -o {format}: {:.0}", ENTRIES as f64 / begun.elapsed().as_secs_f64());
    }
    assert!(cfg!(debug_assertions) || ours >= PROMISED, "{ours}");
}

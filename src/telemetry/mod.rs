//! What the agent says of itself: logs on standard error, for people on a terminal, JSON elsewhere; metrics over HTTP.

mod serve;

pub use serve::serve;

use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// Starts logging with a filter such as `info` or `sealtail=debug`, which the configuration has checked. A second call
/// changes nothing.
pub fn start(filter: &str) {
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match std::io::stderr().is_terminal() {
        true => builder.with_target(false).try_init(),
        false => builder.json().flatten_event(true).try_init(),
    };
    // only a second call fails
    drop(started);
}

//! What the agent says of itself: logs on standard error, for people on a terminal, JSON elsewhere; metrics over HTTP.

mod serve;

pub use serve::serve;

use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// Clients that log each failure by themselves. Targets say what comes of it, and how to mend it, once a minute; whoever wants all of it
/// names them in the filter.
const CLIENTS: &str = "async_nats=off,krafka=off";

/// Starts logging with a filter such as `info` or `sealtail=debug`, which the configuration has checked. A second call
/// changes nothing.
pub fn start(filter: &str) {
    let filter = EnvFilter::try_new(format!("{CLIENTS},{filter}")).unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match std::io::stderr().is_terminal() {
        true => builder.with_target(false).try_init(),
        false => builder.json().flatten_event(true).try_init(),
    };
    // only a second call fails
    drop(started);
}

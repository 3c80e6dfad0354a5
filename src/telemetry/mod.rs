//! What the agent says of itself: logs on standard error, for people on a terminal, JSON elsewhere; metrics and health over HTTP; its
//! status over a local socket.
//!
//! ```text
//!  agent --Status, when somebody asks--> metrics   /metrics, Prometheus' text format      | serve
//!                                        health    /healthz, /readyz                      | serve
//!                                        status    itself, as JSON: `status` and `top`    | socket, client
//! ```
//! Nothing is computed on the line's path but counters, a batch at a time; gauges are asked of the stages by whoever asks for a status.

mod client;
pub mod health;
pub mod metrics;
mod off_thread;
mod serve;
pub mod socket;
pub mod status;
pub mod text;

pub use client::{Error, Watch, ask, watch};
pub use serve::{serve, serve_agent};

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

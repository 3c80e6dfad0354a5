//! The receiver from outside: a real server, real certificates, real chains.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails, in its helpers too")]

mod authenticates;
mod fifty_agents;
mod is_bounded;
#[path = "../backends/log.rs"]
mod log;
#[expect(dead_code, reason = "servers with other clocks are for the tests of targets")]
mod pki;
mod refuses;
mod rides_out_faults;
mod shares_fairly;
mod stores;
mod stream;
mod survives_kill;
mod world;

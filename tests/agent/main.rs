//! The agent as its users run it: real processes, real files, a real receiver.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod authenticates;
mod bad_input;
mod cli;
mod delivers;
mod disk_faults;
mod journald;
mod long;
mod refused;
mod regression;
mod rides_out_outage;
mod survives_crash;
mod tells;
mod world;

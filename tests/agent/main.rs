//! The agent as its users run it: real processes, real files, a real receiver.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../policy/pack.rs"]
mod pack;
#[path = "../policy/sign.rs"]
#[allow(dead_code, reason = "the tests of policies use the other algorithms")]
mod sign;

#[path = "../receive/pki.rs"]
#[expect(dead_code, reason = "the tests of receivers use all of it")]
mod pki;
#[path = "../backends/weed.rs"]
mod weed;

mod alerts;
mod authenticates;
mod bad_input;
mod bench;
mod bundle_server;
mod bundles;
mod cli;
mod delivers;
mod disk_faults;
mod docs;
mod doctor;
mod drains;
mod erases;
mod field;
mod hardening;
mod init;
mod journald;
mod lines;
mod long;
mod many_files;
mod memory;
mod proxy;
mod random;
mod read_only_root;
mod reconfigures;
mod redacts;
mod refused;
mod regression;
mod rides_out_outage;
mod rotates_certificates;
mod rotates_compressed;
mod rotates_for_real;
mod s3;
mod service;
mod skips;
mod soak;
mod spool_check;
mod spool_recovers;
mod survives_crash;
mod swaps;
mod targets;
mod tells;
mod told;
mod watched;
mod world;

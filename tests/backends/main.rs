//! Each kind of target against a real one: the contract of `forward::Backend`.
//!
//! `conformance` is the same for all kinds; a module for each has what is its own.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails, in its helpers too")]

mod agent;
mod conformance;
mod folder;
mod generic;
mod kafka;
mod kafka_server;
mod link;
mod log;
mod long;
mod nats;
mod nats_server;
mod otlp;
#[path = "../receive/pki.rs"]
#[expect(dead_code, reason = "receivers are tested elsewhere")]
mod pki;
#[path = "../agent/proxy.rs"]
mod proxy;
mod receiver;
mod receiver_faults;
mod rotel;
mod s3;
mod s3_answers;
mod s3_credentials;
#[path = "../receive/stream.rs"]
#[expect(dead_code, reason = "receivers are tested elsewhere")]
mod stream;
mod terminator;
mod tls;
mod weed;

//! Verification from outside: sound archives, attacks on them, hostile files, and lines printed back.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(unreachable_pub, reason = "a test binary exports nothing")]

mod attacks;
mod bytes;
mod cat;
mod ends;
mod golden;
mod hostile;
mod links;
mod random;
mod skips;
mod world;

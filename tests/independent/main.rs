//! An archive can be checked without sealtail: by a second verifier in another language, written from FORMAT.md alone, and by
//! Debian's `age`. Both say what `sealtail verify` says.
//!
//! `SEALTAIL_PYTHON` names a Python with the package `cryptography`. Where a tool is missing these tests say so and pass; in
//! CI they fail.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod agrees;
mod opened;
mod skips;
mod vectors;
mod world;

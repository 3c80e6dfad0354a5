//! The command line.

pub mod cat;
pub mod verify;

//! cli

pub mod policy;

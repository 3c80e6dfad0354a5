//! sealtail: the log shipper that auditors can check.

pub mod agent;
pub mod chain;
pub mod cli;
pub mod config;
pub mod durable;
pub mod forward;
pub mod policy;
pub mod receive;
pub mod record;
pub mod source;
pub mod spool;
pub mod telemetry;
pub mod verify;

//! The command line: one file per subcommand.

pub mod keys;
pub mod policy;

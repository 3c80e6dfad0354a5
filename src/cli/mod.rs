//! One file per subcommand.

pub mod keys;

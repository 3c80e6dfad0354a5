//! The policies that come with sealtail, built into the program for `quickstart`.

/// All packs without their tests: the path below `policies/`, and the content.
pub const PACKS: &[(&str, &str)] = &[];

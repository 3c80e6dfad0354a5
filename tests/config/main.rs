//! The configuration, the trust file and the keys, as their readers see them.

mod keys;
mod trust;

//! Salts, so that a short message can't be guessed from its commitment.

use super::{Error, random};

/// Salts from the kernel, 256 at a call.
pub(super) struct Salts {
    pool: Box<[u8; 4096]>,
    used: usize,
}

impl Salts {
    pub(super) fn new() -> Result<Self, Error> {
        Ok(Self { pool: Box::new(random()?), used: 0 })
    }

    pub(super) fn next(&mut self) -> [u8; 16] {
        if self.used == self.pool.len() {
            // the kernel's generator never fails once it has given bytes (getrandom(2)), and it did in `new`
            getrandom::fill(&mut *self.pool).expect("getrandom worked before");
            self.used = 0;
        }
        let mut salt = [0; 16];
        salt.copy_from_slice(&self.pool[self.used..][..16]);
        self.used += 16;
        salt
    }
}

//! Random bytes, from the kernel.

use super::Error;
use crate::record::StreamId;

/// The id of a stream that is to begin.
pub fn new_stream() -> Result<StreamId, Error> {
    Ok(StreamId(random()?))
}

pub(super) fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|e| Error::Random(e.to_string()))?;
    Ok(bytes)
}

//! A second implementation of the verifier, in another language and from FORMAT.md alone, agrees with the first.

mod vectors;

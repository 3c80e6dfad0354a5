//! Minutes, not seconds: run by `tests/run --long`.

use crate::many;

#[test]
fn the_packs_say_the_same_of_two_hundred_thousand_lines() {
    many::agree_on(200_000);
}

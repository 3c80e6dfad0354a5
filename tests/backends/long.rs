//! Minutes, not seconds: run by `tests/run --long`.

use crate::receiver_faults::many_batches_are_read_back;

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_batches() {
    many_batches_are_read_back(10_000).await;
}

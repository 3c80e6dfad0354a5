//! What takes minutes: `tests/run --long`.

use crate::conformance::{HOST, Place, is_stored, named, next};
use crate::kafka_server::KafkaServer;
use crate::nats_server::NatsServer;
use crate::stream::Stream;
use sealtail::forward;

const BATCHES: usize = 10_000;

/// Each is there once and in order, though every seventh is sent twice and every hundredth by a new process.
async fn many_batches(place: &impl Place) {
    let mut batches = Stream::begin(HOST);
    let mut target = forward::open(&place.target(), HOST).unwrap();
    let mut uploads = Vec::new();
    for n in 0..BATCHES {
        let upload = next(&mut batches, 2);
        is_stored(&mut target, &upload).await;
        if n % 100 == 0 {
            target = forward::open(&place.target(), HOST).unwrap();
        }
        if n % 7 == 0 {
            is_stored(&mut target, &upload).await;
        }
        uploads.push(upload);
    }
    let stored = place.holds();
    assert_eq!(stored.len(), BATCHES);
    assert!(stored == named(uploads), "other bytes");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_batches_to_nats() {
    let Some(server) = NatsServer::start().await else { return };
    many_batches(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_batches_to_kafka() {
    let Some(server) = KafkaServer::start().await else { return };
    many_batches(&server).await;
}

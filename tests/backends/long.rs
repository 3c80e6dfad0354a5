//! Big counts, and recoveries that take their time.

use crate::conformance::{HOST, Place, files, is_put_off, is_stored, named, next};
use crate::kafka::large;
use crate::kafka_server::KafkaServer;
use crate::link::Link;
use crate::log::Log;
use crate::nats_server::NatsServer;
use crate::receiver_faults::many_batches_are_read_back;
use crate::s3::{BUCKET, Prefix, enlarge};
use crate::stream::Stream;
use crate::weed::Weed;
use sealtail::forward::{self, Kind};
use std::time::Duration;

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

#[tokio::test(flavor = "multi_thread")]
async fn the_receiver_holds_ten_thousand_batches() {
    many_batches_are_read_back(10_000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s3_holds_ten_thousand_batches() {
    let Some(weed) = Weed::start(HOST) else { return };
    weed.make_bucket(BUCKET);
    let place = Prefix::of(&weed, "many");
    let mut target = forward::open(&place.target(), HOST).unwrap();
    let mut stream = Stream::begin(HOST);
    let mut stored = Vec::new();
    for _ in 0..10_000 {
        let upload = next(&mut stream, 1);
        is_stored(&mut target, &upload).await;
        stored.push((upload.name(), upload.bytes.to_vec()));
    }
    assert!(place.holds() == stored, "what is held is not what was stored");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_s3_store_that_is_killed_in_an_upload_has_it_once_in_the_end() {
    let Some(mut weed) = Weed::start(HOST) else { return };
    let link = Link::to(weed.port).await;
    let mut stream = Stream::begin(HOST);
    let (first, mut second) = (next(&mut stream, 2), next(&mut stream, 2));
    enlarge(&mut second, 8 << 20);
    let mut target = {
        weed.make_bucket(BUCKET);
        let mut behind = Prefix::of(&weed, "killed").target();
        let Kind::S3(s3) = &mut behind.kind else { unreachable!("it is one") };
        s3.url = Some(format!("https://localhost:{}", link.port));
        forward::open(&behind, HOST).unwrap()
    };
    is_stored(&mut target, &first).await;
    // half of it is there when the store dies
    link.break_after(4 << 20);
    is_put_off(&mut target, &second).await;
    weed.kill();
    is_put_off(&mut target, &second).await;
    weed.run();
    for attempt in 1.. {
        match target.store(&second).await {
            forward::Outcome::Stored(_) => break,
            forward::Outcome::Later { why, .. } if attempt < 300 => {
                eprintln!("{why}");
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            other => panic!("attempt {attempt}: {other:?}"),
        }
    }
    assert_eq!(
        Prefix::of(&weed, "killed").holds(),
        [(first.name(), first.bytes.to_vec()), (second.name(), second.bytes.to_vec())]
    );
}

// it keeps records in memory: what it had is gone; and what its client has under way it gives up after more than a minute
#[tokio::test]
async fn a_broker_killed_in_the_middle_of_an_upload_gets_it_whole_and_what_it_lost_is_an_alarm() {
    let Some(mut server) = KafkaServer::start_without_topic().await else { return };
    let settings = ["retention.ms=-1", "max.message.bytes=65536"];
    server.create_topic(&settings);
    let mut batches = Stream::begin(HOST);
    let (first, mut second) = (next(&mut batches, 2), next(&mut batches, 2));
    large(&mut second, 200 << 10);
    let mut target = forward::open(&server.target(), HOST).unwrap();
    is_stored(&mut target, &first).await;
    // an answer is on its way
    let held = server.link.hold_after(0);
    let killed = async {
        held.await;
        server.kill();
    };
    let (outcome, ()) = tokio::join!(target.store(&second), killed);
    assert!(matches!(outcome, forward::Outcome::Later { .. }), "{outcome:?}");
    server.link.let_go();
    is_put_off(&mut target, &second).await;
    server.run();
    is_put_off(&mut target, &second).await;
    server.create_topic(&settings);
    let (log, _listening) = Log::listen();
    is_stored(&mut target, &second).await;
    assert!(log.text().contains("ALARM: what came before line"), "{}", log.text());
    let folder = tempfile::tempdir().unwrap();
    let (saved, told) = server.save(folder.path()).await;
    assert_eq!((saved.new, saved.known, told), (1, 0, Vec::new()));
    assert_eq!(files(folder.path()), named([second]));
}

//! `type = "kafka"` against a real broker.

use crate::agent::ships_saves_verifies;
use crate::conformance::{HOST, Place, conforms, is_put_off, is_stored, named, next};
use crate::kafka_server::KafkaServer;
use crate::log::Log;
use crate::nats_server::write_pair;
use crate::pki::Authority;
use crate::stream::Stream;
use krafka::producer::ProducerRecord;
use sealtail::chain::header::Hash;
use sealtail::forward::{self, Backend, Outcome, Upload};
use std::time::Duration;

fn open(server: &KafkaServer) -> Box<dyn Backend> {
    forward::open(&server.target(), HOST).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn conforms_to_the_contract() {
    let Some(server) = KafkaServer::start().await else { return };
    conforms(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_breaks_at_any_byte_leaves_one_copy() {
    let Some(server) = KafkaServer::start().await else { return };
    let mut batches = Stream::begin(HOST);
    let mut stored = Vec::new();
    let mut target = open(&server);
    for bytes in [1, 400, 800, 1_500, 2_500, 4_000, 5_500, 7_000] {
        let upload = next(&mut batches, 100);
        // as much goes to the broker before a first record
        if bytes > 2_000 {
            target = open(&server);
        }
        server.link.break_after(bytes);
        while !matches!(target.store(&upload).await, Outcome::Stored(_)) {}
        stored.push((upload.name(), upload.bytes.to_vec()));
    }
    assert!(server.link.broken() >= 4, "{}", server.link.broken());
    server.link.heal();
    assert_eq!(server.holds(), stored);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_over_the_limit_goes_in_parts_and_goes_on_where_it_was_cut() {
    let Some(server) = KafkaServer::start_without_topic().await else { return };
    server.create_topic(&["retention.ms=-1", "max.message.bytes=65536"]);
    let mut batches = Stream::begin(HOST);
    let mut uploads = vec![next(&mut batches, 2), next(&mut batches, 2), next(&mut batches, 2)];
    large(&mut uploads[1], 400 << 10);
    let mut target = open(&server);
    is_stored(&mut target, &uploads[0]).await;
    server.link.break_after(200 << 10);
    while !matches!(target.store(&uploads[1]).await, Outcome::Stored(_)) {}
    assert_eq!(server.link.broken(), 1);
    is_stored(&mut open(&server), &uploads[1]).await;
    is_stored(&mut open(&server), &uploads[2]).await;
    assert_eq!(server.holds(), named(uploads));
}

/// More than zstd makes small.
pub(crate) fn large(upload: &mut Upload, bytes: usize) {
    let mut random = vec![0; bytes];
    getrandom::fill(&mut random).unwrap();
    upload.bytes = random.into();
    upload.digest = Hash(crate::stream::digest(&upload.bytes));
    upload.batch.len = bytes as u64;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_stored_is_found_behind_other_streams_records() {
    let Some(server) = KafkaServer::start().await else { return };
    let mut batches = Stream::begin(HOST);
    let uploads = [next(&mut batches, 2), next(&mut batches, 2), next(&mut batches, 2)];
    let mut target = open(&server);
    for upload in &uploads {
        is_stored(&mut target, upload).await;
    }
    let mut stored = named(uploads.clone());
    for _ in 0..120 {
        let upload = next(&mut Stream::begin(HOST), 1);
        is_stored(&mut target, &upload).await;
        stored.push((upload.name(), upload.bytes.to_vec()));
    }
    is_stored(&mut open(&server), &uploads[2]).await;
    is_stored(&mut open(&server), &uploads[0]).await;
    let mut forged = uploads[1].clone();
    large(&mut forged, 100);
    assert!(matches!(open(&server).store(&forged).await, Outcome::Refused { is_fork: true, .. }));
    stored.sort();
    assert_eq!(server.holds(), stored);
}

/// Records of somebody else, in the partition of the stream.
async fn foreign(server: &KafkaServer, upload: &Upload, bytes: usize, count: usize) {
    let producer = server.producer().await;
    let key = upload.batch.stream.to_string();
    for _ in 0..count {
        let mut record = ProducerRecord::new("audit", vec![0; bytes]);
        record.key = Some(key.clone().into_bytes().into());
        drop(producer.send_record(record).await.unwrap());
    }
    producer.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_back_that_is_cut_short_is_gone_on_with() {
    let Some(server) = KafkaServer::start().await else { return };
    let mut batches = Stream::begin(HOST);
    let (first, second) = (next(&mut batches, 2), next(&mut batches, 2));
    is_stored(&mut open(&server), &first).await;
    is_stored(&mut open(&server), &second).await;
    foreign(&server, &first, 100_000, 60).await;
    // each attempt gets less of the partition than there is to be read
    let mut target = open(&server);
    let mut attempts = 0;
    let stored = loop {
        attempts += 1;
        assert!(attempts < 20, "each attempt begins anew");
        let held = server.link.hold_after(1500 << 10);
        tokio::select! {
            outcome = target.store(&second) => break outcome,
            () = held => {}
        }
    };
    assert!(matches!(stored, Outcome::Stored(None)) && attempts > 2, "{attempts}: {stored:?}");
    server.link.let_go();
    let folder = tempfile::tempdir().unwrap();
    let (saved, _) = server.save(folder.path()).await;
    assert_eq!((saved.new, saved.known, saved.faults), (2, 0, 60), "no second copy");
}

#[tokio::test]
async fn a_record_that_is_too_far_back_is_sent_again_and_that_is_told() {
    let Some(server) = KafkaServer::start().await else { return };
    let mut batches = Stream::begin(HOST);
    let (first, second) = (next(&mut batches, 2), next(&mut batches, 2));
    let mut target = open(&server);
    is_stored(&mut target, &first).await;
    is_stored(&mut target, &second).await;
    foreign(&server, &first, 900_000, 20).await;
    let (log, _listening) = Log::listen();
    is_stored(&mut open(&server), &second).await;
    let told = log.text();
    assert!(told.contains("older ones were not looked at") && !told.contains("ALARM"), "{told}");
    let folder = tempfile::tempdir().unwrap();
    let (saved, _) = server.save(folder.path()).await;
    assert_eq!((saved.new, saved.known, saved.faults), (2, 1, 20));
}

#[tokio::test]
async fn an_older_record_is_not_taken_for_the_last_where_the_look_back_is_cut() {
    let Some(server) = KafkaServer::start_without_topic().await else { return };
    server.create_topic(&["retention.ms=-1", "max.message.bytes=67108864"]);
    let mut batches = Stream::begin(HOST);
    let [first, second, third] = [2; 3].map(|lines| next(&mut batches, lines));
    let mut target = open(&server);
    is_stored(&mut target, &first).await;
    // with the last batch these are read as one, from the oldest on: a large one has the rest of them divided, and the other, in the
    // newer half, is as much as is looked at, before the last batch is come to
    for (bytes, count) in [(9 << 20, 1), (10, 3), (9 << 20, 1), (10, 1)] {
        foreign(&server, &first, bytes, count).await;
    }
    is_stored(&mut target, &second).await;
    foreign(&server, &first, 10, 7).await;
    let (log, _listening) = Log::listen();
    is_stored(&mut open(&server), &third).await;
    let told = log.text();
    assert!(told.contains("older ones were not looked at") && !told.contains("ALARM"), "{told}");
    let folder = tempfile::tempdir().unwrap();
    let (saved, _) = server.save(folder.path()).await;
    assert_eq!((saved.new, saved.known, saved.faults), (3, 0, 13));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_last_part_of_a_batch_that_is_under_way_is_a_fork() {
    let Some(server) = KafkaServer::start_without_topic().await else { return };
    server.create_topic(&["retention.ms=-1", "max.message.bytes=65536"]);
    let mut upload = next(&mut Stream::begin(HOST), 2);
    large(&mut upload, 200 << 10);
    let total = upload.bytes.len();
    let producer = server.producer().await;
    let send = async |begin: usize, bytes: &[u8]| {
        let mut record = ProducerRecord::new("audit", bytes.to_vec());
        record.key = Some(upload.batch.stream.to_string().into_bytes().into());
        let range = format!("bytes {begin}-{}/{total}", begin + bytes.len() - 1);
        let headers = crate::conformance::headers(&upload, &range).into_iter();
        record.headers = headers.map(|(name, value)| (name, Some(value.into_bytes().into()))).collect();
        drop(producer.send_record(record).await.unwrap());
    };
    // what an agent sent before it was killed is gone on with
    send(0, &upload.bytes[..60 << 10]).await;
    // and then somebody says that the end is there
    send(total - 1000, &[7; 1000]).await;
    match open(&server).store(&upload).await {
        Outcome::Refused { is_fork: true, why } => assert!(why.contains("other bytes"), "{why}"),
        other => panic!("what was forged is taken for the batch: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_of_many_mib_goes_in_parts_that_the_client_can_send() {
    let Some(server) = KafkaServer::start_without_topic().await else { return };
    server.create_topic(&["retention.ms=-1", "max.message.bytes=67108864"]);
    let mut upload = next(&mut Stream::begin(HOST), 2);
    large(&mut upload, 40 << 20);
    is_stored(&mut open(&server), &upload).await;
    is_stored(&mut open(&server), &upload).await;
    assert_eq!(server.holds(), named([upload]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_link_is_waited_for() {
    let Some(server) = KafkaServer::start().await else { return };
    let mut upload = next(&mut Stream::begin(HOST), 2);
    large(&mut upload, 100 << 10);
    server.link.delay(Duration::from_millis(10));
    is_stored(&mut open(&server), &upload).await;
    server.link.delay(Duration::ZERO);
    assert_eq!(server.holds(), named([upload]));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_authoritys_certificate_is_refused_and_the_right_one_taken_up() {
    let Some(server) = KafkaServer::start().await else { return };
    let upload = next(&mut Stream::begin(HOST), 2);
    write_pair(server.folder.path(), "client", &Authority::new().client(&[HOST]));
    let mut target = open(&server);
    let why = is_put_off(&mut target, &upload).await;
    assert!(why.contains("client certificate"), "{why}");
    assert_eq!(server.holds(), []);
    write_pair(server.folder.path(), "client", &server.authority.client(&[HOST]));
    target.reload();
    is_stored(&mut target, &upload).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_knows_only_tls_1_2_is_refused() {
    let Some(server) = KafkaServer::start_speaking(&rustls::version::TLS12).await else { return };
    server.create_topic(&["retention.ms=-1"]);
    let why = is_put_off(&mut open(&server), &next(&mut Stream::begin(HOST), 2)).await;
    assert!(why.contains("does not speak TLS 1.3"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_with_another_clock_is_told_apart() {
    let Some(server) = KafkaServer::start().await else { return };
    let upload = next(&mut Stream::begin(HOST), 2);
    let late = server.authority.server_valid_from(time::OffsetDateTime::now_utc() + time::Duration::days(400));
    write_pair(server.folder.path(), "server", &late);
    let mut target = open(&server);
    let why = is_put_off(&mut target, &upload).await;
    assert!(why.contains("not valid yet") && why.contains("clock"), "{why}");
    server.authority.write_server_files(server.folder.path());
    is_stored(&mut target, &upload).await;
    assert_eq!(server.holds(), named([upload]));
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_that_are_not_there_or_lose_records_are_refused() {
    let Some(server) = KafkaServer::start_without_topic().await else { return };
    let upload = next(&mut Stream::begin(HOST), 2);
    let mut target = open(&server);
    let why = is_put_off(&mut target, &upload).await;
    assert!(why.contains("topic audit"), "{why}");
    server.create_topic(&["cleanup.policy=compact"]);
    let why = is_put_off(&mut target, &upload).await;
    assert!(why.contains("compacted") && why.contains("cleanup.policy=delete"), "{why}");
    assert!(target.probe().await.unwrap_err().contains("compacted"));
    assert_eq!(server.holds(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_agent_ships_verifies_after_it_was_saved() {
    let Some(server) = KafkaServer::start_without_topic().await else { return };
    server.create_topic(&[]);
    let target = |user: &str| {
        format!(
            "type = \"kafka\"\nbrokers = [\"127.0.0.1:{}\"]\ntopic = \"audit\"\n\
             tls = {{ ca = \"ca.pem\", cert = \"{user}.pem\", key = \"{user}.key\" }}\n",
            server.link.port
        )
    };
    let folder = server.folder.path();
    let said =
        tokio::task::block_in_place(|| ships_saves_verifies(folder, HOST, &target("client"), &target("auditor")));
    assert!(said.contains("topic audit deletes records") && said.contains("retention.ms=-1"), "{said}");
    assert!(!said.contains("krafka"), "the client speaks for itself: {said}");
}

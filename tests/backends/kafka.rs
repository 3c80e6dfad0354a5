//! `type = "kafka"` against a real broker.

use crate::agent::ships_saves_verifies;
use crate::conformance::{HOST, Place, conforms, is_put_off, is_stored, named, next};
use crate::kafka_server::KafkaServer;
use crate::nats_server::write_pair;
use crate::pki::Authority;
use crate::stream::Stream;
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
        stored.push((upload.name(), upload.bytes));
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
fn large(upload: &mut Upload, bytes: usize) {
    upload.bytes = vec![0; bytes];
    getrandom::fill(&mut upload.bytes).unwrap();
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
        stored.push((upload.name(), upload.bytes));
    }
    is_stored(&mut open(&server), &uploads[2]).await;
    is_stored(&mut open(&server), &uploads[0]).await;
    let mut forged = uploads[1].clone();
    large(&mut forged, 100);
    assert!(matches!(open(&server).store(&forged).await, Outcome::Refused { is_fork: true, .. }));
    stored.sort();
    assert_eq!(server.holds(), stored);
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

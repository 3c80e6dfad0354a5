//! `type = "nats"` against a real server.

use crate::agent::{sealtail, ships_saves_verifies, text};
use crate::conformance::{HOST, Place, conforms, files, is_put_off, is_stored, named, next};
use crate::link::Link;
use crate::log::Log;
use crate::nats_server::{NatsServer, STREAM, fit, write_pair};
use crate::pki::Authority;
use crate::stream::Stream;
use async_nats::jetstream::stream;
use sealtail::chain::header::Hash;
use sealtail::forward::{self, Backend, Outcome, Saved, Upload};
use std::time::Duration;

fn open(server: &NatsServer) -> Box<dyn Backend> {
    forward::open(&server.target(), HOST).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn conforms_to_the_contract() {
    let Some(server) = NatsServer::start().await else { return };
    conforms(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn past_the_window_of_message_ids_there_is_no_second_copy() {
    let window = Duration::from_millis(100);
    let stream = stream::Config { duplicate_window: window, ..fit() };
    let Some(server) = NatsServer::start_with("", stream).await else { return };
    let mut batches = Stream::begin(HOST);
    let uploads: Vec<_> = (0..3).map(|_| next(&mut batches, 2)).collect();
    let mut target = open(&server);
    for upload in &uploads {
        is_stored(&mut target, upload).await;
    }
    // a message with the first one's id would be stored by now
    let admin = server.admin().await;
    loop {
        let mut headers = async_nats::HeaderMap::new();
        headers.insert("Nats-Msg-Id", uploads[0].name());
        let ack = admin.publish_with_headers("audit.probe", headers, "".into()).await.unwrap().await.unwrap();
        if !ack.duplicate {
            break;
        }
    }
    let stored = server.messages().await;
    // another process, whose ledger is older than what is stored
    for upload in &uploads {
        is_stored(&mut open(&server), upload).await;
    }
    assert_eq!(server.messages().await, stored);
    let mut forged = uploads[1].clone();
    forged.bytes.truncate(10);
    forged.digest = Hash(crate::stream::digest(&forged.bytes));
    assert!(matches!(open(&server).store(&forged).await, Outcome::Refused { is_fork: true, .. }));
}

// what was known of the subject is older than what is there: another process went on meanwhile, or a follower that lags was asked
#[tokio::test]
async fn only_what_the_server_confirms_to_be_missing_is_an_alarm() {
    let Some(server) = NatsServer::start().await else { return };
    let mut batches = Stream::begin(HOST);
    let uploads: Vec<_> = (0..4).map(|_| next(&mut batches, 2)).collect();
    let (log, _listening) = Log::listen();
    let mut target = open(&server);
    is_stored(&mut target, &uploads[0]).await;
    is_stored(&mut open(&server), &uploads[1]).await;
    is_stored(&mut target, &uploads[2]).await;
    assert!(!log.text().contains("ALARM"), "{}", log.text());
    assert_eq!(server.messages().await, 3);
    // and what is missing indeed is one, once
    let after = next(&mut batches, 2);
    for _ in 0..2 {
        is_stored(&mut target, &after).await;
    }
    assert_eq!(log.text().matches("ALARM").count(), 1, "{}", log.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_over_the_limit_goes_in_parts_and_goes_on_where_it_was_cut() {
    let Some(mut server) = NatsServer::start_with("max_payload: 32KB", fit()).await else { return };
    let link = Link::to(server.port).await;
    server.port = link.port;
    let mut batches = Stream::begin(HOST);
    let mut uploads = vec![next(&mut batches, 2), next(&mut batches, 2), next(&mut batches, 2)];
    // more than zstd makes small
    let mut random = vec![0; 200 << 10];
    getrandom::fill(&mut random).unwrap();
    uploads[1].bytes = random.into();
    uploads[1].digest = Hash(crate::stream::digest(&uploads[1].bytes));
    uploads[1].batch.len = uploads[1].bytes.len() as u64;
    let mut target = open(&server);
    is_stored(&mut target, &uploads[0]).await;
    link.break_after(100 << 10);
    let why = is_put_off(&mut target, &uploads[1]).await;
    assert!(why.contains("broke") || why.contains("closed"), "{why}");
    assert_eq!(link.broken(), 1);
    let before = server.messages().await;
    assert!((2..7).contains(&before), "some of its parts are there: {before}");
    // a restart, after which the server takes other sizes
    server.reload("max_payload: 64KB");
    is_stored(&mut open(&server), &uploads[1]).await;
    is_stored(&mut target, &uploads[1]).await;
    is_stored(&mut target, &uploads[2]).await;
    let holds = server.holds();
    assert_eq!(holds, named(uploads));
}

/// A batch that goes in parts.
fn incompressible(len: usize) -> Upload {
    let mut upload = next(&mut Stream::begin(HOST), 2);
    let mut bytes = vec![0; len];
    getrandom::fill(&mut bytes).unwrap();
    upload.bytes = bytes.into();
    upload.digest = Hash(crate::stream::digest(&upload.bytes));
    upload.batch.len = len as u64;
    upload
}

// a forged part took the place of the true one, and the batch was saved as nobody had sent it
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_saved_from_among_forged_parts_and_these_are_told() {
    const PART: usize = 20 << 10;
    let Some(server) = NatsServer::start_with("max_payload: 32KB", fit()).await else { return };
    // the parts as they come: which, and whether it is forged
    let orders: [&[(usize, bool)]; 7] = [
        &[(0, false), (1, true), (1, false), (2, false)],
        &[(0, false), (1, true), (2, false), (1, false)],
        &[(0, true), (0, false), (1, false), (2, false)],
        &[(0, false), (1, false), (2, true), (2, false)],
        &[(0, true), (0, true), (0, false), (1, true), (1, false), (2, true), (2, false)],
        &[(0, false), (0, false), (1, false), (1, false), (1, true), (2, false)],
        &[(0, false), (1, true), (2, false)],
    ];
    let (mut expected, mut forged, mut upload) = (Vec::new(), 0, None);
    for order in orders {
        let batch = incompressible(3 * PART);
        let mut bytes = batch.bytes.to_vec();
        for (n, (part, is_forged)) in order.iter().enumerate() {
            let mut sent = batch.bytes[part * PART..][..PART].to_vec();
            if *is_forged {
                sent[n] ^= 1;
                bytes[part * PART + n] ^= u8::from(order.len() == 3);
            }
            server.publish_part(&batch, part * PART, sent).await;
        }
        // of the last nothing else is there
        forged += order.iter().filter(|(_, is_forged)| *is_forged && order.len() > 3).count();
        expected.push((batch.name(), bytes));
        upload = Some(batch);
    }
    expected.sort();
    let folder = tempfile::tempdir().unwrap();
    let (saved, told) = server.save(folder.path()).await;
    assert!(files(folder.path()) == expected, "{told:#?}");
    let says = |what: &str| told.iter().filter(|one| one.contains(what)).count();
    assert_eq!((says("forged"), says("not those of its Repr-Digest")), (forged, 1), "{told:#?}");
    assert!(
        told.iter().any(|one| one.starts_with("message 2 of stream AUDIT: forged: bytes 20480 to 40959 of")),
        "{told:#?}"
    );
    assert_eq!(saved, Saved { new: 7, known: 0, faults: forged as u64 + 1 });
    assert!(says(&upload.unwrap().name()) == 1, "{told:#?}");
}

// what fits is looked for with a bound, and all that was looked at stays told
#[tokio::test(flavor = "multi_thread")]
async fn very_many_forged_parts_end_in_a_batch_that_is_told() {
    const PART: usize = 1 << 10;
    let Some(server) = NatsServer::start_with("", fit()).await else { return };
    let batch = incompressible(40 * PART);
    for part in 0..40 {
        for forgery in 0..3 {
            let mut sent = batch.bytes[part * PART..][..PART].to_vec();
            sent[forgery] ^= 1;
            server.publish_part(&batch, part * PART, sent).await;
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let (saved, told) = server.save(folder.path()).await;
    assert_eq!(saved, Saved { new: 1, known: 0, faults: 1 });
    assert!(told[0].contains("not those of its Repr-Digest"), "{told:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_last_part_of_a_batch_that_is_under_way_is_a_fork() {
    let Some(server) = NatsServer::start_with("max_payload: 32KB", fit()).await else { return };
    let upload = incompressible(100 << 10);
    server.publish_part(&upload, 0, upload.bytes[..20 << 10].to_vec()).await;
    server.publish_part(&upload, upload.bytes.len() - 1000, vec![7; 1000]).await;
    match open(&server).store(&upload).await {
        Outcome::Refused { is_fork: true, why } => assert!(why.contains("other bytes"), "{why}"),
        other => panic!("what was forged is taken for the batch: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_killed_in_the_middle_of_an_upload_gets_it_once() {
    let Some(mut server) = NatsServer::start().await else { return };
    let mut batches = Stream::begin(HOST);
    let mut stored = Vec::new();
    let mut target = open(&server);
    for round in 0..6 {
        let upload = next(&mut batches, 300);
        let name = upload.name();
        let bytes = upload.bytes.to_vec();
        let storing = tokio::spawn(async move {
            let mut put_off = 0;
            while !matches!(target.store(&upload).await, Outcome::Stored(_)) {
                put_off += 1;
                tokio::task::yield_now().await;
            }
            (target, put_off)
        });
        // before, during or after, as it happens
        if round % 2 == 1 {
            tokio::task::yield_now().await;
        }
        server.kill();
        server.run();
        (target, _) = storing.await.unwrap();
        stored.push((name, bytes));
    }
    assert_eq!(server.holds(), stored);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_breaks_at_any_byte_leaves_one_copy() {
    let Some(mut server) = NatsServer::start().await else { return };
    let link = Link::to(server.port).await;
    server.port = link.port;
    let mut batches = Stream::begin(HOST);
    let mut stored = Vec::new();
    for bytes in [1, 500, 2_000, 3_000, 3_500, 4_000, 4_500, 5_000, 6_000, 8_000] {
        let upload = next(&mut batches, 100);
        let mut target = open(&server);
        link.break_after(bytes);
        while !matches!(target.store(&upload).await, Outcome::Stored(_)) {}
        stored.push((upload.name(), upload.bytes.to_vec()));
    }
    assert!(link.broken() >= 6, "{}", link.broken());
    link.heal();
    assert_eq!(server.holds(), stored);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_link_is_waited_for() {
    let Some(mut server) = NatsServer::start().await else { return };
    let link = Link::to(server.port).await;
    server.port = link.port;
    link.delay(Duration::from_millis(20));
    let upload = next(&mut Stream::begin(HOST), 3000);
    assert!(upload.bytes.len() > 30 << 10);
    is_stored(&mut open(&server), &upload).await;
    assert_eq!(server.holds(), named([upload]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_stream_puts_off_until_there_is_room() {
    let Some(server) = NatsServer::start_with("", stream::Config { max_messages: 1, ..fit() }).await else { return };
    let mut batches = Stream::begin(HOST);
    let (first, second) = (next(&mut batches, 2), next(&mut batches, 2));
    let mut target = open(&server);
    is_stored(&mut target, &first).await;
    let why = is_put_off(&mut target, &second).await;
    assert!(why.contains("is full") && why.contains("--max-bytes"), "{why}");
    server.admin().await.update_stream(fit()).await.unwrap();
    is_stored(&mut target, &second).await;
    // and the server's own store
    let storage = stream::Config { max_bytes: 20 << 10, ..fit() };
    server.admin().await.update_stream(storage).await.unwrap();
    let mut third = next(&mut batches, 2);
    third.bytes = [&third.bytes[..], &vec![7; (40 << 10) - third.bytes.len()]].concat().into();
    third.digest = Hash(crate::stream::digest(&third.bytes));
    let why = is_put_off(&mut target, &third).await;
    assert!(why.contains("is full"), "{why}");
    assert_eq!(server.holds(), named([first, second]));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_authoritys_certificate_is_refused_and_the_right_one_taken_up() {
    let Some(server) = NatsServer::start().await else { return };
    let upload = next(&mut Stream::begin(HOST), 2);
    write_pair(server.folder.path(), "client", &Authority::new().client(&[HOST]));
    let mut target = open(&server);
    let why = is_put_off(&mut target, &upload).await;
    assert!(why.contains("client certificate"), "{why}");
    assert_eq!(server.messages().await, 0);
    server.write_client("client", HOST);
    target.reload();
    is_stored(&mut target, &upload).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_no_user_or_may_not_publish_is_told_so() {
    let Some(server) = NatsServer::start().await else { return };
    for (user, word) in [("stranger", "no user"), ("mute", "Permissions")] {
        let upload = next(&mut Stream::begin(user), 2);
        server.write_client("client", user);
        let mut target = forward::open(&server.target(), user).unwrap();
        let why = is_put_off(&mut target, &upload).await;
        assert!(why.contains(word), "{user}: {why}");
        let why = target.probe().await.unwrap_err();
        assert!(why.contains(word), "{user}: {why}");
    }
    // a host may not write as another, and is told so
    server.write_client("client", HOST);
    let mut config = server.config();
    config.subject = "audit.other.{host}".into();
    let target = forward::Config { kind: forward::Kind::Nats(config), ..server.target() };
    let why = is_put_off(&mut forward::open(&target, HOST).unwrap(), &next(&mut Stream::begin(HOST), 2)).await;
    assert!(why.contains("Permissions"), "{why}");
    assert_eq!(server.messages().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_another_clock_is_told_apart() {
    let Some(mut server) = NatsServer::start().await else { return };
    let upload = next(&mut Stream::begin(HOST), 2);
    let mut target = open(&server);
    // to whoever is right, a clock that is wrong by years shows in what the other's certificate says
    let late = server.authority.server_valid_from(time::OffsetDateTime::now_utc() + time::Duration::days(400));
    write_pair(server.folder.path(), "server", &late);
    server.kill();
    server.run();
    let why = is_put_off(&mut target, &upload).await;
    assert!(why.contains("not valid yet") && why.contains("clock"), "{why}");
    server.authority.write_server_files(server.folder.path());
    server.kill();
    server.run();
    is_stored(&mut target, &upload).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_that_would_lose_messages_are_refused() {
    let unfit = [
        ("deleted", stream::Config { deny_delete: false, ..fit() }),
        ("purged", stream::Config { deny_purge: false, ..fit() }),
        ("in memory", stream::Config { storage: stream::StorageType::Memory, ..fit() }),
        ("acknowledged", stream::Config { retention: stream::RetentionPolicy::WorkQueue, ..fit() }),
        ("oldest", stream::Config { max_messages: 9, discard: stream::DiscardPolicy::Old, ..fit() }),
        ("oldest messages of a subject", stream::Config { max_messages_per_subject: 9, ..fit() }),
        ("last message", stream::Config { allow_direct: false, ..fit() }),
        ("takes", stream::Config { subjects: vec!["log.>".into()], ..fit() }),
    ];
    for (word, stream) in unfit {
        let Some(server) = NatsServer::start_with("", stream).await else { return };
        let why = open(&server).probe().await.unwrap_err();
        assert!(why.contains(word) && why.contains("nats stream"), "{word}: {why}");
        let why = is_put_off(&mut open(&server), &next(&mut Stream::begin(HOST), 2)).await;
        assert!(why.contains(word), "{word}: {why}");
        assert_eq!(server.messages().await, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_else_wrote_is_shown_to_whoever_saves() {
    let Some(server) = NatsServer::start().await else { return };
    let mut batches = Stream::begin(HOST);
    let (first, second) = (next(&mut batches, 2), next(&mut batches, 2));
    let mut target = open(&server);
    is_stored(&mut target, &first).await;
    // an administrator repeats a message, forges another under its name, and writes nonsense
    let admin = server.admin().await;
    let stream = admin.get_stream(STREAM).await.unwrap();
    let message = stream.direct_get(1).await.unwrap();
    let mut headers = async_nats::HeaderMap::new();
    for (name, values) in message.headers.iter().filter(|(name, _)| !name.to_string().starts_with("Nats-")) {
        headers.insert(name.clone(), values[0].clone());
    }
    let subject = format!("audit.{HOST}");
    let publish = async |headers: async_nats::HeaderMap, bytes: Vec<u8>| {
        admin.publish_with_headers(subject.clone(), headers, bytes.into()).await.unwrap().await.unwrap();
    };
    publish(headers.clone(), first.bytes.to_vec()).await;
    let mut forged = first.clone();
    let lines = String::from_utf8(zstd::decode_all(&first.bytes[..]).unwrap()).unwrap();
    forged.bytes = crate::stream::frame(&lines.replacen("message 1", "massage 1", 1)).into();
    let digest = crate::stream::digest(&forged.bytes);
    use base64::prelude::*;
    headers.insert("Repr-Digest", format!("sha-256=:{}:", BASE64_STANDARD.encode(digest)));
    let length = forged.bytes.len();
    headers.insert("Content-Range", format!("bytes 0-{}/{length}", length - 1));
    publish(headers, forged.bytes.to_vec()).await;
    publish(async_nats::HeaderMap::new(), b"nonsense".to_vec()).await;
    // none of it holds the stream up
    is_stored(&mut target, &second).await;
    let folder = tempfile::tempdir().unwrap();
    let (saved, told) = server.save(folder.path()).await;
    assert_eq!((saved.new, saved.known), (3, 1), "{told:?}");
    assert!(told.iter().any(|what| what.contains("FORK")), "{told:?}");
    assert!(told.iter().any(|what| what.contains("no batch")), "{told:?}");
    assert_eq!(told.len(), 2);
    let bytes: Vec<_> = files(folder.path()).into_iter().map(|(_, bytes)| bytes).collect();
    assert!([forged, first, second].iter().all(|upload| bytes.iter().any(|bytes| *bytes == upload.bytes)));
    let verified = text(&sealtail(folder.path(), &["verify", ".", "--json"]));
    assert!(verified.contains("\"finding\":\"FORK\""), "{verified}");
    // saving again adds nothing
    let (again, _) = server.save(folder.path()).await;
    assert_eq!(again, Saved { new: 0, known: 4, faults: 2 });
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_agent_ships_verifies_after_it_was_saved() {
    let stream = stream::Config { max_age: Duration::from_secs(400 * 24 * 60 * 60), ..fit() };
    let Some(server) = NatsServer::start_with("max_payload: 64KB", stream).await else { return };
    let target = |user: &str| {
        format!(
            "type = \"nats\"\nurl = \"tls://127.0.0.1:{}\"\nstream = \"{STREAM}\"\nsubject = \"audit.{{host}}\"\n\
             tls = {{ ca = \"ca.pem\", cert = \"{user}.pem\", key = \"{user}.key\" }}\n",
            server.port
        )
    };
    let folder = server.folder.path();
    let said =
        tokio::task::block_in_place(|| ships_saves_verifies(folder, HOST, &target("client"), &target("auditor")));
    assert!(said.contains("go in parts") && said.contains("max_payload"), "{said}");
    assert!(said.contains("deletes messages after 400 days"), "{said}");
    assert!(!said.contains("async_nats"), "the client speaks for itself: {said}");
}

//! What is stored, once, and what the receipt says.

use crate::stream::{Stream, digest, frame};
use crate::world::World;
use reqwest::Method;

#[tokio::test]
async fn a_batch_is_stored_and_its_receipt_is_evidence() {
    let world = World::start().await;
    let mut stream = Stream::begin("web-1");
    let batch = stream.batch(3);
    let answer = world.send(&stream, 0, &batch).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let receipt = answer.receipt();
    assert!(receipt.verify(&world.receipt_key()));
    assert_eq!((receipt.host.as_str(), receipt.stream, receipt.seq, receipt.size), ("web-1", stream.id, [0, 4], 5));
    assert_eq!((receipt.root.0, receipt.digest.0), (stream.root(), digest(&batch)));
    let name = format!("web-1/{}/00000000000000000000.ndjson.zst", stream.id);
    assert_eq!(world.archived(), [name.as_str()]);
    assert_eq!(std::fs::read(world.config.dir.join(name)).unwrap(), batch);
}

#[tokio::test]
async fn the_same_bytes_get_the_same_receipt_and_others_are_a_fork() {
    let mut world = World::start().await;
    let mut stream = Stream::begin("web-1");
    let batches = [stream.batch(3), stream.batch(2)];
    let firsts = [0, 5];
    let mut receipts = Vec::new();
    for (first, batch) in firsts.into_iter().zip(&batches) {
        receipts.push(world.send(&stream, first, batch).await.receipt());
    }
    for _ in 0..2 {
        for ((first, batch), receipt) in firsts.into_iter().zip(&batches).zip(&receipts) {
            let again = world.send(&stream, first, batch).await;
            assert_eq!(again.status, 200, "{again:?}");
            assert_eq!(&again.receipt(), receipt);
        }
        let mut other = Stream::begin("web-1");
        world.send(&stream, 0, &other.batch(3)).await.expect(409, "FORK");
        world.send(&stream, 5, &batches[0]).await.expect(409, "FORK");
        // begins within a stored batch
        world.send(&stream, 2, &batches[1]).await.expect(409, "FORK");
        world.restart().await;
    }
    assert_eq!(world.archived().len(), 2);
}

#[tokio::test]
async fn a_stream_goes_on_after_each_restart() {
    let mut world = World::start().await;
    let mut stream = Stream::begin("web-1");
    let client = world.authority.client(&["web-1"]);
    for round in 0..4 {
        let first = if round == 0 { 0 } else { stream.next_seq() };
        // more than one segment in a batch
        let batch = [stream.batch(round + 1), stream.batch(2)].concat();
        let answer = world.put(&world.client_with(&client), &stream.path(first), &batch).await;
        assert_eq!((answer.status, answer.receipt().root.0), (201, stream.root()));
        world.restart().await;
    }
    let (first, closed) = (stream.next_seq(), stream.close());
    assert_eq!(world.send(&stream, first, &closed).await.status, 201);
    for _ in 0..2 {
        assert_eq!(world.send(&stream, first, &closed).await.status, 200);
        world.send(&stream, first + 2, &closed).await.expect(400, "it was closed");
        world.restart().await;
    }
}

#[tokio::test]
async fn a_stream_that_was_cut_off_takes_its_last_lines_once() {
    for (segments, restart) in [(0, false), (0, true), (2, false), (2, true)] {
        let mut world = World::start().await;
        let mut stream = Stream::begin("web-1");
        for _ in 0..segments {
            let first = if stream.next_seq() == 1 { 0 } else { stream.next_seq() };
            let batch = stream.batch(2);
            assert_eq!(world.send(&stream, first, &batch).await.status, 201);
        }
        let first = if segments == 0 { 0 } else { stream.next_seq() };
        stream.log(b"the last words");
        let (root, size) = (stream.root(), stream.next_seq());
        let last = stream.cut_off();
        let answer = world.send(&stream, first, &last).await;
        assert_eq!((answer.status, answer.receipt().root.0, answer.receipt().size), (201, root, size));
        if restart {
            world.restart().await;
        }
        let again = world.send(&stream, first, &last).await;
        assert_eq!((again.status, again.receipt()), (200, answer.receipt()));
        let more = stream.batch(1);
        world.send(&stream, size, &more).await.expect(400, "has no checkpoint");
        assert_eq!(world.archived().len(), segments + 1);
    }
}

#[tokio::test]
async fn the_same_batch_sent_at_once_is_stored_once() {
    let world = World::start().await;
    let mut stream = Stream::begin("web-1");
    let batch = stream.batch(500);
    let client = world.client("web-1");
    let path = stream.path(0);
    let mut sending = tokio::task::JoinSet::new();
    for _ in 0..12 {
        let request = client.put(world.url(&path)).body(batch.clone());
        sending.spawn(crate::world::answer(request));
    }
    let mut answers = sending.join_all().await;
    answers.sort_by_key(|answer| answer.status);
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [vec![200; 11], vec![201]].concat());
    assert!(answers.iter().all(|answer| answer.receipt() == answers[0].receipt()));
}

#[tokio::test]
async fn streams_are_listed() {
    let mut world = World::start().await;
    let mut stream = Stream::begin("web-1");
    let client = world.authority.client(&["web-1"]);
    let listing = format!("/v1/web-1/{}", stream.id);
    world.ask(&world.client_with(&client), Method::GET, &listing).await.expect(404, "nothing is stored");
    let sizes = [(0, 3), (5, 1), (7, 4)].map(|(first, lines)| (first, stream.batch(lines)));
    for (first, batch) in &sizes {
        assert_eq!(world.send(&stream, *first, batch).await.status, 201);
    }
    for _ in 0..2 {
        let answer = world.ask(&world.client_with(&client), Method::GET, &format!("{listing}?from=1")).await;
        let expected = serde_json::json!({
            "host": "web-1", "stream": stream.id.to_string(), "size": 12,
            "root": sealtail::chain::header::Hash(stream.root()), "ended": null,
            "files": [
                {"first": 5, "last": 6, "size": sizes[1].1.len()},
                {"first": 7, "last": 11, "size": sizes[2].1.len()},
            ],
            "next_from": null,
        });
        assert_eq!(serde_json::from_str::<serde_json::Value>(&answer.text).unwrap(), expected);
        world.restart().await;
    }
    world.ask(&world.client("web-2"), Method::GET, &listing).await.expect(403, "not for web-1");
    world.ask(&world.client_with(&client), Method::GET, &format!("{listing}?up=1")).await.expect(400, "decimal");
}

#[tokio::test]
async fn nothing_deletes() {
    let world = World::start().await;
    let mut stream = Stream::begin("web-1");
    let client = world.client("web-1");
    let batch = stream.batch(1);
    assert_eq!(world.send(&stream, 0, &batch).await.status, 201);
    for method in [Method::DELETE, Method::POST, Method::PATCH] {
        let listing = format!("/v1/web-1/{}", stream.id);
        world.ask(&client, method.clone(), &stream.path(0)).await.expect(405, "nothing deletes");
        world.ask(&client, method, &listing).await.expect(405, "nothing deletes");
    }
    world.ask(&client, Method::GET, "/").await.expect(404, "/v1/");
    assert_eq!(world.archived().len(), 1);
}

#[tokio::test]
async fn large_batches_of_many_segments_are_taken_over_both_protocols() {
    let world = World::start().await;
    let identity = reqwest::Identity::from_pem(world.authority.client(&["web-1"]).as_bytes()).unwrap();
    for http1 in [false, true] {
        let mut stream = Stream::begin("web-1");
        let mut batch = Vec::new();
        for _ in 0..4 {
            // what compresses badly
            let mut noise = vec![0; 300_000];
            getrandom::fill(&mut noise).unwrap();
            stream.log(&noise);
            batch.extend(frame(&stream.segment(1000)));
        }
        let builder = world.builder().identity(identity.clone());
        let client = if http1 { builder.http1_only() } else { builder }.build().unwrap();
        let answer = world.put(&client, &stream.path(0), &batch).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        assert_eq!(answer.receipt().size, stream.next_seq());
    }
}

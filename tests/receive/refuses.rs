//! Batches that no agent sends: refused, and nothing of them is stored.

use crate::stream::{Stream, digest, frame};
use crate::world::{World, answer};
use base64::prelude::*;
use sealtail::chain::host_key::HostKey;
use std::sync::Arc;

/// Sends a stream's first two segments, bent in some way, as its first batch.
async fn refused(world: &World, status: u16, why: &str, bend: impl FnOnce(&mut Stream, [String; 2]) -> Vec<u8>) {
    let mut stream = Stream::begin("web-1");
    let segments = [stream.segment(3), stream.segment(2)];
    let batch = bend(&mut stream, segments);
    world.send(&stream, 0, &batch).await.expect(status, why);
}

/// Puts the lines in another order, or leaves some out.
fn pick(lines: &str, order: &[usize]) -> String {
    let lines: Vec<&str> = lines.split_inclusive('\n').collect();
    order.iter().map(|&at| lines[at]).collect()
}

#[tokio::test]
async fn lines_that_are_not_the_next_ones() {
    let world = World::start().await;
    refused(&world, 400, "the batch holds no line", |_, _| Vec::new()).await;
    refused(&world, 400, "holds no line", |_, _| frame("")).await;
    refused(&world, 400, "not zstd", |_, [one, _]| one.into_bytes()).await;
    refused(&world, 400, "line 0", |_, _| frame("hello\n")).await;
    refused(&world, 400, "line 0: is expected here, and line 5", |_, [_, two]| frame(&two)).await;
    refused(&world, 400, "line 2: is expected here, and line 3", |_, [one, _]| frame(&pick(&one, &[0, 1, 3, 4]))).await;
    refused(&world, 400, "line 1: is expected here, and line 2", |_, [one, _]| frame(&pick(&one, &[0, 2, 1, 3, 4])))
        .await;
    refused(&world, 400, "line 3: is expected here, and line 2", |_, [one, _]| frame(&pick(&one, &[0, 1, 2, 2, 4])))
        .await;
    refused(&world, 400, "line 2: ", |_, [one, _]| frame(&one.replace("message 1\"", "message 1"))).await;
    refused(&world, 400, "line 2: ", |_, [one, _]| frame(&one.replace("message 1", "\\q"))).await;
    refused(&world, 400, "line 1: unknown type", |_, [one, _]| {
        frame(&one.replacen(r#""type":"log""#, r#""type":"lag""#, 1))
    })
    .await;
    refused(&world, 400, "line 1: unknown field", |_, [one, _]| frame(&one.replacen(r#""src":1"#, r#""srk":1"#, 1)))
        .await;
    assert_eq!(world.archived(), [""; 0]);
}

#[tokio::test]
async fn segments_that_are_none() {
    let world = World::start().await;
    refused(&world, 400, "a frame holds one segment", |_, [one, two]| frame(&(one + &two))).await;
    refused(&world, 400, "stands after the end of its stream", |_, [one, two]| {
        [frame(&pick(&one, &[0, 1])), frame(&pick(&one, &[2, 3, 4])), frame(&two)].concat()
    })
    .await;
    refused(&world, 400, "cut off", |_, [one, _]| {
        let whole = frame(&one);
        whole[..whole.len() - 1].to_vec()
    })
    .await;
    refused(&world, 400, "middle of a line", |_, [one, _]| frame(one.trim_end())).await;
    refused(&world, 400, "holds no line", |_, [one, two]| [frame(&one), frame(""), frame(&two)].concat()).await;
    refused(&world, 400, "more than 4096 lines", |stream, [one, two]| {
        [frame(&one), frame(&two), stream.batch(4096)].concat()
    })
    .await;
    refused(&world, 400, "stands after the end of its stream (it was closed)", |stream, [one, two]| {
        let close = stream.close();
        [frame(&one), frame(&two), close.clone(), close].concat()
    })
    .await;
    assert_eq!(world.archived(), [""; 0]);
}

#[tokio::test]
async fn checkpoints_that_do_not_fit() {
    let world = World::start().await;
    // a changed message, header or tag changes the root
    refused(&world, 400, "BAD-CHECKPOINT: its root", |_, [one, _]| frame(&one.replace("message 1", "massage 1"))).await;
    refused(&world, 400, "BAD-CHECKPOINT: its root", |_, [one, _]| frame(&one.replacen(r#""off":0"#, r#""off":9"#, 1)))
        .await;
    refused(&world, 400, "BAD-CHECKPOINT: no good signature", |_, [one, _]| {
        let at = one.rfind("\\n").unwrap();
        // within the signature, away from its end where bits are spare
        let (start, end) = one.split_at(at - 20);
        let bent = if end.starts_with('A') { 'B' } else { 'A' };
        frame(&format!("{start}{bent}{}", &end[1..]))
    })
    .await;
    refused(&world, 400, "BAD-CHECKPOINT: its segment's number", |_, [one, _]| {
        frame(&one.replace(r#""segment":0"#, r#""segment":1"#))
    })
    .await;
    refused(&world, 400, "BAD-CHECKPOINT: its segment's number", |_, [one, two]| {
        [frame(&one), frame(&two.replace(r#""first":5"#, r#""first":6"#))].concat()
    })
    .await;
    refused(&world, 400, "BAD-CHECKPOINT: its size, root and edge", |_, [one, _]| {
        frame(&one.replace(r#""edge":["#, r#""edge":["AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","#))
    })
    .await;
    refused(&world, 400, "BAD-CHECKPOINT", |_, [one, _]| {
        let other = Stream::begin("web-1").segment(3);
        frame(&(pick(&one, &[0, 1, 2, 3]) + &pick(&other, &[4])))
    })
    .await;
    assert_eq!(world.archived(), [""; 0]);
}

#[tokio::test]
async fn genesis_lines_of_others() {
    let mut world = World::prepare();
    let trusted = HostKey::generate_p256().unwrap();
    trusted.save_new(&world.folder().join("host.key")).unwrap();
    let trust = world.folder().join("trust.toml");
    std::fs::write(&trust, "[[host]]\nname = \"web-1\"\nkey = \"host.pub\"\n").unwrap();
    world.config.trust = Some(trust);
    world.run(Arc::new(sealtail::durable::Disk)).await;
    let both = world.client_with(&world.authority.client(&["web-1", "web-2"]));

    let mut stream = Stream::endorsed_by("web-1", &trusted);
    let batch = stream.batch(1);
    let elsewhere = stream.path(0).replace("web-1", "web-2");
    world.put(&both, &elsewhere, &batch).await.expect(400, "WRONG-STREAM");
    let other_stream = Stream::endorsed_by("web-1", &trusted);
    world.put(&both, &other_stream.path(0), &batch).await.expect(400, "WRONG-STREAM");
    let mut untrusted = Stream::begin("web-1");
    world.put(&both, &untrusted.path(0), &untrusted.batch(1)).await.expect(403, "UNENDORSED");
    let mut not_for_it = Stream::endorsed_by("web-2", &trusted);
    world.put(&both, &not_for_it.path(0), &not_for_it.batch(1)).await.expect(403, "UNENDORSED");
    let mut bent = Stream::endorsed_by("web-1", &trusted);
    let genesis = bent.segment(1).replace(r#""config":"A"#, r#""config":"B"#);
    world.put(&both, &bent.path(0), &frame(&genesis)).await.expect(400, "endorsement");
    assert_eq!(world.archived(), [""; 0]);
    assert_eq!(world.put(&both, &stream.path(0), &batch).await.status, 201);
}

#[tokio::test]
async fn gaps_and_names_that_are_none() {
    let world = World::start().await;
    let mut stream = Stream::begin("web-1");
    let batch = stream.batch(1);
    world.send(&stream, 3, &batch).await.expect(400, "line 0 of web-1");
    let client = world.client("web-1");
    let id = stream.id;
    for path in [
        format!("/v1/.../{id}/0"),
        format!("/v1/..%2f..%2fetc/{id}/0"),
        format!("/v1/web-1%2f../{id}/0"),
        format!("/v1/.lock/{id}/0"),
        "/v1/web-1/..%2f..%2f0/0".to_owned(),
        format!("/v1/web-1/{}/0", id.to_string().to_uppercase()),
        format!("/v1/web-1/{id}0/0"),
        format!("/v1/web-1/{id}/-1"),
        format!("/v1/web-1/{id}/+0"),
        format!("/v1/web-1/{id}/0.ndjson.zst"),
        format!("/v1/web-1/{id}/99999999999999999999"),
    ] {
        world.put(&client, &path, &batch).await.expect(400, "");
    }
    assert_eq!(world.archived(), [""; 0]);
    // the number as in the archive's file names is the same number
    let path = format!("/v1/web-1/{id}/00000000000000000000");
    assert_eq!(world.put(&client, &path, &batch).await.status, 201);
    world.send(&stream, 4, &batch).await.expect(400, "line 3 of web-1");
}

#[tokio::test]
async fn headers_that_contradict_the_batch() {
    let world = World::start().await;
    let mut stream = Stream::begin("web-1");
    let batch = stream.batch(1);
    let client = world.client("web-1");
    let request = |name: &str, value: &str| client.put(world.url(&stream.path(0))).header(name, value);
    let key = format!("web-1/{}/", stream.id);
    let coded = |bytes: &[u8]| format!("sha-256=:{}:", BASE64_STANDARD.encode(digest(bytes)));
    for (name, value) in [
        ("content-digest", coded(b"other")),
        ("content-digest", "sha-256=:AAAA:".to_owned()),
        ("content-digest", "sha-256=AAAA".to_owned()),
        ("content-digest", format!("sha-512=:AAAA:, {}", coded(b"other"))),
        ("idempotency-key", format!("{key}1")),
        ("idempotency-key", "0".to_owned()),
        ("content-encoding", "gzip".to_owned()),
        ("content-type", "text/plain".to_owned()),
    ] {
        answer(request(name, &value).body(batch.clone())).await.expect(400, "");
    }
    assert_eq!(world.archived(), [""; 0]);
    let good = request("content-digest", &format!("sha-512=:AAAA:, {}", coded(&batch)));
    let good = good.header("idempotency-key", format!("{key}0")).header("content-encoding", "zstd");
    assert_eq!(answer(good.body(batch.clone())).await.status, 201);
}

#[tokio::test]
async fn bodies_that_are_too_much() {
    let world = World::start().await;
    let zeros = zstd::encode_all(std::io::Read::take(std::io::repeat(b'x'), 1 << 28), 1).unwrap();
    refused(&world, 400, "longer than 1 MiB", |_, _| zeros).await;
    refused(&world, 413, "at most 65536 KiB", |_, _| vec![0; (64 << 20) + 1]).await;
    assert_eq!(world.archived(), [""; 0]);
}

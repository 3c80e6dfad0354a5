//! The end of a stream for its targets.

use super::{Error, LOOK};
use crate::forward::{self, Event};
use crate::source::Stop;
use crate::spool::Spool;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// How long a batch that is on its way holds up what takes the stream's place.
const RETIRE_LIMIT: Duration = Duration::from_secs(2);

/// Waits until every required target has everything: with `once` for as long as nobody says stop, else, and after that, no
/// longer than the limit. Returns whether they have it.
pub(super) async fn drain(
    spool: &Spool,
    heard: &mut mpsc::Receiver<Event>,
    forwarders: &mut Forwarders,
    hear: &mut impl FnMut(Event),
    once: bool,
    stop: &Stop,
    limit: Duration,
) -> Result<bool, Error> {
    let mut news = spool.watch();
    let mut stopped: Option<tokio::time::Instant> = None;
    while !spool.is_drained() {
        if stopped.is_none() && (!once || stop.is_set()) {
            stopped = Some(tokio::time::Instant::now());
        }
        if stopped.is_some_and(|at| at.elapsed() >= limit) {
            return Ok(false);
        }
        tokio::select! {
            Some(event) = heard.recv() => hear(event),
            _ = news.changed() => {}
            Some(ended) = forwarders.join_next() => forwarder_ended(ended)?,
            () = tokio::time::sleep(LOOK) => {}
        }
    }
    hear_rest(heard, hear);
    Ok(true)
}

/// What was told and not heard yet.
fn hear_rest(heard: &mut mpsc::Receiver<Event>, hear: &mut impl FnMut(Event)) {
    while let Ok(event) = heard.try_recv() {
        hear(event);
    }
}

/// The tasks of targets, with their names.
pub(super) type Forwarders = JoinSet<(String, Result<(), forward::Error>)>;

/// Nobody may hold the spool when it is opened again. What is on its way to a target may arrive first, so that it is not sent
/// beside itself; a forwarder tells of it before it takes note, and waits until that is heard.
pub(super) async fn retire(
    spool: &Spool,
    heard: &mut mpsc::Receiver<Event>,
    forwarders: &mut Forwarders,
    hear: &mut impl FnMut(Event),
) {
    spool.retire();
    let all = async {
        loop {
            tokio::select! {
                Some(event) = heard.recv() => hear(event),
                ended = forwarders.join_next() => if ended.is_none() { break },
            }
        }
    };
    if timeout(RETIRE_LIMIT, all).await.is_err() {
        forwarders.shutdown().await;
    }
    hear_rest(heard, hear);
}

type Ended = Result<(String, Result<(), forward::Error>), tokio::task::JoinError>;

/// Forwarders retry for ever; one that ends has lost the spool.
pub(super) fn forwarder_ended(ended: Ended) -> Result<(), Error> {
    match ended {
        Ok((_, Err(forward::Error::Spool(error)))) => Err(error.into()),
        Ok((name, Err(error))) => Err(Error::Target { name, error }),
        Ok((_, Ok(()))) => Ok(()),
        Err(error) => Err(Error::Thread(format!("a forwarder died: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::durable::Disk;
    use crate::spool;
    use std::sync::Arc;

    #[tokio::test]
    async fn what_forwarders_tell_while_they_retire_is_heard() {
        let dir = tempfile::tempdir().unwrap();
        let config =
            spool::Config { dir: dir.path().to_owned(), max_size_bytes: 8 << 20, drain_timeout: Duration::ZERO };
        let (spool, _) = Spool::open(&config, "web-1", &[], Arc::new(Disk)).unwrap();
        let (events, mut heard) = mpsc::channel(1);
        let mut forwarders = Forwarders::new();
        for target in ["a", "b", "c"].map(str::to_owned) {
            let events = events.clone();
            forwarders.spawn(async move {
                events.send(Event::Refused { target: target.clone() }).await.unwrap();
                (target, Ok(()))
            });
        }
        let mut targets = Vec::new();
        let mut hear = |event| match event {
            Event::Refused { target } => targets.push(target),
            Event::Stored { .. } => unreachable!("none was"),
        };
        retire(&spool, &mut heard, &mut forwarders, &mut hear).await;
        targets.sort();
        assert_eq!(targets, ["a", "b", "c"]);
    }
}

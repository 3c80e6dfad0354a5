//! One connection: what is known on it of the stream, and how a batch is published.

use super::fit;
use crate::forward::NatsConfig;
use crate::forward::backend::{Outcome, Upload};
use crate::forward::http::time_for;
use crate::forward::message::{self, Found, Label, Standing, standing};
use crate::forward::save::Saver;
use crate::tls::causes;
use async_nats::header::HeaderMap;
use async_nats::jetstream::context::{ContextBuilder, PublishErrorKind};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::stream::{DirectGetError, DirectGetErrorKind, Info, Stream};
use async_nats::jetstream::{self, message::StreamMessage};
use async_nats::{ConnectErrorKind, ConnectOptions, Event, ServerError};
use rustls::ClientConfig;
use std::collections::VecDeque;
use std::time::Duration;
use tokio::sync::watch;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Of one subject, when the last message is of another stream or of a later batch; after that a second copy may come about,
/// which whoever saves the archive finds to be one.
const LOOKED_BACK_MAX: usize = 64;
/// Somebody else writes to our subject, again and again; then the attempt ends.
const LOOKS_MAX: usize = 3;
/// Messages that are asked for at once when all are read; each may have what the server takes in a message.
const AHEAD: usize = 16;

pub(super) struct Session {
    config: NatsConfig,
    subject: String,
    context: jetstream::Context,
    stream: Stream<Info>,
    /// Bytes of a batch in one message.
    part_max_bytes: u64,
    /// The last message of our subject, once looked up.
    tail: Option<Tail>,
    /// Why nothing more can be expected of this connection.
    lost: watch::Receiver<Option<String>>,
}

#[derive(Clone, Debug)]
struct Tail {
    /// In the stream; 0 when there is none.
    sequence: u64,
    /// `None` if it is no batch.
    found: Option<Found>,
}

impl Session {
    /// Connects, and sees whether the stream is fit.
    pub(super) async fn open(config: &NatsConfig, tls: ClientConfig, host: &str) -> Result<Session, String> {
        let (tell, lost) = watch::channel(None);
        let servers: Vec<&str> = config.url.split(',').collect();
        let mut options = ConnectOptions::new()
            .name(concat!("sealtail/", env!("CARGO_PKG_VERSION")))
            .tls_client_config(tls)
            .require_tls(true)
            .connection_timeout(CONNECT_TIMEOUT)
            .request_timeout(Some(time_for(0)))
            // apart from other hosts', so that permissions can keep answers from them
            .custom_inbox_prefix(format!("_INBOX.{host}"))
            .ignore_discovered_servers()
            // a connection that broke is not mended: what was under way on it would be sent again
            .max_reconnects(servers.len())
            .event_callback(move |event| {
                let tell = tell.clone();
                async move {
                    if let Some(why) = end(&event) {
                        tell.send_if_modified(|told| told.is_none() && told.replace(why).is_none());
                    }
                }
            });
        if config.tls_first {
            options = options.tls_first();
        }
        let client = options.connect(servers).await.map_err(|error| match error.kind() {
            ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication => format!(
                "the server knows no user for our client certificate, or takes no certificates (verify_and_map) ({error})"
            ),
            _ => causes(&error),
        })?;
        let timeout = time_for(client.max_payload() as u64);
        let context = ContextBuilder::new().timeout(timeout).ack_timeout(timeout).build(client.clone());
        let unread = |why: String| format!("cannot read about stream {}: {why}", config.stream);
        let asked = async {
            let stream = context.get_stream(&config.stream).await;
            stream.map_err(|error| unread(causes(&error)))
        };
        let stream = unless_lost(&lost, asked).await?;
        let subject = config.subject_of(host);
        let info = &stream.cached_info().config;
        if let Some(why) = fit::unfit(info, &subject) {
            return Err(why);
        }
        let max_bytes = u64::try_from(info.max_message_size).ok().filter(|max| *max > 0);
        let max_bytes = max_bytes.unwrap_or(u64::MAX).min(client.max_payload() as u64);
        let part_max_bytes = message::part_limit(max_bytes, LIMIT)?;
        Ok(Session { config: config.clone(), subject, context, stream, part_max_bytes, tail: None, lost })
    }

    /// Whether it still stands.
    pub(super) fn is_sound(&self) -> bool {
        self.lost.borrow().is_none()
    }

    pub(super) fn tell_of_limits(&self, target: &str, batch_max_size_bytes: u64) {
        message::tell_of_parts(target, batch_max_size_bytes, self.part_max_bytes, LIMIT);
        if let Some(doubt) = fit::doubts(&self.stream.cached_info().config) {
            tracing::warn!(target_name = %target, "{doubt}");
        }
    }

    /// Publishes what of the batch is not there. An error is what was uncertain; the connection is of no use after it.
    pub(super) async fn store(&mut self, upload: &Upload) -> Result<Outcome, String> {
        let lost = self.lost.clone();
        unless_lost(&lost, self.publish(upload)).await
    }

    /// The last message of our subject.
    pub(super) async fn look(&mut self) -> Result<(), String> {
        let lost = self.lost.clone();
        unless_lost(&lost, self.tail()).await.map(drop)
    }

    async fn publish(&mut self, upload: &Upload) -> Result<Outcome, String> {
        for _ in 0..LOOKS_MAX {
            let tail = self.tail().await?;
            let last = match &tail.found {
                Some(found) if found.label.is_at_or_before(upload) => Some(found.clone()),
                _ => self.look_back(upload, tail.sequence).await?,
            };
            let from = match standing(last.as_ref(), upload) {
                Standing::Settled(outcome) => return Ok(outcome),
                Standing::Until(from) => from,
            };
            let gap = message::gap_before(last.as_ref(), upload);
            if self.parts(upload, from, tail.sequence, gap).await? {
                return Ok(Outcome::Stored(None));
            }
            self.tail = None;
        }
        Err(format!("others write to {} meanwhile; let only this host's user publish there", self.subject))
    }

    /// Publishes the batch from a byte on; false if the last message is another than was thought. The gap is told once a message was
    /// taken: whoever was asked for the last one may lag.
    async fn parts(
        &mut self,
        upload: &Upload,
        mut from: u64,
        mut last: u64,
        mut gap: Option<String>,
    ) -> Result<bool, String> {
        loop {
            let label = Label::of(upload, from, self.part_max_bytes);
            let mut headers = HeaderMap::new();
            for (name, value) in label.headers() {
                headers.insert(name, value);
            }
            let range = label.range.start as usize..label.range.end as usize;
            let message = PublishMessage::build()
                .headers(headers)
                .payload(upload.bytes.slice(range.clone()))
                .message_id(label.message_id())
                .expected_stream(&self.config.stream)
                .expected_last_subject_sequence(last);
            let sent = async { self.context.send_publish(self.subject.clone(), message).await?.await };
            let ack = match sent.await {
                Ok(ack) => ack,
                Err(error) if error.kind() == PublishErrorKind::WrongLastSequence => return Ok(false),
                Err(error) => return Err(self.refusal(&error)),
            };
            if ack.stream != self.config.stream {
                return Err(format!("stream {} took the message, not {}", ack.stream, self.config.stream));
            }
            if ack.duplicate {
                return Ok(false);
            }
            if let Some(gap) = gap.take() {
                tracing::error!(stream = %self.config.stream, subject = %self.subject, "ALARM: {gap}; it was removed, or another agent writes under this host's name");
            }
            (from, last) = (label.range.end, ack.sequence);
            self.tail = Some(Tail { sequence: last, found: Some(Found::new(label, &upload.bytes[range])) });
            if from >= upload.bytes.len() as u64 {
                return Ok(true);
            }
        }
    }

    /// Why a message was not taken, and how to mend it.
    fn refusal(&self, error: &jetstream::context::PublishError) -> String {
        let text = causes(error);
        let stream = &self.config.stream;
        let is = |signs: &[&str]| signs.iter().any(|sign| text.contains(sign));
        let mend = match error.kind() {
            PublishErrorKind::StreamNotFound => {
                format!("no stream takes {}: is stream {stream} there, and JetStream on?", self.subject)
            }
            _ if is(&["maximum bytes", "maximum messages", "maximum age", "maximum messages per subject"]) => {
                format!("stream {stream} is full; nats stream edit {stream} --max-bytes=… --max-msgs=…")
            }
            _ if is(&["insufficient", "resource", "no space", "account"]) => {
                "the server or the account is out of storage; make room, or raise its limits".into()
            }
            _ => return text,
        };
        format!("{mend} ({text})")
    }

    async fn tail(&mut self) -> Result<Tail, String> {
        if let Some(tail) = &self.tail {
            return Ok(tail.clone());
        }
        let last = found(self.stream.direct_get_last_for_subject(&self.subject).await)?;
        let tail = match last {
            Some(message) => Tail { sequence: message.sequence, found: found_in(&message) },
            None => Tail { sequence: 0, found: None },
        };
        self.tail = Some(tail.clone());
        Ok(tail)
    }

    /// The newest message before `until` that [is at or before](Label::is_at_or_before) the upload. The server only looks forward,
    /// so that stretches before are looked through, each twice as long as the one after it.
    async fn look_back(&self, upload: &Upload, mut until: u64) -> Result<Option<Found>, String> {
        let (mut stretch, mut read) = (1, 0);
        while until > 1 {
            let from = until.saturating_sub(stretch).max(1);
            let (mut at, mut newest) = (from, None);
            while at < until {
                if read == LOOKED_BACK_MAX {
                    return Ok(None);
                }
                read += 1;
                let next = self.stream.direct_get_next_for_subject(&self.subject, Some(at)).await;
                let Some(message) = found(next)?.filter(|message| message.sequence < until) else { break };
                newest = found_in(&message).filter(|found| found.label.is_at_or_before(upload)).or(newest);
                at = message.sequence + 1;
            }
            if newest.is_some() {
                return Ok(newest);
            }
            (until, stretch) = (from, stretch.saturating_mul(2));
        }
        Ok(None)
    }

    /// Reads the stream from its first message to the one that is its last now.
    pub(super) async fn save(&self, saver: &mut Saver) -> Result<(), String> {
        let state = &self.stream.cached_info().state;
        let (first, last) = (state.first_sequence, state.last_sequence);
        if first > 1 {
            saver.fault(format!("messages 1 to {} of stream {} are gone", first - 1, self.config.stream));
        }
        let mut ahead = VecDeque::new();
        let mut sequences = first.max(1)..=last;
        loop {
            while ahead.len() < AHEAD
                && let Some(sequence) = sequences.next()
            {
                let (context, stream) = (self.context.clone(), self.config.stream.clone());
                let get = async move {
                    let stream = context.get_stream_no_info(stream).await.map_err(|error| causes(&error))?;
                    found(stream.direct_get(sequence).await)
                };
                ahead.push_back((sequence, tokio::spawn(get)));
            }
            let Some((sequence, get)) = ahead.pop_front() else { return Ok(()) };
            let get = async { get.await.unwrap_or_else(|error| Err(error.to_string())) };
            match unless_lost(&self.lost, get).await? {
                None => saver.fault(format!("message {sequence} of stream {} is gone", self.config.stream)),
                Some(message) => self.keep(&message, saver).await?,
            }
        }
    }

    async fn keep(&self, message: &StreamMessage, saver: &mut Saver) -> Result<(), String> {
        let place = || format!("message {} of stream {}", message.sequence, self.config.stream);
        let Some(label) = label(message) else {
            saver.fault(format!("{} is no batch of sealtail's: left out", place()));
            return Ok(());
        };
        // who may publish where is the server's to say, and its permissions go by subjects
        if message.subject.as_str() != self.config.subject_of(&label.host) {
            saver.fault(format!("{} says host {}, and came on {}", place(), label.host, message.subject));
        }
        saver.take(&place(), label, &message.payload).await
    }
}

const LIMIT: &str = "the server's max_payload and the stream's max_msg_size";

/// Why nothing more can be expected after an event.
fn end(event: &Event) -> Option<String> {
    match event {
        Event::Disconnected | Event::Closed => Some("the connection broke".into()),
        Event::ServerError(ServerError::Other(said)) if said.to_lowercase().contains("permissions violation") => {
            Some(format!("the server says: {said}; docs/targets.md says which permissions the user needs"))
        }
        Event::ServerError(error) => Some(format!("the server says: {error}")),
        _ => None,
    }
}

/// The work's result, unless the connection is lost before.
async fn unless_lost<T>(
    lost: &watch::Receiver<Option<String>>,
    work: impl Future<Output = Result<T, String>>,
) -> Result<T, String> {
    let mut lost = lost.clone();
    tokio::select! {
        done = work => done,
        why = lost.wait_for(Option::is_some) => {
            Err(why.ok().and_then(|why| why.clone()).unwrap_or_else(|| "the connection was closed".into()))
        }
    }
}

/// A message that was asked for, if it is there.
fn found(answer: Result<StreamMessage, DirectGetError>) -> Result<Option<StreamMessage>, String> {
    match answer {
        Ok(message) => Ok(Some(message)),
        Err(error) if error.kind() == DirectGetErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("cannot read the stream's messages: {}", causes(&error))),
    }
}

fn label(message: &StreamMessage) -> Option<Label> {
    Label::of_message(|name| message.headers.get(name).map(async_nats::HeaderValue::as_str), &message.payload)
}

fn found_in(message: &StreamMessage) -> Option<Found> {
    Some(Found::new(label(message)?, &message.payload))
}

//! One connection: what is known on it of the topic, how a batch is sent, and how the topic is read.

use super::look::{Look, Seen, look_back};
use super::{certificates, fit, record};
use crate::forward::KafkaConfig;
use crate::forward::backend::{Outcome, Upload};
use crate::forward::http::time_for;
use crate::forward::message::{self, Found, Label, Standing, standing};
use crate::forward::save::Saver;
use crate::tls::causes;
use krafka::admin::AdminClient;
use krafka::consumer::{AutoOffsetReset, Consumer, ConsumerRecord};
use krafka::error::{ErrorCode, KrafkaError};
use krafka::producer::{Acks, DefaultPartitioner, Partitioner, Producer, ProducerRecord};
use std::time::Duration;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the broker waits for a first record before it says that there is none.
const FETCH_WAIT: Duration = Duration::from_millis(100);
/// The producer's own tries, a moment apart; after them an attempt is over.
const RETRIES: u32 = 3;
/// What a broker takes in a record batch unless told otherwise.
const MAX_MESSAGE_BYTES: u64 = 1_048_588;
/// The producer buffers no more than twice as much, and nobody is served by larger ones.
const PART_MAX_BYTES: u64 = 16 << 20;
/// What is fetched at once of a topic that is saved.
const SAVE_FETCH_BYTES: i32 = 1 << 20;
/// What is fetched at once when a record is looked for, so that little comes twice.
const LOOK_FETCH_BYTES: i32 = 256 << 10;
const LIMIT: &str = "the topic's max.message.bytes";

pub(super) struct Session {
    config: KafkaConfig,
    producer: Producer,
    partitions: usize,
    /// Bytes of a batch in one record.
    part_max_bytes: u64,
    /// The last stored record of the stream that was sent last, or of the one that was looked for.
    last: Option<Found>,
    /// The look for it came to no end.
    is_cut: bool,
}

impl Session {
    /// Connects, and sees whether the topic is fit.
    pub(super) async fn open(target: &str, config: &KafkaConfig, batch_max_size_bytes: u64) -> Result<Session, String> {
        let part_max_bytes = look_at_topic(target, config).await?.min(PART_MAX_BYTES);
        let request_timeout = REQUEST_TIMEOUT.max(time_for(part_max_bytes));
        message::tell_of_parts(target, batch_max_size_bytes, part_max_bytes, LIMIT);
        let producer = Producer::builder()
            .bootstrap_servers(config.brokers.join(","))
            .client_id("sealtail")
            .auth(certificates(&config.tls))
            .acks(Acks::All)
            .idempotent(true)
            .linger(Duration::ZERO)
            .retries(RETRIES)
            .allow_auto_create_topics(false)
            .connect_timeout(CONNECT_TIMEOUT)
            .request_timeout(request_timeout)
            .max_block(CONNECT_TIMEOUT)
            .delivery_timeout(request_timeout * (RETRIES + 1) + time_for(0))
            .build()
            .await
            .map_err(|error| reason(&error, config))?;
        let partitions = match producer.partitions_for(&config.topic).await {
            Ok(partitions) if !partitions.is_empty() => partitions.len(),
            other => {
                close(&producer).await;
                let why = other.err().map_or_else(|| "it is not there".into(), |error| causes(&error));
                return Err(format!("topic {}: {why}; docs/targets.md says how to make one that is fit", config.topic));
            }
        };
        Ok(Session { config: config.clone(), producer, partitions, part_max_bytes, last: None, is_cut: false })
    }

    pub(super) async fn close(self) {
        close(&self.producer).await;
    }

    /// Where the upload goes.
    fn partition(&self, upload: &Upload) -> i32 {
        let key = upload.batch.stream.to_string();
        DefaultPartitioner::default().partition(&self.config.topic, Some(key.as_bytes()), self.partitions)
    }

    /// Finds out what is there, unless that is known. An error is what is in the way; `look` has how far it came.
    pub(super) async fn look(&mut self, upload: &Upload, look: &mut Option<Look>) -> Result<(), String> {
        if self.last.as_ref().is_some_and(|last| last.label.is_at_or_before(upload)) {
            return Ok(());
        }
        let (topic, partition) = (&self.config.topic, self.partition(upload));
        let fetch_max_bytes = self.part_max_bytes.max(LOOK_FETCH_BYTES as u64);
        let consumer = consumer(&self.config, LOOK_FETCH_BYTES, time_for(fetch_max_bytes)).await?;
        let seen = look_back(&consumer, (topic, partition), upload, fetch_max_bytes, look).await;
        drop(consumer.close().await);
        let Seen { last, is_cut } = seen?;
        // what is said of it is the caller's to say once it is sent
        self.last = last;
        self.is_cut = is_cut;
        if self.last.is_some() && !is_cut {
            *look = None;
        }
        Ok(())
    }

    /// Tells what is wrong with what is there, or can't be known of it.
    fn tell(&self, last: Option<&Found>, upload: &Upload) {
        let (topic, partition) = (&self.config.topic, self.partition(upload));
        if self.is_cut && upload.batch.seq[0] > 0 {
            tracing::warn!(%topic, partition, "no record of stream {} is among the newest of the partition, and older ones were not looked at: line {} and after are sent; should they be there already, this is a second copy, which sealtail save counts as known", upload.batch.stream, upload.batch.seq[0]);
        } else if let Some(gap) = message::gap_before(last, upload) {
            tracing::error!(%topic, partition, "ALARM: {gap}; it was removed, or another agent writes under this host's name");
        }
    }

    /// Sends what of the batch is not there, after a [look](Self::look). An error is what was uncertain; the connection is of no use after it.
    pub(super) async fn store(&mut self, upload: &Upload) -> Result<Outcome, String> {
        let (key, partition) = (upload.batch.stream.to_string(), self.partition(upload));
        let last = self.last.take();
        let mut from = match standing(last.as_ref(), upload) {
            Standing::Settled(outcome) => {
                self.last = last;
                return Ok(outcome);
            }
            Standing::Until(from) => from,
        };
        self.tell(last.as_ref(), upload);
        self.is_cut = false;
        while from < upload.bytes.len() as u64 {
            let label = Label::of(upload, from, self.part_max_bytes);
            let bytes = &upload.bytes[label.range.start as usize..label.range.end as usize];
            let mut record = ProducerRecord::new(&self.config.topic, bytes.to_vec());
            record.key = Some(key.clone().into_bytes().into());
            record.partition = Some(partition);
            record.headers =
                label.headers().map(|(name, value)| (name.to_owned(), Some(value.into_bytes().into()))).to_vec();
            let stored = self.producer.send_record(record).await.map_err(|error| reason(&error, &self.config))?;
            if stored.partition != partition {
                return Err(format!("the record went to partition {}, not {partition}", stored.partition));
            }
            from = label.range.end;
            self.last = Some(Found::new(label, bytes));
        }
        Ok(Outcome::Stored(None))
    }

    /// Whether the topic can be read.
    pub(super) async fn read(&self) -> Result<(), String> {
        let consumer = consumer(&self.config, SAVE_FETCH_BYTES, REQUEST_TIMEOUT).await?;
        let marks = consumer.fetch_watermarks(&self.config.topic, 0).await;
        let closed = consumer.close().await;
        marks.map_err(|error| reason(&error, &self.config))?;
        closed.map_err(|error| reason(&error, &self.config))
    }
}

async fn close(producer: &Producer) {
    // what is under way is given up with its connection, whose answer would not be heard
    drop(producer.close_with_timeout(Duration::ZERO).await);
}

/// Whether the topic keeps what it has, and how many bytes of a batch a record may have.
async fn look_at_topic(target: &str, config: &KafkaConfig) -> Result<u64, String> {
    let admin = AdminClient::builder()
        .bootstrap_servers(config.brokers.join(","))
        .client_id("sealtail")
        .auth(certificates(&config.tls))
        .connect_timeout(CONNECT_TIMEOUT)
        .request_timeout(REQUEST_TIMEOUT)
        .build()
        .await
        .map_err(|error| reason(&error, config))?;
    // all of them: at least one broker hangs up when it is asked for some
    let settings = admin.topic_config(&config.topic, &[]).await;
    admin.close().await;
    let settings = match settings {
        Ok(settings) => settings,
        Err(error) if is_about_leave(&error) => {
            tracing::warn!(target_name = %target, topic = %config.topic, "this user may not see whether the topic keeps its records: allow it DescribeConfigs");
            return message::part_limit(MAX_MESSAGE_BYTES, LIMIT);
        }
        Err(error) => return Err(reason(&error, config)),
    };
    if let Some(why) = fit::unfit(&config.topic, &settings) {
        return Err(why);
    }
    for doubt in fit::doubts(&config.topic, &settings) {
        tracing::warn!(target_name = %target, "{doubt}");
    }
    let max_bytes = settings.get(fit::MAX_BYTES).and_then(|value| value.parse().ok());
    message::part_limit(max_bytes.unwrap_or(MAX_MESSAGE_BYTES), LIMIT)
}

async fn consumer(config: &KafkaConfig, fetch_bytes: i32, request_timeout: Duration) -> Result<Consumer, String> {
    let consumer = Consumer::builder()
        .bootstrap_servers(config.brokers.join(","))
        .client_id("sealtail")
        .auth(certificates(&config.tls))
        .auto_offset_reset(AutoOffsetReset::Earliest)
        .enable_auto_commit(false)
        .allow_auto_create_topics(false)
        .connect_timeout(CONNECT_TIMEOUT)
        .request_timeout(request_timeout)
        .max_partition_fetch_bytes(fetch_bytes)
        .fetch_max_bytes(fetch_bytes)
        .fetch_max_wait(FETCH_WAIT);
    consumer.build().await.map_err(|error| reason(&error, config))
}

/// Reads each partition from its first record to the one that is its last now.
pub(super) async fn save(config: &KafkaConfig, saver: &mut Saver) -> Result<(), String> {
    let consumer = consumer(config, SAVE_FETCH_BYTES, time_for(PART_MAX_BYTES)).await?;
    let saved = save_all(&consumer, config, saver).await;
    drop(consumer.close().await);
    saved
}

async fn save_all(consumer: &Consumer, config: &KafkaConfig, saver: &mut Saver) -> Result<(), String> {
    let failed = |error: KrafkaError| reason(&error, config);
    let topic = &config.topic;
    let metadata = consumer.fetch_metadata(Some(topic)).await.map_err(failed)?;
    let info = metadata.topics.iter().find(|info| info.name == *topic);
    let Some(info) = info.filter(|info| info.partition_count() > 0) else {
        return Err(format!("topic {topic} is not there"));
    };
    for partition in 0..info.partition_count() as i32 {
        let (low, high) = consumer.fetch_watermarks(topic, partition).await.map_err(failed)?;
        if low > 0 {
            saver.fault(format!("records 0 to {} of partition {partition} are gone", low - 1));
        }
        consumer.assign(topic, vec![partition]).await.map_err(failed)?;
        consumer.seek(topic, partition, low).await.map_err(failed)?;
        let mut expected = low;
        while expected < high {
            let records = consumer.poll(FETCH_WAIT).await.map_err(failed)?;
            for record in records.iter().filter(|record| record.partition == partition && record.offset < high) {
                if record.offset > expected {
                    let last = record.offset - 1;
                    saver.fault(format!("records {expected} to {last} of partition {partition} are gone"));
                }
                expected = record.offset + 1;
                keep(record, saver).await?;
            }
            let position = consumer.position(topic, partition).await;
            if records.is_empty() && position.is_none_or(|position| position >= high) {
                break;
            }
        }
    }
    Ok(())
}

async fn keep(record: &ConsumerRecord, saver: &mut Saver) -> Result<(), String> {
    let place = format!("record {} of partition {}", record.offset, record.partition);
    match (record::label(record), &record.value) {
        (Some(label), Some(bytes)) => saver.take(&place, label, bytes).await,
        _ => {
            saver.fault(format!("{place} is no batch of sealtail's: left out"));
            Ok(())
        }
    }
}

fn is_about_leave(error: &KrafkaError) -> bool {
    let codes = [ErrorCode::TopicAuthorizationFailed, ErrorCode::ClusterAuthorizationFailed];
    matches!(error, KrafkaError::Broker { code, .. } if codes.contains(code))
}

/// What is in the way, and how to mend it.
fn reason(error: &KrafkaError, config: &KafkaConfig) -> String {
    let text = causes(error);
    let KrafkaError::Broker { code, .. } = error else { return text };
    let topic = &config.topic;
    let mend = match code {
        ErrorCode::MessageTooLarge | ErrorCode::RecordListTooLarge => {
            format!("the broker takes smaller messages than topic {topic} says; raise its message.max.bytes")
        }
        ErrorCode::TopicAuthorizationFailed => {
            format!("this user may not use topic {topic}; docs/targets.md says what it needs")
        }
        ErrorCode::NotEnoughReplicas | ErrorCode::NotEnoughReplicasAfterAppend => {
            "too few replicas are in sync; start the brokers that are down".into()
        }
        ErrorCode::UnknownTopicOrPartition => {
            format!("topic {topic} is not there; docs/targets.md says how to make one")
        }
        _ => return text,
    };
    format!("{mend} ({text})")
}

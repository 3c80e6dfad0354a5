//! One connection: what is known on it of the topic, how a batch is sent, and how the topic is read.

use super::{certificates, fit};
use crate::forward::KafkaConfig;
use crate::forward::backend::{Outcome, Upload};
use crate::forward::http::time_for;
use crate::forward::message::{self, Label, Standing, standing};
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
/// Of a partition's tail, when the stream's last record is looked for; after that a second copy may come about, which whoever
/// saves the archive finds to be one.
const LOOKED_BACK_MAX_BYTES: usize = 16 << 20;
/// How many records are read at a time, backwards from the end.
const STRETCH: i64 = 32;
const LIMIT: &str = "the topic's max.message.bytes";

pub(super) struct Session {
    config: KafkaConfig,
    producer: Producer,
    partitions: usize,
    /// Bytes of a batch in one record.
    part_max_bytes: u64,
    /// The last stored record of the stream that was sent last.
    last: Option<Label>,
}

impl Session {
    /// Connects, and sees whether the topic is fit.
    pub(super) async fn open(target: &str, config: &KafkaConfig, batch_max_size_bytes: u64) -> Result<Session, String> {
        let part_max_bytes = look_at_topic(target, config).await?;
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
            .request_timeout(REQUEST_TIMEOUT)
            .max_block(CONNECT_TIMEOUT)
            .delivery_timeout(REQUEST_TIMEOUT * (RETRIES + 1) + time_for(0))
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
        Ok(Session { config: config.clone(), producer, partitions, part_max_bytes, last: None })
    }

    pub(super) async fn close(self) {
        close(&self.producer).await;
    }

    /// Sends what of the batch is not there. An error is what was uncertain; the connection is of no use after it.
    pub(super) async fn store(&mut self, upload: &Upload) -> Result<Outcome, String> {
        let key = upload.batch.stream.to_string();
        let partition =
            DefaultPartitioner::default().partition(&self.config.topic, Some(key.as_bytes()), self.partitions);
        let last = match self.last.take().filter(|last| last.is_at_or_before(upload)) {
            Some(last) => Some(last),
            None => look_back(&self.config, partition, upload).await?,
        };
        let mut from = match standing(last.as_ref(), upload) {
            Standing::Settled(outcome) => {
                self.last = last;
                return Ok(outcome);
            }
            Standing::Until(from) => from,
        };
        if let Some(gap) = message::gap_before(last.as_ref(), upload) {
            tracing::error!(topic = %self.config.topic, partition, "ALARM: {gap}, or only far back in the partition; it was removed, or another agent writes under this host's name");
        }
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
            self.last = Some(label);
        }
        Ok(Outcome::Stored(None))
    }

    /// Whether the topic can be read.
    pub(super) async fn read(&self) -> Result<(), String> {
        let consumer = consumer(&self.config).await?;
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

async fn consumer(config: &KafkaConfig) -> Result<Consumer, String> {
    let consumer = Consumer::builder()
        .bootstrap_servers(config.brokers.join(","))
        .client_id("sealtail")
        .auth(certificates(&config.tls))
        .auto_offset_reset(AutoOffsetReset::Earliest)
        .enable_auto_commit(false)
        .allow_auto_create_topics(false)
        .connect_timeout(CONNECT_TIMEOUT)
        .request_timeout(REQUEST_TIMEOUT)
        .fetch_max_wait(FETCH_WAIT);
    consumer.build().await.map_err(|error| reason(&error, config))
}

/// The newest record of the partition that [is at or before](Label::is_at_or_before) the upload.
async fn look_back(config: &KafkaConfig, partition: i32, upload: &Upload) -> Result<Option<Label>, String> {
    let consumer = consumer(config).await?;
    let found = search(&consumer, config, partition, upload).await;
    drop(consumer.close().await);
    found
}

async fn search(
    consumer: &Consumer,
    config: &KafkaConfig,
    partition: i32,
    upload: &Upload,
) -> Result<Option<Label>, String> {
    let failed = |error: KrafkaError| reason(&error, config);
    let (low, mut until) = consumer.fetch_watermarks(&config.topic, partition).await.map_err(failed)?;
    consumer.assign(&config.topic, vec![partition]).await.map_err(failed)?;
    let mut read = 0;
    while until > low && read < LOOKED_BACK_MAX_BYTES {
        let from = low.max(until - STRETCH);
        consumer.seek(&config.topic, partition, from).await.map_err(failed)?;
        let mut newest = None;
        'stretch: loop {
            for record in consumer.poll(FETCH_WAIT).await.map_err(failed)? {
                if record.offset >= until {
                    break 'stretch;
                }
                read += record.value.as_ref().map_or(0, |value| value.len());
                newest = label(&record).filter(|label| label.is_at_or_before(upload)).or(newest);
            }
            if consumer.position(&config.topic, partition).await.is_none_or(|position| position >= until) {
                break;
            }
        }
        if newest.is_some() {
            return Ok(newest);
        }
        until = from;
    }
    Ok(None)
}

/// Reads each partition from its first record to the one that is its last now.
pub(super) async fn save(config: &KafkaConfig, saver: &mut Saver) -> Result<(), String> {
    let consumer = consumer(config).await?;
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
    match (label(record), &record.value) {
        (Some(label), Some(bytes)) => saver.take(&place, label, bytes).await,
        _ => {
            saver.fault(format!("{place} is no batch of sealtail's: left out"));
            Ok(())
        }
    }
}

fn label(record: &ConsumerRecord) -> Option<Label> {
    let header = |name: &str| {
        let (_, value) = record.headers.iter().find(|(header, _)| header[..] == *name.as_bytes())?;
        std::str::from_utf8(value.as_ref()?).ok()
    };
    let label = Label::read(header)?;
    let bytes = record.value.as_ref()?.len() as u64;
    (label.range.end - label.range.start == bytes).then_some(label)
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

//! Prometheus' Alertmanager: `POST /api/v2/alerts`, as its OpenAPI description has it.
//!
//! Labels say what the alert is, and are the same for all notifications of a group, which the Alertmanager so takes for one alert that
//! goes on; annotations say which lines it is about. Nobody tells it that an alert is over: it is when `endsAt` has passed
//! without another notification.

use super::Alert;
use super::deliver::Outcome;
use super::http::Http;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};
use std::time::{Duration, SystemTime};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// An alert fires at least this long.
const FIRES_MIN: Duration = Duration::from_secs(5 * 60);

/// Sends it once. It fires until `group_interval` has passed twice, so that a group that goes on is one alert.
pub(super) async fn send(http: &mut Http, group_interval: Duration, alert: &Alert) -> Outcome {
    let ends = SystemTime::now() + (group_interval * 2).max(FIRES_MIN);
    match OffsetDateTime::from(ends).format(&Rfc3339) {
        Ok(ends) => http.post(HeaderMap::new(), body(alert, &ends).to_string().into_bytes()).await,
        Err(error) => Outcome::Refused { why: error.to_string() },
    }
}

/// One alert; empty labels and annotations are left out, as the Alertmanager would.
fn body(alert: &Alert, ends: &str) -> Value {
    let lines = match alert.count {
        1 => format!("line {}", alert.seq),
        count => format!("{count} times, lines {} to {}", alert.first_seq, alert.last_seq),
    };
    let mut value = json!([{
        "labels": {
            "alertname": alert.id, "severity": alert.severity, "decision": alert.decision, "host": alert.host,
            "source": alert.source, "sealtail_alert": alert.alert,
        },
        "annotations": {
            "summary": format!("{} on {}: {lines}", alert.title.as_deref().unwrap_or(&alert.id), alert.host),
            "reason": alert.reason, "controls": alert.controls.join(" "), "stream": alert.stream, "seq": alert.seq.to_string(),
            "record": alert.record.to_string(), "count": alert.count.to_string(), "first_seq": alert.first_seq.to_string(),
            "last_seq": alert.last_seq.to_string(), "mixed": alert.mixed.to_string(), "path": alert.path, "message": alert.message,
        },
        "startsAt": alert.time,
        "endsAt": ends,
    }]);
    for set in ["labels", "annotations"] {
        if let Some(texts) = value[0][set].as_object_mut() {
            texts.retain(|_, text| text.as_str().is_some_and(|text| !text.is_empty()));
        }
    }
    value
}

//! Why the receiver doesn't take or give something; each reason has its HTTP status, which tells the agent what to do.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::io;

/// A refusal, with a text for the person who reads the agent's or the receiver's log.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    /// 400: for good; the batch is not one, or doesn't belong where it was sent.
    #[error("{0}")]
    Malformed(String),
    /// 403: this client may not.
    #[error("{0}")]
    Forbidden(String),
    /// 404: no such stream.
    #[error("{0}")]
    NotFound(String),
    /// 409: other bytes are stored for these lines. Somebody's key or disk is in other hands.
    #[error("FORK: {0}")]
    Fork(String),
    /// 408: it came too slowly.
    #[error("{0}")]
    Slow(String),
    /// 413: for good.
    #[error("{0}")]
    TooLarge(String),
    /// 429: the host may send again after so many seconds.
    #[error("{why}")]
    Often { why: String, after_s: u64 },
    /// 503: the receiver can't now.
    #[error("{0}")]
    Later(String),
    /// 507: the receiver's disk is full.
    #[error("{0}")]
    Full(String),
    /// 507: what the host may store is full.
    #[error("{0}")]
    OverQuota(String),
}

/// After how many seconds a client that was told "later" may come again.
const RETRY_AFTER_S: u64 = 5;
/// And one whose host's share is full, which a person has to see to.
const RETRY_QUOTA_AFTER_S: u64 = 60;

impl Refusal {
    /// [`Refusal::Malformed`].
    pub(super) fn malformed(what: impl Into<String>) -> Self {
        Self::Malformed(what.into())
    }

    /// [`Refusal::Later`].
    pub(super) fn later(what: impl Into<String>) -> Self {
        Self::Later(what.into())
    }

    /// What an error of the disk means to the client. The path stays in the receiver's own log.
    pub(super) fn disk(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::Full("the receiver's disk is full; free or add space there".to_owned())
            }
            _ => Self::later("the receiver's disk failed; its log says where"),
        }
    }

    /// Its HTTP status.
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::Malformed(_) => StatusCode::BAD_REQUEST,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::Fork(_) => StatusCode::CONFLICT,
            Self::Slow(_) => StatusCode::REQUEST_TIMEOUT,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Often { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Later(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Full(_) | Self::OverQuota(_) => StatusCode::INSUFFICIENT_STORAGE,
        }
    }

    /// Its name in metrics.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed",
            Self::Forbidden(_) => "forbidden",
            Self::NotFound(_) => "not_found",
            Self::Fork(_) => "fork",
            Self::Slow(_) => "slow",
            Self::TooLarge(_) => "too_large",
            Self::Often { .. } => "rate",
            Self::Later(_) => "busy",
            Self::Full(_) => "disk_full",
            Self::OverQuota(_) => "quota",
        }
    }

    fn retry_after_s(&self) -> Option<u64> {
        match self {
            Self::Often { after_s, .. } => Some(*after_s),
            Self::OverQuota(_) => Some(RETRY_QUOTA_AFTER_S),
            Self::Slow(_) | Self::Later(_) | Self::Full(_) => Some(RETRY_AFTER_S),
            _ => None,
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = Json(serde_json::json!({ "error": self.to_string() }));
        let mut response = (self.status(), body).into_response();
        if let Some(seconds) = self.retry_after_s() {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

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
    /// 413: for good.
    #[error("{0}")]
    TooLarge(String),
    /// 503: the receiver can't now.
    #[error("{0}")]
    Later(String),
    /// 507: the receiver's disk is full.
    #[error("{0}")]
    Full(String),
}

/// After how many seconds a client that was told "later" may come again.
const RETRY_AFTER_SECONDS: &str = "5";

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
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Later(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Full(_) => StatusCode::INSUFFICIENT_STORAGE,
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = Json(serde_json::json!({ "error": self.to_string() }));
        let mut response = (self.status(), body).into_response();
        if matches!(self, Self::Later(_) | Self::Full(_)) {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_SECONDS));
        }
        response
    }
}

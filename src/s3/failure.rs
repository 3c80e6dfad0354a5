//! Why a request failed, and how to mend it.

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStreamError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use std::error::Error;
use std::time::Duration;

/// What came of a request that failed.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The store's own word for it, such as `NoSuchBucket`.
    pub(crate) code: Option<String>,
    /// The status of its answer; none if there was no answer.
    pub(crate) status: Option<u16>,
    /// What went wrong, and how to mend it.
    pub(crate) why: String,
    /// When the store said to come again.
    pub(crate) after: Option<Duration>,
}

impl Failure {
    /// Of a request that was to do `what`.
    pub(crate) fn of<E>(what: &str, error: &SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let raw = error.raw_response();
        let status = raw.map(|raw| raw.status().as_u16());
        let header = |name| raw.and_then(|raw| raw.headers().get(name));
        // an answer to HEAD has no body, and so no word
        let code = error.code().filter(|code| !code.chars().all(|c| c.is_ascii_digit())).map(printable);
        let after = header("retry-after").and_then(|text| text.parse().ok());
        let after = after.map(|seconds: u64| Duration::from_secs(seconds.min(RETRY_AFTER_MAX_S)));
        let said = match (&code, status) {
            (Some(code), _) => match error.message() {
                Some(message) => format!("{code} ({})", printable(message)),
                None => code.clone(),
            },
            (None, Some(status)) => format!("status {status}"),
            (None, None) => causes(error),
        };
        let mend = match &code {
            Some(code) if code == "RequestTimeTooSkewed" => format!(
                "set this host's clock (is NTP running?): the store's says {}",
                header("date").map_or("another time".to_owned(), printable)
            ),
            Some(code) => mend(code).to_owned(),
            None => by_status(status, &said).to_owned(),
        };
        let separator = if mend.is_empty() { "" } else { "; " };
        Self { code, status, why: format!("{what}: {said}{separator}{mend}"), after }
    }

    /// Of an answer that ended too early.
    pub(crate) fn cut_off(what: &str, error: &ByteStreamError) -> Self {
        Self { code: None, status: None, why: format!("{what}: {}", causes(error)), after: None }
    }

    /// Whether the store said this word.
    pub(crate) fn is(&self, code: &str) -> bool {
        self.code.as_deref() == Some(code)
    }

    /// These credentials may not do that, as far as can be told.
    pub(crate) fn is_denied(&self) -> bool {
        self.is("AccessDenied") || self.code.is_none() && self.status == Some(403)
    }

    /// The store does not know what it was asked for.
    pub(crate) fn is_unknown_there(&self) -> bool {
        self.is("NotImplemented")
    }

    /// Whether other credentials may be what it takes: they are looked for anew before the next attempt.
    pub(crate) fn is_of_credentials(&self) -> bool {
        self.status.is_none() || matches!(self.status, Some(400 | 401 | 403))
    }
}

const RETRY_AFTER_MAX_S: u64 = 300;

/// Words of AWS, and of stores that add to them.
fn mend(code: &str) -> &'static str {
    match code {
        "AccessDenied" | "AllAccessDisabled" => {
            "give these credentials the permission (docs/targets.md names those that are needed), and look for a Deny in the bucket's policy"
        }
        "InvalidAccessKeyId" | "SignatureDoesNotMatch" => "give the right access key and secret key",
        "ExpiredToken" | "InvalidToken" | "TokenRefreshRequired" | "RequestExpired" => {
            "renew the session's credentials; they are looked for anew at each attempt"
        }
        "NoSuchBucket" => "make the bucket, with versioning and Object Lock, or mend its name",
        "PermanentRedirect"
        | "TemporaryRedirect"
        | "AuthorizationHeaderMalformed"
        | "IllegalLocationConstraintException" => "set region, or url, to where the bucket is",
        "SlowDown" | "ServiceUnavailable" | "TooManyRequests" | "RequestLimitExceeded" | "ThrottlingException" => {
            "the store is asked for too much; larger batches are fewer requests"
        }
        "InsufficientStorage"
        | "StorageFull"
        | "XMinioStorageFull"
        | "QuotaExceeded"
        | "XMinioAdminBucketQuotaExceeded" => "make room there, or raise the quota",
        "ConditionalRequestConflict" => "another writer of this name was at work at the same moment",
        "NotImplemented" => "the store must know conditional writes (If-None-Match) and Object Lock",
        "InvalidRequest" => "a bucket without Object Lock answers so to an object with retention",
        "BadDigest" | "InvalidDigest" | "XAmzContentChecksumMismatch" => "the bytes were damaged on their way",
        "KeyTooLongError" => "shorten prefix",
        _ => "",
    }
}

fn by_status(status: Option<u16>, said: &str) -> &'static str {
    match status {
        Some(403) => "these credentials may not do that, or are wrong",
        Some(301 | 307) => "set region, or url, to where the bucket is",
        Some(429 | 503) => mend("SlowDown"),
        Some(507) => mend("InsufficientStorage"),
        None if said.contains("redentials") => {
            "give credentials as AWS tools take them: environment, profile, web identity, container or instance, or credentials_file"
        }
        _ => "",
    }
}

/// The innermost causes, since the outer ones say `dispatch failure` and the like.
fn causes(error: &dyn Error) -> String {
    let mut words: Vec<String> = Vec::new();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !words.iter().any(|word| word.contains(&text))
            && !matches!(text.as_str(), "io error" | "other" | "user error")
        {
            words.push(text);
        }
        cause = error.source();
    }
    match words.is_empty() {
        true => error.to_string(),
        false => printable(&words.join(": ")),
    }
}

/// In one line, and not without end.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(500).collect()
}

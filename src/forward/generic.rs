//! The https backend in its generic mode: a request a batch to any server that takes NDJSON.
//!
//! What such a server's word is worth only its operator knows: a 2xx is taken for durable where the configuration says so in as many words.
//! `Idempotency-Key` names the batch, and a server that knows that header stores it once; for any other the URL can (`{name}`). Nothing
//! but 2xx is final, since no other status means the same to all servers: 409 is no fork here.

use super::backend::{Backend, Outcome, Pending, Upload};
use super::http::{self, read_answer, retry_after};
use super::{Error, Format, GenericConfig, tls};
use crate::record::StreamId;
use crate::tls::{explain, said_by};
use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Method, StatusCode};
use std::io::{self, Read};
use std::pin::Pin;
use std::task::{Context, Poll};
use zstd::stream::read::Decoder;

/// What stands between braces in a URL.
pub const PLACEHOLDERS: [&str; 5] = ["host", "stream", "first", "last", "name"];

/// How much of a body is made at once.
const PIECE_BYTES: usize = 64 * 1024;

/// A connection pool to one target.
pub(super) struct Generic {
    host: String,
    config: GenericConfig,
    headers: HeaderMap,
    client: reqwest::Client,
    certificates: tls::Watch,
}

impl Generic {
    pub(super) fn new(name: &str, config: &GenericConfig, host: &str) -> Result<Self, Error> {
        let (certificates, tls) = tls::Watch::load(name, &config.tls, host)?;
        let mut headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"))]);
        if config.format == Format::NdjsonZst {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("zstd"));
        }
        // the operator's own come instead of these
        for (header, value) in &http::headers(&config.url, &config.headers)? {
            headers.insert(header, value.clone());
        }
        let client = http::client(&config.url, tls, config.proxy.as_ref())?;
        Ok(Self { host: host.to_owned(), config: config.clone(), headers, client, certificates })
    }

    fn request(&self, method: Method, [stream, first, last]: [&str; 3]) -> reqwest::RequestBuilder {
        let name = format!("{}/{stream}/{first:0>20}.ndjson.zst", self.host);
        let name = if self.config.format == Format::Ndjson { name.trim_end_matches(".zst") } else { &name };
        let values = [&self.host, stream, first, last, name];
        let url = PLACEHOLDERS.iter().zip(values).fold(self.config.url.clone(), |url, (placeholder, value)| {
            url.replace(&format!("{{{placeholder}}}"), value)
        });
        self.client.request(method, url)
    }

    async fn send(&self, upload: &Upload) -> Outcome {
        let (body, size) = match self.body(upload) {
            Ok(body) => body,
            Err(error) => return Outcome::Later { why: format!("the spooled batch is damaged: {error}"), after: None },
        };
        let (stream, [first, last]) = (upload.batch.stream.to_string(), upload.batch.seq.map(|seq| seq.to_string()));
        let request = self
            .request(self.config.method.clone(), [&stream, &first, &last])
            .header("Idempotency-Key", format!("{}/{stream}/{first}", self.host))
            .headers(self.headers.clone())
            .timeout(http::time_for(size))
            .body(body);
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) => return Outcome::Later { why: explain(error), after: None },
        };
        let (status, after) = (response.status(), retry_after(response.headers()));
        // a status is not believed before its answer has come whole
        match read_answer(response, http::ANSWER_MAX_BYTES).await {
            Ok(_) if status.is_success() => Outcome::Stored(None),
            Ok(said) => Outcome::Later { why: format!("{status}: {}", said_by(&self.config.url, &said)), after },
            Err(error) => Outcome::Later { why: explain(error), after },
        }
    }

    /// A request's body and its size.
    fn body(&self, upload: &Upload) -> io::Result<(reqwest::Body, u64)> {
        match self.config.format {
            Format::NdjsonZst => Ok((upload.bytes.clone().into(), upload.bytes.len() as u64)),
            Format::Ndjson => {
                // counted first: many servers want to know, and a damaged batch is found before anything is sent
                let size = io::copy(&mut Decoder::with_buffer(&upload.bytes[..])?, &mut io::sink())?;
                let decoder = Decoder::with_buffer(io::Cursor::new(upload.bytes.clone()))?;
                Ok((reqwest::Body::wrap(Lines { decoder, left: size }), size))
            }
        }
    }

    /// Whether somebody is there who lets us in; only a batch would tell more.
    async fn ask(&self) -> Result<(), String> {
        let request = self.request(Method::OPTIONS, [&StreamId([0; 16]).to_string(), "0", "0"]);
        let response =
            request.headers(self.headers.clone()).timeout(http::time_for(0)).send().await.map_err(explain)?;
        match response.status() {
            status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
                Err(format!("{status}; are headers and tls right?"))
            }
            _ => Ok(()),
        }
    }
}

impl Backend for Generic {
    fn store<'a>(&'a mut self, upload: &'a Upload) -> Pending<'a, Outcome> {
        Box::pin(self.send(upload))
    }

    fn probe(&mut self) -> Pending<'_, Result<(), String>> {
        Box::pin(self.ask())
    }

    fn reload(&mut self) {
        let make = |tls| http::client(&self.config.url, tls, self.config.proxy.as_ref());
        self.certificates.renew(&mut self.client, make);
    }
}

/// A batch's lines, decompressed as they are sent: all of them at once could be any size.
struct Lines {
    decoder: Decoder<'static, io::Cursor<Bytes>>,
    left: u64,
}

impl Body for Lines {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let mut piece = vec![0; PIECE_BYTES];
        Poll::Ready(match self.decoder.read(&mut piece) {
            Ok(0) => None,
            Ok(read) => {
                piece.truncate(read);
                self.left = self.left.saturating_sub(read as u64);
                Some(Ok(Frame::data(piece.into())))
            }
            Err(error) => Some(Err(error)),
        })
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

//! A server that is told of alerts.

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde_json::Value;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

use crate::world::PATIENCE;

/// One request.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) at: Instant,
    pub(super) path: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Call {
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }
}

/// What is answered next; afterwards 200.
#[derive(Clone, Copy)]
pub(super) enum Answer {
    Status(u16),
    RetryAfter(u16, u64),
    /// Nothing, for so long.
    Silence(Duration),
}

#[derive(Default)]
struct Heard {
    calls: Mutex<Vec<Call>>,
    came: Condvar,
    answers: Mutex<VecDeque<Answer>>,
}

pub(super) struct Hook {
    heard: Arc<Heard>,
    pub(super) address: SocketAddr,
    _runtime: Runtime,
}

impl Hook {
    pub(super) fn start() -> Self {
        Self::answering([])
    }

    /// One at an address that was free a moment ago.
    pub(super) fn at(address: SocketAddr) -> Self {
        Self::listening(address, [])
    }

    pub(super) fn answering(answers: impl IntoIterator<Item = Answer>) -> Self {
        Self::listening(([127, 0, 0, 1], 0).into(), answers)
    }

    fn listening(address: SocketAddr, answers: impl IntoIterator<Item = Answer>) -> Self {
        let runtime = Runtime::new().unwrap();
        let heard = Arc::new(Heard { answers: Mutex::new(answers.into_iter().collect()), ..Heard::default() });
        let listener = runtime.block_on(tokio::net::TcpListener::bind(address)).unwrap();
        let address = listener.local_addr().unwrap();
        let routes = Router::new().fallback(hear).with_state(Arc::clone(&heard));
        runtime.spawn(async move { axum::serve(listener, routes).await });
        Self { heard, address, _runtime: runtime }
    }

    /// A `[[alert]]` that tells this server of denied lines.
    pub(super) fn webhook(&self, more: &str) -> String {
        let url = format!("http://{}/hook", self.address);
        format!(
            "[[alert]]\nname = \"oncall\"\ntype = \"webhook\"\nurl = \"{url}\"\nsecret = \"s3cret\"\ndecision = \"deny\"\n{more}\n"
        )
    }

    pub(super) fn calls(&self) -> Vec<Call> {
        self.heard.calls.lock().unwrap().clone()
    }

    /// Awaits so many calls.
    pub(super) fn await_calls(&self, count: usize) -> Vec<Call> {
        let calls = self.heard.calls.lock().unwrap();
        let (calls, over) = self.heard.came.wait_timeout_while(calls, PATIENCE, |calls| calls.len() < count).unwrap();
        assert!(!over.timed_out(), "{count} calls never came: {calls:#?}");
        calls.clone()
    }
}

async fn hear(
    State(heard): State<Arc<Heard>>,
    uri: axum::http::Uri,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, HeaderMap, &'static str) {
    let call = Call { at: Instant::now(), path: uri.path().to_owned(), headers, body: body.to_vec() };
    heard.calls.lock().unwrap().push(call);
    heard.came.notify_all();
    let answer = heard.answers.lock().unwrap().pop_front();
    let mut headers = HeaderMap::new();
    let status = match answer {
        None => 200,
        Some(Answer::Status(status)) => status,
        Some(Answer::RetryAfter(status, seconds)) => {
            headers.insert("retry-after", seconds.into());
            status
        }
        Some(Answer::Silence(time)) => {
            tokio::time::sleep(time).await;
            200
        }
    };
    (StatusCode::from_u16(status).unwrap(), headers, "{}")
}

//! `/metrics` over plain HTTP, for a scraper on the same machine or in the same pod.

use axum::Router;
use axum::http::header;
use axum::routing::get;
use std::io;
use std::net::SocketAddr;
use tokio::net::TcpListener;

/// Media type of Prometheus' text format.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Listens, and answers from a task of its own as long as the runtime lives.
pub async fn serve(
    address: SocketAddr,
    metrics: impl Fn() -> String + Clone + Send + Sync + 'static,
) -> io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    let answer = move || {
        let text = metrics();
        async move { ([(header::CONTENT_TYPE, TEXT)], text) }
    };
    let routes = Router::new().route("/metrics", get(answer));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    Ok(())
}

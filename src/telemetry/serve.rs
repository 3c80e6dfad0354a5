//! `/metrics`, `/healthz` and `/readyz` over plain HTTP, for a scraper on the same machine or in the same pod.

use super::health::{self, Health};
use super::off_thread::Source;
use super::status::Status;
use super::{metrics, text};
use axum::Json;
use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use std::io;
use std::net::SocketAddr;
use tokio::net::TcpListener;

/// Serves metrics alone; answers from a task of its own as long as the runtime lives.
pub async fn serve(
    address: SocketAddr,
    metrics: impl Fn() -> String + Clone + Send + Sync + 'static,
) -> io::Result<()> {
    let answer = move || std::future::ready(page(metrics()));
    listen(address, Router::new().route("/metrics", get(answer))).await
}

/// Serves what an agent's status says, as long as the runtime lives.
pub async fn serve_agent(address: SocketAddr, status: impl Fn() -> Status + Send + Sync + 'static) -> io::Result<()> {
    let source = Source::new(status);
    let metrics = |source: Source| async move {
        match source.ask().await {
            Some(status) => page(metrics::render(&status)),
            None => told(&Health::silent()),
        }
    };
    let probe = |source: Source, of: fn(&Status) -> Health| async move {
        told(&source.ask().await.map_or_else(Health::silent, |status| of(&status)))
    };
    let (scraped, alive) = (source.clone(), source.clone());
    let routes = Router::new()
        .route("/metrics", get(move || metrics(scraped.clone())))
        .route("/healthz", get(move || probe(alive.clone(), health::alive)))
        .route("/readyz", get(move || probe(source.clone(), health::ready)));
    listen(address, routes).await
}

async fn listen(address: SocketAddr, routes: Router) -> io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    tokio::spawn(async move { axum::serve(listener, routes).await });
    Ok(())
}

fn page(text: String) -> Response {
    ([(header::CONTENT_TYPE, text::MEDIA_TYPE)], text).into_response()
}

fn told(health: &Health) -> Response {
    let code = if health.ok { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, Json(health)).into_response()
}

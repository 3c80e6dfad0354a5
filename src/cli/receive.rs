//! `sealtail receive`: the embedded append-only store, in the foreground.

use crate::receive::{Config, Error, Server};
use std::io;
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};

/// Runs the receiver until SIGTERM or SIGINT; failure, with the reason on standard error, if it can't start.
pub fn serve(config: &Config) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("sealtail receive: cannot start threads: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(run(config)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sealtail receive: {error}");
            ExitCode::FAILURE
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Receive(#[from] Error),
    #[error("cannot listen for signals: {0}")]
    Signals(#[from] io::Error),
}

async fn run(config: &Config) -> Result<(), Failure> {
    // before anything is taken, so that no signal is missed and the end is always an orderly one
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping; requests in flight have 10 seconds");
    };
    let server = Server::bind(config).await?;
    tracing::info!(address = %server.local_addr(), dir = %config.dir.display(), "receiving");
    Ok(server.run(stop).await?)
}

//! `sealtail receive`: the embedded append-only store, in the foreground.

use super::{service, stop};
use crate::config::Config;
use crate::hardening;
use crate::receive::{self, Server};
use crate::service::Manager;
use crate::telemetry;
use clap::Args;
use std::path::PathBuf;
use std::process::ExitCode;

/// Run the embedded append-only store behind mTLS, until SIGTERM or Ctrl-C
///
/// Takes batches from hosts whose client certificate names them, checks that each goes on where the stream stood, makes it
/// durable, and answers with a signed receipt. It has no way to change or delete what it stored. Certificates and the trust
/// file are read again when they change, and at once on SIGHUP.
#[derive(Debug, Args)]
pub struct ReceiveArgs {
    /// The configuration; its [receive] is what counts here
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

/// Runs the command.
pub fn run(args: &ReceiveArgs) -> ExitCode {
    let config = match Config::load(&args.config) {
        Ok(config) => config,
        Err(faults) => return super::fail(&faults),
    };
    telemetry::start(&config.telemetry.log);
    let (Some(receive), Some(needs)) = (&config.receive, config.receiver_needs()) else {
        return super::fail(&[format!("{}: `sealtail receive` needs a [receive] table", args.config.display())]);
    };
    let prepared = receive::prepare(receive).map_err(|e| e.to_string());
    let confined = match prepared.and_then(|()| hardening::confine(&config.hardening, &needs)) {
        Ok(confined) => confined,
        Err(why) => return super::fail(&[why]),
    };
    let result = super::runtime().and_then(|runtime| {
        runtime.block_on(async {
            // before anything is taken, so that no signal is missed and the end is always an orderly one
            let manager = Manager::from_environment();
            let stopping = manager.clone();
            let stop =
                stop::on_signal(move || stopping.stopping()).map_err(|e| format!("cannot wait for signals: {e}"))?;
            let server = Server::bind(receive).await.map_err(|e| e.to_string())?;
            // where one file configures both, the address is the agent's
            if let Some(address) = config.telemetry.listen.filter(|_| config.agent.is_none()) {
                let (metrics, guards) = (server.metrics(), telemetry::metrics::guards(&confined.guards()));
                let served = telemetry::serve(address, move || metrics() + &guards).await;
                served
                    .map_err(|e| format!("[telemetry] listen: cannot listen on {address}: {e}; choose another port"))?;
            }
            let (reload, pulse) = (server.reload_handle(), server.pulse());
            let ask = move || {
                let reload = reload.clone();
                async move { reload.ask().await }
            };
            service::reload_on_hangup(&manager, ask).map_err(|e| format!("cannot wait for signals: {e}"))?;
            let status = format!("receiving on {}", server.local_addr());
            let threads = move || vec![("server", pulse.clone())];
            service::watch(&manager, std::future::ready(()), threads, move || status.clone());
            tracing::info!(address = %server.local_addr(), dir = %receive.dir.display(), "receiving");
            server.run(stop.come()).await.map_err(|e| e.to_string())
        })
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => super::fail(&[error]),
    }
}

//! `sealtail run`: the agent in the foreground.

use super::{service, stop};
use crate::agent::{Agent, Options};
use crate::chain::memory;
use crate::config::{self, Config};
use crate::durable::{Disk, create_dir_all};
use crate::hardening::{self, Confined, Needs};
use crate::service::Manager;
use crate::telemetry::{self, socket};
use clap::Args;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Run the agent in the foreground, until SIGTERM or Ctrl-C
///
/// Reads the configured sources, labels, chains, spools and ships each line. On a stop it closes the stream and gives the
/// targets some time ([spool] drain_timeout) to store what is spooled; what they don't take is sent at the next start. A
/// second signal ends that wait. On SIGUSR1 it says in its log what each source is doing; on SIGHUP it reads its
/// configuration and policies again, and policies also when their files change.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// The configuration; `sealtail check` tells what is wrong with it
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Read to the end of what is there, wait until every required target has it, and stop
    #[arg(long)]
    once: bool,
}

/// Runs the command.
pub fn run(args: &RunArgs) -> ExitCode {
    memory::keep_less();
    let config = match Config::load(&args.config) {
        Ok(config) => config,
        Err(faults) => return super::fail(&faults),
    };
    telemetry::start(&config.telemetry.log);
    let (Some(agent), Some(needs)) = (&config.agent, config.agent_needs(&args.config)) else {
        let what =
            "this file configures a receiver only; `sealtail run` needs [host], [auditors], [[source]] and [[target]]";
        return super::fail(&[format!("{}: {what}", args.config.display())]);
    };
    let confined = match confine(&config, agent, needs) {
        Ok(confined) => confined,
        Err(why) => return super::fail(&[why]),
    };
    let own = config.receive.iter().map(|receive| receive.dir.clone()).collect();
    let options = Options { once: args.once, own };
    let result = super::runtime().and_then(|runtime| {
        runtime.block_on(async {
            let agent = Agent::new(agent, config.digest).await.map_err(|e| e.to_string())?;
            let agent = agent.reloadable(args.config.clone(), &config, confined);
            if let Some(address) = config.telemetry.listen {
                let board = agent.board();
                let served = telemetry::serve_agent(address, move || board.look()).await;
                served
                    .map_err(|e| format!("[telemetry] listen: cannot listen on {address}: {e}; choose another port"))?;
            }
            let _socket = listen(&config, &agent);
            let board = agent.board();
            stop::on_ask(move || board.log()).map_err(|e| format!("cannot wait for signals: {e}"))?;
            let (manager, reload) = (Manager::from_environment(), agent.reload());
            let ask = move || {
                let reload = reload.clone();
                async move { reload.ask().await }
            };
            service::reload_on_hangup(&manager, ask).map_err(|e| format!("cannot wait for signals: {e}"))?;
            let [threads, status] = [(); 2].map(|()| agent.board());
            service::watch(&manager, agent.board().ready(), move || threads.threads(), move || status.status());
            let stop =
                stop::on_signal(move || manager.stopping()).map_err(|e| format!("cannot wait for signals: {e}"))?;
            agent.run(&options, &stop.stop, |_| {}).await.map_err(|e| e.to_string())
        })
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => super::fail(&[error]),
    }
}

/// Gives up what the agent has no need for.
fn confine(config: &Config, agent: &config::Agent, mut needs: Needs) -> Result<Confined, String> {
    // a first start makes the spool's folder, and can't once all around it is out of reach; what is wrong with it is said later
    let _: Result<(), _> = create_dir_all(&Disk, &agent.spool.dir, 0o700);
    let socket = socket::place(config.telemetry.socket.as_deref(), &agent.spool.dir);
    needs.places.write.extend(socket.parent().map(Path::to_owned));
    hardening::confine(&config.hardening, &needs)
}

/// The socket for `status` and `top`. Without it lines are shipped all the same.
pub(super) fn listen(config: &Config, agent: &Agent) -> Option<socket::Listening> {
    let spool = &config.agent.as_ref()?.spool.dir;
    let path = socket::place(config.telemetry.socket.as_deref(), spool);
    let board = agent.board();
    // a first start makes the spool's folder only later
    let folder = if path.starts_with(spool) { create_dir_all(&Disk, spool, 0o700) } else { Ok(()) };
    let listening = folder.and_then(|()| socket::listen(&path, move || board.look()));
    if let Err(error) = &listening {
        let mend = "name another place with [telemetry] socket";
        tracing::warn!(path = %path.display(), %error, "`sealtail status` and `sealtail top` can't ask this agent; {mend}");
    }
    listening.ok()
}

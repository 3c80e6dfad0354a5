//! Certificates, names, targets.

use super::{Finding, State};
use crate::config::Agent;
use crate::forward;
use crate::tls::Expiry;
use std::net::ToSocketAddrs;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What answers at all does so sooner.
const PATIENCE: Duration = Duration::from_secs(15);

const MEND_REACH: &str = "see whether it runs there, and what a firewall on the way does";

/// Everything of every target. What makes certificates unusable is among the faults of the configuration.
pub(super) fn examine(agent: &Agent, offline: bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    for target in &agent.targets {
        let expiries = target.kind.tls().map(|tls| tls.expiries()).unwrap_or_default();
        findings.extend(expiries.iter().map(expiry));
        if offline {
            findings.push(Finding::skip("target", format!("{:?} was not asked", target.name)));
            continue;
        }
        let reached = reach(target, &agent.host.name);
        match name(&target.kind.place()) {
            // behind a proxy this machine need not know the name
            Some(Err(fault)) if reached.state != State::Ok => findings.push(fault),
            Some(Ok(resolved)) => findings.extend([resolved, reached]),
            _ => findings.push(reached),
        }
    }
    findings
}

fn expiry(expiry: &Expiry) -> Finding {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let now = i64::try_from(now).unwrap_or(i64::MAX);
    let days = (expiry.until_unix_s - now) / 86_400;
    let file = expiry.file.display();
    match (expiry.is_near(now), expiry.is_crl) {
        (true, true) => Finding::warn(
            "certificates",
            format!("{file} is overdue: what was revoked since is let in"),
            "fetch a newer list from the authority",
        ),
        (true, false) => Finding::warn(
            "certificates",
            format!("{file} is good for {days} more days"),
            "renew it; a running agent takes up the new one",
        ),
        (false, _) => Finding::ok("certificates", format!("{file} is good for {days} more days")),
    }
}

/// Whether the name of a URL has an address; nothing of what has no name.
fn name(place: &str) -> Option<Result<Finding, Finding>> {
    let url = reqwest::Url::parse(place).ok()?;
    let (host, port) = (url.host_str()?.trim_matches(['[', ']']).to_owned(), url.port_or_known_default()?);
    let resolved = (host.as_str(), port).to_socket_addrs();
    Some(match resolved {
        Ok(addresses) => {
            let addresses: Vec<String> = addresses.map(|address| address.ip().to_string()).collect();
            Ok(Finding::ok("dns", format!("{host} is {}", addresses.join(", "))))
        }
        Err(error) => Err(Finding::fail(
            "dns",
            format!("{host} has no address: {error}"),
            "mend the url, /etc/resolv.conf or /etc/hosts",
        )),
    })
}

fn reach(target: &forward::Config, host: &str) -> Finding {
    let probe = async { tokio::time::timeout(PATIENCE, forward::probe(target, host)).await };
    let probed = crate::cli::runtime().map(|runtime| runtime.block_on(probe));
    let (name, place) = (&target.name, target.kind.place());
    match probed {
        Ok(Ok(Ok(()))) => Finding::ok("target", format!("{name:?} at {place} would take this host's lines")),
        Ok(Ok(Err(error))) => Finding::fault("target", &format!("{name:?}: {error}"), MEND_REACH),
        Ok(Err(_)) => Finding::fail(
            "target",
            format!("{name:?} at {place} gave no answer within {} s", PATIENCE.as_secs()),
            MEND_REACH,
        ),
        Err(error) => Finding::fail("target", error, "see the limits of processes and descriptors"),
    }
}

//! Whether an agent is well, by its [`Status`]: the answers of `/healthz` and `/readyz`, and the problems that `status` lists.

use super::status::{Problem, State, Status};
use serde::Serialize;

/// So long a thread may be at one step: far beyond any evaluation, which 500 ms end, and beyond a slow disk's sync.
const STUCK_S: f64 = 30.0;
/// After so many failed attempts one after another a target is a problem; fewer are a restart of it.
const FAILURES: u64 = 3;

/// An answer, part by part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Health {
    /// Whether all parts are well.
    pub ok: bool,
    /// The parts.
    pub parts: Vec<Part>,
}

/// A part of an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Part {
    /// Its name.
    pub part: &'static str,
    /// Whether it is well.
    pub ok: bool,
    /// What is wrong, if it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

impl Health {
    fn of(parts: Vec<(&'static str, Option<String>)>) -> Self {
        let parts: Vec<Part> = parts.into_iter().map(|(part, why)| Part { part, ok: why.is_none(), why }).collect();
        Self { ok: parts.iter().all(|part| part.ok), parts }
    }

    /// Nothing was heard of the agent.
    pub fn silent() -> Self {
        Self::of(vec![("agent", Some("it does not answer; its disk may hang".to_owned()))])
    }
}

/// `/healthz`: the line's threads get on, and the spool can be written to. What a restart may mend, and nothing else: no target that is
/// away, no full spool.
pub fn alive(status: &Status) -> Health {
    Health::of(vec![("line", line(status)), ("spool", spool(status))])
}

/// `/readyz`: lines that are written now will be chained: the genesis line is durable, the sources are open, the spool has room.
pub fn ready(status: &Status) -> Health {
    let genesis = match status.state {
        State::Draining => Some("the agent is stopping".to_owned()),
        State::Recovering => Some("the stream was abandoned; another begins soon".to_owned()),
        State::Starting | State::Running => {
            (!status.chain.is_durable).then(|| "the genesis line of the stream is not durable yet".to_owned())
        }
    };
    Health::of(vec![("genesis", genesis), ("sources", sources(status)), ("room", room(status))])
}

/// Everything that is not as it should be.
pub fn problems(status: &Status) -> Vec<Problem> {
    let mut found = Vec::new();
    let mut tell = |part: String, what: String| found.push(Problem { part, what });
    for health in [alive(status), ready(status)] {
        for part in health.parts.into_iter().filter(|part| part.part != "sources") {
            part.why.into_iter().for_each(|why| tell(part.part.to_owned(), why));
        }
    }
    for source in &status.sources {
        if let Some(why) = closed(source) {
            tell(format!("source {}", source.name), why);
        }
    }
    for target in &status.targets {
        if target.failures >= FAILURES {
            let why = target.last_error.as_ref().map_or("no attempt succeeds", |error| &error.what);
            tell(format!("target {}", target.name), format!("cannot deliver, the spool holds the lines: {why}"));
        }
        if target.refusals > 0 {
            let what = format!("refused {} for good; see quarantine/ in the spool", target.refusals);
            tell(format!("target {}", target.name), what);
        }
    }
    for certificate in status.certificates.iter().filter(|certificate| certificate.is_near) {
        let is_over = (certificate.until_unix_s as f64) < status.now_unix_s;
        let what = match (certificate.is_crl, is_over) {
            (true, _) => "is overdue",
            (false, true) => "has expired",
            (false, false) => "expires soon",
        };
        tell(format!("target {}", certificate.target), format!("{} {what}; renew it", certificate.file));
    }
    for alert in status.alerts.iter().filter(|alert| alert.failed > 0) {
        tell(format!("alert {}", alert.name), format!("{} notifications were given up", alert.failed));
    }
    found
}

fn line(status: &Status) -> Option<String> {
    let stuck = status.threads.iter().find(|thread| thread.stuck_s >= STUCK_S)?;
    Some(format!("the {} thread does not get on with its work, for {:.0} s now", stuck.name, stuck.stuck_s))
}

fn spool(status: &Status) -> Option<String> {
    match (&status.spool.failed, status.spool.is_writable) {
        (Some(failed), _) => Some(failed.clone()),
        (None, false) => Some(format!("{} cannot be written to", status.spool.dir)),
        (None, true) => None,
    }
}

fn room(status: &Status) -> Option<String> {
    let what = "the spool is full: reading stops until a required target takes lines";
    status.spool.is_full.then(|| what.to_owned())
}

fn sources(status: &Status) -> Option<String> {
    status.sources.iter().find_map(|source| Some(format!("{}: {}", source.name, closed(source)?)))
}

fn closed(source: &super::status::Source) -> Option<String> {
    match (&source.failed, source.is_open) {
        (Some(why), _) => Some(why.clone()),
        (None, false) => Some("is not read".to_owned()),
        (None, true) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::status::{Certificate, Chain, Failure, Source, Spool, Target, Thread};
    use super::*;

    fn well() -> Status {
        Status {
            state: State::Running,
            now_unix_s: 1000.0,
            chain: Chain { is_durable: true, ..Chain::default() },
            sources: vec![Source { name: "app".into(), is_open: true, ..Source::default() }],
            spool: Spool { dir: "/spool".into(), is_writable: true, ..Spool::default() },
            targets: vec![Target { name: "archive".into(), ..Target::default() }],
            threads: vec![Thread { name: "chain".into(), stuck_s: 0.0 }],
            ..Status::default()
        }
    }

    /// What is told of an agent that is well but for one thing: alive, ready, its first problem.
    fn but(change: impl FnOnce(&mut Status)) -> (bool, bool, String) {
        let mut status = well();
        change(&mut status);
        let first = problems(&status).into_iter().next();
        let told = first.map(|problem| format!("{}: {}", problem.part, problem.what)).unwrap_or_default();
        (alive(&status).ok, ready(&status).ok, told)
    }

    #[test]
    fn nothing_is_told_of_one_that_is_well() {
        assert_eq!(but(|_| {}), (true, true, String::new()));
        // a busy thread is not a stuck one, nor two failed attempts a dead target
        assert_eq!(but(|status| status.threads[0].stuck_s = 29.0), (true, true, String::new()));
        assert_eq!(but(|status| status.targets[0].failures = 2), (true, true, String::new()));
    }

    #[test]
    fn each_fault_is_told_where_it_belongs() {
        type Fault = (fn(&mut Status), bool, bool, &'static str);
        let faults: [Fault; 10] = [
            (|s| s.threads[0].stuck_s = 31.0, false, true, "line: the chain thread does not get on"),
            (|s| s.spool.failed = Some("EIO".into()), false, true, "spool: EIO"),
            (|s| s.spool.is_writable = false, false, true, "spool: /spool cannot be written to"),
            (|s| s.spool.is_full = true, true, false, "room: the spool is full"),
            (|s| s.chain.is_durable = false, true, false, "genesis: the genesis line"),
            (|s| s.state = State::Recovering, true, false, "genesis: the stream was abandoned"),
            (|s| s.sources[0].failed = Some("EACCES".into()), true, false, "source app: EACCES"),
            (|s| s.sources[0].is_open = false, true, false, "source app: is not read"),
            (
                |s| {
                    s.targets[0].failures = 3;
                    s.targets[0].last_error = Some(Failure { unix_s: 1.0, what: "refused".into() });
                },
                true,
                true,
                "target archive: cannot deliver, the spool holds the lines: refused",
            ),
            (|s| s.targets[0].refusals = 1, true, true, "target archive: refused 1 for good"),
        ];
        for (fault, is_alive, is_ready, told) in faults {
            let (alive, ready, first) = but(fault);
            assert_eq!((alive, ready), (is_alive, is_ready), "{told}");
            assert!(first.starts_with(told), "{first} is not {told}");
        }
        for (until_unix_s, is_crl, told) in
            [(1001, false, "expires soon"), (999, false, "has expired"), (999, true, "is overdue")]
        {
            let (target, file) = ("archive".to_owned(), "x.pem".to_owned());
            let of = Certificate { target, file, is_crl, until_unix_s, is_near: true };
            assert!(but(|status| status.certificates.push(of)).2.contains(told), "{told}");
        }
    }
}

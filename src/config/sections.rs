//! The tables of the file, put together into one configuration.

use super::document::Place;
use super::table::{Table, Text};
use super::{Agent, Config, Host, Targets, Telemetry, alerting, bundle, receive, source, target};
use crate::chain::erasure::KEYS_MAX;
use crate::record::is_name;
use crate::{chain, hardening, policy, spool};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const TIB: u64 = 1 << 40;
const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What names hosts, sources and targets.
const NAME_RULE: &str = "use 1 to 64 of A-Z a-z 0-9 . _ -, the first no dot";

/// Any of these makes the file an agent's, which needs most of them.
const AGENT_TABLES: [&str; 10] =
    ["host", "auditors", "source", "policy", "chain", "spool", "target", "alert", "erasure", "resources"];

/// The whole file. Everything is read before anything is given up, so that every fault is found.
pub(super) fn config(root: Table<'_>, digest: [u8; 32]) -> Option<Config> {
    let is_agent = root.holds(&AGENT_TABLES);
    let is_receiver = root.holds(&["receive"]);
    if !is_agent && !is_receiver {
        root.place.fault("neither an agent nor a receiver", "add [host], [[source]] and the rest, or [receive]");
    }
    let agent = is_agent.then(|| agent(&root));
    let receive = root.table("receive");
    let receive_dir = Place { key: "dir".to_owned(), ..receive.place.clone() };
    let receive = is_receiver.then(|| receive::config(receive));
    let telemetry = telemetry(root.table("telemetry"));
    let hardening = hardening(root.table("hardening"));
    root.finish();
    // an absent part is fine, one at fault is not
    let agent = agent.map_or(Some(None), |read| read.map(Some))?;
    let receive = receive.map_or(Some(None), |read| read.map(Some))?;
    if let (Some(agent), Some(receive)) = (&agent, &receive)
        && overlap(&agent.spool.dir, &receive.dir)
    {
        receive_dir.fault("the archive and the spool are in one another", "give each a folder of its own");
    }
    Some(Config { digest, agent, receive, telemetry: telemetry?, hardening: hardening? })
}

/// The targets alone, and whose certificate they are asked with; the rest of the file is not looked at.
pub(super) fn targets(root: &Table<'_>) -> Option<Targets> {
    let host = host_name(&root.table("host"));
    let targets = root.tables("target", "say what to save from, with [[target]] and type = \"nats\"");
    // what a target may lack of a spool does not matter here
    let targets = target::configs(targets, GIB);
    Some(Targets { host: host?, targets: targets? })
}

/// The names of a list of tables, each given once.
#[derive(Default)]
pub(super) struct Names {
    lines: HashMap<String, usize>,
}

impl Names {
    /// The `name` of a table, or else the default.
    pub(super) fn claim<'t>(&mut self, table: &Table<'t>, default: Option<&str>) -> Option<String> {
        let mut place = table.place.clone();
        let read = |text: Text<'t>| {
            place = text.place.clone();
            name(text)
        };
        let name = match default {
            Some(default) => table.optional("name", read)?.unwrap_or_else(|| default.to_owned()),
            None => table.required("name", "give it a name, such as name = \"archive\"", read)?,
        };
        match self.lines.insert(name.clone(), place.line()) {
            None => Some(name),
            Some(line) => {
                place.fault(format!("the one on line {line} has this name too"), "give each a name of its own");
                None
            }
        }
    }
}

fn agent(root: &Table<'_>) -> Option<Agent> {
    let host = host(root.table("host"));
    let recipients = recipients(root.table("auditors"));
    let sources = source::configs(root.tables("source", "say what to read, with [[source]] and type = \"file\""));
    let erasure = erasure(root.table("erasure"));
    let policy = policy(root.table("policy"));
    let chain = chain(root.table("chain"));
    let spool = spool(root.table("spool"));
    let spool_bytes = spool.as_ref().map_or(GIB, |spool| spool.max_size_bytes);
    let targets = root.tables("target", "say where lines go, with [[target]] and type = \"https\"");
    let targets = target::configs(targets, spool_bytes);
    let alerts = alerting::configs(root.tables_if_any("alert"));
    let memory_bytes = resources(root.table("resources"));
    let (mut policy, spool) = (policy?, spool?);
    if let Some(bundle) = &mut policy.bundle {
        // no host has a name that begins with a dot
        bundle.kept_in = spool.dir.join(".policy");
    }
    Some(Agent {
        host: host?,
        recipients: recipients?,
        sources: sources?,
        policy,
        erasure: erasure?,
        chain: chain?,
        spool,
        targets: targets?,
        alerts: alerts?,
        memory_bytes: memory_bytes?,
    })
}

fn host_name(table: &Table<'_>) -> Option<String> {
    match table.optional("name", name) {
        Some(None) => machine_name(&table.place),
        given => given.flatten(),
    }
}

fn host(table: Table<'_>) -> Option<Host> {
    let name = host_name(&table);
    let key = table.required("key", "make one with `sealtail keys host --out host.key` and name it here", |text| {
        if text.value == "client-certificate" {
            return text.fault("not in this version yet", "make a key with `sealtail keys host` and name its file");
        }
        text.into_path()
    });
    table.finish();
    Some(Host { name: name?, key: key? })
}

fn name(text: Text<'_>) -> Option<String> {
    if is_name(&text.value) { Some(text.value) } else { text.fault("cannot be a name", NAME_RULE) }
}

/// What the machine calls itself.
fn machine_name(host: &Place<'_>) -> Option<String> {
    let machine = rustix::system::uname();
    let name = machine.nodename().to_string_lossy().into_owned();
    if is_name(&name) {
        return Some(name);
    }
    let place = Place { key: "name".to_owned(), ..host.clone() };
    place.fault(format!("missing, and this machine's own, {name:?}, cannot be one"), format!("set it: {NAME_RULE}"));
    None
}

fn recipients(table: Table<'_>) -> Option<Vec<age::x25519::Recipient>> {
    const MEND: &str = "make an identity with `sealtail keys auditor` and list its public half, age1…";
    let mut seen = Vec::new();
    let recipients = table.required_public_list("recipients", MEND, |text| {
        if text.value.to_ascii_uppercase().starts_with("AGE-SECRET-KEY-") {
            // never quoted, not even as it stands
            text.place.fault("this is a secret identity, and a host must not hold one", "list its public half, age1…");
            return None;
        }
        match text.value.parse::<age::x25519::Recipient>() {
            Ok(recipient) if seen.contains(&recipient) => text.fault("listed twice", "take one of them out"),
            Ok(recipient) => {
                seen.push(recipient.clone());
                Some(recipient)
            }
            Err(error) => text.fault(&format!("no age X25519 recipient ({})", text.detail(error)), MEND),
        }
    });
    table.finish();
    recipients
}

fn erasure(table: Table<'_>) -> Option<Vec<PathBuf>> {
    let mut seen = 0;
    let keys = table.list("keys", |text| {
        seen += 1;
        match seen > KEYS_MAX {
            true => text.fault("more keys than a stream can name", "name 16 at most"),
            false => text.into_path(),
        }
    });
    table.finish();
    keys
}

fn policy(table: Table<'_>) -> Option<policy::Config> {
    let paths = table.list("paths", Text::into_path);
    let max_instructions = table.integer("max_instructions", 100_000, 1..=1_000_000_000);
    let (verify, bundle) = (bundle::verify(&table), bundle::remote(&table));
    let on_undecided = table.optional("on_undecided", |text| text.word(&["ship", "withhold"], &[]));
    table.finish();
    let withhold_undecided = on_undecided?.is_some_and(|word| word == "withhold");
    let (paths, max_instructions) = (paths?, max_instructions?);
    Some(policy::Config { paths, max_instructions, withhold_undecided, verify: verify?, bundle: bundle? })
}

fn chain(table: Table<'_>) -> Option<chain::Config> {
    let flush_interval = table.duration("flush_interval", Duration::from_secs(1), Duration::from_millis(10)..=MINUTE);
    // far beyond any use, and far from where sums of times overflow
    let max_stream_age = table.duration("max_stream_age", DAY, MINUTE..=365 * DAY);
    table.finish();
    Some(chain::Config { flush_interval: flush_interval?, max_stream_age: max_stream_age? })
}

fn spool(table: Table<'_>) -> Option<spool::Config> {
    let dir = table.required("dir", "name a folder for it, such as \"/var/lib/sealtail/spool\"", Text::into_path);
    let max_size_bytes = table.size("max_size", GIB, 8 * MIB..=1024 * TIB);
    let when_full = table.optional("when_full", |text| text.word(&["block"], &["drop"]));
    let drain_timeout = table.duration("drain_timeout", Duration::from_secs(10), Duration::ZERO..=60 * MINUTE);
    table.finish();
    when_full?;
    Some(spool::Config { dir: dir?, max_size_bytes: max_size_bytes?, drain_timeout: drain_timeout? })
}

fn resources(table: Table<'_>) -> Option<u64> {
    let memory = table.size("memory", 64 * MIB, 32 * MIB..=TIB);
    table.finish();
    memory
}

fn hardening(table: Table<'_>) -> Option<hardening::Config> {
    let [seccomp, landlock, drop_capabilities] =
        ["seccomp", "landlock", "drop_capabilities"].map(|key| table.boolean(key, true));
    let [read, write] = ["read", "write"].map(|key| table.list(key, Text::into_path));
    let connect = table.list("connect", port);
    let require = table.boolean("require", false);
    table.finish();
    let connect = connect?.into_iter().collect();
    let more = hardening::Places { read: read?, write: write? };
    Some(hardening::Config {
        seccomp: seccomp?,
        landlock: landlock?,
        drop_capabilities: drop_capabilities?,
        more,
        connect,
        require: require?,
    })
}

fn port(text: Text<'_>) -> Option<u16> {
    match text.value.parse() {
        Ok(port @ 1..) => Some(port),
        _ => text.fault("no TCP port", "write one such as \"8443\""),
    }
}

fn telemetry(table: Table<'_>) -> Option<Telemetry> {
    let listen = table.optional("listen", Text::into_address);
    let socket = table.optional("socket", socket);
    let log = table.optional("log", log);
    table.finish();
    Some(Telemetry { listen: listen?, socket: socket?, log: log?.unwrap_or_else(|| "info".to_owned()) })
}

/// The path of a Unix socket, which the kernel bounds.
fn socket(text: Text<'_>) -> Option<PathBuf> {
    // of sun_path's 108 bytes, one is the end, and some the name under which the socket is made
    const MAX: usize = 92;
    let place = text.place.clone();
    let path = text.into_path()?;
    if path.as_os_str().len() > MAX {
        place.fault(
            "longer than a socket's path can be",
            "name one of at most 92 bytes, such as \"/run/sealtail/status.sock\"",
        );
        return None;
    }
    Some(path)
}

fn log(text: Text<'_>) -> Option<String> {
    const MEND: &str = "choose error, warn, info, debug or trace, or TARGET=LEVEL, several with commas between";
    // a lone word that is no level would be taken for a target, and hide everything else
    let is_level = |word: &str| word.chars().all(char::is_alphabetic) && word.parse::<LevelFilter>().is_ok();
    if !text.value.split(',').all(|part| part.contains(['=', '[']) || (!part.is_empty() && is_level(part))) {
        return text.fault("no filter of log lines", MEND);
    }
    match EnvFilter::builder().parse(&text.value) {
        Ok(_) => Some(text.value),
        Err(error) => text.fault(&text.detail(error), MEND),
    }
}

fn overlap(a: &Path, b: &Path) -> bool {
    a.starts_with(b) || b.starts_with(a)
}

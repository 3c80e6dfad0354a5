//! The text of a configuration that `init` writes.

use super::{Kind, Place, Plan};
use crate::cli::found::{self, Presence};
use crate::cli::quickstart::folder::toml_list;
use std::fmt::Write;
use std::path::Path;

/// All of it, with comments that say what to change and where more is told.
pub(super) fn config(plan: &Plan) -> String {
    let mut text = String::new();
    let what = match plan.kind {
        Kind::Host => "this host",
        Kind::Sidecar => "a sidecar: one pod's application, which writes into a volume that both mount",
        Kind::Daemonset => "a DaemonSet: each node's containers, and the node's own logs under /host/var/log",
    };
    add(&mut text, format_args!("# Written by `sealtail init` for {what}.\n"));
    text.push_str(
        "# Every key, with its default: `sealtail config reference`. After a change: `sealtail check --config FILE`.\n\n",
    );
    host(&mut text, plan);
    add(&mut text, format_args!("[auditors]                      # who can check every tag; this host can't\n"));
    add(&mut text, format_args!("recipients = {}\n\n", toml_list(&plan.auditors)));
    match plan.kind {
        Kind::Host => host_sources(&mut text, plan),
        Kind::Sidecar => text.push_str(SIDECAR_SOURCE),
        Kind::Daemonset => text.push_str(DAEMONSET_SOURCES),
    }
    if let Some(policies) = &plan.policies {
        let comment = "# read again when its files change; `sealtail policy try` shows what they say of a line";
        add(&mut text, format_args!("[policy]\n{comment}\npaths = [{}]\n\n", path(policies)));
    }
    let (comment, size) = match plan.kind {
        Kind::Host => ("what no target has yet; survives restarts", "1GiB"),
        Kind::Sidecar => ("a volume that outlives the container, not the one with the logs", "256MiB"),
        Kind::Daemonset => ("a hostPath: what is spooled must outlive the pod", "1GiB"),
    };
    add(&mut text, format_args!("[spool]                         # {comment}\ndir = {}\n", path(&plan.spool)));
    add(
        &mut text,
        format_args!("max_size = \"{size}\"               # when it is full, reading stops; nothing is dropped\n\n"),
    );
    target(&mut text, &plan.target);
    text.push_str(match plan.kind {
        Kind::Host => "[telemetry]\n# listen = \"127.0.0.1:9598\"     # /metrics for Prometheus\nlog = \"info\"\n",
        Kind::Sidecar | Kind::Daemonset => IN_POD,
    });
    text
}

fn host(text: &mut String, plan: &Plan) {
    let name = match plan.kind {
        Kind::Host => string(&plan.host),
        Kind::Sidecar => "\"${POD_NAME}\"".to_owned(),
        Kind::Daemonset => "\"${NODE_NAME}\"".to_owned(),
    };
    let key = path(&plan.host_key);
    add(text, format_args!("[host]\nname = {name}                # the client certificate must be for it\n"));
    add(text, format_args!("key = {key}   # endorses this host's streams; verifiers need the .pub beside it\n\n"));
}

fn host_sources(text: &mut String, plan: &Plan) {
    if !plan.include.is_empty() {
        return source(text, "logs", &plan.include, &[]);
    }
    for group in found::text_logs() {
        source(text, group.name, &group.readable, &group.closed);
    }
    if found::pods() {
        source(text, "containers", &["/var/log/pods/*/*/*.log".to_owned()], &[]);
    }
    match found::journal() {
        Presence::Readable => text.push_str(
            "[[source]]                      # what rsyslog writes into files from it is read twice: choose one of them\ntype = \"journald\"\n\n",
        ),
        Presence::Closed => text.push_str(
            "# The journal is here, and this user may not read it: usermod -aG systemd-journal USER, then take the # away.\n# [[source]]\n# type = \"journald\"\n\n",
        ),
        Presence::Absent => {}
    }
}

fn source(text: &mut String, name: &str, readable: &[String], closed: &[String]) {
    if !closed.is_empty() {
        add(
            text,
            format_args!(
                "# Here, and closed to the user who ran init: {}. Let the agent's user read them.\n",
                closed.join(" ")
            ),
        );
    }
    // as root the agent may well read what init could not
    let off = if readable.is_empty() { "# " } else { "" };
    let include = toml_list(if readable.is_empty() { closed } else { readable });
    add(
        text,
        format_args!("{off}[[source]]\n{off}type = \"file\"\n{off}name = \"{name}\"\n{off}include = {include}\n\n"),
    );
}

fn target(text: &mut String, target: &Place) {
    text.push_str("[[target]]                      # lines stay spooled until it has them\nname = \"archive\"\n");
    match target {
        Place::Https { url, ca, cert, key } => {
            add(text, format_args!("type = \"https\"\nurl = {}\n", string(url)));
            add(text, format_args!("tls = {{ ca = {}, cert = {}, key = {} }}\n\n", path(ca), path(cert), path(key)));
        }
        Place::Folder(dir) => add(text, format_args!("type = \"file\"\ndir = {}\n\n", path(dir))),
    }
}

const SIDECAR_SOURCE: &str = r#"[[source]]
type = "file"
name = "app"
include = ["/var/log/app/*.log"]
labels = { pod = "${POD_NAME}" }
# downward_api = "/etc/podinfo"  # a downwardAPI volume: policies then see input.labels["label.app"]

"#;

const DAEMONSET_SOURCES: &str = r#"[[source]]
type = "file"
name = "containers"
include = ["/host/var/log/pods/*/*/*.log"]
exclude = ["/host/var/log/pods/*_sealtail-*_*/**"]      # its own lines about lines would never end
labels = { node = "${NODE_NAME}" }

[[source]]
type = "file"
name = "node"
include = ["/host/var/log/audit/audit.log", "/host/var/log/auth.log", "/host/var/log/kubernetes/audit.log"]
labels = { node = "${NODE_NAME}" }

"#;

const IN_POD: &str = r#"[telemetry]
listen = "0.0.0.0:9598"         # /readyz and /healthz for the kubelet's probes, which come by the pod's address; /metrics
log = "info"
"#;

fn add(text: &mut String, what: std::fmt::Arguments<'_>) {
    text.write_fmt(what).expect("a string takes all that is written to it");
}

fn path(path: &Path) -> String {
    string(&path.to_string_lossy())
}

/// A string of TOML that means itself, also where it holds a `${`.
fn string(text: &str) -> String {
    toml::Value::String(text.replace("${", "$${")).to_string()
}

//! Every key, as the readers in this folder's parent know it; `tests/config/reference.rs` holds the two against each other.

use super::Kind::{Boolean, Duration, Inline, Integer, List, Map, Size, Text, Word};
use super::Need::{May, Must, Or};
use super::{Key, Table, Type, key, plain};

/// The tables of a file, in the order in which a reader wants them.
pub const TABLES: &[Table] = &[
    Table { name: "host", types: &[], doc: "Whose lines these are.", keys: HOST },
    Table { name: "auditors", types: &[], doc: "Who can check every tag, and nobody else.", keys: AUDITORS },
    Table { name: "source", types: &[plain("file"), plain("journald"), plain("stdin")], doc: "What is read; one table each.", keys: SOURCE },
    Table { name: "policy", types: &[], doc: "What is said of each line.", keys: POLICY },
    Table { name: "erasure", types: &[], doc: "Who may take payloads out of the archive.", keys: ERASURE },
    Table { name: "chain", types: &[], doc: "How lines are put together.", keys: CHAIN },
    Table { name: "spool", types: &[], doc: "Where lines wait for the targets.", keys: SPOOL },
    Table { name: "target", types: TARGETS, doc: "Where lines go; one table each, one at least required.", keys: TARGET },
    Table { name: "alert", types: &[plain("webhook"), plain("alertmanager"), plain("command")], doc: "Who is told of a verdict at once; 16 tables at most.", keys: ALERT },
    Table { name: "resources", types: &[], doc: "What the agent may use.", keys: RESOURCES },
    Table { name: "telemetry", types: &[], doc: "What the agent says of itself.", keys: TELEMETRY },
    Table { name: "hardening", types: &[], doc: "What this process gives up before it reads anything. `sealtail receive` keeps to it too.", keys: HARDENING },
    Table { name: "receive", types: &[], doc: "Read by `sealtail receive`; a file may hold this table alone.", keys: RECEIVE },
];

const HOST: &[Key] = &[
    key("name", Text, May(r#""web-1""#), "`A-Z a-z 0-9 . _ -`, 64 at most, the first no dot. Default: what the machine calls itself. The client certificate must be for it."),
    key("key", Text, Must(r#""host.key""#), "The file of the key that endorses this host's streams: `sealtail keys host --out host.key` makes it, and `host.pub` for verifiers."),
];

const AUDITORS: &[Key] = &[
    key("recipients", List, Must(r#"["age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"]"#), "Public halves of identities, `age1…`; `sealtail keys auditor` makes one, on the auditor's machine."),
];

const TEXT_SOURCES: &[&str] = &["file", "stdin"];

const SOURCE: &[Key] = &[
    key("name", Text, May(r#""app""#), "Shown in lines and verdicts; no two sources share one. Default: the type."),
    key("max_line", Size("1KiB", "512KiB"), Or(r#""256KiB""#), "A longer line is chained in marked parts; nothing is cut off."),
    key("include", List, Must(r#"["/var/log/*.log"]"#), "Patterns of whole paths; `**` crosses folders, and rotations of a matched file are read too.").of(&["file"]),
    key("exclude", List, May(r#"["/var/log/**/*.gz"]"#), "Patterns that are left out; sealtail's own files always are.").of(&["file"]),
    key("start_at", Word(&["beginning", "end"]), Or(r#""beginning""#), "Where files begin that were never read before.").of(&["file"]),
    key("compressed", Word(&["ignore", "read"]), Or(r#""ignore""#), "Whether matching `.gz`, `.zst` and `.bz2` files are read. Rotations of what was read already are not read again.").of(&["file"]),
    key("format", Word(&["auto", "plain", "json", "cri", "docker", "syslog", "auditd"]), Or(r#""auto""#), "What policies see as `input.fields`; `auto` looks at each line. `auto` and `auditd` chain the records of one audit event as one line.").of(TEXT_SOURCES),
    key("encoding", Word(&["auto", "utf-8", "utf-16le", "utf-16be"]), Or(r#""auto""#), "`auto`: as the byte order mark says, without one UTF-8.").of(TEXT_SOURCES),
    key("multiline", Inline(MULTILINE), May(r#"{ start = '^\d{4}-', timeout = "1s" }"#), "Which lines belong together; default: each is by itself.").of(TEXT_SOURCES),
    key("labels", Map, May(r#"{ env = "prod" }"#), "Shown in the chain and as `input.labels`; names of `A-Z a-z 0-9 . _ / -`, 64 KiB in all.").of(TEXT_SOURCES),
    key("downward_api", Text, May(r#""/etc/podinfo""#), "A downwardAPI volume with the files `labels` and `annotations`, read at the start: `label.NAME`, `annotation.NAME`.").of(TEXT_SOURCES),
    key("units", List, May(r#"["sshd.service", "user@*.service"]"#), "As `journalctl -u`; a name without a suffix is a service's. Default: all.").of(&["journald"]),
    key("priority", Word(&["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"]), May(r#""info""#), "At least that urgent; entries that say none always count. Default: all.").of(&["journald"]),
    key("namespaces", List, May(r#"["*"]"#), "Names; `default` is the one without a name, `*` all of them. Default: `default`.").of(&["journald"]),
    key("directories", List, Or(r#"["/var/log/journal", "/run/log/journal"]"#), "Each machine that has a folder there is read.").of(&["journald"]),
    key("since", Word(&["beginning", "now"]), Or(r#""beginning""#), "For journals that were never read before.").of(&["journald"]),
];

const MULTILINE: &[Key] = &[
    key("start", Text, May(r"'^\d{4}-'"), "Lines that don't match go on with the one before. This or `continue`."),
    key("continue", Text, May(r"'^\s'"), "Lines that match go on with the one before."),
    key("timeout", Duration("10ms", "1m"), Or(r#""1s""#), "So long the last lines wait for others."),
];

const POLICY: &[Key] = &[
    key("paths", List, May(r#"["policies"]"#), "Files and folders: `.rego`, `data.json`, `data.yaml`; OPA bundles, `.tar.gz`, by name. Read again when they change and on SIGHUP; what has a fault or a failing test is refused. None: no verdicts."),
    key("max_instructions", Integer("1", "1000000000"), Or("100000"), "Of one evaluation; over it the verdict is `undecided`."),
    key("on_undecided", Word(&["ship", "withhold"]), Or(r#""ship""#), "`withhold`: of a line on which a policy that redacts is undecided, or which is only seen in pieces, nothing but a keyed digest is shipped."),
    key("verify", Inline(VERIFY), May(r#"{ keys = { "2026" = "bundle.pub" }, key_id = "2026" }"#), "Every bundle must be signed (`opa sign`)."),
    key("bundle", Inline(BUNDLE), May(r#"{ url = "https://opa.internal/bundle.tar.gz", tls = { ca = "ca.pem" } }"#), "A bundle from a server, asked with its ETag. The last good one is kept in the spool's folder."),
];

const VERIFY: &[Key] = &[
    key("key", Text, May(r#""bundle.pub""#), "The file of the one public key. This, `keys` or `secret`."),
    key("keys", Map, May(r#"{ "2026" = "bundle.pub" }"#), "Public keys by their ids."),
    key("secret", Text, May(r#""${credential:bundle}""#), "A secret for HS256."),
    key("key_id", Text, May(r#""2026""#), "Which of `keys`. Default: the one that the signature names."),
    key("scope", Text, Or(r#""""#), "The scope that the signature must have."),
];

const BUNDLE: &[Key] = &[
    key("url", Text, Must(r#""https://opa.internal/bundle.tar.gz""#), "Where it is; plain http for loopback addresses only."),
    key("poll", Duration("1s", "1d"), Or(r#""60s""#), "How often it is asked for."),
    key("token", Text, May(r#""${credential:bundle}""#), "Sent as a bearer token."),
    key("tls", Inline(BUNDLE_TLS), May(r#"{ ca = "ca.pem" }"#), "Certificates; needed for https."),
];

const BUNDLE_TLS: &[Key] = &[
    key("ca", Text, Must(r#""ca.pem""#), "Whom to trust."),
    key("cert", Text, May(r#""client.pem""#), "The own certificate and its chain, where the server asks for it; with `key`."),
    key("key", Text, May(r#""client.key""#), "Its key."),
];

const ERASURE: &[Key] = &[
    key("keys", List, May(r#"["erasure.pub"]"#), "Files of public keys, 16 at most; `sealtail keys erasure` makes them. Named in the genesis, so it counts for streams that begin from now on. Default: nobody."),
];

const CHAIN: &[Key] = &[
    key("flush_interval", Duration("10ms", "1m"), Or(r#""1s""#), "A segment is closed this long after its first line."),
    key("max_stream_age", Duration("1m", "365d"), Or(r#""24h""#), "Then a new stream begins."),
];

const SPOOL: &[Key] = &[
    key("dir", Text, Must(r#""/var/lib/sealtail/spool""#), "Its folder: lines are durable here before they are sent, and stay until every required target has them."),
    key("max_size", Size("8MiB", "1024TiB"), Or(r#""1GiB""#), "Bytes of lines that it may hold."),
    key("when_full", Word(&["block"]), Or(r#""block""#), "`block`: reading stops, and files hold the backlog."),
    key("drain_timeout", Duration("0ms", "1h"), Or(r#""10s""#), "After a stop, how long targets may take to store what is here; the rest is sent at the next start. A service manager must wait longer."),
];

const TARGETS: &[Type] = &[
    plain("https"),
    Type { name: "generic", word: "https", fixed: Some(("protocol", "generic")) },
    plain("s3"),
    plain("otlp"),
    plain("file"),
    plain("nats"),
    plain("kafka"),
];

const TARGET: &[Key] = &[
    key("name", Text, Must(r#""archive""#), "`A-Z a-z 0-9 . _ -`; shown in receipts and metrics."),
    key("required", Boolean, Or("true"), "Lines stay spooled until every required target gave a receipt. One at least must be, and one that says that what it took is durable: not `otlp`, and `generic` only with `durable = true`."),
    key("max_lag", Size("1MiB", "512MiB"), May(r#""256MiB""#), "Of an optional target: what it may hold of the spool that every required one has, to half of the spool's `max_size` (512MiB of the default). What it lacks beyond that is not kept: it goes on with the next stream, and a `skip` line there says what it was not sent. Default: a quarter of `max_size`."),
    key("batch", Inline(BATCH), May(r#"{ max_size = "4MiB", max_age = "1s" }"#), "When a batch goes; whichever comes first.").of(&["https", "generic", "otlp", "file"]),
    key("batch", Inline(S3_BATCH), May(r#"{ max_size = "32MiB", max_age = "60s" }"#), "When a batch goes; whichever comes first. Each object costs.").of(&["s3"]),
    key("batch", Inline(QUEUE_BATCH), May(r#"{ max_size = "960KiB", max_age = "1s" }"#), "When a batch goes; whichever comes first. One over what the server takes in a message goes in parts.").of(&["nats"]),
    key("batch", Inline(KAFKA_BATCH), May(r#"{ max_size = "960KiB", max_age = "1s" }"#), "When a batch goes; whichever comes first. One over what the topic takes in a record goes in parts.").of(&["kafka"]),
    key("protocol", Word(&["sealtail", "generic"]), Or(r#""sealtail""#), "`sealtail`: it signs receipts. `generic`: any server that takes NDJSON; a 2xx is success.").of(&["https"]),
    key("url", Text, Must(r#""https://archive.internal:7443""#), "Where it is.").of(&["https", "otlp"]),
    key("url", Text, Must(r#""https://logs.internal/audit/{name}""#), "Where to; also `{host} {stream} {first} {last}`. An Idempotency-Key names the batch too.").of(&["generic"]),
    key("url", Text, May(r#""https://s3.internal""#), "Where it is. Default: AWS' own of the region.").of(&["s3"]),
    key("method", Word(&["POST", "PUT"]), Or(r#""POST""#), "How it is sent.").of(&["generic"]),
    key("format", Word(&["ndjson", "ndjson.zst"]), Or(r#""ndjson""#), "`ndjson.zst`: compressed, with `Content-Encoding: zstd`.").of(&["generic"]),
    key("durable", Boolean, Or("false"), "`true`: on your word a 2xx means that the batch is stored for good.").of(&["generic"]),
    key("protocol", Word(&["http", "grpc"]), Must(r#""http""#), "How it is spoken to; `http` puts `/v1/logs` after the url.").of(&["otlp"]),
    key("headers", Map, May(r#"{ api-key = "${credential:otlp}" }"#), "Sent besides; values are never shown.").of(&["otlp", "generic"]),
    key("bucket", Text, Must(r#""audit-logs""#), "A bucket with versioning and Object Lock.").of(&["s3"]),
    key("prefix", Text, May(r#""production""#), "Keys are `<prefix>/<host>/<stream>/<first seq>.ndjson.zst`.").of(&["s3"]),
    key("region", Text, May(r#""eu-central-1""#), "Default: as AWS' tools find it.").of(&["s3"]),
    key("path_style", Boolean, Or("false"), "`true`: the bucket in the path, not in the host name; most stores that are not AWS' want it.").of(&["s3"]),
    key("object_lock", Inline(OBJECT_LOCK), Must(r#"{ mode = "compliance", retain = "365d" }"#), "How objects are kept.").of(&["s3"]),
    key("credentials_file", Text, May(r#""/etc/sealtail/aws-credentials""#), "Instead of environment, ~/.aws, web identity, container, instance.").of(&["s3"]),
    key("profile", Text, May(r#""sealtail""#), "Of the credentials file.").of(&["s3"]),
    key("url", Text, Must(r#""tls://nats.internal:4222""#), "Several servers of a cluster with commas between.").of(&["nats"]),
    key("stream", Text, Must(r#""AUDIT""#), "A JetStream stream that nobody can delete from.").of(&["nats"]),
    key("subject", Text, Must(r#""audit.{host}""#), "With `{host}` once: each host has a subject of its own.").of(&["nats"]),
    key("tls_first", Boolean, Or("false"), "`true` for servers with `handshake_first`.").of(&["nats"]),
    key("brokers", List, Must(r#"["kafka-1.internal:9093"]"#), "Some of the cluster's.").of(&["kafka"]),
    key("topic", Text, Must(r#""audit""#), "A topic that deletes nothing.").of(&["kafka"]),
    key("tls", Inline(MUTUAL_TLS), Must(r#"{ ca = "ca.pem", cert = "client.pem", key = "client.key" }"#), "Certificates, read again when the files change; while they can't be used the old ones are.").of(&["https", "otlp", "nats"]),
    key("tls", Inline(MUTUAL_TLS), Must(r#"{ ca = "ca.pem", cert = "client.pem", key = "client.key" }"#), "Certificates. Of what else stands here a kafka target checks nothing, and it is a fault.").of(&["kafka"]),
    key("tls", Inline(OPTIONAL_TLS), May(r#"{ ca = "ca.pem" }"#), "Certificates, all optional; read again when the files change.").of(&["generic", "s3"]),
    key("proxy", Inline(PROXY), May(r#"{ url = "http://proxy.internal:3128" }"#), "Asked for a tunnel (CONNECT), through which TLS goes to the url. Default: none, whatever the environment says.").of(&["https", "generic", "s3", "otlp"]),
    key("dir", Text, Must(r#""/mnt/worm""#), "The folder; it is never made, as it may be a mount that is missing.").of(&["file"]),
    key("immutable", Boolean, Or("false"), "Files get the attribute `i` of chattr(1), folders `a`; needs CAP_LINUX_IMMUTABLE.").of(&["file"]),
];

const BATCH: &[Key] = &[
    key("max_size", Size("64KiB", "64MiB"), Or(r#""4MiB""#), "So many bytes at most."),
    key("max_age", Duration("10ms", "1h"), Or(r#""1s""#), "So long after its first segment at most."),
];

const QUEUE_BATCH: &[Key] = &[
    key("max_size", Size("64KiB", "64MiB"), Or(r#""960KiB""#), "So many bytes at most."),
    key("max_age", Duration("10ms", "1h"), Or(r#""1s""#), "So long after its first segment at most."),
];

const KAFKA_BATCH: &[Key] = &[
    key("max_size", Size("64KiB", "16MiB"), Or(r#""960KiB""#), "So many bytes at most."),
    key("max_age", Duration("10ms", "1h"), Or(r#""1s""#), "So long after its first segment at most."),
];

const S3_BATCH: &[Key] = &[
    key("max_size", Size("64KiB", "64MiB"), Or(r#""32MiB""#), "So many bytes at most."),
    key("max_age", Duration("10ms", "1h"), Or(r#""60s""#), "So long after its first segment at most."),
];

const OBJECT_LOCK: &[Key] = &[
    key("mode", Word(&["compliance", "governance", "none-the-archive-can-be-deleted"]), Must(r#""compliance""#), "A bucket without lock is refused, unless the last is written, alone."),
    key("retain", Duration("1d", "36500d"), May(r#""365d""#), "From when an object is stored. Needed with the first two modes."),
    key("legal_hold", Boolean, Or("false"), "`true`: also without end."),
];

const OPTIONAL_TLS: &[Key] = &[
    key("ca", Text, May(r#""ca.pem""#), "Whom to trust. Default: whom the machine trusts."),
    key("cert", Text, May(r#""client.pem""#), "The own certificate and its chain, where the server asks for it; with `key`."),
    key("key", Text, May(r#""client.key""#), "Its key, mode 0600."),
    key("crl", List, May(r#"["revoked.pem"]"#), "Revocation lists, with `ca`. Each authority between the server and `ca` must have one, or nothing is sent; one that is overdue still counts, and is warned of daily."),
    key("server_name", Text, May(r#""archive.internal""#), "Whom the server's certificate must name. Default: the url's host."),
    key("pin", List, May(r#"["sha256//47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="]"#), "The server's key must be one of these, as in `curl --pinnedpubkey`."),
    key("min_version", Word(&["1.2", "1.3"]), Or(r#""1.3""#), "Under 1.2 a client certificate crosses the wire in the clear."),
];

const MUTUAL_TLS: &[Key] = &[
    key("ca", Text, Must(r#""ca.pem""#), "Whom to trust."),
    key("cert", Text, Must(r#""client.pem""#), "The own certificate and its chain."),
    key("key", Text, Must(r#""client.key""#), "Its key, mode 0600."),
    key("crl", List, May(r#"["revoked.pem"]"#), "Revocation lists. With any, each authority between the server and `ca` must have one, or nothing is sent; one that is overdue still counts, and is warned of daily."),
    key("server_name", Text, May(r#""archive.internal""#), "Whom the server's certificate must name. Default: the url's host."),
    key("pin", List, May(r#"["sha256//47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="]"#), "The server's key must be one of these, as in `curl --pinnedpubkey`."),
    key("min_version", Word(&["1.2", "1.3"]), Or(r#""1.3""#), "Under 1.2 a client certificate crosses the wire in the clear."),
];

const PROXY: &[Key] = &[
    key("url", Text, Must(r#""http://proxy.internal:3128""#), "Where it is."),
    key("user", Text, May(r#""sealtail""#), "With `password`, where the proxy asks."),
    key("password", Text, May(r#""${credential:proxy}""#), "Never shown."),
];

const ALERT: &[Key] = &[
    key("name", Text, Must(r#""oncall""#), "Shown in the chain, in notifications and metrics."),
    key("min_severity", Word(&["info", "low", "medium", "high", "critical"]), May(r#""high""#), "Verdicts at least that bad; those that say none are not. This or `decision`, or both, which must both hold then."),
    key("decision", Word(&["allow", "flag", "deny", "undecided"]), May(r#""deny""#), "Verdicts of this decision."),
    key("group_interval", Duration("1s", "1h"), Or(r#""1m""#), "The first verdict of an id and a source is told of at once, later ones together each time this has passed."),
    key("max_per_minute", Integer("1", "6000"), Or("30"), "Notifications, and as many at once; what is over it waits in its group."),
    key("timeout", Duration("100ms", "1m"), Or(r#""5s""#), "Of one attempt."),
    key("give_up_after", Duration("1s", "1d"), Or(r#""15m""#), "A notification is tried so long."),
    key("url", Text, Must(r#""https://hooks.internal/audit""#), "Where to; plain http for loopback addresses only. Of an Alertmanager, `/api/v2/alerts` is put after it.").of(&["webhook", "alertmanager"]),
    key("secret", Text, Must(r#""${credential:webhook}""#), "Signs the body (HMAC-SHA-256).").of(&["webhook"]),
    key("tls", Inline(ALERT_TLS), May(r#"{ ca = "ca.pem" }"#), "All optional.").of(&["webhook", "alertmanager"]),
    key("argv", List, Must(r#"["/usr/local/bin/page", "{id}"]"#), "The program, without a shell. Also `{decision} {severity} {alert} {host} {source} {stream} {seq} {time} {count} {first_seq} {last_seq} {notification}`.").of(&["command"]),
];

const ALERT_TLS: &[Key] = &[
    key("ca", Text, May(r#""ca.pem""#), "Whom to trust. Default: whom the machine trusts."),
    key("cert", Text, May(r#""client.pem""#), "The own certificate and its chain; with `key`."),
    key("key", Text, May(r#""client.key""#), "Its key."),
];

const TELEMETRY: &[Key] = &[
    key("listen", Text, May(r#""127.0.0.1:9598""#), "Where `/metrics` is served for Prometheus, and the agent's `/healthz` and `/readyz`, plain HTTP. Default: off."),
    key("socket", Text, May(r#""/run/sealtail/status.sock""#), "Where `sealtail status` and `sealtail top` ask, mode 0660. Default: there, if the folder is there and can be written to, else `status.sock` in the spool's folder."),
    key("log", Text, Or(r#""info""#), "`error`, `warn`, `info`, `debug`, `trace`, or `TARGET=LEVEL`, several with commas between."),
];

const RESOURCES: &[Key] = &[
    key("memory", Size("32MiB", "1TiB"), Or(r#""64MiB""#), "What should be resident at most; less where the control group may not have that much. Targets' batches have an eighth of it together (each at least 256 KiB), lines on their way the like; where more is in use, lines are read slowly, and `status` says so. Some 4 KiB for each followed file, and what policies take, come out of it."),
];

const HARDENING: &[Key] = &[
    key("seccomp", Boolean, Or("true"), "System calls that nothing here needs are denied, to start programs among them unless an `[[alert]]` of type `command` is configured."),
    key("landlock", Boolean, Or("true"), "Files can be written only where this file says (the spool, its socket's folder, `dir` of file targets; the archive), and none can be executed, also by root; TCP ports can be listened on only where it says (Linux 6.7). Not with an `[[alert]]` of type `command`."),
    key("drop_capabilities", Boolean, Or("true"), "What root, or a container, may do is given up but for what is needed: the agent's to read every file (CAP_DAC_READ_SEARCH), to make files of an `immutable` target so, and to listen below port 1024. Folders that are written to must then be the user's own, also root's, and so must files that the receiver reads; programs of alerts have no more rights."),
    key("read", List, May(r#"["/srv"]"#), "With it files can't be read either, but in these folders, in those of `include`, `directories`, `paths` and certificates, and in `/etc` and `/usr`. Name where links among the logs lead. Default: all files can be read."),
    key("write", List, May(r#"["/mnt/worm"]"#), "Folders that may be written besides, for file targets to come."),
    key("connect", List, May(r#"["8443"]"#), "With it, TCP ports can't be connected to either, but these, those of targets, alerts and bundles, and 53 (DNS). With an `s3` target also 443 and 80 (where AWS gives credentials). Name those that brokers and servers lead to, and of targets to come. Default: all can be."),
    key("require", Boolean, Or("false"), "`true`: where that can't be had nothing starts. Default: it is said in the log."),
];

const RECEIVE: &[Key] = &[
    key("listen", Text, Must(r#""127.0.0.1:7443""#), "The address."),
    key("dir", Text, Must(r#""/var/lib/sealtail/archive""#), "The archive's folder."),
    key("tls", Inline(SERVER_TLS), Must(r#"{ ca = "ca.pem", cert = "server.pem", key = "server.key" }"#), "Certificates; read again when they change."),
    key("trust", Text, May(r#""trust.toml""#), "Which host keys may endorse which host, and when."),
    key("receipt_key", Text, Or(r#""receipt.key""#), "Signs receipts; made, with its `.pub`, when absent."),
    key("limits", Inline(LIMITS), May(r#"{ connections = 512 }"#), "What clients may take of the receiver."),
    key("quota", Inline(QUOTA), May(r#"{ size = "100GiB" }"#), "What each host may store and ask. What was stored is never touched, and the agent sends what was refused again."),
];

const SERVER_TLS: &[Key] = &[
    key("ca", Text, Must(r#""ca.pem""#), "Whose certificates clients must have."),
    key("cert", Text, Must(r#""server.pem""#), "The own certificate and its chain."),
    key("key", Text, Must(r#""server.key""#), "Its key, mode 0600."),
    key("crl", List, May(r#"["revoked.pem"]"#), "Clients' revocation lists, as for targets."),
];

const LIMITS: &[Key] = &[
    key("max_batch", Size("64KiB", "64MiB"), Or(r#""64MiB""#), "Larger ones are refused (413) before they are read; the agents' `batch.max_size` must fit."),
    key("in_flight", Size("128MiB", "1TiB"), Or(r#""1GiB""#), "Batches that are on their way at once; one host has two of `max_batch` of it, and half at most."),
    key("connections", Integer("1", "100000"), Or("512"), "At once, of clients that proved who they are; a quarter as many more wait, for `idle_timeout` at most, and others are closed. Each is an open file."),
    key("connections_per_host", Integer("1", "100000"), Or("16"), "Of one client certificate, by its first name; more are closed."),
    key("handshakes", Integer("4", "100000"), Or("256"), "TLS handshakes at once, a quarter of them from one address (of IPv6: one /64); for each one more the oldest is closed. They take no place from `connections`, and are open files too."),
    key("handshake_timeout", Duration("1s", "1h"), Or(r#""10s""#), "Of TLS."),
    key("idle_timeout", Duration("1s", "1h"), Or(r#""60s""#), "A connection without a request, or without the whole head of one."),
    key("body_timeout", Duration("1s", "1h"), Or(r#""60s""#), "Nothing of a batch came for so long: 408, and the agent sends it again."),
    key("min_rate", Size("1B", "64MiB"), Or(r#""4KiB""#), "Bytes a second that a batch must come with, after `body_timeout`."),
];

const QUOTA: &[Key] = &[
    key("size", Size("64MiB", "1024TiB"), May(r#""100GiB""#), "In the archive; more is answered 507. At least `max_batch`. Default: no limit."),
    key("day", Size("64MiB", "1024TiB"), May(r#""10GiB""#), "In 24 hours, as a bucket that fills steadily; more is answered 429 with Retry-After. At least `max_batch`. Default: no limit."),
    key("requests_per_second", Integer("1", "1000000"), May("100"), "As a bucket of ten seconds; more is answered 429 with Retry-After. Default: no limit."),
];

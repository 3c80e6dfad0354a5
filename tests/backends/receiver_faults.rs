//! `type = "https"` against the embedded receiver when something is in the way.

use crate::conformance::{HOST, Place, is_put_off, is_stored, next, next_alive};
use crate::proxy::Proxy;
use crate::receiver::Receiver;
use crate::stream::Stream;
use rcgen::CertificateParams;
use sealtail::chain::host_key::HostKey;
use sealtail::chain::trust::Trust;
use sealtail::forward::{self, Outcome};
use sealtail::verify::{Options, Outcome as Verdict, Word, verify};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use time::OffsetDateTime;

/// The receiver as a process of its own, killed when dropped.
struct Process(Child);

impl Process {
    async fn start(receiver: &Receiver, port: u16) -> Process {
        let tls = "tls = { ca = \"ca.pem\", cert = \"server.pem\", key = \"server.key\" }";
        let config = receiver.path("receive.toml");
        std::fs::write(&config, format!("[receive]\nlisten = \"127.0.0.1:{port}\"\ndir = \"archive\"\n{tls}\n"))
            .unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_sealtail"));
        command.args(["receive", "--config"]).arg(config).stdout(Stdio::null()).stderr(Stdio::null());
        let process = Process(command.spawn().unwrap());
        await_that("the receiver listens", || TcpStream::connect(("127.0.0.1", port)).is_ok()).await;
        process
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // SIGKILL
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

async fn await_that(what: &str, mut condition: impl FnMut() -> bool) {
    let began = std::time::Instant::now();
    while !condition() {
        assert!(began.elapsed() < Duration::from_secs(120), "never came: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Bytes of batches that are on their way into the archive.
fn incoming(receiver: &Receiver) -> u64 {
    let entries = std::fs::read_dir(receiver.path("archive")).into_iter().flatten().flatten();
    let coming = entries.filter(|entry| sealtail::durable::is_temporary(&entry.file_name()));
    coming.filter_map(|entry| Some(entry.metadata().ok()?.len())).sum()
}

/// A batch that zstd makes no smaller.
fn large(stream: &mut Stream) -> forward::Upload {
    let first = if stream.next_seq() == 1 { 0 } else { stream.next_seq() };
    for _ in 0..60 {
        let mut random = [0; 16 << 10];
        getrandom::fill(&mut random).unwrap();
        stream.log(&random.map(|byte| b'!' + byte % 64));
    }
    let mut upload = next(stream, 1);
    upload.batch.seq[0] = first;
    upload
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_in_the_middle_of_an_upload_it_has_nothing_of_it_and_takes_it_again() {
    let mut receiver = Receiver::prepare();
    let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let line = Proxy::start(port);
    receiver.url = format!("https://localhost:{}", line.port);
    let process = Process::start(&receiver, port).await;
    let mut stream = Stream::begin(HOST);
    let upload = large(&mut stream);
    assert!(upload.bytes.len() > 600 << 10, "{}", upload.bytes.len());
    let mut target = forward::open(&receiver.target(), HOST).unwrap();
    let sent = upload.clone();
    line.grant(400 << 10);
    let attempt = tokio::spawn(async move {
        let outcome = target.store(&sent).await;
        (target, outcome)
    });
    await_that("a part of it is written", || incoming(&receiver) > 0).await;
    drop(process);
    let (mut target, outcome) = attempt.await.unwrap();
    assert!(matches!(outcome, Outcome::Later { .. }), "{outcome:?}");
    assert_eq!(receiver.holds(), []);
    line.grant(u64::MAX / 2);
    let _process = Process::start(&receiver, port).await;
    assert_eq!(incoming(&receiver), 0, "what was unfinished is cleared up");
    is_stored(&mut target, &upload).await;
    assert_eq!(receiver.holds(), [(upload.name(), upload.bytes.to_vec())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_line_is_waited_for() {
    let mut receiver = Receiver::start().await;
    let port = receiver.url.rsplit(':').next().unwrap().parse().unwrap();
    let line = Proxy::start(port);
    receiver.url = format!("https://localhost:{}", line.port);
    let upload = large(&mut Stream::begin(HOST));
    let mut target = forward::open(&receiver.target(), HOST).unwrap();
    let store = is_stored(&mut target, &upload);
    tokio::pin!(store);
    // some 60 pieces
    while tokio::time::timeout(Duration::from_millis(20), &mut store).await.is_err() {
        line.grant(16 << 10);
    }
    assert_eq!(receiver.holds(), [(upload.name(), upload.bytes.to_vec())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_puts_off_until_there_is_room() {
    let mut receiver = Receiver::prepare();
    let dir = receiver.path("archive");
    std::fs::create_dir(&dir).unwrap();
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=2m", "none"]).arg(&dir).status();
    if !mounted.is_ok_and(|status| status.success()) {
        assert!(std::env::var_os("CI").is_none(), "CI must be able to mount a tmpfs");
        return eprintln!("SKIPPED: mounting a tmpfs needs root");
    }
    receiver.listen().await;
    let mut target = forward::open(&receiver.target(), HOST).unwrap();
    let mut stream = Stream::begin(HOST);
    let (small, upload) = (next(&mut stream, 2), large(&mut stream));
    is_stored(&mut target, &small).await;
    std::fs::write(dir.join("full"), vec![7; 1600 << 10]).unwrap();
    let why = is_put_off(&mut target, &upload).await;
    std::fs::remove_file(dir.join("full")).unwrap();
    let stored = target.store(&upload).await;
    let (holds, left) = (receiver.holds(), incoming(&receiver));
    let unmounted = Command::new("umount").arg("--lazy").arg(&dir).status().unwrap();
    assert!(unmounted.success());
    assert!(why.contains("507") && why.contains("disk is full"), "{why}");
    assert!(matches!(stored, Outcome::Stored(Some(_))), "{stored:?}");
    assert_eq!((holds, left), (vec![(small.name(), small.bytes.to_vec()), (upload.name(), upload.bytes.to_vec())], 0));
}

/// What the process has had in memory at most, in KiB.
fn peak_kib(process: &Process) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.0.id())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    peak.trim().trim_end_matches(" kB").parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn large_batches_of_many_hosts_are_not_held_in_memory() {
    const HOSTS: usize = 8;
    const BYTES: usize = 32 << 20;
    let receiver = Receiver::prepare();
    let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let process = Process::start(&receiver, port).await;
    let before = peak_kib(&process);
    let mut requests = tokio::task::JoinSet::new();
    for host in (0..HOSTS).map(|number| format!("web-{number}")) {
        let identity = reqwest::Identity::from_pem(receiver.authority.client(&[&host]).as_bytes()).unwrap();
        let ca = reqwest::Certificate::from_pem(receiver.authority.pem.as_bytes()).unwrap();
        let client = reqwest::Client::builder().tls_certs_only([ca]).identity(identity).no_proxy().build().unwrap();
        let url = format!("https://localhost:{port}/v1/{host}/{}/0", Stream::begin(&host).id);
        requests.spawn(client.put(url).body(vec![7; BYTES]).send());
    }
    while let Some(answer) = requests.join_next().await {
        // they are no batches, which is seen once they have come
        assert_eq!(answer.unwrap().unwrap().status(), 400);
    }
    let grown = peak_kib(&process) - before;
    assert!(grown < (HOSTS * BYTES / 1024 / 3) as u64, "{grown} KiB for {HOSTS} batches of {BYTES} bytes");
    eprintln!("{before} KiB, and {grown} more for {HOSTS} batches of {BYTES} bytes");
    assert_eq!(incoming(&receiver), 0);
}

fn days_from_now(days: i64) -> OffsetDateTime {
    OffsetDateTime::now_utc() + time::Duration::days(days)
}

fn params(name: &str, valid_from: OffsetDateTime) -> CertificateParams {
    let mut params = CertificateParams::new([name.to_owned()]).unwrap();
    params.not_before = valid_from;
    params.not_after = OffsetDateTime::now_utc() + time::Duration::days(30);
    params
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_anothers_name_or_ahead_of_its_time_gets_nothing() {
    let (yesterday, tomorrow) = (days_from_now(-1), days_from_now(1));
    for (params, why) in
        [(params("elsewhere.example", yesterday), "elsewhere.example"), (params("localhost", tomorrow), "clock")]
    {
        let mut receiver = Receiver::prepare();
        receiver.authority.write_server(receiver.path("").as_path(), params);
        receiver.listen().await;
        receiver.url = receiver.url.replace("127.0.0.1", "localhost");
        let mut target = forward::open(&receiver.target(), HOST).unwrap();
        let said = is_put_off(&mut target, &next(&mut Stream::begin(HOST), 2)).await;
        assert!(said.contains(why), "{why}: {said}");
        assert_eq!(receiver.holds(), []);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_certificate_of_another_host_or_ahead_of_its_time_is_not_even_shown() {
    let (yesterday, tomorrow) = (days_from_now(-1), days_from_now(1));
    let receiver = Receiver::start().await;
    for (params, why) in [(params("web-2", yesterday), "not for this host"), (params(HOST, tomorrow), "mend the clock")]
    {
        receiver.write_client(&receiver.authority.client_of(params));
        let refused = forward::open(&receiver.target(), HOST).err().unwrap().to_string();
        assert!(refused.contains(why), "{refused}");
    }
}

/// Sends so many batches and reads the archive back as a verifier does.
pub(crate) async fn many_batches_are_read_back(batches: usize) {
    let receiver = Receiver::start().await;
    let key = HostKey::generate_ed25519().unwrap();
    let mut stream = Stream::endorsed_by(HOST, &key);
    let mut target = forward::open(&receiver.target(), HOST).unwrap();
    let mut stored = Vec::new();
    for _ in 0..batches {
        let upload = next_alive(&mut stream);
        is_stored(&mut target, &upload).await;
        stored.push((upload.name(), upload.bytes.to_vec()));
    }
    // reading so much back may take longer than a stream may be silent
    let as_of = std::time::SystemTime::now();
    assert_eq!(receiver.holds(), stored);
    let trust = Some(Trust::single(Some(HOST), key.public()));
    let options = Options { trust, as_of, ..Options::default() };
    let mut words = Vec::new();
    let summary = verify(&[receiver.path("archive")], &options, &|_, _| {}, &mut |finding| words.push(finding.word));
    // the clock of a virtual machine may step
    assert!(words.iter().all(|word| matches!(word, Word::Open | Word::PublicOnly | Word::ClockStep)), "{words:?}");
    assert_eq!(summary.result, Verdict::Intact);
    assert_eq!(summary.segments, batches as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_it_holds_verifies() {
    many_batches_are_read_back(100).await;
}

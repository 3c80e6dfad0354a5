//! Prometheus' Alertmanager, a real one.

use super::hook::Hook;
use super::{line, world};
use crate::world::{World, await_that};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

fn alert(address: SocketAddr) -> String {
    format!(
        "[[alert]]\nname = \"am\"\ntype = \"alertmanager\"\nurl = \"http://{address}\"\nmin_severity = \"low\"\ngroup_interval = \"1s\"\n"
    )
}

struct Manager {
    child: Child,
    address: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Manager {
    /// `None` where there is none, which CI may not say.
    fn start() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("config.yml");
        std::fs::write(&config, "route:\n  receiver: nobody\nreceivers:\n  - name: nobody\n").unwrap();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let program = std::env::var_os("SEALTAIL_ALERTMANAGER").unwrap_or_else(|| "prometheus-alertmanager".into());
        let child = Command::new(program)
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.path={}", folder.path().display()))
            .arg(format!("--web.listen-address={address}"))
            .arg("--cluster.listen-address=")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let Ok(child) = child else {
            assert!(std::env::var_os("CI").is_none(), "CI must have prometheus-alertmanager");
            eprintln!("SKIPPED: prometheus-alertmanager is not there; tests/run fetches it");
            return None;
        };
        let manager = Self { child, address, _folder: folder };
        await_that("the Alertmanager is ready", || manager.get("/-/ready").is_some());
        Some(manager)
    }

    /// The body of an answer that is 200.
    fn get(&self, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect(self.address).ok()?;
        write!(stream, "GET {path} HTTP/1.0\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        head.contains(" 200 ").then(|| body.to_owned())
    }

    fn alerts(&self) -> Vec<Value> {
        serde_json::from_str(&self.get("/api/v2/alerts").unwrap()).unwrap()
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

#[test]
fn a_real_alertmanager_takes_alerts_and_one_that_goes_on_is_one() {
    let Some(manager) = Manager::start() else { return };
    let mut world = world(&alert(manager.address));
    world.start_receiver();
    world.start_agent();
    world.append("door FORCED \"quoted\" \u{e9}\ndoor 7 OPENED\n");
    await_that("it has both", || manager.alerts().len() == 2);
    let find = |name: &str| manager.alerts().into_iter().find(|alert| alert["labels"]["alertname"] == name).unwrap();
    let forced = find("door-forced");
    let labels = &forced["labels"];
    assert_eq!((&labels["severity"], &labels["decision"]), (&"high".into(), &"deny".into()));
    assert_eq!((&labels["source"], &labels["sealtail_alert"]), (&"logs".into(), &"am".into()));
    let told = &forced["annotations"];
    assert_eq!(
        (&told["reason"], &told["message"]),
        (&"the lock is broken".into(), &"door FORCED \"quoted\" \u{e9}".into())
    );
    assert!(told["summary"].as_str().unwrap().starts_with("A door was forced on "), "{told}");
    assert_eq!(forced["status"]["state"], "active");
    assert!(forced["endsAt"].as_str() > forced["startsAt"].as_str());

    // the same verdict again is the same alert, with other annotations
    world.append("FORCED again\n");
    await_that("it goes on", || find("door-forced")["annotations"]["message"] == "FORCED again");
    let later = find("door-forced");
    assert_eq!((&later["labels"], manager.alerts().len()), (labels, 2));
    assert!(later["endsAt"].as_str() > forced["endsAt"].as_str());
    assert_eq!(world.stop_agent(), Some(0));
    assert_seq_is_there(&world, told);
}

fn assert_seq_is_there(world: &World, told: &Value) {
    world.verify().assert_intact(&[]);
    let archive = world.archive();
    let seq: u64 = told["seq"].as_str().unwrap().parse().unwrap();
    assert_eq!(line(&archive, &told["stream"], &seq.into())["p"]["msg"], told["message"]);
}

#[test]
fn an_alertmanager_is_sent_what_its_api_describes() {
    let hook = Hook::start();
    let mut world = world(&alert(hook.address));
    world.append("FORCED\n");
    world.start_receiver();
    assert!(world.run_once().status.success());
    let call = hook.await_calls(1).remove(0);
    assert_eq!((call.path.as_str(), call.header("content-type")), ("/api/v2/alerts", "application/json"));
    let Value::Array(alerts) = call.json() else { panic!("{}", call.json()) };
    let [alert] = &alerts[..] else { panic!("{alerts:?}") };
    // postableAlert: labelSets of strings, times of RFC 3339, nothing else
    let mut keys: Vec<&String> = alert.as_object().unwrap().keys().collect();
    keys.sort();
    assert_eq!(keys, ["annotations", "endsAt", "labels", "startsAt"]);
    for set in ["labels", "annotations"] {
        assert!(
            alert[set].as_object().unwrap().values().all(|text| text.as_str().is_some_and(|text| !text.is_empty()))
        );
    }
    for time in ["startsAt", "endsAt"] {
        let text = alert[time].as_str().unwrap();
        assert!(time::OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339).is_ok(), "{text}");
    }
}

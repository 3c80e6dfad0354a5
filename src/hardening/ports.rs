//! Which TCP ports are within reach: Landlock's, too, since Linux 6.7.

use landlock::{AccessNet, BitFlags, NetPort, RulesetError};
use std::collections::BTreeSet;

/// TCP ports that a command works with.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ports {
    /// Where it listens.
    pub bind: BTreeSet<u16>,
    /// What it connects to.
    pub connect: BTreeSet<u16>,
    /// It is led to ports that nobody knows beforehand, as by a broker that names others.
    pub is_led_on: bool,
}

impl Ports {
    /// What is denied but for these: to connect only where all ports are known.
    pub(super) fn handled(&self) -> BitFlags<AccessNet> {
        if self.is_led_on { AccessNet::BindTcp.into() } else { AccessNet::BindTcp | AccessNet::ConnectTcp }
    }

    pub(super) fn rules(&self) -> impl Iterator<Item = Result<NetPort, RulesetError>> {
        let bind = self.bind.iter().map(|port| NetPort::new(*port, AccessNet::BindTcp));
        let connect = self.connect.iter().filter(|_| !self.is_led_on);
        bind.chain(connect.map(|port| NetPort::new(*port, AccessNet::ConnectTcp))).map(Ok)
    }

    /// What of other ports is out of reach of whoever is confined to these.
    pub(super) fn lack(&self, other: &Ports) -> Option<String> {
        let bind = other.bind.difference(&self.bind).next();
        let connect = other.connect.difference(&self.connect).next().filter(|_| !self.is_led_on);
        let led_on =
            (other.is_led_on && !self.is_led_on).then(|| "what a target of type nats, kafka or s3 leads to".to_owned());
        bind.or(connect).map(|port| format!("TCP port {port}")).or(led_on)
    }
}

#[cfg(test)]
mod tests {
    use super::super::files::{ALL, Places, confine};
    use super::*;
    use landlock::{ABI, LandlockStatus};
    use std::io::ErrorKind::{AddrInUse, PermissionDenied};
    use std::net::{TcpListener, TcpStream, UdpSocket};

    #[test]
    fn only_ports_that_are_named_are_bound_and_connected_to() {
        let listen = || TcpListener::bind("127.0.0.1:0").unwrap();
        let port = |listener: &TcpListener| listener.local_addr().unwrap().port();
        let [named, other] = [listen(), listen()];
        let [to, elsewhere] = [&named, &other].map(port);
        for is_led_on in [false, true] {
            let ports = Ports { bind: [to].into(), connect: [to].into(), is_led_on };
            // on a thread of its own, since it is for good
            let work = move || {
                let all = Places { read: vec![ALL.into()], write: vec![ALL.into()] };
                let status = confine(&all, &ports).unwrap().landlock;
                // nobody else can take a port that is in use, and whether it is denied is asked first
                let bind =
                    [to, elsewhere, 0].map(|port| TcpListener::bind(("127.0.0.1", port)).err().map(|e| e.kind()));
                let connect =
                    [to, elsewhere].map(|port| TcpStream::connect(("127.0.0.1", port)).err().map(|e| e.kind()));
                assert!(UdpSocket::bind("127.0.0.1:0").is_ok());
                (status, bind, connect)
            };
            let (status, bind, connect) = std::thread::spawn(work).join().unwrap();
            if !matches!(status, LandlockStatus::Available { effective_abi, .. } if effective_abi >= ABI::V4) {
                return eprintln!("SKIPPED: this kernel has no Landlock for TCP");
            }
            assert_eq!(bind, [AddrInUse, PermissionDenied, PermissionDenied].map(Some));
            assert_eq!(connect, [None, (!is_led_on).then_some(PermissionDenied)]);
        }
    }
}

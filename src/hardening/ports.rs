//! Which TCP ports are within reach: Landlock's, too, since Linux 6.7.

use landlock::{AccessNet, BitFlags, NetPort, RulesetError};
use std::collections::BTreeSet;

/// TCP ports that a command works with.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ports {
    /// Where it listens.
    pub bind: BTreeSet<u16>,
    /// What it connects to; None where that is not to be bounded.
    pub connect: Option<BTreeSet<u16>>,
}

impl Ports {
    /// What is denied but for these.
    pub(super) fn handled(&self) -> BitFlags<AccessNet> {
        match self.connect {
            Some(_) => AccessNet::BindTcp | AccessNet::ConnectTcp,
            None => AccessNet::BindTcp.into(),
        }
    }

    pub(super) fn rules(&self) -> impl Iterator<Item = Result<NetPort, RulesetError>> {
        let bind = self.bind.iter().map(|port| NetPort::new(*port, AccessNet::BindTcp));
        let connect = self.connect.iter().flatten().map(|port| NetPort::new(*port, AccessNet::ConnectTcp));
        bind.chain(connect).map(Ok)
    }

    /// What of other ports is out of reach of whoever is confined to these; where it listens can't change anyway.
    pub(super) fn lack(&self, other: &Ports) -> Option<String> {
        let (own, others) = self.connect.as_ref().zip(other.connect.as_ref())?;
        others.difference(own).next().map(|port| format!("TCP port {port}"))
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
        for is_bounded in [true, false] {
            let ports = Ports { bind: [to].into(), connect: is_bounded.then(|| [to].into()) };
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
            assert_eq!(connect, [None, is_bounded.then_some(PermissionDenied)]);
        }
    }
}

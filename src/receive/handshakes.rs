//! Connections that did not prove yet who they are. They have a bound of their own, so that they take no place from hosts that
//! did; over it the oldest of the address that has the most is closed, so that whoever says nothing makes nobody wait.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// The part of all handshakes that one address may have at once: one of so many.
const SHARES: usize = 4;

/// All handshakes.
pub(super) struct Handshakes {
    most: usize,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    begun: u64,
    count: usize,
    /// By address, oldest first; who waits at the other end of a sender learns when it is dropped.
    addresses: HashMap<IpAddr, BTreeMap<u64, oneshot::Sender<()>>>,
}

/// One of them, until dropped.
pub(super) struct Handshake {
    handshakes: Arc<Handshakes>,
    address: IpAddr,
    number: u64,
    closed: oneshot::Receiver<()>,
}

impl Handshakes {
    /// `most` at once.
    pub(super) fn new(most: usize) -> Self {
        Self { most, open: Mutex::default() }
    }

    /// A connection begins. It never waits for others.
    pub(super) fn begin(handshakes: &Arc<Self>, peer: IpAddr) -> Handshake {
        let address = network(peer);
        let (sender, closed) = oneshot::channel();
        let mut open = handshakes.lock();
        let of_address = open.addresses.get(&address).map_or(0, BTreeMap::len);
        if of_address >= (handshakes.most / SHARES).max(1) {
            open.close_oldest(address);
        } else if open.count >= handshakes.most {
            let busiest = open.addresses.iter().max_by_key(|(_, of_address)| of_address.len());
            if let Some(busiest) = busiest.map(|(address, _)| *address) {
                open.close_oldest(busiest);
            }
        }
        open.begun += 1;
        open.count += 1;
        let number = open.begun;
        open.addresses.entry(address).or_default().insert(number, sender);
        Handshake { handshakes: handshakes.clone(), address, number, closed }
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        // nothing panics under this lock
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    fn close_oldest(&mut self, address: IpAddr) {
        let oldest = self.addresses.get(&address).and_then(|of_address| of_address.keys().next().copied());
        if let Some(oldest) = oldest {
            self.remove(address, oldest);
        }
    }

    fn remove(&mut self, address: IpAddr, number: u64) {
        let Some(of_address) = self.addresses.get_mut(&address) else { return };
        self.count -= usize::from(of_address.remove(&number).is_some());
        if of_address.is_empty() {
            self.addresses.remove(&address);
        }
    }
}

impl Handshake {
    /// Returns once it had to make room for another.
    pub(super) async fn closed(&mut self) {
        // nothing is ever sent: the sender's end is what counts
        drop((&mut self.closed).await);
    }
}

impl Drop for Handshake {
    fn drop(&mut self) {
        self.handshakes.lock().remove(self.address, self.number);
    }
}

/// What counts as one address: of IPv6 a host has a whole /64.
fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64))),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_closed(handshake: &mut Handshake) -> bool {
        handshake.closed.try_recv() == Err(oneshot::error::TryRecvError::Closed)
    }

    #[test]
    fn an_address_over_its_share_closes_its_own_oldest_and_the_busiest_gives_way_when_all_is_taken() {
        let handshakes = Arc::new(Handshakes::new(8));
        let begin = |address: &str| Handshakes::begin(&handshakes, address.parse().unwrap());
        let mut many: Vec<_> = (0..3).map(|_| begin("192.0.2.1")).collect();
        assert_eq!(many.iter_mut().map(is_closed).collect::<Vec<_>>(), [true, false, false]);
        // one network of IPv6
        let mut six = [begin("2001:db8::1"), begin("2001:db8::2"), begin("2001:db8::3")];
        assert_eq!(six.each_mut().map(is_closed), [true, false, false]);
        let mut others: Vec<_> = (1..=5).map(|host| begin(&format!("198.51.100.{host}"))).collect();
        assert!(!others.iter_mut().any(is_closed));
        assert_eq!(many.iter_mut().chain(&mut six).filter_map(|one| is_closed(one).then_some(())).count(), 3);
        drop((many, six, others));
        assert_eq!(handshakes.lock().count, 0);
        assert!(handshakes.lock().addresses.is_empty());
    }
}

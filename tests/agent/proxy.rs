//! A TCP proxy that lets through as many bytes as it is told to: a line as slow, or as dead, as a test needs.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};

/// Listens as long as the process lives. What comes back is never held up.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    budget: Arc<Budget>,
}

#[derive(Default)]
struct Budget {
    left: Mutex<u64>,
    more: Condvar,
}

impl Proxy {
    /// In front of this port; nothing passes yet.
    pub(crate) fn start(to: u16) -> Proxy {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let (port, budget) = (listener.local_addr().unwrap().port(), Arc::new(Budget::default()));
        let granted = budget.clone();
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let (client, budget) = (client.unwrap(), granted.clone());
                // a server that is not there ends the connection, as it would without a proxy
                let Ok(server) = TcpStream::connect(("127.0.0.1", to)) else { continue };
                let (back_from, back_to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
                std::thread::spawn(move || copy(&client, &server, |wanted| budget.take(wanted)));
                std::thread::spawn(move || copy(&back_from, &back_to, |wanted| wanted));
            }
        });
        Proxy { port, budget }
    }

    /// So many bytes more may pass.
    pub(crate) fn grant(&self, bytes: u64) {
        *self.budget.left.lock().unwrap() += bytes;
        self.budget.more.notify_all();
    }
}

impl Budget {
    /// At most as many as are wanted, once there are some.
    fn take(&self, wanted: usize) -> usize {
        let mut left = self.more.wait_while(self.left.lock().unwrap(), |left| *left == 0).unwrap();
        let taken = wanted.min(usize::try_from(*left).unwrap_or(usize::MAX));
        *left -= taken as u64;
        taken
    }
}

fn copy(mut from: &TcpStream, mut to: &TcpStream, may: impl Fn(usize) -> usize) {
    let mut buffer = [0; 16 * 1024];
    'connection: while let Ok(count @ 1..) = from.read(&mut buffer) {
        let mut sent = 0;
        while sent < count {
            let now = may(count - sent);
            if to.write_all(&buffer[sent..sent + now]).is_err() {
                break 'connection;
            }
            sent += now;
        }
    }
    // whichever end is gone, so is the other
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}

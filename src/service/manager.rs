//! systemd's notification protocol (sd_notify(3)): datagrams to the socket that it names in the environment.

use rustix::time::{ClockId, clock_gettime};
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A service manager that reads nothing holds up nobody for longer.
const SEND_LIMIT: Duration = Duration::from_secs(1);

/// The service manager that started this process; nobody, and free of cost, where none did.
#[derive(Clone, Debug, Default)]
pub struct Manager {
    channel: Option<Arc<Channel>>,
    watchdog: Option<Duration>,
}

#[derive(Debug)]
struct Channel {
    socket: UnixDatagram,
    address: SocketAddr,
    /// A reload while the command starts must not pass for the end of the start.
    is_ready: AtomicBool,
}

impl Manager {
    /// As the environment names it ($NOTIFY_SOCKET, $WATCHDOG_USEC, $WATCHDOG_PID). A socket that can't be used is said in the log.
    pub fn from_environment() -> Self {
        let Some(name) = std::env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty()) else {
            return Self::default();
        };
        let connected = name.to_str().ok_or(io::ErrorKind::InvalidInput.into()).and_then(connect);
        match connected {
            Ok(channel) => Self { channel: Some(Arc::new(channel)), watchdog: watchdog() },
            Err(error) => {
                tracing::warn!(?name, %error, "$NOTIFY_SOCKET can't be used: the service manager will not hear of this process");
                Self::default()
            }
        }
    }

    /// How long it waits for [`Manager::alive`] before it ends this process.
    pub fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    /// Whether there is one.
    pub fn is_there(&self) -> bool {
        self.channel.is_some()
    }

    /// Started.
    pub fn ready(&self) {
        let Some(channel) = &self.channel else { return };
        channel.is_ready.store(true, Ordering::SeqCst);
        channel.tell("READY=1");
    }

    /// Reading files again, until [`Manager::reloaded`].
    pub fn reloading(&self) {
        let Some(channel) = self.channel.as_ref().filter(|channel| channel.is_ready()) else { return };
        let now = clock_gettime(ClockId::Monotonic);
        channel.tell(&format!("RELOADING=1\nMONOTONIC_USEC={}{:06}", now.tv_sec, now.tv_nsec / 1000));
    }

    /// The files were read.
    pub fn reloaded(&self) {
        if let Some(channel) = self.channel.as_ref().filter(|channel| channel.is_ready()) {
            channel.tell("READY=1");
        }
    }

    /// On the way to the end.
    pub fn stopping(&self) {
        self.tell("STOPPING=1");
    }

    /// A sign of life.
    pub fn alive(&self) {
        self.tell("WATCHDOG=1");
    }

    /// One line for `systemctl status`.
    pub fn status(&self, line: &str) {
        self.tell(&format!("STATUS={line}"));
    }

    fn tell(&self, state: &str) {
        if let Some(channel) = &self.channel {
            channel.tell(state);
        }
    }
}

impl Channel {
    fn is_ready(&self) -> bool {
        self.is_ready.load(Ordering::SeqCst)
    }

    fn tell(&self, state: &str) {
        if let Err(error) = self.socket.send_to_addr(state.as_bytes(), &self.address) {
            tracing::warn!(%error, state, "the service manager could not be told");
        }
    }
}

fn connect(name: &str) -> io::Result<Channel> {
    let address = match name.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(name)?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.set_write_timeout(Some(SEND_LIMIT))?;
    Ok(Channel { socket, address, is_ready: AtomicBool::new(false) })
}

/// The watchdog's time, if it is this process that it watches.
fn watchdog() -> Option<Duration> {
    let number = |name| std::env::var(name).ok()?.parse::<u64>().ok();
    let is_ours = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
    number("WATCHDOG_USEC").filter(|usec| is_ours && *usec > 0).map(Duration::from_micros)
}

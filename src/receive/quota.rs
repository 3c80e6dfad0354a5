//! What each host has stored and may store, and how often it may ask.
//!
//! A batch is charged before it comes, as large as it may be, and what it turns out to be is settled once it is stored; a
//! charge that is dropped is given back. What is stored already is never refused for a quota, nor charged twice: an agent
//! whose answer was lost must get its receipt. After a restart the archive itself says what a host stored.

use super::limits::Quota;
use super::refusal::Refusal;
use super::shares::Shares;
use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// So many seconds' requests may come at once.
const BURST_S: u64 = 10;

/// The accounts of all hosts, of which there are no more than the CA certified.
pub(super) struct Accounts {
    quota: Quota,
    dir: PathBuf,
    /// Of work on the disk.
    checks: Arc<Shares>,
    hosts: Mutex<HashMap<String, Arc<Mutex<Account>>>>,
}

struct Account {
    requests: Option<Bucket>,
    /// Not known before the first batch.
    stored: Option<Stored>,
}

struct Stored {
    bytes: u64,
    /// Charged, and not settled.
    charged_bytes: u64,
    day: Option<Bucket>,
}

/// What is charged for a batch; given back when dropped.
#[derive(Default)]
pub(super) struct Charge {
    account: Option<Arc<Mutex<Account>>>,
    bytes: u64,
}

/// Fills at a steady rate, up to its size.
#[derive(Clone, Debug)]
struct Bucket {
    size: f64,
    per_second: f64,
    left: f64,
    at: Instant,
}

impl Accounts {
    /// Of the hosts whose archives are in `dir`.
    pub(super) fn new(quota: &Quota, dir: &Path, checks: &Arc<Shares>) -> Self {
        Self { quota: quota.clone(), dir: dir.to_owned(), checks: checks.clone(), hosts: Mutex::default() }
    }

    /// Counts a request.
    pub(super) fn request(&self, host: &str) -> Result<(), Refusal> {
        if self.quota.requests_per_second.is_none() {
            return Ok(());
        }
        let account = self.account(host);
        let Some(requests) = &mut lock(&account).requests else { return Ok(()) };
        requests.take(1, Instant::now()).map_err(|wait| Refusal::Often {
            why: format!(
                "{host} asks more often than [receive.quota] requests_per_second allows; let it send larger batches"
            ),
            after_s: whole_seconds(wait),
        })
    }

    /// Charges a batch of at most `bytes`. Reads the host's archive, the first time.
    pub(super) async fn charge(self: Arc<Self>, host: &str, bytes: u64) -> Result<Charge, Refusal> {
        if self.quota.size_bytes.is_none() && self.quota.day_bytes.is_none() {
            return Ok(Charge::default());
        }
        let account = self.account(host);
        if lock(&account).stored.is_none() {
            let (accounts, name, share) = (self.clone(), host.to_owned(), self.checks.take(host, 1).await);
            let count = move || {
                let counted = count(&accounts.dir.join(name));
                drop(share);
                counted
            };
            let counted = tokio::task::spawn_blocking(count).await;
            let [all, of_today] = counted.unwrap_or_else(|error| Err(io::Error::other(error))).map_err(|error| {
                tracing::error!("cannot count what {host} has stored: {error}");
                Refusal::later("the receiver can't tell what this host has stored; its log says why")
            })?;
            let day = self.quota.day_bytes.map(|size| {
                let mut day = Bucket::new(size, size as f64 / DAY.as_secs_f64());
                day.left = (day.size - of_today as f64).max(0.0);
                day
            });
            // whoever came first while the files were counted has charged here
            lock(&account).stored.get_or_insert(Stored { bytes: all, charged_bytes: 0, day });
        }
        self.charge_known(host, account, bytes)
    }

    fn charge_known(&self, host: &str, account: Arc<Mutex<Account>>, bytes: u64) -> Result<Charge, Refusal> {
        let mut guard = lock(&account);
        let Some(stored) = &mut guard.stored else { return Ok(Charge::default()) };
        if let Some(size) = self.quota.size_bytes
            && stored.bytes + stored.charged_bytes + bytes > size
        {
            return Err(Refusal::OverQuota(format!(
                "{host} has stored {} of the {size} bytes that [receive.quota] size allows it; raise that, \
                 or move old streams of it out of the archive and start the receiver anew",
                stored.bytes
            )));
        }
        if let Some(day) = &mut stored.day {
            day.take(bytes, Instant::now()).map_err(|wait| Refusal::Often {
                why: format!("{host} has stored what [receive.quota] day allows it in a day"),
                after_s: whole_seconds(wait),
            })?;
        }
        stored.charged_bytes += bytes;
        drop(guard);
        Ok(Charge { account: Some(account), bytes })
    }

    /// What hosts have stored, as far as it was asked for, and what they may.
    pub(super) fn used(&self) -> (Vec<(String, u64)>, Option<u64>) {
        let hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        let used =
            hosts.iter().filter_map(|(host, account)| Some((host.clone(), lock(account).stored.as_ref()?.bytes)));
        (used.collect(), self.quota.size_bytes)
    }

    fn account(&self, host: &str) -> Arc<Mutex<Account>> {
        let new = || {
            let requests = self.quota.requests_per_second;
            let requests = requests.map(|rate| Bucket::new(rate.saturating_mul(BURST_S), rate as f64));
            Arc::new(Mutex::new(Account { requests, stored: None }))
        };
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        hosts.entry(host.to_owned()).or_insert_with(new).clone()
    }
}

impl Charge {
    /// The batch is stored, and this large.
    pub(super) fn settle(mut self, bytes: u64) {
        self.give_back(bytes);
    }

    fn give_back(&mut self, kept: u64) {
        let Some(account) = self.account.take() else { return };
        if let Some(stored) = &mut lock(&account).stored {
            stored.charged_bytes -= self.bytes;
            stored.bytes += kept;
            if let Some(day) = &mut stored.day {
                day.left += self.bytes.saturating_sub(kept) as f64;
            }
        }
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.give_back(0);
    }
}

impl Bucket {
    fn new(size: u64, per_second: f64) -> Self {
        Self { size: size as f64, per_second, left: size as f64, at: Instant::now() }
    }

    /// Takes so much, or says how long it will take until that is there.
    fn take(&mut self, amount: u64, now: Instant) -> Result<(), Duration> {
        let since = now.saturating_duration_since(self.at).as_secs_f64();
        self.left = (self.left + since * self.per_second).min(self.size);
        self.at = now;
        let lacking = amount as f64 - self.left;
        if lacking > 0.0 {
            return Err(Duration::try_from_secs_f64(lacking / self.per_second).unwrap_or(DAY));
        }
        self.left -= amount as f64;
        Ok(())
    }
}

/// Bytes below a host's folder: all, and those stored within the last day.
fn count(host: &Path) -> io::Result<[u64; 2]> {
    let (mut all, mut of_today) = (0, 0);
    let since = SystemTime::now() - DAY;
    let streams = match std::fs::read_dir(host) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok([0, 0]),
        streams => streams?,
    };
    for stream in streams {
        let stream = stream?;
        if !stream.file_type()?.is_dir() {
            continue;
        }
        for batch in std::fs::read_dir(stream.path())? {
            let batch = batch?.metadata()?;
            all += batch.len();
            if batch.modified()? > since {
                of_today += batch.len();
            }
        }
    }
    Ok([all, of_today])
}

fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs() + 1
}

fn lock(account: &Mutex<Account>) -> MutexGuard<'_, Account> {
    // nothing panics under this lock
    account.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_gives_what_has_come_in_and_says_when_there_is_more() {
        let mut bucket = Bucket::new(100, 10.0);
        let began = bucket.at;
        assert_eq!(bucket.take(100, began), Ok(()));
        assert_eq!(bucket.take(50, began), Err(Duration::from_secs(5)));
        assert_eq!(bucket.take(50, began + Duration::from_secs(4)), Err(Duration::from_secs(1)));
        assert_eq!(bucket.take(50, began + Duration::from_secs(5)), Ok(()));
        // no more than it holds, however long nobody asks
        assert_eq!(bucket.take(101, began + DAY), Err(Duration::from_millis(100)));
        assert_eq!(bucket.take(100, began + DAY), Ok(()));
    }
}

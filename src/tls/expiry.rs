//! What ends soon: a certificate that nobody renews stops deliveries weeks after the renewal broke.

use super::pem;
use rustls_pki_types::CertificateDer;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use x509_parser::prelude::{CertificateRevocationList, FromDer, X509Certificate};

/// How often is looked.
pub(crate) const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// What lives long is told of this long ahead …
const AHEAD_S: i64 = 14 * 24 * 60 * 60;
/// … and what lives shorter when so much of its life is left.
const AHEAD_PERCENT: i64 = 30;

/// Until when a file is good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expiry {
    /// The file.
    pub file: PathBuf,
    /// Whether it is a revocation list, which is overdue then, and no certificate.
    pub is_crl: bool,
    /// Since when, in seconds since 1970.
    pub from_unix_s: i64,
    /// Until when.
    pub until_unix_s: i64,
}

impl Expiry {
    /// Whether it should have been renewed by `now`.
    pub fn is_near(&self, now_unix_s: i64) -> bool {
        let lifetime_s = self.until_unix_s.saturating_sub(self.from_unix_s);
        let ahead_s = AHEAD_S.min(lifetime_s.saturating_mul(AHEAD_PERCENT) / 100);
        // lists are renewed close to their end as a rule
        self.until_unix_s.saturating_sub(now_unix_s) < if self.is_crl { 0 } else { ahead_s }
    }
}

/// Of authorities the one that is trusted longest, of a chain the certificate that ends first, of lists the one that is overdue first.
pub(crate) fn expiries(ca: Option<&PathBuf>, chain: Option<&PathBuf>, crls: &[PathBuf]) -> Vec<Expiry> {
    let lists = crls.iter().filter_map(|file| {
        let lists = pem::crls(std::slice::from_ref(file)).ok()?;
        let spans = lists.iter().filter_map(|list| {
            let (_, list) = CertificateRevocationList::from_der(list).ok()?;
            Some((list.last_update().timestamp(), list.next_update()?.timestamp()))
        });
        expiry(file, true, spans.min_by_key(|(_, until)| *until))
    });
    let ca = ca.and_then(|file| expiry(file, false, spans(file).into_iter().max_by_key(|(_, until)| *until)));
    let chain = chain.and_then(|file| expiry(file, false, spans(file).into_iter().min_by_key(|(_, until)| *until)));
    ca.into_iter().chain(chain).chain(lists).collect()
}

fn spans(file: &Path) -> Vec<(i64, i64)> {
    let span = |certificate: &CertificateDer<'_>| {
        let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
        let validity = certificate.validity();
        Some((validity.not_before.timestamp(), validity.not_after.timestamp()))
    };
    pem::certificates(file).unwrap_or_default().iter().filter_map(span).collect()
}

fn expiry(file: &Path, is_crl: bool, span: Option<(i64, i64)>) -> Option<Expiry> {
    let (from_unix_s, until_unix_s) = span?;
    Some(Expiry { file: file.to_owned(), is_crl, from_unix_s, until_unix_s })
}

/// Warns of what ends soon; `of` says whose files they are.
pub(crate) fn warn(of: &str, expiries: &[Expiry]) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let now = i64::try_from(now).unwrap_or(i64::MAX);
    for expiry in expiries.iter().filter(|expiry| expiry.is_near(now)) {
        let until = x509_parser::time::ASN1Time::from_timestamp(expiry.until_unix_s).map(|time| time.to_string());
        let (file, until) = (expiry.file.display(), until.unwrap_or_default());
        let days = (expiry.until_unix_s - now) / 86_400;
        match expiry.is_crl {
            true => {
                tracing::warn!(of, %file, until, "a revocation list is overdue: what was revoked since is let in; fetch a newer one")
            }
            false => tracing::warn!(of, %file, until, days, "a certificate expires soon; renew it"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_is_a_part_of_a_short_life_and_two_weeks_of_a_long_one() {
        const HOUR: i64 = 3600;
        let near = |is_crl, lifetime_s: i64, left_s: i64| {
            let expiry =
                Expiry { file: "a".into(), is_crl, from_unix_s: 1_000_000, until_unix_s: 1_000_000 + lifetime_s };
            expiry.is_near(1_000_000 + lifetime_s - left_s)
        };
        for (lifetime_s, left_s, expected) in [
            (10 * HOUR, 3 * HOUR + 1, false),
            (10 * HOUR, 3 * HOUR - 1, true),
            (365 * 24 * HOUR, 15 * 24 * HOUR, false),
            (365 * 24 * HOUR, 13 * 24 * HOUR, true),
            (10 * HOUR, -HOUR, true),
            (0, 1, false),
        ] {
            assert_eq!(near(false, lifetime_s, left_s), expected, "{lifetime_s} {left_s}");
        }
        assert!(!near(true, 10 * HOUR, 1) && near(true, 10 * HOUR, -1));
    }
}

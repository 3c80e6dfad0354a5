//! TLS as everybody here speaks it: whom to trust, who we are, and certificates that are exchanged while they are in use.
//!
//! | file | what it does |
//! | --- | --- |
//! | `pem` | certificates, keys and revocation lists in their files |
//! | `client` | how a server is called |
//! | `server` | a server's certificate, checked |
//! | `watched` | whether files changed since they were taken up |
//! | `expiry` | what ends soon |
//! | `explain` | what a failed call means |

mod client;
mod expiry;
mod explain;
mod pem;
mod server;
mod watched;

pub(crate) use client::{client, plain};
pub use expiry::Expiry;
pub(crate) use expiry::{DAY, expiries, warn};
pub(crate) use explain::{causes, explain, origin, said_by};
pub use pem::Fault;
pub(crate) use pem::{certificates, crls, private_key, roots};
pub use server::Pin;
pub(crate) use watched::Watched;

use rustls_pki_types::ServerName;
use std::path::PathBuf;

/// How a server is called: certificate files in PEM, and what else is asked of the server.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// Whom to trust; whom the machine trusts, if absent.
    pub ca: Option<PathBuf>,
    /// Who we are, for servers that ask.
    pub client: Option<ClientFiles>,
    /// Whom the server's certificate must name; the URL's host, if absent.
    pub server_name: Option<ServerName<'static>>,
    /// The server's public key must be one of these, whoever signed its certificate; any, if empty.
    pub pins: Vec<Pin>,
    /// Revocation lists. With any, each authority on the way to `ca` must have one here.
    pub crls: Vec<PathBuf>,
    /// The oldest version that is spoken.
    pub min_version: Version,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Version {
    /// 1.2, under which a client certificate crosses the wire in the clear.
    Tls12,
    /// 1.3.
    #[default]
    Tls13,
}

/// A certificate chain and its key.
#[derive(Clone, Debug, PartialEq)]
pub struct ClientFiles {
    /// The chain.
    pub cert: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

impl Config {
    /// Every file that it names.
    pub(crate) fn files(&self) -> impl Iterator<Item = &PathBuf> {
        let client = self.client.iter().flat_map(|client| [&client.cert, &client.key]);
        self.ca.iter().chain(client).chain(&self.crls)
    }

    /// Until when its files are good, as they are now. Those that can't be read are told where they are used.
    pub fn expiries(&self) -> Vec<Expiry> {
        expiries(self.ca.as_ref(), self.client.as_ref().map(|client| &client.cert), &self.crls)
    }
}

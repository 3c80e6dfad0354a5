//! What is wrong with TLS to the brokers, of which the client only says that there are none.

use crate::tls::causes;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// A broker that takes the certificate says nothing before it is asked.
const SILENCE: Duration = Duration::from_secs(1);

/// The first fault that a connection to one of the brokers shows.
pub(super) async fn fault(brokers: &[String], tls: &ClientConfig) -> Option<String> {
    let connector = TlsConnector::from(Arc::new(tls.clone()));
    for broker in brokers {
        let fault = match tokio::time::timeout(CONNECT_TIMEOUT, greet(broker, &connector)).await {
            Ok(Ok(())) => continue,
            Ok(Err(error)) => causes(&error),
            Err(_) => format!("no answer within {} s", CONNECT_TIMEOUT.as_secs()),
        };
        return Some(format!("{broker}: {fault}"));
    }
    None
}

/// With TLS 1.3 it is only after its own part of the handshake that a server says what it thinks of the client's certificate.
async fn greet(broker: &str, connector: &TlsConnector) -> io::Result<()> {
    let host = broker.rsplit_once(':').map_or(broker, |(host, _)| host).trim_matches(['[', ']']);
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    let mut connection = connector.connect(name, TcpStream::connect(broker).await?).await?;
    match tokio::time::timeout(SILENCE, connection.read_u8()).await {
        Ok(Err(error)) => Err(error),
        Ok(Ok(_)) | Err(_) => Ok(()),
    }
}

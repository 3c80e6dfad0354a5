//! A certificate authority for one test.

use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, SanType};
use std::path::Path;
use time::{Duration, OffsetDateTime};

pub(crate) struct Authority {
    pub(crate) pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    /// Writes ca.pem, server.pem and server.key.
    pub(crate) fn write_server_files(&self, folder: &Path) {
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let params = CertificateParams::new(names).unwrap();
        let (certificate, key) = self.sign(params, ExtendedKeyUsagePurpose::ServerAuth);
        std::fs::write(folder.join("ca.pem"), &self.pem).unwrap();
        std::fs::write(folder.join("server.pem"), certificate).unwrap();
        write_secret(&folder.join("server.key"), &key);
    }

    /// A server's certificate and key in one PEM.
    pub(crate) fn server_valid_from(&self, from: OffsetDateTime) -> String {
        let mut params = CertificateParams::new(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        params.not_before = from;
        let (certificate, key) = self.sign(params, ExtendedKeyUsagePurpose::ServerAuth);
        certificate + &key
    }

    /// Certificate and key in one PEM, for the DNS names.
    pub(crate) fn client(&self, names: &[&str]) -> String {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        self.client_of(CertificateParams::new(names).unwrap())
    }

    pub(crate) fn client_with_uri(&self, uri: &str) -> String {
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![SanType::URI(uri.try_into().unwrap())];
        self.client_of(params)
    }

    /// Valid until `ago` before now.
    pub(crate) fn expired_client(&self, name: &str, ago: Duration) -> String {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.not_before = OffsetDateTime::now_utc() - ago - Duration::days(1);
        params.not_after = OffsetDateTime::now_utc() - ago;
        self.client_of(params)
    }

    fn client_of(&self, params: CertificateParams) -> String {
        let (certificate, key) = self.sign(params, ExtendedKeyUsagePurpose::ClientAuth);
        certificate + &key
    }

    fn sign(&self, mut params: CertificateParams, usage: ExtendedKeyUsagePurpose) -> (String, String) {
        params.extended_key_usages = vec![usage];
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }
}

fn write_secret(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

//! A certificate authority for one test.

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyIdMethod, KeyPair, RevokedCertParams, SanType, SerialNumber,
};
use std::path::Path;
use time::{Duration, OffsetDateTime};

pub(crate) struct Authority {
    pub(crate) pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        Self::of(CertificateParams::default())
    }

    /// All others have one name.
    pub(crate) fn named(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        Self::of(params)
    }

    fn of(mut params: CertificateParams) -> Self {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    /// Writes ca.pem, server.pem and server.key; by which number the certificate is revoked.
    pub(crate) fn write_server_files(&self, folder: &Path) -> SerialNumber {
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let mut params = CertificateParams::new(names).unwrap();
        let serial = SerialNumber::from(5);
        params.serial_number = Some(serial.clone());
        self.write_server(folder, params);
        serial
    }

    /// The same with a certificate of these parameters.
    pub(crate) fn write_server(&self, folder: &Path, params: CertificateParams) {
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

    /// Certificate and key of a client, in one PEM, and the number by which it is revoked.
    pub(crate) fn revocable_client(&self, name: &str) -> (String, SerialNumber) {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        let serial = SerialNumber::from(7);
        params.serial_number = Some(serial.clone());
        (self.client_of(params), serial)
    }

    /// A revocation list that is good for `days` from now.
    pub(crate) fn crl(&self, revoked: &[SerialNumber], days: i64) -> String {
        let now = OffsetDateTime::now_utc();
        let revoke = |serial: &SerialNumber| RevokedCertParams {
            serial_number: serial.clone(),
            revocation_time: now - Duration::days(1),
            reason_code: None,
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: now - Duration::days(30),
            next_update: now + Duration::days(days),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: revoked.iter().map(revoke).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.issuer).unwrap().pem().unwrap()
    }

    /// Certificate and key of these parameters in one PEM.
    pub(crate) fn client_of(&self, params: CertificateParams) -> String {
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

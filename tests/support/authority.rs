//! A certification authority that lives as long as a test.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::PrivatePkcs8KeyDer;
use std::fs;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Signs server certificates. Its own certificate lies in a PEM file that others can read.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    directory: PathBuf,
    owns_directory: bool,
}

impl Authority {
    /// A new authority whose `ca.pem` lies in a new directory, removed with it.
    pub fn new() -> Authority {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("third_party_auth_ca_{}_{number}", process::id());
        let directory = std::env::temp_dir().join(name);
        fs::create_dir_all(&directory).expect("a directory for ca.pem");
        let mut authority = Authority::in_directory(&directory);
        authority.owns_directory = true;
        authority
    }

    /// A new authority whose `ca.pem` lies in this directory and stays there.
    pub fn in_directory(directory: &Path) -> Authority {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params
            .distinguished_name
            .push(DnType::CommonName, "pg_third_party_auth test authority");
        let key = KeyPair::generate().expect("a key");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("a certificate");
        fs::write(directory.join("ca.pem"), issuer.pem()).expect("ca.pem written");
        Authority {
            issuer,
            directory: directory.to_owned(),
            owns_directory: false,
        }
    }

    /// The PEM file with its certificate, for `ca_file`.
    pub fn ca_file(&self) -> PathBuf {
        self.directory.join("ca.pem")
    }

    /// A TLS server's configuration with a new certificate for these names and addresses.
    pub fn server_config(&self, names: &[&str]) -> Arc<ServerConfig> {
        self.config_of(names, |_| {})
    }

    /// The same with a certificate that expired in 2001.
    pub fn expired_server_config(&self, names: &[&str]) -> Arc<ServerConfig> {
        self.config_of(names, |params| {
            params.not_before = rcgen::date_time_ymd(2000, 1, 1);
            params.not_after = rcgen::date_time_ymd(2001, 1, 1);
        })
    }

    fn config_of(
        &self,
        names: &[&str],
        change: impl FnOnce(&mut CertificateParams),
    ) -> Arc<ServerConfig> {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("names of a certificate");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        change(&mut params);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a signature");
        let chain = vec![certificate.der().clone(), self.issuer.der().clone()];
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("TLS 1.2 and 1.3")
            .with_no_client_auth()
            .with_single_cert(chain, key.into())
            .expect("a key that fits its certificate");
        Arc::new(config)
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        if self.owns_directory {
            let _ = fs::remove_dir_all(&self.directory);
        }
    }
}

//! The certification authorities that are trusted: the system's, and those of `ca_file`.

use super::FetchError;
use parking_lot::Mutex;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use ureq::tls::{Certificate, RootCerts};

/// How long the certificates are kept before they are read again, so that a renewed file counts
/// without a restart.
const KEEP: Duration = Duration::from_secs(600);

/// The largest `ca_file`, in bytes.
const MAX_FILE_BYTES: u64 = 4 * 1024 * 1024;

static KEPT: Mutex<Option<Kept>> = Mutex::new(None);

struct Kept {
    ca_file: Option<PathBuf>,
    read_at: Instant,
    roots: RootCerts,
}

/// The trusted roots under this `ca_file` setting.
pub(super) fn trusted(ca_file: Option<&Path>) -> Result<RootCerts, FetchError> {
    let mut kept = KEPT.lock();
    if let Some(kept) = kept.as_ref()
        && kept.ca_file.as_deref() == ca_file
        && kept.read_at.elapsed() < KEEP
    {
        return Ok(kept.roots.clone());
    }
    let mut certificates = match ca_file {
        Some(path) => of_file(path)?,
        None => Vec::new(),
    };
    // Some directories hold files that are no certificates; what can be read counts.
    certificates.extend(rustls_native_certs::load_native_certs().certs);
    let roots = usable(certificates)?;
    *kept = Some(Kept {
        ca_file: ca_file.map(Path::to_owned),
        read_at: Instant::now(),
        roots: roots.clone(),
    });
    Ok(roots)
}

fn of_file(path: &Path) -> Result<Vec<CertificateDer<'static>>, FetchError> {
    let unusable = |problem: String| FetchError::CaFile { problem };
    let metadata = fs::metadata(path).map_err(|error| unusable(error.kind().to_string()))?;
    if !metadata.is_file() {
        return Err(unusable("it is not a file".to_owned()));
    }
    if metadata.len() > MAX_FILE_BYTES {
        return Err(unusable("it is larger than 4 MiB".to_owned()));
    }
    let pem = fs::read(path).map_err(|error| unusable(error.kind().to_string()))?;
    let certificates: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .map_err(|_| unusable("it is not a PEM file".to_owned()))?;
    if certificates.is_empty() {
        return Err(unusable("it has no certificate".to_owned()));
    }
    let mut store = RootCertStore::empty();
    for certificate in &certificates {
        store
            .add(certificate.clone())
            .map_err(|_| unusable("a certificate in it is malformed".to_owned()))?;
    }
    Ok(certificates)
}

/// Without a single root ureq would fail every handshake with an error that says something else.
fn usable(certificates: Vec<CertificateDer<'static>>) -> Result<RootCerts, FetchError> {
    let mut store = RootCertStore::empty();
    let mut kept: Vec<Certificate<'static>> = Vec::with_capacity(certificates.len());
    for certificate in certificates {
        if store.add(certificate.clone()).is_ok() {
            kept.push(Certificate::from_der(&certificate).to_owned());
        }
    }
    if kept.is_empty() {
        return Err(FetchError::NoRoots);
    }
    Ok(RootCerts::new_with_certs(&kept))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_any_root_there_is_an_error_and_no_panic() {
        let error = usable(Vec::new()).unwrap_err();
        assert_eq!(error.class(), "no_roots");
        let garbage = vec![CertificateDer::from(vec![1, 2, 3])];
        assert_eq!(usable(garbage).unwrap_err().class(), "no_roots");
    }
}

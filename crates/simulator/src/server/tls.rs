//! The certificate of this run: an own CA and a leaf for `localhost` and 127.0.0.1, or files that the user names.
//!
//! A made-up CA is good for nothing but this run: its key is never written anywhere.

use std::path::Path;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The certificate could not be made.
    #[error("cannot make a certificate: {0}")]
    Make(#[from] rcgen::Error),
    /// A file of the user's cannot be read.
    #[error("cannot read {file}: {source}")]
    File {
        /// Which.
        file: String,
        /// Why.
        source: rustls_pki_types::pem::Error,
    },
    /// A file cannot be written.
    #[error("cannot write {file}: {source}")]
    Write {
        /// Which.
        file: String,
        /// Why.
        source: std::io::Error,
    },
    /// Certificate and key do not fit.
    #[error("certificate and key do not work together: {0}")]
    Rustls(#[from] rustls::Error),
}

/// What the server shows, and what a client must trust.
pub(super) struct Identity {
    pub(super) acceptor: TlsAcceptor,
    /// PEM of the CA; `None` with certificates of the user's.
    pub(super) ca_pem: Option<String>,
}

/// A certificate of a CA that nobody can use again: its key is dropped here.
struct MadeUp {
    ca_pem: String,
    certificate: rcgen::Certificate,
    key: KeyPair,
}

fn make(host: &str) -> Result<MadeUp, rcgen::Error> {
    let mut ca = CertificateParams::new(Vec::new())?;
    ca.distinguished_name.push(DnType::CommonName, "rtms-simulator, good for one certificate");
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    let ca_key = KeyPair::generate()?;
    let ca_pem = ca.self_signed(&ca_key)?.pem();
    let issuer = Issuer::new(ca, ca_key);

    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    if !names.iter().any(|name| name == host) {
        names.push(host.to_owned());
    }
    let mut leaf = CertificateParams::new(names)?;
    leaf.distinguished_name.push(DnType::CommonName, "localhost");
    leaf.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate()?;
    let certificate = leaf.signed_by(&key, &issuer)?;
    Ok(MadeUp { ca_pem, certificate, key })
}

/// Makes a certificate for `host` (besides `localhost` and 127.0.0.1), for this run only.
pub(super) fn made_up(host: &str) -> Result<Identity, TlsError> {
    let MadeUp { ca_pem, certificate, key } = make(host)?;
    let key =
        PrivateKeyDer::try_from(key.serialize_der()).map_err(|e| rustls::Error::General(e.to_owned()))?;
    Ok(Identity { acceptor: acceptor(vec![certificate.der().clone()], key)?, ca_pem: Some(ca_pem) })
}

/// Writes `ca.pem`, `cert.pem` and `key.pem` for `host` into a folder, so that clients can trust the CA before the
/// simulator starts.
///
/// # Errors
/// When the certificate cannot be made or the folder cannot be written to.
pub fn write_certificate(folder: &Path, host: &str) -> Result<(), TlsError> {
    let MadeUp { ca_pem, certificate, key } = make(host)?;
    let write = |name: &str, text: String| {
        let file = folder.join(name);
        std::fs::write(&file, text)
            .map_err(|source| TlsError::Write { file: file.display().to_string(), source })
    };
    write("ca.pem", ca_pem)?;
    write("cert.pem", certificate.pem())?;
    write("key.pem", key.serialize_pem())
}

/// Reads a certificate chain and its key, both PEM.
pub(super) fn from_files(certificate: &Path, key: &Path) -> Result<Identity, TlsError> {
    let unreadable = |file: &Path| {
        let file = file.display().to_string();
        move |source| TlsError::File { file, source }
    };
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect)
        .map_err(unreadable(certificate))?;
    let key = PrivateKeyDer::from_pem_file(key).map_err(unreadable(key))?;
    Ok(Identity { acceptor: acceptor(chain, key)?, ca_pem: None })
}

fn acceptor(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<TlsAcceptor, TlsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

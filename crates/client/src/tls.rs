//! Whose certificates are believed.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

/// Why no TLS connection could ever be made.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file with the extra CA cannot be read as PEM.
    #[error("{}: {source}", path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: rustls_pki_types::pem::Error,
    },
    /// The file holds no certificate, or one that cannot be a root.
    #[error("{}: no usable CA certificate in it", .0.display())]
    NoCa(PathBuf),
    /// The system has no trusted roots and no file was given.
    #[error("no trusted root certificates on this system; install ca-certificates or name a PEM file")]
    NoRoots,
    /// The TLS library refused its own defaults.
    #[error("TLS set-up failed: {0}")]
    Rustls(#[from] rustls::Error),
}

/// The trusted roots and the TLS settings made of them; cheap to clone.
#[derive(Debug, Clone)]
pub struct TlsRoots {
    pub(crate) config: Arc<ClientConfig>,
    roots: usize,
}

impl TlsRoots {
    /// The system's roots, and those in `extra`, a PEM file.
    ///
    /// # Errors
    /// When the file is unusable, or when there is no root at all.
    pub fn system(extra: Option<&Path>) -> Result<Self, TlsError> {
        let mut store = RootCertStore::empty();
        let found = rustls_native_certs::load_native_certs();
        for error in &found.errors {
            tracing::warn!(%error, "a system root certificate could not be read; the others are used");
        }
        store.add_parsable_certificates(found.certs);
        if let Some(path) = extra {
            add_file(&mut store, path)?;
        }
        if store.is_empty() {
            return Err(TlsError::NoRoots);
        }
        let roots = store.len();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(store)
            .with_no_client_auth();
        Ok(Self { config: Arc::new(config), roots })
    }

    /// How many roots are trusted.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.roots
    }
}

fn add_file(store: &mut RootCertStore, path: &Path) -> Result<(), TlsError> {
    let broken = |source| TlsError::CaFile { path: path.to_owned(), source };
    let certificates = CertificateDer::pem_file_iter(path)
        .map_err(broken)?
        .collect::<Result<Vec<_>, _>>()
        .map_err(broken)?;
    let (added, _) = store.add_parsable_certificates(certificates);
    if added == 0 { Err(TlsError::NoCa(path.to_owned())) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unusable_file_is_named() {
        let missing = TlsRoots::system(Some(Path::new("/nowhere/ca.pem"))).unwrap_err().to_string();
        assert!(missing.contains("/nowhere/ca.pem"), "{missing}");
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        let empty = TlsRoots::system(Some(&manifest)).unwrap_err().to_string();
        assert!(empty.contains("Cargo.toml"), "{empty}");
    }
}

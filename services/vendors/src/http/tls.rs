//! TLS with ring and the system's roots.

use std::sync::Arc;

use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};

/// The configuration of TLS; an error says what is missing. An address without TLS needs no roots.
pub fn config(base_url: &str) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore::empty();
    if base_url.starts_with("https:") {
        let found = rustls_native_certs::load_native_certs();
        let (added, _) = roots.add_parsable_certificates(found.certs);
        if added == 0 {
            return Err("the system has no certificates of authorities, install ca-certificates".to_owned());
        }
    }
    let provider = Arc::new(crypto::ring::default_provider());
    let versions = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    Ok(versions.with_root_certificates(roots).with_no_client_auth())
}

//! One authority and one leaf, P-256, that all proxies but Updraft use on both sides, as files and
//! for rustls.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{ClientConfig, RootCertStore, ServerConfig};

use crate::client::Caller;

/// The name in the leaf.
pub const NAME: &str = "localhost";

/// Writes `ca.pem`, `leaf.pem`, `key.pem` and, for HAProxy, `both.pem`.
pub fn write(folder: &Path) -> Result<()> {
    let mut root = CertificateParams::new(Vec::new())?;
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    // Two names: to OpenSSL a leaf that is named like its issuer has signed itself.
    root.distinguished_name.push(DnType::CommonName, "authority");
    root.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let root_key = KeyPair::generate()?;
    let root_certificate = root.self_signed(&root_key)?;
    let issuer = Issuer::new(root, root_key);
    let mut leaf = CertificateParams::new(vec![NAME.to_owned()])?;
    leaf.distinguished_name.push(DnType::CommonName, "proxy");
    leaf.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    let key = KeyPair::generate()?;
    let (leaf, key) = (leaf.signed_by(&key, &issuer)?.pem(), key.serialize_pem());
    fs::write(folder.join("ca.pem"), root_certificate.pem())?;
    fs::write(folder.join("leaf.pem"), &leaf)?;
    fs::write(folder.join("key.pem"), &key)?;
    fs::write(folder.join("both.pem"), leaf + &key)?;
    Ok(())
}

/// A client that shows the leaf and never resumes a session.
pub fn client(folder: &Path, protocol: &str) -> Result<Arc<ClientConfig>> {
    let (chain, key) = identity(folder)?;
    let mut config = ClientConfig::builder_with_protocol_versions(&[&rustls::version::TLS13])
        .with_root_certificates(roots(folder)?)
        .with_client_auth_cert(chain, key)?;
    config.resumption = Resumption::disabled();
    config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
    Ok(Arc::new(config))
}

/// The client of a proxy that has the leaf.
pub fn caller(folder: &Path) -> Result<Caller> {
    Ok(Caller { config: client(folder, "http/1.1")?, server: NAME.try_into()? })
}

/// A server that asks for a leaf of the authority and resumes no session.
pub fn server(folder: &Path) -> Result<Arc<ServerConfig>> {
    let (chain, key) = identity(folder)?;
    let verifier = WebPkiClientVerifier::builder(Arc::new(roots(folder)?)).build()?;
    let mut config = ServerConfig::builder_with_protocol_versions(&[&rustls::version::TLS13])
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)?;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn roots(folder: &Path) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(folder.join("ca.pem")).context("ca.pem")?)?;
    Ok(roots)
}

fn identity(folder: &Path) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)> {
    let leaf = CertificateDer::from_pem_file(folder.join("leaf.pem")).context("leaf.pem")?;
    let key = PrivateKeyDer::from_pem_file(folder.join("key.pem")).context("key.pem")?;
    Ok((vec![leaf], key))
}

//! TLS: whom this machine trusts, and whom a file adds.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use updraft_image::{Options, Registry, RegistryError, Scheme, media};

use crate::images::told;
use crate::proxy::answered;

/// A TLS server whose certificate is in a file; it answers everything with an empty index.
async fn secure(ca: &Path) -> (u16, Arc<std::sync::atomic::AtomicUsize>) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(ca, made.cert.pem()).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let (acceptor, listener) =
        (TlsAcceptor::from(Arc::new(config)), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let port = listener.local_addr().unwrap().port();
    let count = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = count.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counted.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut buffer = [0; 4096];
            if stream.read(&mut buffer).await.is_ok() {
                let kind = format!("Content-Type: {}\r\n", media::INDEX);
                let text = answered("200 OK", &kind, r#"{"schemaVersion":2,"manifests":[]}"#);
                drop(stream.write_all(text.as_bytes()).await);
                drop(stream.shutdown().await);
            }
        }
    });
    (port, count)
}

#[tokio::test]
async fn an_authority_of_a_file_is_trusted_and_an_unknown_one_is_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    let (port, count) = secure(&ca).await;
    let name = format!("localhost:{port}/a:1").parse().unwrap();
    let trusted =
        Registry::new(Options { ca_file: Some(ca.clone()), ..Options::default() }).unwrap();
    assert_eq!(trusted.resolve(&name).await.unwrap().media_type, media::INDEX);
    let before = count.load(std::sync::atomic::Ordering::SeqCst);
    let unknown = Registry::new(Options { scheme: Scheme::Tls, ..Options::default() }).unwrap();
    let error = unknown.resolve(&name).await.unwrap_err();
    assert!(matches!(error, RegistryError::Tls { .. }), "{}", told(&error));
    assert!(error.to_string().contains("CA file"), "{error}");
    let tries = count.load(std::sync::atomic::Ordering::SeqCst) - before;
    assert_eq!(tries, 1, "what will not become better is not tried again");
    let other = format!("127.0.0.1:{port}/a:1").parse().unwrap();
    let error = trusted.resolve(&other).await.unwrap_err();
    assert!(matches!(error, RegistryError::Tls { .. }), "another name: {}", told(&error));
}

#[tokio::test]
async fn a_file_without_certificates_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in [
        ("empty", ""),
        ("text", "CA"),
        ("broken", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
    ] {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        let error =
            Registry::new(Options { ca_file: Some(path), ..Options::default() }).unwrap_err();
        assert!(error.to_string().contains("certificates as PEM"), "{name}: {error}");
    }
    let missing = Some(folder.path().join("missing"));
    assert!(Registry::new(Options { ca_file: missing, ..Options::default() }).is_err());
}

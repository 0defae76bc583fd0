//! TLS of calls: whom the client trusts, and who it says that it is.

use std::sync::{Arc, OnceLock};

use hyper_rustls::ConfigBuilderExt as _;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::settings::variable;
use crate::BoxError;
use crate::app::FieldSpec;
use crate::config::{Config, Invalid, Variable};

/// The protocols that are spoken (RFC 7301), the best first.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// Authorities in PEM (RFC 7468).
struct Roots(RootCertStore);

impl Variable for Roots {
    const EXPECTED: &'static str = "certificates in PEM, or better its _FILE to a file with them";

    fn parse(text: &str) -> Result<Self, String> {
        let Chain(certificates) = Chain::parse(text)?;
        let mut roots = RootCertStore::empty();
        for certificate in certificates {
            let added = roots.add(certificate);
            added.map_err(|_not_one| "has a certificate that is none".to_owned())?;
        }
        Ok(Self(roots))
    }

    fn show(&self) -> String {
        format!("[{} certificates]", self.0.len())
    }
}

/// A certificate, and those between it and the root.
struct Chain(Vec<CertificateDer<'static>>);

impl Variable for Chain {
    const EXPECTED: &'static str = "certificates in PEM, or better its _FILE to a file with them";

    fn parse(text: &str) -> Result<Self, String> {
        let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
        match read {
            Ok(chain) if !chain.is_empty() => Ok(Self(chain)),
            _ => Err("holds no certificate in PEM".to_owned()),
        }
    }

    fn show(&self) -> String {
        format!("[{} certificates]", self.0.len())
    }
}

/// A private key.
struct Key(PrivateKeyDer<'static>);

impl Variable for Key {
    const EXPECTED: &'static str = "a private key in PEM, or better its _FILE to a file with it";
    const SECRET: bool = true;

    fn parse(text: &str) -> Result<Self, String> {
        // What the parser says may quote what it was given.
        let read = PrivateKeyDer::from_pem_slice(text.as_bytes());
        read.map(Self).map_err(|_no_key| "holds no private key in PEM".to_owned())
    }

    fn show(&self) -> String {
        "[secret]".to_owned()
    }
}

/// How encrypted connections are made; by default with the authorities of the system and
/// without a certificate.
#[derive(Clone, Debug, Default)]
pub(super) struct TlsSettings {
    given: Option<Arc<ClientConfig>>,
    /// Made when first needed: the authorities of the system take time to read.
    of_system: Arc<OnceLock<Arc<ClientConfig>>>,
}

/// Encrypts connections to one host.
#[derive(Clone)]
pub(super) struct ForHost {
    connector: TlsConnector,
    host: ServerName<'static>,
}

impl ForHost {
    pub(super) async fn connect(&self, stream: TcpStream) -> std::io::Result<TlsStream<TcpStream>> {
        self.connector.connect(self.host.clone(), stream).await
    }
}

impl TlsSettings {
    pub(super) fn read(config: &mut Config, spec: &FieldSpec) -> Result<Self, Invalid> {
        let about =
            "the authorities that the service's certificate must be of; not set: the system's";
        let roots = config.optional::<Roots>(variable(spec, "CA"), about);
        let (cert_name, cert_about) =
            (variable(spec, "CERT"), "the certificate that is shown to the service");
        let cert = config.optional::<Chain>(cert_name, cert_about);
        let (key_name, key_about) = (variable(spec, "KEY"), "the private key of that certificate");
        let key = config.optional::<Key>(key_name, key_about);
        let identity = match (cert?, key?) {
            (Some(Chain(chain)), Some(Key(key))) => Some((chain, key)),
            (None, None) => None,
            (Some(_), None) => {
                let wrong = format!("is not set, and {cert_name} is: it takes both");
                return Err(config.problem::<Key>(key_name, key_about, wrong));
            }
            (None, Some(_)) => {
                let wrong = format!("is not set, and {key_name} is: it takes both");
                return Err(config.problem::<Chain>(cert_name, cert_about, wrong));
            }
        };
        let roots = roots?.map(|Roots(roots)| roots);
        if roots.is_none() && identity.is_none() {
            return Ok(Self::default());
        }
        match client_config(roots, identity) {
            Ok(given) => Ok(Self { given: Some(Arc::new(given)), ..Self::default() }),
            Err(_refused) => {
                let wrong = format!("cannot be shown: it must fit {key_name}");
                Err(config.problem::<Chain>(cert_name, cert_about, wrong))
            }
        }
    }

    pub(super) fn for_host(&self, host: &str) -> Result<ForHost, BoxError> {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let host = ServerName::try_from(bare.to_owned())?;
        let config = match (&self.given, self.of_system.get()) {
            (Some(config), _) | (None, Some(config)) => Arc::clone(config),
            (None, None) => {
                let made = Arc::new(client_config(None, None)?);
                Arc::clone(self.of_system.get_or_init(|| made))
            }
        };
        Ok(ForHost { connector: TlsConnector::from(config), host })
    }
}

/// A certificate and its key.
type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn client_config(
    roots: Option<RootCertStore>,
    identity: Option<Identity>,
) -> Result<ClientConfig, BoxError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let builder = match roots {
        Some(roots) => builder.with_root_certificates(roots),
        None => builder.with_native_roots()?,
    };
    let mut config = match identity {
        Some((chain, key)) => builder.with_client_auth_cert(chain, key)?,
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
    Ok(config)
}

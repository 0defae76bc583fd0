//! TLS 1.2 and 1.3 by rustls: certificates from the environment or from files that are read
//! again when they change, and clients that prove who they are by certificates of their own.

mod material;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::ServerConfig;
use tokio_rustls::TlsAcceptor;

use super::listener::Stream;
use super::metrics::{ReloadLabels, WebMetrics};
use super::peer::PeerIdentity;
use crate::config::{Config, Invalid, Variable};
use material::{Material, MaterialError, Source};

/// How often the files are looked at. Authorities that rotate by themselves do so hours
/// before the old certificate ends.
const LOOK_TIME: Duration = Duration::from_secs(2);

/// The protocols that are spoken (RFC 7301), the best first.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// What the environment says of TLS.
#[derive(Clone, Debug)]
pub(crate) struct TlsSettings {
    cert: Source,
    key: Source,
    client_ca: Option<Source>,
    client_auth: ClientAuth,
    /// What is served, made while the environment was read, so that what is wrong with it is
    /// in the report of the configuration.
    first: Arc<Loaded>,
}

/// Whether a client must show a certificate, where there is an authority for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ClientAuth {
    Required,
    Optional,
}

/// A configuration, and of which files it was made.
#[derive(Clone, Debug)]
struct Loaded {
    config: Arc<ServerConfig>,
    material: blake3::Hash,
}

/// Makes connections into encrypted ones.
#[derive(Debug)]
pub(super) struct Tls {
    settings: TlsSettings,
    serving: Mutex<Arc<Loaded>>,
}

impl Variable for ClientAuth {
    const EXPECTED: &'static str = "`required` or `optional`";

    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "required" => Ok(Self::Required),
            "optional" => Ok(Self::Optional),
            _ => Err("is neither `required` nor `optional`".to_owned()),
        }
    }

    fn show(&self) -> String {
        match self {
            Self::Required => "required".to_owned(),
            Self::Optional => "optional".to_owned(),
        }
    }
}

impl TlsSettings {
    /// What is said of TLS; `None` when nothing is.
    pub(super) fn read(config: &mut Config) -> Result<Option<Self>, Invalid> {
        let cert = Source::read(config, &material::CERT);
        let key = Source::read(config, &material::KEY);
        let client_ca = Source::read(config, &material::CLIENT_CA);
        let about = "whether clients must show a certificate";
        let client_auth = config.or("TLS_CLIENT_AUTH", ClientAuth::Required, about);
        let (cert, key, client_ca, client_auth) = (cert?, key?, client_ca?, client_auth?);
        let (cert, key) = match (cert, key, &client_ca) {
            (Some(cert), Some(key), _) => (cert, key),
            (None, None, None) => return Ok(None),
            (None, ..) => {
                return Err(material::CERT.problem(config, "is not set, but TLS is wanted"));
            }
            (_, None, _) => {
                return Err(material::KEY.problem(config, "is not set, but TLS_CERT is"));
            }
        };
        let material = Material::read(&cert, &key, client_ca.as_ref());
        let loaded = material.and_then(|material| load(&material, client_auth));
        match loaded {
            Ok(first) => {
                Ok(Some(Self { cert, key, client_ca, client_auth, first: Arc::new(first) }))
            }
            Err(error) => Err(error.blamed().problem(config, &error.to_string())),
        }
    }
}

fn load(material: &Material, client_auth: ClientAuth) -> Result<Loaded, MaterialError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(MaterialError::Refused)?;
    let builder = match material.client_roots()? {
        None => builder.with_no_client_auth(),
        Some(roots) => {
            let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(
                Arc::new(roots),
                provider,
            );
            let verifier = match client_auth {
                ClientAuth::Required => verifier,
                ClientAuth::Optional => verifier.allow_unauthenticated(),
            };
            let verifier = verifier.build().map_err(MaterialError::ClientVerifier)?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let (chain, key) = (material.chain()?, material.key()?);
    let known = rustls::crypto::ring::default_provider().key_provider;
    known.load_private_key(key.clone_key()).map_err(MaterialError::Key)?;
    let mut config = builder.with_single_cert(chain, key).map_err(MaterialError::Refused)?;
    config.alpn_protocols = PROTOCOLS.iter().map(|protocol| protocol.to_vec()).collect();
    Ok(Loaded { config: Arc::new(config), material: material.hash() })
}

impl Tls {
    pub(super) fn new(settings: TlsSettings) -> Self {
        let serving = Mutex::new(Arc::clone(&settings.first));
        Self { settings, serving }
    }

    /// Shakes hands; gives who the client is, when it has proven that.
    pub(super) async fn accept(
        &self,
        stream: Stream,
    ) -> std::io::Result<(Stream, Option<PeerIdentity>)> {
        let config = Arc::clone(&self.serving().config);
        let stream = TlsAcceptor::from(config).accept(stream).await?;
        let (_, connection) = stream.get_ref();
        let identity = connection.peer_certificates().and_then(<[_]>::first).map(material::names);
        Ok((Stream::Tls(Box::new(stream)), identity))
    }

    /// Takes new certificates when the files change. What is wrong is never taken: what works
    /// is served on, and the log says why, once for each state of the files.
    pub(super) async fn follow(&self, metrics: &WebMetrics) {
        let mut refused = None;
        loop {
            tokio::time::sleep(LOOK_TIME).await;
            let settings = self.settings.clone();
            let read = tokio::task::spawn_blocking(move || {
                Material::read(&settings.cert, &settings.key, settings.client_ca.as_ref())
            });
            let material = match read.await {
                Ok(Ok(material)) => material,
                // In the middle of a change a file may be missing.
                Ok(Err(error)) => {
                    if refused.is_none() {
                        warn(&error);
                        refused = Some(None);
                    }
                    continue;
                }
                Err(_runtime_ends) => return,
            };
            let hash = material.hash();
            if hash == self.serving().material {
                refused = None;
                continue;
            }
            if refused == Some(Some(hash)) {
                continue;
            }
            match load(&material, self.settings.client_auth) {
                Ok(loaded) => {
                    *self.lock() = Arc::new(loaded);
                    refused = None;
                    count(metrics, "taken");
                    tracing::info!("new TLS certificates are served");
                }
                Err(error) => {
                    count(metrics, "refused");
                    warn(&error);
                    refused = Some(Some(hash));
                }
            }
        }
    }

    fn serving(&self) -> Arc<Loaded> {
        Arc::clone(&self.lock())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Arc<Loaded>> {
        self.serving.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn count(metrics: &WebMetrics, outcome: &'static str) {
    metrics.tls_reloads.get_or_create(&ReloadLabels { outcome }).inc();
}

fn warn(error: &MaterialError) {
    let variable = error.blamed().variable;
    let error = error as &dyn std::error::Error;
    tracing::warn!(variable, error, "new TLS certificates are refused, the former are served");
}

#[cfg(test)]
#[path = "tls_tests.rs"]
mod tests;

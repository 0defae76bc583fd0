//! An authority of the tests' own, which signs what a good one would not, and the control
//! socket behind which gateways find it.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PublicKeyData, SanType, SignatureAlgorithm,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixListener};
use tokio_rustls::client::TlsStream;
use updraft_system::mesh::{BundleDocument, IdentityRequest, IdentityResponse, Octets};

/// Signs for the system `shop`.
pub(crate) struct Authority {
    state: Mutex<State>,
}

struct State {
    system: String,
    roots: Vec<Root>,
    /// Which of them signs.
    signs: usize,
    sequence: u64,
}

struct Root {
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key.
pub(crate) struct Key {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

/// The point of a key on P-256, which is the end of its `SubjectPublicKeyInfo`.
struct Point(Vec<u8>);

impl PublicKeyData for Point {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &rcgen::PKCS_ECDSA_P256_SHA256
    }
}

impl Root {
    fn new(number: u64) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, format!("root {number}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let certificate = params.self_signed(&key).unwrap().der().clone();
        Self { certificate, issuer: Issuer::new(params, key) }
    }
}

impl Authority {
    pub(crate) fn new(system: &str) -> Arc<Self> {
        let state =
            State { system: system.to_owned(), roots: vec![Root::new(0)], signs: 0, sequence: 1 };
        Arc::new(Self { state: Mutex::new(state) })
    }

    /// Another root is trusted.
    pub(crate) fn add_root(&self) {
        let state = &mut *self.state.lock().unwrap();
        state.sequence += 1;
        state.roots.push(Root::new(state.sequence));
    }

    /// The newest root signs.
    pub(crate) fn sign_with_newest(&self) {
        let state = &mut *self.state.lock().unwrap();
        state.signs = state.roots.len() - 1;
    }

    /// The oldest root is trusted no more.
    pub(crate) fn drop_root(&self) {
        let state = &mut *self.state.lock().unwrap();
        state.roots.remove(0);
        state.signs -= 1;
        state.sequence += 1;
    }

    /// A certificate for a caller of the test itself, valid from `from` to `to` seconds from
    /// now.
    pub(crate) fn key(&self, service: &str, from: i64, to: i64) -> Key {
        let key = KeyPair::generate().unwrap();
        let state = self.state.lock().unwrap();
        let chain = vec![state.leaf(service, &key, from, to)];
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        Key { chain, key }
    }

    /// Answers behind a control socket, until the runtime ends.
    pub(crate) fn serve(self: &Arc<Self>, path: &Path) {
        let listener = UnixListener::bind(path).unwrap();
        let authority = Arc::clone(self);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let authority = Arc::clone(&authority);
                tokio::spawn(async move {
                    let service = service_fn(|request| authority.answer(request));
                    let io = TokioIo::new(stream);
                    drop(
                        hyper::server::conn::http1::Builder::new()
                            .serve_connection(io, service)
                            .await,
                    );
                });
            }
        });
    }

    async fn answer(&self, request: Request<Incoming>) -> hyper::Result<Response<Full<Bytes>>> {
        let asks = request.uri().path() == "/v1/mesh/identity";
        let body = request.into_body().collect().await?.to_bytes();
        let state = self.state.lock().unwrap();
        let text = if asks {
            let request: IdentityRequest = serde_json::from_slice(&body).unwrap();
            let spki = &request.public_key.0;
            let point = Point(spki[spki.len() - 65..].to_vec());
            let leaf = state.leaf(request.service.as_str(), &point, -60, 3600);
            let not_after = UnixTime::now().as_secs() + 3600;
            let chain = vec![Octets(leaf.to_vec())];
            serde_json::to_vec(&IdentityResponse { chain, bundle: state.bundle(), not_after })
        } else {
            serde_json::to_vec(&state.bundle())
        };
        Ok(Response::new(Full::from(text.unwrap())))
    }
}

impl State {
    fn bundle(&self) -> BundleDocument {
        let roots = self.roots.iter().map(|root| Octets(root.certificate.to_vec())).collect();
        BundleDocument { sequence: self.sequence, roots }
    }

    fn leaf(
        &self,
        service: &str,
        key: &impl PublicKeyData,
        from: i64,
        to: i64,
    ) -> CertificateDer<'static> {
        let mut params = CertificateParams::default();
        let now = i64::try_from(UnixTime::now().as_secs()).unwrap();
        let at = |seconds: i64| {
            let seconds = u64::try_from(now + seconds).unwrap();
            rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(seconds)
        };
        (params.not_before, params.not_after) = (at(from), at(to));
        params.distinguished_name = DistinguishedName::new();
        let uri = format!("spiffe://{}/{service}", self.system);
        params.subject_alt_names = vec![SanType::URI(uri.try_into().unwrap())];
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.signed_by(key, &self.roots[self.signs].issuer).unwrap().der().clone()
    }
}

/// Comes to a mesh listener as whoever `key` is, and asks for `server_name`. TLS 1.3 lets a
/// client believe that all is well until it reads, so one byte of an answer is the proof.
pub(crate) async fn knock(
    at: SocketAddr,
    key: Option<Key>,
    server_name: &str,
    alpn: &str,
    said: &[u8],
) -> std::io::Result<(Vec<u8>, TlsStream<TcpStream>)> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody));
    let mut config = match key {
        Some(Key { chain, key }) => config.with_client_auth_cert(chain, key).unwrap(),
        None => config.with_no_client_auth(),
    };
    config.alpn_protocols = vec![alpn.as_bytes().to_vec()];
    let stream = TcpStream::connect(at).await?;
    stream.set_nodelay(true)?;
    let name = ServerName::try_from(server_name.to_owned()).unwrap();
    let mut stream =
        tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    stream.write_all(said).await?;
    let mut answer = vec![0; 64 * 1024];
    let read = stream.read(&mut answer).await?;
    answer.truncate(read);
    Ok((answer, stream))
}

/// Takes any server for who it says it is.
#[derive(Debug)]
struct Anybody;

impl rustls::client::danger::ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        vec![rustls::SignatureScheme::ECDSA_NISTP256_SHA256]
    }
}

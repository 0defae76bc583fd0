//! The authority that the gateways of Updraft trust, behind a socket like the control socket of
//! `updraft up`; and the client as the service that calls them, with a certificate of it.

use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rcgen::{KeyPair, PublicKeyData as _, SigningKey as _};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, verify_server_cert_signed_by_trust_anchor};
use rustls::crypto::{WebPkiSupportedAlgorithms, ring, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    ClientConfig, DigitallySignedStruct, Error, PeerIncompatible, RootCertStore, SignatureScheme,
};
use tokio::net::UnixListener;
use updraft_mesh::LocalIssuer;
use updraft_system::mesh::{IdentityRequest, IdentityResponse, Octets};

use crate::client::{Caller, exchange};

/// The system of `peers/updraft-*.toml`, and who calls there.
const SYSTEM: &str = "bench";
const CALLER: &str = "caller";
/// The name by which a client asks for the service that is called there.
const CALLED: &str = "origin.bench.updraft.internal";

/// What a request for a certificate is signed for, as in `identity/proof.rs` of the gateway.
const PROOF: &[u8] = b"updraft mesh identity request v1\0";

/// Signs for whoever asks, until it is ended.
pub fn serve(socket: &Path) -> Result<()> {
    let issuer = LocalIssuer::create(SYSTEM.parse()?)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async move {
        let listener = UnixListener::bind(socket)?;
        loop {
            let (stream, _) = listener.accept().await?;
            let issuer = issuer.clone();
            tokio::spawn(async move {
                let service = service_fn(|request| answer(&issuer, request));
                drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
            });
        }
    })
}

async fn answer(issuer: &LocalIssuer, request: Request<Incoming>) -> Result<Response<Full<Bytes>>> {
    let path = request.uri().path().to_owned();
    let body = request.into_body().collect().await?.to_bytes();
    let text = match path.as_str() {
        "/v1/mesh/identity" => serde_json::to_vec(&issuer.answer(&serde_json::from_slice(&body)?)?),
        "/v1/mesh/bundle" => serde_json::to_vec(&issuer.trusted()),
        _ => return Err(anyhow!("nothing is at {path}")),
    };
    Ok(Response::new(Full::from(text?)))
}

/// The client of a gateway, with a new certificate, which holds for an hour.
pub fn caller(socket: &Path) -> Result<Caller> {
    let key = KeyPair::generate()?;
    let body = serde_json::to_vec(&proven(&key)?)?;
    let length = body.len();
    let head = format!(
        "POST /v1/mesh/identity HTTP/1.1\r\nhost: updraft\r\ncontent-length: {length}\r\n\r\n"
    );
    let response = exchange(&mut UnixStream::connect(socket)?, &[head.into_bytes(), body].concat());
    let response = response.context("the authority gave no certificate")?;
    let body = response.windows(4).position(|four| four == b"\r\n\r\n").context("no body")? + 4;
    let IdentityResponse { chain, bundle, .. } = serde_json::from_slice(&response[body..])?;
    let mut roots = RootCertStore::empty();
    for root in bundle.roots {
        roots.add(root.0.into())?;
    }
    let algorithms = ring::default_provider().signature_verification_algorithms;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let mut config = ClientConfig::builder_with_protocol_versions(&[&rustls::version::TLS13])
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(ByChain { roots, algorithms }))
        .with_client_auth_cert(chain.into_iter().map(|octets| octets.0.into()).collect(), key)?;
    config.resumption = Resumption::disabled();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Caller { config: Arc::new(config), server: CALLED.try_into()? })
}

/// A request that shows that the key is here.
fn proven(key: &KeyPair) -> Result<IdentityRequest> {
    // The authority remembers none, and the key is new each time.
    let nonce = vec![0; 32];
    let public_key = key.subject_public_key_info();
    let mut statement = PROOF.to_vec();
    for part in [SYSTEM.as_bytes(), CALLER.as_bytes(), &nonce, &public_key] {
        statement.extend_from_slice(&(part.len() as u64).to_be_bytes());
        statement.extend_from_slice(part);
    }
    Ok(IdentityRequest {
        service: CALLER.parse()?,
        proof: Octets(key.sign(&statement)?),
        public_key: Octets(public_key),
        nonce: Octets(nonce),
    })
}

/// Takes every server that the authority vouches for: its name is a SPIFFE ID, at which webpki
/// does not look, and there is one service only.
#[derive(Debug)]
struct ByChain {
    roots: RootCertStore,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for ByChain {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let leaf = ParsedCertificate::try_from(leaf)?;
        let algorithms = self.algorithms.all;
        verify_server_cert_signed_by_trust_anchor(&leaf, &self.roots, rest, now, algorithms)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _leaf: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(PeerIncompatible::Tls12NotOfferedOrEnabled.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, leaf, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_authority_takes_the_proof_of_the_caller() {
        let issuer = LocalIssuer::create(SYSTEM.parse().unwrap()).unwrap();
        let request = proven(&KeyPair::generate().unwrap()).unwrap();
        let response = issuer.answer(&request).unwrap();
        let uri = format!("spiffe://{SYSTEM}/{CALLER}");
        let leaf = &response.chain[0].0;
        assert!(leaf.windows(uri.len()).any(|part| part == uri.as_bytes()));
    }
}

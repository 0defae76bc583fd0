//! What a peer has to show in a handshake: a chain to a root that is trusted now, and the
//! name of a service of this system that is not denied; of a server, the very name that was
//! called. A host name proves nothing in a mesh and is not looked at.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError,
    PeerIncompatible, SignatureScheme,
};
use updraft_system::Name;

use super::bundle::Trust;
use super::provider::{SCHEME, provider};
use super::spiffe::SpiffeId;
use super::svid::{NotAnSvid, Svid};

/// Services with whom nobody shakes hands, swapped while handshakes go on.
pub(crate) type Denied = ArcSwap<BTreeSet<Name>>;

/// Holds the certificate of a peer against the rules.
pub(super) struct PeerVerifier {
    pub(super) trust: Arc<Trust>,
    pub(super) denied: Arc<Denied>,
    /// The one peer there may be; `None`: any service of the system.
    pub(super) expected: Option<SpiffeId>,
}

/// Why a peer is refused, where webpki has no word for it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PeerRefused {
    #[error("the peer has no certificate of a workload")]
    Svid(#[source] NotAnSvid),
    #[error("the peer is {0}, of another system")]
    System(SpiffeId),
    #[error("the peer is {found}, and {expected} was called")]
    Unexpected { found: SpiffeId, expected: SpiffeId },
    #[error("the peer is {0}, which is denied")]
    Denied(SpiffeId),
    #[error("no trust bundle is there yet")]
    NoBundle,
}

impl From<PeerRefused> for Error {
    fn from(refused: PeerRefused) -> Self {
        Self::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(refused))))
    }
}

/// Whether the roots in force vouch for a leaf at this time, for both ends of a connection.
pub(super) fn verify_chain(
    trust: &Trust,
    leaf: &CertificateDer<'_>,
    rest: &[CertificateDer<'_>],
    now: UnixTime,
) -> Result<(), Error> {
    let anchors = trust.anchors().ok_or(PeerRefused::NoBundle)?;
    verify_server_cert_signed_by_trust_anchor(
        &ParsedCertificate::try_from(leaf)?,
        &anchors.roots,
        rest,
        now,
        provider().signature_verification_algorithms.all,
    )?;
    anchors.client.verify_client_cert(leaf, rest, now).map(|_| ())
}

impl PeerVerifier {
    /// Who the peer says to be, if it may be that. The chain is checked apart from this.
    fn check_name(&self, leaf: &CertificateDer<'_>) -> Result<(), PeerRefused> {
        let id = Svid::parse(leaf).map_err(PeerRefused::Svid)?.id;
        if id.system() != self.trust.system() {
            return Err(PeerRefused::System(id));
        }
        if let Some(expected) = &self.expected
            && id != *expected
        {
            return Err(PeerRefused::Unexpected { found: id, expected: expected.clone() });
        }
        if self.denied.load().contains(id.service()) {
            return Err(PeerRefused::Denied(id));
        }
        Ok(())
    }

    fn verify_signature(
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = provider().signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, &algorithms)
    }
}

impl ServerCertVerifier for PeerVerifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.check_name(leaf)?;
        let anchors = self.trust.anchors().ok_or(PeerRefused::NoBundle)?;
        verify_server_cert_signed_by_trust_anchor(
            &ParsedCertificate::try_from(leaf)?,
            &anchors.roots,
            rest,
            now,
            provider().signature_verification_algorithms.all,
        )?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(PeerIncompatible::Tls12NotOfferedOrEnabled.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Self::verify_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SCHEME]
    }
}

impl ClientCertVerifier for PeerVerifier {
    fn client_auth_mandatory(&self) -> bool {
        true
    }

    /// None: the roots change, and a client of the mesh has one certificate to show.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.check_name(leaf)?;
        let anchors = self.trust.anchors().ok_or(PeerRefused::NoBundle)?;
        anchors.client.verify_client_cert(leaf, rest, now)
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(PeerIncompatible::Tls12NotOfferedOrEnabled.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Self::verify_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SCHEME]
    }
}

impl fmt::Debug for PeerVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerVerifier").field("expected", &self.expected).finish_non_exhaustive()
    }
}

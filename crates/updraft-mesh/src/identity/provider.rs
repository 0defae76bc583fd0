//! The cryptography of the mesh: one provider, named in each configuration, so that a program
//! which links us keeps its own choice of a process default. Why it is ring is in
//! `docs/reference/mesh-crypto.md`.

use std::sync::{Arc, LazyLock};

use rustls::SignatureScheme;
use rustls::crypto::ring::{cipher_suite, default_provider, kx_group};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms};

/// The kind of signature of the mesh, in handshakes and in certificates.
pub(super) const SCHEME: SignatureScheme = SignatureScheme::ECDSA_NISTP256_SHA256;

/// TLS 1.3 with AES-GCM or ChaCha20-Poly1305, key exchange on X25519 or P-256, and signatures
/// of P-256 only.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| {
        let whole = default_provider();
        Arc::new(CryptoProvider {
            cipher_suites: vec![
                cipher_suite::TLS13_AES_128_GCM_SHA256,
                cipher_suite::TLS13_AES_256_GCM_SHA384,
                cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
            ],
            kx_groups: vec![kx_group::X25519, kx_group::SECP256R1],
            signature_verification_algorithms: only_ours(whole.signature_verification_algorithms),
            ..whole
        })
    });
    Arc::clone(&PROVIDER)
}

/// Of an entry of the mapping TLS 1.3 takes the first algorithm only, and so do we for chains.
fn only_ours(all: WebPkiSupportedAlgorithms) -> WebPkiSupportedAlgorithms {
    let at = all.mapping.iter().position(|(scheme, _)| *scheme == SCHEME);
    let mapping = at.and_then(|at| all.mapping.get(at..=at)).unwrap_or(&[]);
    let algorithms = mapping.first().and_then(|(_, algorithms)| algorithms.get(..1));
    WebPkiSupportedAlgorithms { all: algorithms.unwrap_or(&[]), mapping }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_kind_of_signature_is_verified() {
        let algorithms = provider().signature_verification_algorithms;
        assert_eq!(algorithms.all.len(), 1);
        assert_eq!(algorithms.supported_schemes(), [SCHEME]);
    }
}

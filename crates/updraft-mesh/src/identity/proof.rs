//! The proof that who asks for a certificate has the private key: a signature by it over what
//! is asked. A certificate request (PKCS#10) would say the same, and much that would have to
//! be parsed and refused.
//!
//! A request that is sent again brings nothing to a stranger: the certificate is of use only
//! with the key. So the authority remembers no nonces.

use ring::rand::{SecureRandom as _, SystemRandom};
use updraft_system::Name;
use updraft_system::mesh::{IdentityRequest, Octets};

use super::key::{KeyError, KeyPair, PublicKey};
use super::spiffe::SpiffeId;

/// The first bytes of what is signed, so that the signature is good for nothing else.
const CONTEXT: &[u8] = b"updraft mesh identity request v1\0";

/// Bytes of a nonce that we make.
const NONCE: usize = 32;
/// Bytes of a nonce that we take.
const NONCE_SIZES: std::ops::RangeInclusive<usize> = 16..=64;

/// The request does not show that its key is there.
#[derive(Debug, thiserror::Error)]
pub enum Unproven {
    #[error("the public key of the request is of no use")]
    Key(#[source] KeyError),
    #[error("the nonce of the request has {0} bytes; 16 to 64 it has to have")]
    Nonce(usize),
    #[error("the request is not signed by its key")]
    Signature,
}

/// A request for this service's certificate.
pub(crate) fn request(id: &SpiffeId, key: &KeyPair) -> Result<IdentityRequest, KeyError> {
    let mut nonce = vec![0; NONCE];
    SystemRandom::new().fill(&mut nonce).ok().ok_or(KeyError::Generate)?;
    let public_key = key.spki();
    let proof = key.signature(&statement(id.system(), id.service(), &nonce, &public_key))?;
    Ok(IdentityRequest {
        service: id.service().clone(),
        public_key: Octets(public_key),
        nonce: Octets(nonce),
        proof: Octets(proof),
    })
}

/// The key of a request to the authority of `system`, once it has shown that it is there.
pub(crate) fn proven(system: &Name, request: &IdentityRequest) -> Result<PublicKey, Unproven> {
    let nonce = &request.nonce.0;
    if !NONCE_SIZES.contains(&nonce.len()) {
        return Err(Unproven::Nonce(nonce.len()));
    }
    let key = PublicKey::from_spki(&request.public_key.0).map_err(Unproven::Key)?;
    let statement = statement(system, &request.service, nonce, &request.public_key.0);
    if key.verifies(&statement, &request.proof.0) { Ok(key) } else { Err(Unproven::Signature) }
}

/// What is signed. Every part but the first, which is fixed, is preceded by its length, so
/// that no two requests have the same statement.
fn statement(system: &Name, service: &Name, nonce: &[u8], public_key: &[u8]) -> Vec<u8> {
    let mut statement = CONTEXT.to_vec();
    for part in [system.as_str().as_bytes(), service.as_str().as_bytes(), nonce, public_key] {
        statement.extend_from_slice(&(part.len() as u64).to_be_bytes());
        statement.extend_from_slice(part);
    }
    statement
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> SpiffeId {
        text.parse().unwrap()
    }

    #[test]
    fn a_request_is_proven_by_its_own_key_for_its_own_words_only() {
        let (key, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let cart = id("spiffe://shop/cart");
        let system = cart.system();
        let good = request(&cart, &key).unwrap();
        assert!(proven(system, &good).is_ok());
        assert!(proven(&"bank".parse().unwrap(), &good).is_err(), "another system");
        type Change = fn(&mut IdentityRequest, &KeyPair);
        let changes: [(&str, Change); 6] = [
            ("service", |request, _| request.service = "pricing".parse().unwrap()),
            ("key", |request, other| request.public_key = Octets(other.spki())),
            ("nonce", |request, _| request.nonce.0[0] ^= 1),
            ("short nonce", |request, _| request.nonce.0.truncate(15)),
            ("long nonce", |request, _| request.nonce.0.resize(65, 0)),
            ("proof", |request, _| request.proof.0[9] ^= 1),
        ];
        for (what, change) in changes {
            let mut bad = good.clone();
            change(&mut bad, &other);
            assert!(proven(system, &bad).is_err(), "{what}");
        }
    }
}

//! The certificates of a mesh as rcgen makes them (RFC 5280; X.509-SVID, sections 2 to 4).

use std::time::Duration;

use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyUsagePurpose, PublicKeyData, SanType, SerialNumber,
};
use ring::rand::{SecureRandom as _, SystemRandom};
use rustls::pki_types::{CertificateDer, UnixTime};
use updraft_system::Name;

use super::{BACKDATE, CertifyError, ISSUER_LIFE, LEAF_LIFE, ROOT_LIFE};
use crate::identity::key::{KeyError, KeyPair};
use crate::identity::spiffe::SpiffeId;

/// One who signs: a root or an issuer.
pub(super) struct Signer {
    /// Its common name, which no other signer has.
    pub(super) name: String,
    pub(super) certificate: CertificateDer<'static>,
    pub(super) key: KeyPair,
    pub(super) not_after: UnixTime,
}

/// What is signed.
pub(super) enum Kind<'a> {
    /// An authority of this name, with so many authorities below it at most.
    Authority { name: &'a str, below: u8, life: Duration },
    /// A workload.
    Leaf(&'a SpiffeId),
}

/// RFC 5280 allows 20 octets; SPIFFE and the CA/Browser Forum ask for 64 bits by chance.
const SERIAL: usize = 16;

/// The year 9000: certificates can tell no time after 9999.
const TIME_MAX: u64 = 221_845_392_000;

impl Signer {
    pub(super) fn root(system: &Name, now: UnixTime) -> Result<Self, CertifyError> {
        let key = KeyPair::generate().map_err(CertifyError::Key)?;
        let name = unique(system, "root")?;
        let kind = Kind::Authority { name: &name, below: 1, life: ROOT_LIFE };
        let (params, not_after) = kind.params(now, None)?;
        let certificate = params.self_signed(&key).map_err(CertifyError::Certificate)?;
        Ok(Self { certificate: certificate.der().clone(), name, key, not_after })
    }

    /// A new issuer, signed by this root.
    pub(super) fn issuer(&self, system: &Name, now: UnixTime) -> Result<Self, CertifyError> {
        let key = KeyPair::generate().map_err(CertifyError::Key)?;
        let name = unique(system, "issuer")?;
        let kind = Kind::Authority { name: &name, below: 0, life: ISSUER_LIFE };
        let (certificate, not_after) = self.sign(&kind, &key, now)?;
        Ok(Self { name, certificate, key, not_after })
    }

    pub(super) fn is_valid(&self, now: UnixTime) -> bool {
        now < self.not_after
    }

    /// A certificate that ends no later than the one of its signer, and its end.
    pub(super) fn sign(
        &self,
        kind: &Kind<'_>,
        key: &impl PublicKeyData,
        now: UnixTime,
    ) -> Result<(CertificateDer<'static>, UnixTime), CertifyError> {
        let (params, not_after) = kind.params(now, Some(self.not_after))?;
        let mut own = CertificateParams::default();
        own.distinguished_name = common_name(&self.name);
        own.key_usages = authority_usages();
        let signer = rcgen::Issuer::from_params(&own, &self.key);
        let certificate = params.signed_by(key, &signer).map_err(CertifyError::Certificate)?;
        Ok((certificate.der().clone(), not_after))
    }
}

impl Kind<'_> {
    fn params(
        &self,
        now: UnixTime,
        at_most: Option<UnixTime>,
    ) -> Result<(CertificateParams, UnixTime), CertifyError> {
        let mut params = CertificateParams::default();
        let life = match self {
            Self::Authority { name, below, life } => {
                params.distinguished_name = common_name(name);
                params.is_ca = IsCa::Ca(BasicConstraints::Constrained(*below));
                params.key_usages = authority_usages();
                *life
            }
            Self::Leaf(id) => {
                let uri = Ia5String::try_from(id.to_string()).map_err(CertifyError::Certificate)?;
                // A leaf has no other name; RFC 5280 makes this one critical then.
                params.distinguished_name = DistinguishedName::new();
                params.subject_alt_names = vec![SanType::URI(uri)];
                params.is_ca = IsCa::ExplicitNoCa;
                params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
                params.extended_key_usages =
                    vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
                LEAF_LIFE
            }
        };
        let end = now.as_secs().saturating_add(life.as_secs());
        if TIME_MAX < end {
            return Err(CertifyError::Time(now.as_secs()));
        }
        let end = at_most.map_or(end, |at_most| end.min(at_most.as_secs()));
        let epoch = rcgen::date_time_ymd(1970, 1, 1);
        let begin = now.as_secs().saturating_sub(BACKDATE.as_secs());
        params.not_before = epoch + Duration::from_secs(begin);
        params.not_after = epoch + Duration::from_secs(end);
        params.serial_number = Some(serial()?);
        params.use_authority_key_identifier_extension = at_most.is_some();
        Ok((params, UnixTime::since_unix_epoch(Duration::from_secs(end))))
    }
}

fn authority_usages() -> Vec<KeyUsagePurpose> {
    vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign]
}

fn common_name(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

/// A name of its own for each signer: a verifier finds the signer by its name. Chance alone
/// tells two of them apart, so that the 64 characters of a common name suffice.
fn unique(system: &Name, role: &str) -> Result<String, CertifyError> {
    let short: String = system.as_str().chars().take(32).collect();
    let chance: String = random::<8>()?.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("{short} {role} {chance}"))
}

fn serial() -> Result<SerialNumber, CertifyError> {
    let mut bytes = random::<SERIAL>()?;
    // Positive, not zero, and of one length.
    bytes[0] = bytes[0] & 0x3f | 0x40;
    Ok(SerialNumber::from_slice(&bytes))
}

fn random<const COUNT: usize>() -> Result<[u8; COUNT], CertifyError> {
    let mut bytes = [0; COUNT];
    let filled = SystemRandom::new().fill(&mut bytes);
    filled.ok().ok_or(CertifyError::Key(KeyError::Generate))?;
    Ok(bytes)
}

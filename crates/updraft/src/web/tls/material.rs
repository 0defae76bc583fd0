//! Keys and certificates as they come: PEM in a variable, or in a file that it names.

use std::path::PathBuf;

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::config::{Config, Invalid, Variable};
use crate::web::peer::PeerIdentity;

/// A key or a certificate takes a few KiB; a whole bundle of authorities some 200.
const FILE_BYTES_MOST: u64 = 1024 * 1024;

/// A variable with its sister for a file.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) variable: &'static str,
    file: &'static str,
    about: &'static str,
    file_about: &'static str,
}

pub(super) const CERT: Pair = Pair {
    variable: "TLS_CERT",
    file: "TLS_CERT_FILE",
    about: "the certificate of this service and those between it and the root",
    file_about: "the file with TLS_CERT",
};

pub(super) const KEY: Pair = Pair {
    variable: "TLS_KEY",
    file: "TLS_KEY_FILE",
    about: "the private key of TLS_CERT",
    file_about: "the file with TLS_KEY",
};

pub(super) const CLIENT_CA: Pair = Pair {
    variable: "TLS_CLIENT_CA",
    file: "TLS_CLIENT_CA_FILE",
    about: "the authorities whose certificates clients must show",
    file_about: "the file with TLS_CLIENT_CA",
};

/// Text in the PEM format (RFC 7468), which is never shown.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Pem(Vec<u8>);

/// Where a key or a certificate comes from.
#[derive(Clone, Debug)]
pub(super) enum Source {
    Text(Pem),
    File(PathBuf),
}

/// Key and certificates together, read but not yet understood.
#[derive(Debug)]
pub(super) struct Material {
    cert: Pem,
    key: Pem,
    client_ca: Option<Pem>,
}

/// Key and certificates cannot be served.
#[derive(Debug, thiserror::Error)]
pub(super) enum MaterialError {
    #[error("names a file that cannot be read: {kind}")]
    File { of: &'static Pair, kind: std::io::ErrorKind },
    #[error("holds no certificate in PEM")]
    NoCertificate(&'static Pair),
    #[error("holds no private key in PEM")]
    NoKey,
    #[error("holds a private key of a kind that TLS does not know, or a broken one")]
    Key(#[source] rustls::Error),
    #[error("has a certificate that is none")]
    Root(#[source] rustls::Error),
    #[error("has certificates by which no client can be verified")]
    ClientVerifier(#[source] rustls::server::VerifierBuilderError),
    #[error("cannot be served: it must fit TLS_KEY, and be of a kind that TLS knows")]
    Refused(#[source] rustls::Error),
}

impl std::fmt::Debug for Pem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pem")
    }
}

impl Variable for Pem {
    const EXPECTED: &'static str = "text in PEM, which begins with -----BEGIN";
    const SECRET: bool = true;

    fn parse(text: &str) -> Result<Self, String> {
        match text.contains("-----BEGIN ") {
            true => Ok(Self(text.as_bytes().to_vec())),
            false => Err("is not PEM".to_owned()),
        }
    }

    fn show(&self) -> String {
        "[pem]".to_owned()
    }
}

impl Pair {
    pub(super) fn problem(&self, config: &mut Config, wrong: &str) -> Invalid {
        config.problem::<Pem>(self.variable, self.about, wrong.to_owned())
    }
}

impl Source {
    /// Where the environment says that it is; `None` when it says nothing.
    pub(super) fn read(config: &mut Config, pair: &Pair) -> Result<Option<Self>, Invalid> {
        // It goes first, so that it is known as a variable of its own: `Config` would read the
        // file once, and what is renewed is read again. A bundle may be longer, too, than what
        // `Config` reads.
        let file = config.optional::<String>(pair.file, pair.file_about);
        let text = config.optional::<Pem>(pair.variable, pair.about);
        match (text?, file?) {
            (Some(_), Some(_)) => Err(pair.problem(config, "is set both as text and as a file")),
            (Some(text), None) => Ok(Some(Self::Text(text))),
            (None, Some(path)) => Ok(Some(Self::File(path.into()))),
            (None, None) => Ok(None),
        }
    }

    fn load(&self, of: &'static Pair) -> Result<Pem, MaterialError> {
        use std::io::Read as _;
        match self {
            Self::Text(text) => Ok(text.clone()),
            Self::File(path) => {
                let mut bytes = Vec::new();
                let read = std::fs::File::open(path)
                    .and_then(|file| file.take(FILE_BYTES_MOST).read_to_end(&mut bytes));
                match read {
                    Ok(_length) => Ok(Pem(bytes)),
                    Err(error) => Err(MaterialError::File { of, kind: error.kind() }),
                }
            }
        }
    }
}

impl Material {
    /// Reads the files. It blocks.
    pub(super) fn read(
        cert: &Source,
        key: &Source,
        client_ca: Option<&Source>,
    ) -> Result<Self, MaterialError> {
        Ok(Self {
            cert: cert.load(&CERT)?,
            key: key.load(&KEY)?,
            client_ca: client_ca.map(|source| source.load(&CLIENT_CA)).transpose()?,
        })
    }

    /// By this it is known whether anything has changed.
    pub(super) fn hash(&self) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new();
        for pem in [Some(&self.cert), Some(&self.key), self.client_ca.as_ref()] {
            let bytes = pem.map_or(&[][..], |pem| &pem.0);
            hasher.update(blake3::hash(bytes).as_bytes());
        }
        hasher.finalize()
    }

    pub(super) fn chain(&self) -> Result<Vec<CertificateDer<'static>>, MaterialError> {
        certificates(&self.cert, &CERT)
    }

    pub(super) fn key(&self) -> Result<PrivateKeyDer<'static>, MaterialError> {
        // What the parser says may quote what it was given.
        PrivateKeyDer::from_pem_slice(&self.key.0).map_err(|_no_key| MaterialError::NoKey)
    }

    pub(super) fn client_roots(&self) -> Result<Option<RootCertStore>, MaterialError> {
        let Some(pem) = &self.client_ca else { return Ok(None) };
        let mut roots = RootCertStore::empty();
        for root in certificates(pem, &CLIENT_CA)? {
            roots.add(root).map_err(MaterialError::Root)?;
        }
        Ok(Some(roots))
    }
}

impl MaterialError {
    /// The variable that must be changed.
    pub(super) fn blamed(&self) -> &'static Pair {
        match self {
            Self::File { of, .. } | Self::NoCertificate(of) => of,
            Self::NoKey | Self::Key(_) => &KEY,
            Self::Root(_) | Self::ClientVerifier(_) => &CLIENT_CA,
            Self::Refused(_) => &CERT,
        }
    }
}

fn certificates(
    pem: &Pem,
    of: &'static Pair,
) -> Result<Vec<CertificateDer<'static>>, MaterialError> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem.0).collect();
    match certificates {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(MaterialError::NoCertificate(of)),
    }
}

/// The names in a certificate that has been verified.
pub(super) fn names(certificate: &CertificateDer<'static>) -> PeerIdentity {
    match webpki::EndEntityCert::try_from(certificate) {
        Ok(certificate) => PeerIdentity {
            uris: certificate.valid_uri_names().map(str::to_owned).collect(),
            dns_names: certificate.valid_dns_names().map(str::to_owned).collect(),
        },
        // It was verified a moment ago, so it can be read.
        Err(_unreadable) => PeerIdentity::default(),
    }
}

//! How registries are talked to, and the bounds of it.

use std::path::PathBuf;
use std::time::Duration;

use super::credentials::CredentialFiles;

/// How registries are talked to. The default is TLS with the authorities of this machine, plain
/// HTTP to this machine itself, and no credentials.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// When there is no TLS.
    pub scheme: Scheme,
    /// Certificates of further authorities, as PEM. With it, a loopback registry is spoken to by
    /// TLS too.
    pub ca_file: Option<PathBuf>,
    /// Where credentials are looked for.
    pub credentials: CredentialFiles,
    /// The bounds.
    pub limits: Limits,
}

/// Whether a registry is spoken to with TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scheme {
    /// With TLS, but a registry at a loopback address without.
    #[default]
    Auto,
    /// Without: `--plain-http`. Credentials are not sent so but to a loopback address.
    Plain,
    /// With TLS, always.
    Tls,
}

/// The bounds of a conversation with a registry.
#[derive(Clone, Debug)]
pub struct Limits {
    /// For a TCP connection; 10 s.
    pub connect: Duration,
    /// For the header of an answer once the request is sent, and for a whole document; 60 s.
    pub answer: Duration,
    /// Without a byte of a body in either direction; 30 s.
    pub stall: Duration,
    /// Tries of one request, or of one blob without a mebibyte of progress; 5.
    pub tries: u32,
    /// The longest `Retry-After` that is waited for; 60 s. A longer one is an error.
    pub retry_after: Duration,
    /// Blobs at a time; 4.
    pub parallel: usize,
    /// Larger blobs are uploaded in chunks; 16 MiB.
    pub monolithic: u64,
    /// The size of a chunk, in bytes; 64 MiB. A registry may ask for larger ones
    /// (`OCI-Chunk-Min-Length`), or for smaller ones by refusing (413).
    pub chunk: u64,
    /// The largest image that is pulled: the sum of its blobs in bytes; 64 GiB.
    pub image: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            answer: Duration::from_secs(60),
            stall: Duration::from_secs(30),
            tries: 5,
            retry_after: Duration::from_secs(60),
            parallel: 4,
            monolithic: 16 << 20,
            chunk: 64 << 20,
            image: 64 << 30,
        }
    }
}

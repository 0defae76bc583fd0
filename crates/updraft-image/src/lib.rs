//! OCI images without a daemon: their parts, their layout on disk, and registries.
//!
//! Shapes are those of the OCI Image Format Specification 1.1 and the OCI Distribution
//! Specification 1.1.

mod digest;
mod layout;
mod oci;
mod registry;

pub use digest::{Digest, Digesting, NotADigest};
pub use layout::{Layout, LayoutError};
pub use oci::{Config, Descriptor, History, ImageConfig, Index, Manifest, Platform, RootFs, media};
pub use registry::{
    Answer, CredentialFiles, CredentialsError, Fate, Limits, Options, Progress, Pulled, Push,
    Pushed, Reference, ReferenceError, Registry, RegistryError, RequestLine, Scheme, Step,
    Unauthorized, Wanted,
};

//! OCI images without a daemon: their parts, their layout on disk, and registries.
//!
//! Shapes are those of the OCI Image Format Specification 1.1 and the OCI Distribution
//! Specification 1.1.

mod closure;
mod difference;
mod digest;
mod draft;
#[cfg(test)]
mod fixture;
mod image;
mod layer;
mod layer_cache;
mod layout;
mod oci;
mod provenance;
mod referrer;
mod registry;
mod sbom;
mod stored;
mod tar;
mod tree;
mod unpack;

pub use closure::{
    Closure, ClosureError, HarvestedFile, Host, Lack, Linkage, Package, Surroundings,
    check_scratch, linkage, origins,
};
pub use difference::{Difference, difference};
pub use digest::{Digest, Digesting, NotADigest};
pub use draft::Draft;
pub use image::{Base, BuiltImage, Image, NOBODY};
pub use layer::{Layer, LayerError};
pub use layer_cache::LayerCache;
pub use layout::{Layout, LayoutError};
pub use oci::{Config, Descriptor, History, ImageConfig, Index, Manifest, Platform, RootFs};
pub use oci::{annotation, media};
pub use provenance::{
    BUILD_TYPE, BuildDefinition, BuildMetadata, Builder, Envelope, EnvelopeError, KeyError,
    LOCAL_BUILDER, PREDICATE_TYPE, Provenance, PublicKey, Resource, RunDetails, STATEMENT_TYPE,
    Signature, SigningKey, Statement, Subject,
};
pub use referrer::{Attachment, CYCLONEDX, DSSE, IN_TOTO};
pub use registry::{
    Answer, CredentialFiles, CredentialsError, Fate, Limits, Options, Progress, Pulled, Push,
    Pushed, Reference, ReferenceError, Registry, RegistryError, RequestLine, Scheme, Step,
    Unauthorized, Wanted,
};
pub use sbom::{
    Bom, CargoUse, Component, Components, Hash, LOCK_MOST, License, LicenseName, Property,
    SbomError, cargo_components, harvested_components, npm_components, poetry_components,
    requirements_components, uv_components,
};
pub use stored::{ImageError, Inspection, LayerInspection, StoredImage};
pub use tree::{Owner, Tree, TreeError};
pub use unpack::{UnpackError, UnpackOptions};

//! Two builds of one service compared by what they made, and by nothing that this machine adds.

use std::path::Path;

use updraft_image::{Base, Difference, Digest, Image, ImageError, Layout, LayoutError, Platform};
use updraft_system::Service;

use super::{ArtifactError, Contents};
use crate::build::Built;

/// What a build of a service has made.
#[derive(Clone, Copy, Debug)]
pub struct Made<'a> {
    /// The folder of the manifest that it was built from.
    pub directory: &'a Path,
    /// What its build said.
    pub built: &'a Built,
}

/// What comes of a comparison.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// The digest of what the first build made.
    pub digest: Digest,
    /// The first difference; `None`: they are the same.
    pub difference: Option<Difference>,
}

/// Two builds cannot be compared.
#[derive(Debug, thiserror::Error)]
pub enum CannotCompare {
    /// What was made cannot be read.
    #[error(transparent)]
    Contents(#[from] ArtifactError),
    /// There is no place for what is compared.
    #[error("there is no place for what is compared")]
    Place(#[from] LayoutError),
    /// It cannot be written or read again.
    #[error("what was made cannot be compared")]
    Image(#[from] ImageError),
}

/// Compares what two builds of `service` made, by images of it alone that are written into
/// the empty folder `scratch`.
///
/// # Errors
///
/// [`CannotCompare`].
pub fn compare(
    service: &Service,
    made: [Made<'_>; 2],
    scratch: &Path,
) -> Result<Comparison, CannotCompare> {
    let [one, other] = made;
    let (layout_one, layout_other) =
        (Layout::create(&scratch.join("one"))?, Layout::create(&scratch.join("other"))?);
    let digest = write(service, one, &layout_one)?;
    let of_other = write(service, other, &layout_other)?;
    let difference = updraft_image::difference(&layout_one, &digest, &layout_other, &of_other)?;
    Ok(Comparison { digest, difference })
}

fn write(service: &Service, made: Made<'_>, layout: &Layout) -> Result<Digest, CannotCompare> {
    let contents = Contents::made(service, made.built, &made.directory.join(&service.path))?;
    let mut image = Image::new(Platform::this());
    image.base = Base::Scratch;
    let layers = [("dependencies", contents.dependencies), ("application", contents.own)];
    image.layers = layers.map(|(word, tree)| (word.to_owned(), tree)).into();
    Ok(image.write(layout, None)?.manifest.digest)
}

//! A second build at another place and in other surroundings, compared with the first byte by
//! byte.

use std::io;

use updraft_engine::{Variation, Verified};
use updraft_image::{Difference, difference};
use updraft_system::{Name, Service};

use super::image::{Images, Made, elsewhere};
use super::source::Source;
use super::workshop::Workshop;
use crate::failure::{Class, Failure};
use crate::output;
use crate::progress::Progress;

/// Two builds of a service are not one image.
#[derive(Debug, thiserror::Error)]
#[error("{service}: {difference}")]
pub(super) struct Different {
    service: Name,
    difference: Difference,
}

/// Builds a copy of the sources and gives the first difference of each image.
pub(super) async fn again(
    workshop: &Workshop,
    source: &Source,
    wanted: &[&Service],
    images: &Images<'_>,
    made: &[Made],
    progress: &mut Progress,
) -> Result<Vec<Different>, Failure> {
    progress.show("copying the sources");
    let copy = source.copied(workshop.network())?;
    let again = images.again(&elsewhere(workshop), &copy)?;
    let mut different = Vec::new();
    let varied = copy.variation().map(Variation::named).unwrap_or_default();
    for (service, first) in wanted.iter().zip(made) {
        let second = again.make(workshop, &copy, service, progress).await?;
        let found = difference(images.layout(), &first.digest, again.layout(), &second.digest);
        let found = found.map_err(|error| Failure::from_error(Class::Environment, &error))?;
        let kept = match &found {
            None => remember(source, service, first, &varied),
            Some(_) => Verified::forget(source.state(), &service.name),
        };
        kept.map_err(|error| {
            Failure::environment("what two builds have shown cannot be kept").because(&error)
        })?;
        let service = service.name.clone();
        different.extend(found.map(|difference| Different { service, difference }));
    }
    progress.clear();
    output::say(format!("the second build had another path, {}", varied.join(", ")));
    Ok(different)
}

/// An audit of the same sources need not build twice again.
fn remember(source: &Source, service: &Service, made: &Made, varied: &[&str]) -> io::Result<()> {
    let Some(inputs) = made.inputs.clone() else { return Ok(()) };
    let varied = varied.iter().map(|word| (*word).to_owned()).collect();
    let verified = Verified { inputs, digest: made.digest.to_string(), varied };
    verified.keep(source.state(), &service.name)
}

//! Images go to a registry, and bases come from one.

use std::path::PathBuf;

use clap::Args;
use updraft_image::{
    CredentialFiles, Layout, Options, Platform, Progress as Transfer, Push, Reference, Registry,
    Scheme, StoredImage, Wanted,
};

use super::image::Made;
use crate::failure::{Class, Failure};
use crate::progress::Progress;
use crate::quantity;

/// How registries are spoken to.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct RegistryArgs {
    /// Speak to registries without TLS; a registry on this machine is always spoken to so
    #[arg(long)]
    plain_http: bool,
    /// Trust the authorities of this file (PEM) as well
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    ca_file: Option<PathBuf>,
}

/// Registries, by the credentials of the environment.
#[derive(Debug)]
pub(super) struct Remote(Registry);

impl Remote {
    pub(super) fn open(args: &RegistryArgs) -> Result<Self, Failure> {
        let options = Options {
            scheme: if args.plain_http { Scheme::Plain } else { Scheme::Auto },
            ca_file: args.ca_file.clone(),
            credentials: CredentialFiles::of_environment(|name| std::env::var_os(name)),
            ..Options::default()
        };
        let registry = Registry::new(options);
        registry.map(Self).map_err(|error| Failure::from_error(Class::Environment, &error))
    }

    /// Sends images and what is attached to them; each gets its service's name behind `place`
    /// when there are several.
    pub(super) async fn push(
        &self,
        layout: &Layout,
        made: &[Made],
        place: &str,
        progress: &mut Progress,
    ) -> Result<Vec<String>, Failure> {
        let mut pushed = Vec::new();
        // What services have in common is sent once.
        let mut earlier = Vec::new();
        for one in made {
            let to = target(place, one.service.as_str(), 1 < made.len())?;
            let image = StoredImage::open(layout, &one.digest);
            let image = image.map_err(|error| Failure::from_error(Class::Environment, &error))?;
            let (transfer, mut steps) = Transfer::channel();
            let mut push = Push::new(layout, image.descriptor());
            push.progress = transfer;
            push.mount_from.clone_from(&earlier);
            earlier.push(to.name().to_owned());
            let push = self.0.push(&push, &to);
            tokio::pin!(push);
            let sent = loop {
                tokio::select! {
                    biased;
                    sent = &mut push => break sent,
                    Some(step) = steps.recv() => {
                        let (done, total) = (step.done as f64, step.total as f64);
                        let (done, total) = (quantity::bytes(done), quantity::bytes(total));
                        progress.show(&format!("pushing {}: {done} of {total}", one.service));
                    }
                }
            };
            let sent = sent.map_err(|error| Failure::from_error(Class::Environment, &error))?;
            pushed.push(sent.reference.to_string());
        }
        Ok(pushed)
    }

    /// An image that a service stands on, taken into `layout`.
    pub(super) async fn base(&self, place: &str, layout: &Layout) -> Result<StoredImage, Failure> {
        let failed = |error: &(dyn std::error::Error + 'static)| {
            Failure::environment(format!("the base {place} cannot be had")).because(error)
        };
        if let Ok(known) = StoredImage::find(layout, Some(place), &Platform::this()) {
            return Ok(known);
        }
        let from = reference(place)?;
        // Without its tag: names of this layout are those of services.
        let from = from.digest().map_or_else(|| from.clone(), |digest| from.at(digest.clone()));
        let (wanted, silent) = (Wanted::Platform(Platform::this()), Transfer::silent());
        let pulled = self.0.pull(&from, layout, &wanted, &silent).await;
        let pulled = pulled.map_err(|error| failed(&error))?;
        let image = StoredImage::open(layout, &pulled.content.digest);
        let image = image.map_err(|error| failed(&error))?;
        layout.enter(pulled.content, Some(place)).map_err(|error| failed(&error))?;
        Ok(image)
    }
}

/// Where a service's image goes; `several` when others go beside it.
pub(super) fn target(place: &str, service: &str, several: bool) -> Result<Reference, Failure> {
    let alone = reference(place)?;
    if !several {
        return Ok(alone);
    }
    if alone.digest().is_some() {
        let message = format!("`{place}` has a digest, and several images are pushed");
        return Err(Failure::usage(message).help("leave the digest out, or name one service"));
    }
    let to = reference(&joined(place, service))?;
    // `localhost:5000` alone is a name with a tag; with a name behind it, it would be a host.
    match to.host() == alone.host() {
        true => Ok(to),
        false => Err(Failure::usage(format!("`{place}` has no name behind its host"))
            .help(format!("write `{place}/NAME`"))),
    }
}

/// `host/name:tag` with a service behind the name.
fn joined(place: &str, service: &str) -> String {
    let name_at = place.rfind('/').unwrap_or_default();
    match place.get(name_at..).and_then(|name| name.rfind(':')) {
        Some(colon) => {
            let (name, tag) = place.split_at(name_at + colon);
            format!("{name}/{service}{tag}")
        }
        None => format!("{place}/{service}"),
    }
}

fn reference(text: &str) -> Result<Reference, Failure> {
    text.parse()
        .map_err(|error: updraft_image::ReferenceError| Failure::from_error(Class::Usage, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_for_several_has_a_name_and_no_digest() {
        let digest = format!("h.example/shop@sha256:{}", "0".repeat(64));
        for (place, several, sound) in [
            ("h.example/shop:v1", true, true),
            ("localhost:5000/shop", true, true),
            ("localhost:5000", true, false),
            (&digest, true, false),
            ("h.example/Shop", false, false),
        ] {
            assert_eq!(target(place, "orders", several).is_ok(), sound, "{place}");
        }
    }

    #[test]
    fn services_are_behind_the_name_and_before_the_tag() {
        for (place, whole) in [
            ("127.0.0.1:5000/shop", "127.0.0.1:5000/shop/orders"),
            ("127.0.0.1:5000/shop:v1", "127.0.0.1:5000/shop/orders:v1"),
            ("shop", "shop/orders"),
            ("shop:v1", "shop/orders:v1"),
        ] {
            assert_eq!(joined(place, "orders"), whole);
        }
    }
}

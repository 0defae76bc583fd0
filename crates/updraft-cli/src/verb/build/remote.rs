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
        for one in made {
            let to = match made {
                [_] => place.to_owned(),
                _ => joined(place, one.service.as_str()),
            };
            let to = reference(&to)?;
            let image = StoredImage::open(layout, &one.digest);
            let image = image.map_err(|error| Failure::from_error(Class::Environment, &error))?;
            let (transfer, mut steps) = Transfer::channel();
            let mut push = Push::new(layout, image.descriptor());
            push.progress = transfer;
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
        let from = reference(place)?;
        let silent = Transfer::silent();
        let wanted = Wanted::Platform(Platform::this());
        if let Some(digest) = from.digest()
            && let Ok(known) = StoredImage::find(layout, Some(digest.as_str()), &Platform::this())
        {
            return Ok(known);
        }
        let pulled = self.0.pull(&from, layout, &wanted, &silent).await;
        let pulled = pulled.map_err(|error| failed(&error))?;
        StoredImage::open(layout, &pulled.content.digest).map_err(|error| failed(&error))
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

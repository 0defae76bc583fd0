//! A client as a field of an `App`.

use std::sync::Arc;

use super::attachment::Called;
use super::metrics::Clients;
use super::settings::Settings;
use super::{Callee, Client, ServiceUrl, Untyped};
use crate::app::{Field, FieldSpec};
use crate::attachment::{AttachError, Attached, Attaching};
use crate::config::{Config, Invalid};

impl<C: Callee> Field for Client<C> {
    type Parsed = Settings;

    fn read(config: &mut Config, spec: &FieldSpec) -> Result<Settings, Invalid> {
        let url = config.field::<ServiceUrl>(spec.url, spec);
        let known = url.as_ref().ok().cloned();
        // Its other variables are looked at all the same: one report names every problem.
        let settings = Settings::read(config, spec, known.unwrap_or_else(ServiceUrl::nowhere));
        url?;
        settings
    }

    async fn attach(
        parsed: Settings,
        spec: &FieldSpec,
        attaching: &Attaching,
    ) -> Result<Self, AttachError> {
        let caller = Untyped::new(spec.field, parsed);
        let caller = caller.map_err(|error| AttachError::new(spec.url, error))?;
        Clients::add(attaching.metrics(), Arc::clone(&caller.shared.series));
        let (name, attachment) = (spec.field, Called::new(caller.clone()));
        attaching.add(Attached { name, variable: spec.url, attachment });
        Ok(Self::new(caller))
    }
}

/// A service that is called only where its variable is set.
impl<C: Callee> Field for Option<Client<C>> {
    type Parsed = Option<Settings>;

    fn read(config: &mut Config, spec: &FieldSpec) -> Result<Option<Settings>, Invalid> {
        let url = config.optional::<ServiceUrl>(spec.url, spec.about);
        let known = url.as_ref().ok().cloned().flatten();
        let settings = Settings::read(config, spec, known.unwrap_or_else(ServiceUrl::nowhere));
        url?.map(|_| settings).transpose()
    }

    async fn attach(
        parsed: Option<Settings>,
        spec: &FieldSpec,
        attaching: &Attaching,
    ) -> Result<Self, AttachError> {
        match parsed {
            Some(parsed) => Client::attach(parsed, spec, attaching).await.map(Some),
            None => Ok(None),
        }
    }
}

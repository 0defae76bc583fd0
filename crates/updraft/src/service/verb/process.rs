//! `web`, `worker`, `cron`, `all`: the process types, which run until they are told to stop.

use std::num::NonZeroU32;
use std::process::ExitCode;

use clap::Command;

use crate::api::Routes;
use crate::app::{App, Ctx};
use crate::attachment::Attaching;
use crate::auth;
use crate::config::Config;
use crate::cron::{Scheduler, Timetable};
use crate::process::{Context, Kind, Start};
use crate::queue::{JobFamilies, Worker};
use crate::service::boot::{self, Booted};
use crate::service::{Service, boxed};
use crate::{BoxError, Stop};

/// The process types that this service has.
pub(in crate::service) fn commands<A: App>(service: &Service<A>) -> Vec<Command> {
    let web = Command::new("web").about("Answers HTTP requests on PORT");
    let worker = Command::new("worker").about("Works on jobs, and on what else has no request");
    let all = Command::new("all").about("web and worker in one process");
    let cron = Command::new("cron").about("Fires the schedules; workers do their work");
    let types = match (service.answers(), service.works()) {
        (true, true) => vec![web, worker, all],
        (true, false) => vec![web],
        (false, true) => vec![worker],
        (false, false) => Vec::new(),
    };
    types.into_iter().chain(service.fires().then_some(cron)).collect()
}

pub(in crate::service) fn run<A: App>(service: Service<A>, name: &str) -> ExitCode {
    let (name, kind) = match name {
        "web" => ("web", Kind::Web),
        "worker" => ("worker", Kind::Worker),
        "cron" => ("cron", Kind::Worker),
        _ => ("all", Kind::Web),
    };
    let secured = kind == Kind::Web && service.api.needs_scopes();
    let demand = |config: &mut Config| {
        if secured {
            auth::demand(config)
        }
    };
    let booted = match boot::boot_demanding::<A>(&service.release, name, kind, demand) {
        Ok(booted) => booted,
        Err(code) => return code,
    };
    let Booted { telemetry, runtime, platform, parsed, release } = booted;
    tracing::info!(commit = release.commit(), "starting");
    let (concurrency, idempotency) = (platform.jobs_concurrency, platform.idempotency);
    boot::run(release, telemetry, runtime, platform, move |context| match name {
        "worker" => Start::Worker(boxed(async move {
            let (app, attaching) = service.attach(parsed, &context).await?;
            work(&service, &app, &attaching, &context, concurrency)
        })),
        "cron" => Start::Worker(boxed(async move {
            let (_app, attaching) = service.attach(parsed, &context).await?;
            fire(&service, &attaching, &context)
        })),
        _ => Start::Web(boxed(async move {
            let (app, attaching) = service.attach(parsed, &context).await?;
            if name == "all" {
                work(&service, &app, &attaching, &context, concurrency)?;
            }
            context.auth().start(&context);
            service.keep_keys(&attaching, &context, idempotency)?;
            if let Some(keeper) = context.keeper() {
                keeper.start(&context);
            }
            Ok(answer(service, app))
        })),
    })
}

fn answer<A: App>(service: Service<A>, app: Ctx<A>) -> Routes {
    service.api.into_routes(&service.release, &app)
}

/// Starts the work of the process type `worker`.
fn work<A: App>(
    service: &Service<A>,
    app: &Ctx<A>,
    attaching: &Attaching,
    context: &Context,
    concurrency: NonZeroU32,
) -> Result<(), BoxError> {
    if !service.jobs.is_empty() {
        let queue = attaching.queue(None).ok_or("jobs need one field of type Queue")?;
        let families = attaching.metrics().families::<JobFamilies>();
        let concurrency = usize::try_from(concurrency.get())?;
        let worker = Worker::new(queue, service.jobs.handlers(app), families, concurrency);
        context.run("jobs", worker.run(context.stop()));
    }
    if service.fires() {
        fire(service, attaching, context)?;
    }
    for background in &service.background {
        let stop: Stop = context.stop();
        context.run(background.name, (background.run)(app.clone(), stop));
    }
    Ok(())
}

/// Starts the scheduler. Any number of them in a fleet fires each time once.
fn fire<A: App>(
    service: &Service<A>,
    attaching: &Attaching,
    context: &Context,
) -> Result<(), BoxError> {
    let table = Timetable::of(&service.cron)
        .map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))?;
    let queue = attaching.queue(None).ok_or("schedules need one field of type Queue")?;
    let families = attaching.metrics().families::<JobFamilies>();
    context.run("cron", Scheduler::new(queue, table, families).run(context.stop()));
    Ok(())
}

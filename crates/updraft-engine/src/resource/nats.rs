//! A private NATS server: loopback only, with a user and password, JetStream on disk.

use std::time::Duration;

use super::plan::{ResourceError, ResourcePlan, ServerPlan, ServerRequest, quoted, text_of};
use super::ready::ServerReady;
use super::url::ResourceUrl;
use crate::scope::StopSignal;

const PACKAGES: &str = "the package `nats-server` (apt, brew)";
const USER: &str = "updraft";
const GRACE: Duration = Duration::from_secs(20);

pub(super) fn plan(request: &ServerRequest<'_>) -> Result<ResourcePlan, ResourceError> {
    let program = request.program("nats-server", "NATS", PACKAGES)?;
    let password = request.password()?;
    let port = request.port;
    let store = quoted(&text_of(&request.folder));
    let text = format!(
        "# Written by updraft at each start.\n\
         server_name: {name}\nlisten: \"127.0.0.1:{port}\"\n\
         authorization {{ user: {USER}, password: \"{password}\" }}\n\
         jetstream {{ store_dir: {store} }}\n",
        name = quoted(request.name.as_str()),
    );
    let file = request.configure("nats.conf", &text)?;
    Ok(ResourcePlan {
        url: ResourceUrl::from_parts(format!("nats://{USER}:{password}@127.0.0.1:{port}")),
        server: Some(ServerPlan {
            prepare: Vec::new(),
            run: request.command(vec![text_of(&program), "-c".to_owned(), file]),
            // It listens when its streams are restored, and speaks first.
            ready: ServerReady { port, say: Vec::new(), expect: b"INFO {", lock: None },
            // On SIGTERM it stops in the same way, and ends with code 1.
            stop: StopSignal::Int,
            grace: GRACE,
        }),
    })
}

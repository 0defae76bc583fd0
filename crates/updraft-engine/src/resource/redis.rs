//! A private Redis server: loopback only, with a password, every write in a log on disk.

use std::time::Duration;

use super::plan::{ResourceError, ResourcePlan, ServerPlan, ServerRequest, quoted, text_of};
use super::ready::ServerReady;
use super::url::ResourceUrl;
use crate::scope::StopSignal;

const PACKAGES: &str = "the package `redis-server` (apt) or `redis` (dnf, brew)";
/// Redis writes what is in memory to disk before it ends.
const GRACE: Duration = Duration::from_secs(20);

pub(super) fn plan(request: &ServerRequest<'_>) -> Result<ResourcePlan, ResourceError> {
    let program = request.program("redis-server", "Redis", PACKAGES)?;
    let password = request.password()?;
    let port = request.port;
    let folder = quoted(&text_of(&request.folder));
    // The title stays unset so that the process keeps the environment it was started
    // with, by which its scope knows it.
    let text = format!(
        "# Written by updraft at each start.\n\
         bind 127.0.0.1\nport {port}\nrequirepass {password}\ndir {folder}\n\
         appendonly yes\ndaemonize no\nlogfile \"\"\nset-proc-title no\n"
    );
    let file = request.configure("redis.conf", &text)?;
    Ok(ResourcePlan {
        url: ResourceUrl::from_parts(format!("redis://:{password}@127.0.0.1:{port}/0")),
        server: Some(ServerPlan {
            prepare: Vec::new(),
            run: request.command(vec![text_of(&program), file]),
            ready: ServerReady {
                port,
                // While it loads its data it answers the second command with an error.
                say: format!("AUTH {password}\r\nPING\r\n").into_bytes(),
                expect: b"+OK\r\n+PONG\r\n",
                lock: None,
            },
            stop: StopSignal::Term,
            grace: GRACE,
        }),
    })
}

//! The throw-away server of a resource.

use std::time::{Duration, Instant};

use updraft_engine::{CommandPlan, Scope, Scopes, ServerPlan};

/// How long a server may take to be ready.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// How long one of its preparations may take.
const PREPARED_WITHIN: Duration = Duration::from_secs(60);
/// How long one question may take.
const QUESTION: Duration = Duration::from_secs(2);
/// From one question to the next.
const ASK_EVERY: Duration = Duration::from_millis(20);

/// Prepares and starts a server, and waits until it is ready.
pub(super) async fn start(
    scopes: &Scopes,
    label: &str,
    plan: &ServerPlan,
) -> Result<Scope, String> {
    for (number, step) in plan.prepare.iter().enumerate() {
        prepare(scopes, &format!("{label}.prepare-{number}"), step).await?;
    }
    let (mut scope, output) =
        scopes.start(label, &plan.run).await.map_err(|error| error.to_string())?;
    // What a server of ours says is of interest to nobody; its pipes must not fill.
    for stream in [output.stdout, output.stderr] {
        tokio::spawn(drain(stream));
    }
    let until = Instant::now() + READY_WITHIN;
    loop {
        let Err(why) = plan.ready.check(QUESTION).await else { return Ok(scope) };
        if Instant::now() >= until {
            return Err(format!("its server is not ready within {READY_WITHIN:?}: {why}"));
        }
        if let Ok(exit) = tokio::time::timeout(ASK_EVERY, scope.ended()).await {
            return Err(format!("its server ended: {exit}"));
        }
    }
}

async fn prepare(scopes: &Scopes, label: &str, step: &CommandPlan) -> Result<(), String> {
    let (mut scope, output) = scopes.start(label, step).await.map_err(|error| error.to_string())?;
    let errors = tokio::spawn(drain(output.stderr));
    tokio::spawn(drain(output.stdout));
    let exit = tokio::time::timeout(PREPARED_WITHIN, scope.ended()).await;
    let program = step.argv.first().map(String::as_str).unwrap_or_default();
    match exit {
        Ok(exit) if exit.is_success() => Ok(()),
        Ok(exit) => {
            let said = errors.await.unwrap_or_default();
            Err(format!("`{program}` ended with {exit}: {}", said.lines().last().unwrap_or("")))
        }
        Err(_elapsed) => Err(format!("`{program}` did not end within {PREPARED_WITHIN:?}")),
    }
}

/// Reads to the end; gives back the last of it.
async fn drain(stream: std::os::fd::OwnedFd) -> String {
    const KEPT: usize = 4096;
    let Ok(mut stream) = tokio::net::unix::pipe::Receiver::from_owned_fd(stream) else {
        return String::new();
    };
    let (mut kept, mut buffer) = (Vec::new(), vec![0; KEPT]);
    while let Ok(count @ 1..) = tokio::io::AsyncReadExt::read(&mut stream, &mut buffer).await {
        kept.extend_from_slice(buffer.get(..count).unwrap_or_default());
        let surplus = kept.len().saturating_sub(KEPT);
        kept.drain(..surplus);
    }
    String::from_utf8_lossy(&kept).into_owned()
}

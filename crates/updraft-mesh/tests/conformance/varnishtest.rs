//! The cases of `tests/vtc`: a client and a server by script, and the gateway in between.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use tokio::task::JoinSet;

use crate::support::mesh::{Mesh, port};
use crate::support::program::{command, run, said};

/// Cases, so that a folder that is not found is no success.
const LEAST_CASES: usize = 15;
/// Cases that run at once.
const AT_ONCE: usize = 4;

/// The gateway for a case: over HTTP/2 if its name says so.
async fn case(path: PathBuf, upstream: SocketAddr) -> (String, bool, String) {
    let name = path.file_stem().unwrap().to_string_lossy().into_owned();
    let protocol = if name.starts_with("h2") { "h2c" } else { "http1" };
    let mesh = Mesh::start(protocol, upstream, "", "");
    let mut varnishtest = command("varnishtest", "varnish");
    varnishtest.args(["-t", "15", "-D"]).arg(format!("edge={}", mesh.edge)).arg("-D");
    varnishtest.arg(format!("upstream={upstream}")).arg(path);
    let output = run(varnishtest, Duration::from_secs(20)).await;
    (name, output.status.success(), said(&output))
}

#[tokio::test]
async fn the_cases_for_varnishtest_pass() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vtc");
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> =
        entries.filter(|path| path.extension().is_some_and(|it| it == "vtc")).collect();
    paths.sort();
    assert!(paths.len() >= LEAST_CASES);
    let (mut running, mut failed) = (JoinSet::new(), Vec::new());
    let ports: Vec<_> = paths.iter().map(|_| port()).collect();
    for (path, (upstream, _)) in paths.into_iter().zip(&ports) {
        if running.len() == AT_ONCE {
            failed.push(running.join_next().await.unwrap().unwrap());
        }
        running.spawn(case(path, *upstream));
    }
    failed.extend(running.join_all().await);
    failed.retain(|(_, passed, _)| !passed);
    for (name, _, said) in &failed {
        println!("{name}: {said}");
    }
    let names: Vec<_> = failed.iter().map(|(name, ..)| name).collect();
    assert!(names.is_empty(), "{names:?}");
}

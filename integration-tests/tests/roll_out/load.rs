//! A closed load that goes on until it is told to end, and what came of it.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use anyhow::{Context as _, Result, anyhow, ensure};

/// Clients of each row; each keeps its connection.
const CLIENTS: u32 = 5;
/// How long one row of requests on the same connections is, in seconds.
const ROW_SECONDS: u32 = 2;

/// h2load on connections that it keeps: with HTTP/1.1 and HTTP/2 for requests that are slow among
/// others, and once more for requests that are all quick, which come at the rate that is asked for.
#[derive(Debug)]
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    rows: Vec<JoinHandle<Result<u64>>>,
}

impl Load {
    /// Asks for `/` and `/slow` of `url`; for `/` at least `rate` times a second altogether, where
    /// the machine can do that.
    pub(crate) fn start(url: &str, rate: u32) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mixed = ["/", "/slow"].as_slice();
        let rows = [(&["--h1"][..], mixed), (&["-m", "4"], mixed), (&["--h1"], &["/"])];
        let rows = rows.map(|(protocol, paths)| {
            let urls: Vec<String> = paths.iter().map(|path| format!("{url}{path}")).collect();
            let stop = Arc::clone(&stop);
            thread::spawn(move || {
                let mut total = 0;
                while !stop.load(Ordering::Relaxed) {
                    total += row(protocol, &urls, rate / CLIENTS)?;
                }
                Ok(total)
            })
        });
        Self { stop, rows: rows.into() }
    }

    /// How many requests there were; an error where one of them failed.
    pub(crate) fn end(self) -> Result<u64> {
        self.stop.store(true, Ordering::Relaxed);
        let mut total = 0;
        for row in self.rows {
            total += row.join().map_err(|_panic| anyhow!("a load has panicked"))??;
        }
        ensure!(total != 0, "no request was made");
        Ok(total)
    }
}

fn row(protocol: &[&str], urls: &[String], rate: u32) -> Result<u64> {
    let mut h2load = Command::new("h2load");
    h2load.args(protocol).args(["-c", &CLIENTS.to_string(), "--rps", &rate.max(1).to_string()]);
    h2load.args(["-D", &ROW_SECONDS.to_string()]).args(urls);
    let output = h2load.stderr(Stdio::inherit()).output().context("h2load, of nghttp2-client")?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let count = |line: &str, what: &str| -> Result<u64> {
        let line = said.lines().find_map(|it| it.strip_prefix(line));
        let part =
            line.and_then(|it| it.split(", ").find_map(|part| part.trim().strip_suffix(what)));
        part.and_then(|it| it.trim().parse().ok()).with_context(|| said.clone())
    };
    let failed = ["failed", "errored", "timeout"].map(|what| count("requests:", what));
    let refused = ["3xx", "4xx", "5xx"].map(|what| count("status codes:", what));
    for lost in failed.into_iter().chain(refused) {
        ensure!(lost? == 0, "requests have failed: {protocol:?}\n{said}");
    }
    count("status codes:", "2xx")
}

//! How long a thread needs for one line of the log, in a real process whose standard output
//! leads nowhere. Nothing is asserted: the numbers are for comparing two builds.
//!
//! `cargo bench -p updraft --bench log`

use std::hint::black_box;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use updraft::{App, BoxError, Ctx, Exit, Stop};

/// It needs nothing.
#[derive(App)]
struct Nothing {}

#[derive(clap::Args)]
struct Rounds {}

/// Lines of one measurement.
const LINES: u32 = 20_000;

/// Measurements of which the best one counts: others were disturbed.
const ROUNDS: usize = 15;

fn measure(what: &str, mut write: impl FnMut(u32)) {
    let mut best = Duration::MAX;
    for _ in 0..ROUNDS {
        let began = Instant::now();
        for number in 0..LINES {
            write(number);
        }
        best = best.min(began.elapsed());
        // Not to measure how a full queue drops lines.
        std::thread::park_timeout(Duration::from_millis(100));
    }
    let nanos = best.as_nanos() / u128::from(LINES);
    #[expect(clippy::print_stderr, reason = "standard output has the lines")]
    {
        eprintln!("{what:<40} {nanos:>6} ns a line {:>9} lines/s", 1_000_000_000 / nanos.max(1));
    }
}

async fn lines(_app: Ctx<Nothing>, _rounds: Rounds, _stop: Stop) -> Result<(), BoxError> {
    let text = String::from("a customer of no importance");
    measure("message", |_| tracing::info!("something happened"));
    measure("message, three fields", |number| {
        tracing::info!(number, text, ok = true, "something happened");
    });
    measure("message, three of Debug and Display", |number| {
        tracing::info!(?number, %text, option = ?Some(number), "number {number} happened");
    });
    let request =
        tracing::info_span!("request", request_id = "0194f1c2-7b3a-7c00-8000-0123456789ab");
    request.in_scope(|| {
        measure("as the line of a request, in its span", |number| {
            let (status, duration_ms) = (black_box(200_u16), f64::from(number) / 7.0);
            tracing::info!(method = "GET", route = "/orders/{id}", status, duration_ms, "request");
        });
    });
    measure("not logged", |number| tracing::debug!(number, "something happened"));
    Ok(())
}

fn main() -> Exit {
    if std::env::args().nth(1).as_deref() == Some("task") {
        return updraft::service!(Nothing).task("lines", lines).main();
    }
    let measured = std::env::current_exe().and_then(|own| {
        let mut command = Command::new(own);
        command.args(["task", "lines"]).env("LOG_RATE_LIMIT", "0").stdout(Stdio::null());
        command.status()
    });
    match measured {
        Ok(status) if status.success() => Exit::SUCCESS,
        _ => Exit::FAILURE,
    }
}

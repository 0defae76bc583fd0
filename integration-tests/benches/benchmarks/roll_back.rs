//! A rollback of a running system, until the release of before serves.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use integration_tests::{TestSystem, http, processes, promptly};
use rustix::process::Signal;

use crate::report::{Row, Table};
use crate::statistics::{Sample, milliseconds};

const ROUNDS: usize = 5;
const WITHIN: Duration = Duration::from_secs(30);

const MANIFEST: &str = r#"
system = "back"
[service.web]
path = "."
[service.web.process]
web = { run = "python3 web.py", ready = "/", roll = { ready = ROLL_READY, settle = "ROLL_SETTLE" } }
"#;

/// From `updraft rollback` until it returns.
pub(crate) fn measure() -> Result<Vec<Table>> {
    let quick = Back { note: "`roll = { ready = 1, settle = \"0s\" }`", ready: 1, settle: "0s" };
    let usual = Back { note: "as without `roll`", ready: 3, settle: "6s" };
    let mut rows = vec![floor()?];
    for back in [quick, usual] {
        rows.push(back.measure()?);
    }
    Ok(vec![Table {
        title: "A rollback",
        how: "From `updraft rollback` until it returns: the release of before, whose programs \
              are on the disk as those of\nthe ten newest are, is started, ready, and serves in \
              place of the other, which has ended. The floor is\nthe start of the program alone \
              until it answers."
            .to_owned(),
        unit: "ms",
        less_is_better: true,
        rows,
    }])
}

struct Back {
    note: &'static str,
    ready: u32,
    settle: &'static str,
}

impl Back {
    fn measure(&self) -> Result<Row> {
        let manifest = MANIFEST
            .replace("ROLL_READY", &self.ready.to_string())
            .replace("ROLL_SETTLE", self.settle);
        let system = TestSystem::new(&manifest)?.optimised()?;
        system.ok(&["release"])?;
        system.ok(&["up", "-d", "--release", "1"])?;
        system.write("other.txt", "other\n")?;
        system.ok(&["release"])?;
        // Without a number each goes further back, and there are two.
        let mut others = ["1", "2"].into_iter().cycle();
        let sample = Sample::take(ROUNDS, || {
            let other = others.next().unwrap_or("1");
            let began = Instant::now();
            system.ok(&["rollback", other])?;
            Ok(milliseconds(began.elapsed()))
        })?;
        system.ok(&["down"])?;
        Ok(Row { subject: "updraft rollback".to_owned(), sample, note: self.note.to_owned() })
    }
}

fn floor() -> Result<Row> {
    let system = TestSystem::new(MANIFEST)?;
    let port = integration_tests::free_port()?;
    let url = format!("http://127.0.0.1:{port}/");
    let sample = Sample::take(ROUNDS, || {
        let began = Instant::now();
        let mut child = Command::new("python3")
            .arg("web.py")
            .current_dir(system.directory())
            .env("PORT", port.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("python3 cannot be started")?;
        let ready = promptly("it answers", WITHIN, || Ok(http::get(&url).is_ok().then_some(())));
        let took = milliseconds(began.elapsed());
        processes::signal(child.id(), Signal::KILL)?;
        child.wait()?;
        ready.map(|()| took)
    })?;
    Ok(Row { subject: "python3 alone".to_owned(), sample, note: String::new() })
}

//! `updraft check`: what it takes and refuses, what it writes, that it leaves nothing, and that
//! its probes can tell good from bad on this machine.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use integration_tests::{TestSystem, eventually, processes, repository};
use rustix::process::Signal;
use serde_json::Value;

const SOON: Duration = Duration::from_secs(30);

/// Keeps a request, and says so, when it is asked to end.
const GOOD: &str = "\
import http.server, os, signal, threading
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    def do_GET(self):
        body = b'ok\\n'
        length = int(self.headers.get('content-length', 0))
        self.rfile.read(length)
        self.send_response(200)
        self.send_header('content-length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    do_POST = do_GET
    def log_message(self, form, *values):
        print(self.path, flush=True)
server = http.server.ThreadingHTTPServer(('0.0.0.0', int(os.environ['PORT'])), Handler)
server.daemon_threads = False
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
server.serve_forever()
server.server_close()
";

/// Ignores SIGTERM.
const BAD: &str = "\
import http.server, os, signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
address = ('0.0.0.0', int(os.environ['PORT']))
http.server.HTTPServer(address, http.server.SimpleHTTPRequestHandler).serve_forever()
";

fn folder() -> Result<TestSystem> {
    let system = TestSystem::empty()?;
    system.write("good.py", GOOD)?;
    system.write("bad.py", BAD)?;
    Ok(system)
}

fn verdict<'a>(report: &'a Value, id: &str, shape: Option<&str>) -> Result<&'a str> {
    let probes = report["probes"].as_array().context("a list of probes")?;
    let fits = |probe: &&Value| probe["id"] == id && probe["shape"].as_str() == shape;
    let probe = probes.iter().find(fits).with_context(|| format!("{id} is not in {report:#}"))?;
    probe["verdict"].as_str().context("a verdict")
}

#[test]
fn a_report_has_the_form_that_is_promised() -> Result<()> {
    let system = folder()?;
    let words = ["check", "--format", "json", "--only", "VII.port,IX.term", "--"];
    let report = system.ok(&[&words[..], &["python3", "good.py"]].concat())?.json()?;
    ensure!(report["schema"] == "updraft.check/1", "{report:#}");
    ensure!(report["target"]["programs"][0]["name"] == "python3", "{report:#}");
    ensure!(report["factors"].as_array().is_some_and(|all| all.len() >= 12), "{report:#}");
    for probe in report["probes"].as_array().context("a list of probes")? {
        for key in ["id", "verdict", "evidence"] {
            ensure!(probe[key].is_string(), "{key} of {probe:#}");
        }
        for key in ["shape", "reproducer"] {
            ensure!(probe[key].is_string() || probe[key].is_null(), "{key} of {probe:#}");
        }
    }
    ensure!(verdict(&report, "VII.port", None)? == "pass", "{report:#}");
    ensure!(verdict(&report, "IX.term", Some("child"))? == "pass", "{report:#}");
    ensure!(verdict(&report, "IX.term", Some("pid1"))? == "pass", "{report:#}");
    Ok(())
}

#[test]
fn what_fails_is_said_and_is_the_exit_code() -> Result<()> {
    let system = folder()?;
    let words = ["check", "--only", "IX.term", "--shape", "child", "--grace", "2s"];
    let program = ["--", "python3", "bad.py"];
    let outcome = system.run(&[&words[..], &program[..]].concat())?.expect(1)?;
    ensure!(outcome.stdout.contains("IX.term"), "{}", outcome.said());
    ensure!(outcome.stdout.contains("3 of 3 trials"), "{}", outcome.said());

    // As bad as before is no regression; a good one that turned bad is.
    let place = |name: &str| system.directory().join(name).to_string_lossy().into_owned();
    let json = |program: &str, to: &str| -> Result<()> {
        let form = ["--format", "json", "-o", &place(to), "--", "python3", program];
        system.run(&[&words[..], &form[..]].concat()).map(drop)
    };
    json("bad.py", "bad.json")?;
    json("good.py", "good.json")?;
    let against = |earlier: &str| {
        system.run(&[&words[..], &["--baseline", &place(earlier)], &program[..]].concat())
    };
    against("bad.json")?.expect(0)?;
    against("good.json")?.expect(1)?;
    Ok(())
}

#[test]
fn each_format_is_written_to_a_file_and_told_of() -> Result<()> {
    let system = folder()?;
    for (format, begins) in [("html", "<!"), ("junit", "<?xml"), ("sarif", "{"), ("json", "{")] {
        let path = system.directory().join(format!("report.{format}"));
        let file = path.to_string_lossy();
        let words = ["check", "--only", "VII.port", "--format", format, "-o", &*file, "--"];
        let outcome = system.ok(&[&words[..], &["python3", "good.py"]].concat())?;
        ensure!(outcome.stderr.contains(&*file), "{}", outcome.said());
        let text = fs::read_to_string(&path)?;
        ensure!(text.starts_with(begins), "{format}: {text}");
    }
    Ok(())
}

#[test]
fn what_cannot_be_understood_is_refused_with_what_to_do() -> Result<()> {
    let system = folder()?;
    let refused: [(&[&str], &str); 7] = [
        (&["check"], "updraft check -- CMD"),
        (&["check", "--only", "IX.drian", "--", "true"], "IX.drain"),
        (&["check", "--baseline", "nowhere.json", "--", "true"], "nowhere.json"),
        (&["check", "--without", "gravity", "--", "true"], "process-namespace"),
        (&["check", "--slow", "reports", "--", "true"], "GET /reports"),
        (&["check", "--need", "A=oracle", "--", "true"], "postgres"),
        (&["explain", "IX.trem"], "IX.term"),
    ];
    for (words, help) in refused {
        let outcome = system.run(words)?.expect(2)?;
        ensure!(outcome.stderr.contains(help), "{words:?}: {}", outcome.said());
    }
    system.write("updraft.toml", "system = \"x\"\n[service.a]\nrun = \"a\"\n")?;
    let outcome = system.run(&["check", "b"])?.expect(2)?;
    ensure!(outcome.stderr.contains("no service `b`"), "{}", outcome.said());
    Ok(())
}

#[test]
fn a_program_that_cannot_run_is_unknown_and_never_a_pass() -> Result<()> {
    let system = folder()?;
    let words = ["check", "--format", "json", "--only", "VII.port,IX.term", "--"];
    for program in ["no-such-program", "false"] {
        let report = system.run(&[&words[..], &[program]].concat())?.expect(0)?.json()?;
        for probe in report["probes"].as_array().context("a list of probes")? {
            ensure!(probe["verdict"] == "unknown", "{probe:#}");
        }
    }
    system.run(&[&["check", "--strict"][..], &words[1..], &["false"]].concat())?.expect(3)?;
    Ok(())
}

/// Each probe on programs whose verdicts are known: for the bad one it fails, for the good one
/// it passes.
#[test]
fn every_probe_can_tell_its_controls_apart() -> Result<()> {
    let system = folder()?;
    let judged = system.run(&["check", "--self-test", "--json"])?;
    let judged: Vec<Value> = serde_json::from_str(&judged.expect(0)?.stdout)?;
    let differs = |one: &&Value| one["got"] != one["expected"];
    let wrong: Vec<_> = judged.iter().filter(differs).collect();
    ensure!(wrong.is_empty(), "{wrong:#?}");
    ensure!(judged.len() > 40, "only {} controls were judged", judged.len());
    Ok(())
}

/// Without a feature of the machine a verdict becomes unknown, or stays what it is.
#[test]
fn what_the_machine_withholds_makes_verdicts_unknown_and_never_better() -> Result<()> {
    let system = folder()?;
    let withheld = [
        ("process-namespace", "IX.term"),
        ("overlay-file-system", "VI.write,V.pure"),
        ("read-only-root", "VI.readonly"),
        ("network-namespace", "IV.egress"),
        ("tracer", "II.exec,V.nobuild"),
    ];
    for (without, probes) in withheld {
        let words = ["check", "--self-test", "--json", "--without", without, "--only", probes];
        let judged: Vec<Value> = serde_json::from_str(&system.run(&words)?.expect(0)?.stdout)?;
        ensure!(!judged.is_empty(), "{probes}");
        let lies = |one: &&Value| one["got"] != one["expected"] && one["got"] != "unknown";
        let lies: Vec<_> = judged.iter().filter(lies).collect();
        ensure!(lies.is_empty(), "without {without}: {lies:#?}");
    }
    Ok(())
}

fn labs(within: &Path) -> Result<Vec<std::path::PathBuf>> {
    let entries = fs::read_dir(within)?.filter_map(|entry| Some(entry.ok()?.path()));
    let is_lab = |path: &std::path::PathBuf| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("updraft-check-"))
    };
    Ok(entries.filter(is_lab).collect())
}

#[test]
fn nothing_is_left_when_it_is_killed() -> Result<()> {
    let system = folder()?;
    let temporary = system.root().join("tmp");
    fs::create_dir_all(&temporary)?;
    for signal in [Signal::KILL, Signal::INT] {
        let mut command = system.command()?;
        command.env("TMPDIR", &temporary);
        command.args(["check", "--only", "IX", "--", "python3", "bad.py"]);
        let mut child = command.spawn()?;
        let copies = || -> Result<usize> {
            let all = processes::within(system.directory())?;
            Ok(all.iter().filter(|one| one.command.contains("bad.py")).count())
        };
        let holders = || -> Result<usize> {
            let all = processes::within(&temporary)?;
            Ok(all.iter().filter(|one| one.command.contains("__audit networks")).count())
        };
        eventually("the program runs", SOON, || Ok(copies()? > 1))?;
        ensure!(holders()? == 1, "{} processes hold its networks", holders()?);
        processes::signal(child.id(), signal)?;
        child.wait()?;
        eventually("all copies are gone", SOON, || Ok(copies()? == 0))?;
        eventually("its networks are gone", SOON, || Ok(holders()? == 0))?;
        eventually("its files are gone", SOON, || Ok(labs(&temporary)?.is_empty()))?;
    }
    Ok(())
}

#[test]
fn the_shop_passes_with_nothing_waived() -> Result<()> {
    let system = TestSystem::at(&repository().join("examples/shop"))?;
    let outcome = system.run(&["check", "--format", "json"])?.expect(0)?;
    let report = outcome.json()?;
    for probe in report["probes"].as_array().context("a list of probes")? {
        let verdict = probe["verdict"].as_str().unwrap_or_default();
        ensure!(!["fail", "flaky", "waived"].contains(&verdict), "{probe:#}");
    }
    Ok(())
}

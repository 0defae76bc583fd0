//! One merged log: whole lines, chosen by source, time and pattern, kept across runs.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use integration_tests::{TestSystem, eventually, until};
use serde_json::Value;

const SOON: Duration = Duration::from_secs(20);

const TALK: &str = r#"
import os, signal, sys
print("first words of", os.environ["UPDRAFT_SERVICE"], flush=True)
print("to the other stream", file=sys.stderr, flush=True)
print("x" * 100_000, flush=True)
print("no line feed", end="", flush=True)
signal.pause()
"#;

const MANIFEST: &str = r#"
system = "talk"
[service.one.process]
main = "python3 talk.py"
side = "python3 talk.py"
[service.two.process]
main = "python3 talk.py"
"#;

fn talking() -> Result<TestSystem> {
    let system = TestSystem::new(MANIFEST)?;
    system.write("talk.py", TALK)?;
    Ok(system)
}

fn lines(system: &TestSystem, words: &[&str]) -> Result<Vec<Value>> {
    let words = [&["logs", "--json"], words].concat();
    let text = system.ok(&words)?.stdout;
    text.lines().map(|line| serde_json::from_str(line).with_context(|| line.to_owned())).collect()
}

fn of_programs(lines: &[Value]) -> Vec<&Value> {
    lines.iter().filter(|line| line["stream"] != "updraft").collect()
}

#[test]
fn lines_are_whole_and_chosen_by_source_pattern_and_number() -> Result<()> {
    let system = talking()?;
    system.ok(&["up", "-d"])?;
    // The text without a line feed is shown too, after a moment.
    eventually("every text", SOON, || Ok(lines(&system, &["--grep", "no line feed"])?.len() == 3))?;

    let all = lines(&system, &[])?;
    let sequence: Vec<u64> = all.iter().filter_map(|line| line["seq"].as_u64()).collect();
    ensure!(sequence.len() == all.len(), "a line without its number");
    ensure!(sequence.is_sorted_by(|a, b| a < b), "not one merged stream: {sequence:?}");

    for (selector, sources) in [("one", 2), ("one.side", 1), ("two.main.1", 1)] {
        let chosen = lines(&system, &[selector])?;
        let greetings = of_programs(&chosen).iter().filter(|line| starts(line, "first")).count();
        assert_eq!(greetings, sources, "{selector}: {chosen:#?}");
        let service = selector.split('.').next().unwrap_or_default();
        ensure!(chosen.iter().all(|line| line["service"] == service), "{selector}: {chosen:#?}");
    }
    let matched = lines(&system, &["--grep", "^to the .* stream$"])?;
    assert_eq!(matched.len(), 3);
    ensure!(matched.iter().all(|line| line["stream"] == "stderr"), "{matched:#?}");
    assert_eq!(lines(&system, &["-n", "2"])?.len(), 2);
    assert_eq!(lines(&system, &["two", "-n", "1"])?[0]["service"], "two");

    // A line longer than the cap comes in pieces, and none of it is lost.
    let long = lines(&system, &["two.main", "--grep", "^x+$"])?;
    let length: usize = long.iter().filter_map(|line| Some(line["line"].as_str()?.len())).sum();
    assert_eq!(length, 100_000);
    ensure!(long.len() > 1 && long[0]["partial"] == true, "{} pieces", long.len());
    ensure!(long.iter().all(|piece| piece["line"].as_str().is_some_and(|it| it.len() <= 65_536)));

    system.ok(&["down"])?;
    Ok(())
}

fn starts(line: &Value, with: &str) -> bool {
    line["line"].as_str().is_some_and(|text| text.starts_with(with))
}

#[test]
fn the_log_of_earlier_runs_is_kept_and_read_without_a_running_system() -> Result<()> {
    let system = talking()?;
    for run in 1..=2 {
        system.ok(&["up", "-d"])?;
        eventually("first words", SOON, || {
            Ok(lines(&system, &["two", "--grep", "^first"])?.len() == run)
        })?;
        system.ok(&["down"])?;
    }
    let both = lines(&system, &["two", "--grep", "^first"])?;
    assert_eq!(both.len(), 2, "{both:#?}");
    ensure!(both[0]["seq"].as_u64() < both[1]["seq"].as_u64(), "numbers begin anew");

    let moment = both[1]["time"].as_str().context("a line without its time")?;
    let since = lines(&system, &["two", "--grep", "^first", "--since", moment])?;
    assert_eq!(since, both[1..]);
    assert_eq!(lines(&system, &["two", "--since", "0s"])?.len(), 0);
    assert_eq!(lines(&system, &["two", "--grep", "^first", "--since", "1h"])?, both);
    Ok(())
}

#[test]
fn a_follower_sees_what_was_and_what_comes_without_a_gap() -> Result<()> {
    let system = talking()?;
    system.ok(&["up", "-d"])?;
    let follower = system.start(&["logs", "two", "-f", "--json"])?;
    follower.says("first words of two", SOON)?;
    system.ok(&["restart", "two.main"])?;
    eventually("both greetings", SOON, || {
        Ok(follower.stdout()?.matches("first words of two").count() == 2)
    })?;
    let text = follower.stdout()?;
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let numbers: Vec<u64> = whole
        .lines()
        .map(|line| {
            let line: Value = serde_json::from_str(line)?;
            line["seq"].as_u64().context("a line without its number")
        })
        .collect::<Result<_>>()?;
    ensure!(numbers.is_sorted_by(|a, b| a < b), "twice or out of order: {numbers:?}");
    let last = numbers.last().copied().context("no line")?;
    let stored: Vec<u64> = lines(&system, &["two"])?
        .iter()
        .filter_map(|line| line["seq"].as_u64())
        .filter(|seq| *seq <= last)
        .collect();
    assert_eq!(numbers, stored);
    system.ok(&["down"])?;
    Ok(())
}

#[test]
fn a_pipe_gets_no_colour_and_names_the_source_of_each_line() -> Result<()> {
    let system = talking()?;
    system.ok(&["up", "-d"])?;
    let text = until("first words", SOON, || {
        let text = system.ok(&["logs"])?.stdout;
        let all = ["one", "two"].iter().all(|who| text.contains(&format!("first words of {who}")));
        Ok(all.then_some(text))
    })?;
    ensure!(!text.contains('\u{1b}'), "colour in a pipe");
    let named = text.lines().find(|line| line.contains("first words of two"));
    ensure!(named.is_some_and(|line| line.contains("two.main")), "{named:?}");
    system.ok(&["down"])?;
    Ok(())
}

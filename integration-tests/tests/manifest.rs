//! A manifest with mistakes, through the built command: one report, each mistake at its
//! place, and nothing started.

use anyhow::{Context, Result, ensure};
use integration_tests::TestSystem;
use serde_json::Value;

/// Ten different mistakes; `→` marks the place that a finding must name.
const TEN_MISTAKES: &str = r#"
system = →"My Shop"

[resource]
db = { kind = →"sqll" }

[service.web]
→rute = "/"
run = →""
needs = [→"pricng"]

[service.pricing]
path = →"../elsewhere"
after = [→"wep"]

[service.pricing.process]
worker = { run = "python3 web.py", stop = →"soon" }
ticker = { run = "python3 web.py", scale = →5000 }

[service.pricing.config]
→lower-case = "int"
"#;

/// The text without its marks, and line and column of each mark, from 1.
fn marked(text: &str) -> (String, Vec<(u64, u64)>) {
    let (mut clean, mut places) = (String::new(), Vec::new());
    let (mut line, mut column) = (1, 1);
    for letter in text.chars() {
        match letter {
            '→' => places.push((line, column)),
            '\n' => (line, column) = (line + 1, 1),
            _ => column += 1,
        }
        clean.extend(Some(letter).filter(|letter| *letter != '→'));
    }
    (clean, places)
}

#[test]
fn ten_mistakes_are_ten_findings_each_at_its_place() -> Result<()> {
    let (manifest, places) = marked(TEN_MISTAKES);
    assert_eq!(places.len(), 10);
    let system = TestSystem::new(&manifest)?;

    let report = system.run(&["up", "--json"])?.expect(2)?;
    let report: Value = serde_json::from_str(&report.stderr).context(report.stderr)?;
    let problems = report["problems"].as_array().context("no problems")?;
    let found: Vec<(u64, u64)> = problems
        .iter()
        .filter_map(|problem| Some((problem["line"].as_u64()?, problem["column"].as_u64()?)))
        .collect();
    for place in &places {
        ensure!(found.contains(place), "no finding at {place:?}: {report:#}");
    }
    for problem in problems {
        let help = problem["help"].as_str().unwrap_or_default();
        ensure!(!help.is_empty(), "no word about how to mend it: {problem:#}");
        ensure!(problem["file"].as_str().is_some_and(|file| file.ends_with("updraft.toml")));
    }
    ensure!(found.len() == places.len(), "a mistake is told twice: {report:#}");

    let shown = system.run(&["up"])?.expect(2)?.stderr;
    for (line, column) in places {
        let place = format!("updraft.toml:{line}:{column}");
        ensure!(shown.contains(&place), "{place} is missing in:\n{shown}");
    }
    for (wrong, near) in [("rute", "route"), ("pricng", "pricing"), ("sqll", "sql")] {
        ensure!(shown.contains(wrong) && shown.contains(&format!("`{near}`")), "{near}:\n{shown}");
    }
    system.expect_nothing(&[], std::time::Duration::ZERO)
}

#[test]
fn what_is_not_built_is_refused_with_its_name() -> Result<()> {
    for (text, named) in [
        ("[service.web]\nrun = 'a'\n[deploy.production]\ntarget = 'kubernetes'\n", "deploy"),
        (
            "[service.web]\nrun = 'a'\n[service.web.function]\nf = { on = 'queue:q', run = 'b' }\n",
            "function",
        ),
        ("[resource]\nmail = { kind = 'smtp' }\n[service.web]\nrun = 'a'\n", "smtp"),
        ("[service.web.process]\nweb = { run = 'a', scale = { min = 1, max = 3 } }\n", "scale"),
    ] {
        let system = TestSystem::new(&format!("system = 'shop'\n{text}"))?;
        let refused = system.run(&["up"])?.expect(2)?.stderr;
        ensure!(refused.contains(named), "{named} is not named:\n{refused}");
    }
    Ok(())
}

#[test]
fn the_schema_describes_the_manifest() -> Result<()> {
    let schema = TestSystem::empty()?.ok(&["schema"])?.json()?;
    ensure!(schema["$schema"].as_str().is_some_and(|it| it.contains("2020-12")), "{schema}");
    ensure!(schema["properties"]["service"].is_object(), "{schema}");
    Ok(())
}

#[test]
fn a_procfile_becomes_a_manifest_that_runs_and_is_never_overwritten() -> Result<()> {
    let system = TestSystem::empty()?;
    system.write("Procfile", "web: python3 web.py\nworker: python3 forker.py\n")?;
    system.ok(&["init"])?;
    let written = std::fs::read_to_string(system.directory().join("updraft.toml"))?;
    ensure!(written.contains("python3 web.py"), "{written}");
    system.run(&["init"])?.expect(2)?;
    let after = std::fs::read_to_string(system.directory().join("updraft.toml"))?;
    assert_eq!(written, after);
    system.ok(&["up", "-d"])?;
    system.ok(&["down"])?;
    Ok(())
}

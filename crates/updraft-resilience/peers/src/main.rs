//! Runs every trap against every subject and prints what happened, as Markdown.
//!
//! The traps are defects that were found in published crates. They are written once, against
//! what a subject offers; a subject that does not offer it is left out of the trap (`n/a`).
//!
//! `cargo run --release --manifest-path crates/updraft-resilience/peers/Cargo.toml`; words after
//! `--` choose the subjects whose names contain them.

mod subjects;
mod traps;

use traps::{Result, TRAPS, Verdict};

fn main() {
    // Some subjects want to be called inside of a runtime; the traps poll them by hand.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    let _inside = runtime.enter();

    let only: Vec<String> = std::env::args().skip(1).collect();
    let mut rows = Vec::new();
    let mut remarks = Vec::new();
    for subject in subjects::all() {
        let name = subject.name();
        if !only.is_empty() && !only.iter().any(|word| name.contains(word)) {
            continue;
        }
        eprintln!("{name}");
        if !subject.remark().is_empty() {
            remarks.push(format!("- {name}: {}", subject.remark()));
        }
        let results: Vec<Result> = TRAPS.iter().map(|trap| (trap.run)(&*subject)).collect();
        rows.push((name, results));
    }
    print_summary(&rows);
    print_evidence(&rows);
    if !remarks.is_empty() {
        println!("\n**Remarks**\n{}", remarks.join("\n"));
    }
}

fn print_summary(rows: &[(String, Vec<Result>)]) {
    println!("| subject |{}", TRAPS.map(|trap| format!(" {} |", trap.name)).concat());
    println!("|---|{}", "---|".repeat(TRAPS.len()));
    for (name, results) in rows {
        let cells = results.iter().map(|result| match result.verdict {
            Verdict::Pass => " pass |",
            Verdict::Fail => " **FAIL** |",
            Verdict::NotOffered => " n/a |",
        });
        println!("| {name} |{}", cells.collect::<String>());
    }
}

fn print_evidence(rows: &[(String, Vec<Result>)]) {
    for (at, trap) in TRAPS.iter().enumerate() {
        println!("\n**{}** {}", trap.name, trap.question);
        for (name, results) in rows {
            if let Some(Result { verdict, evidence }) = results.get(at)
                && *verdict != Verdict::NotOffered
            {
                let word = if *verdict == Verdict::Pass { "pass" } else { "FAIL" };
                println!("- {name}: {word}: {evidence}");
            }
        }
        let left_out = rows.iter().filter_map(|(name, results)| {
            let result = results.get(at)?;
            let is_out = result.verdict == Verdict::NotOffered;
            is_out.then(|| format!("{name} ({})", result.evidence))
        });
        let left_out: Vec<String> = left_out.collect();
        if !left_out.is_empty() {
            println!("- n/a: {}", left_out.join(", "));
        }
    }
}
